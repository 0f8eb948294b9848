//! The Messages API and the models: credentials, answers whole and streamed, and the rules that make a 400.

use http::{Method, StatusCode};
use proxy_tests::fake_claude::{
    CALL_WORDS, FOUND_URL, FakeClaude, OAUTH_BETA, REFUSAL, REFUSED_WORD, SEARCH_WORD, Surprise, TOOL_WORD,
};
use serde_json::{Value, json};

use super::client::{Client, VERSION, hello};

fn with(mut body: Value, over: &Value) -> Value {
    for (name, value) in over.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn weather_tool() -> Value {
    json!({
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    })
}

fn ask_weather() -> Value {
    let question = format!("How is the {TOOL_WORD}?");
    with(hello(), &json!({"tools": [weather_tool()], "messages": [{"role": "user", "content": question}]}))
}

fn ask_search() -> Value {
    let question = format!("Please {SEARCH_WORD}.");
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    with(hello(), &json!({"tools": [search], "messages": [{"role": "user", "content": question}]}))
}

fn ask_refused() -> Value {
    let question = format!("Say {REFUSED_WORD}.");
    with(hello(), &json!({"messages": [{"role": "user", "content": question}]}))
}

/// What a client makes of the events: the message as it would have come whole.
fn assemble(events: &[(String, Value)]) -> Value {
    let mut message = Value::Null;
    let mut arguments = String::new();
    for (name, data) in events {
        assert_eq!(data["type"].as_str(), Some(name.as_str()));
        match name.as_str() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                assert_eq!(data["index"], json!(message["content"].as_array().unwrap().len()));
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
            }
            "content_block_delta" => {
                let at = usize::try_from(data["index"].as_u64().unwrap()).unwrap();
                let block = &mut message["content"][at];
                let add = |value: &mut Value, more: &Value| {
                    *value = json!(format!("{}{}", value.as_str().unwrap(), more.as_str().unwrap()));
                };
                let delta = &data["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add(&mut block["text"], &delta["text"]),
                    "thinking_delta" => add(&mut block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "citations_delta" => {
                        block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                    }
                    "input_json_delta" => arguments.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" if !arguments.is_empty() => {
                let at = usize::try_from(data["index"].as_u64().unwrap()).unwrap();
                message["content"][at]["input"] =
                    serde_json::from_str(&std::mem::take(&mut arguments)).unwrap();
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                message["stop_sequence"] = data["delta"]["stop_sequence"].clone();
                if let Some(details) = data["delta"].get("stop_details") {
                    message["stop_details"] = details.clone();
                }
                message["usage"]["output_tokens"] = data["usage"]["output_tokens"].clone();
            }
            "content_block_stop" | "ping" | "message_stop" => {}
            other => panic!("{other}"),
        }
    }
    message
}

#[tokio::test]
async fn text_is_echoed_with_usage_and_limits() {
    let fake = FakeClaude::start().await;
    let reply = Client::of(&fake).message(&fake.add_api_key(), &hello()).await;
    assert_eq!(reply.status, StatusCode::OK);
    let message = reply.json();
    assert_eq!(message["content"], json!([{"type": "text", "text": "You said: Hello, café!"}]));
    assert_eq!(message["stop_reason"], "end_turn");
    assert_eq!(message["model"], "claude-haiku-4-5-20251001");
    assert_eq!(message["usage"]["output_tokens"], 4);
    assert!(message["usage"]["input_tokens"].as_u64().unwrap() > 0);
    assert!(reply.headers["request-id"].to_str().unwrap().starts_with("req_FAKE"));
    assert!(reply.headers.contains_key("anthropic-ratelimit-requests-remaining"));
}

#[tokio::test]
async fn a_stream_tells_the_same_message_in_the_services_order() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    for body in [
        hello(),
        ask_weather(),
        with(hello(), &json!({"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}})),
        with(hello(), &json!({"max_tokens": 2})),
        with(hello(), &json!({"stop_sequences": ["Hello"]})),
        with(hello(), &json!({"model": "claude-opus-5"})),
        ask_search(),
    ] {
        let mut whole = client.message(&key, &body).await.json();
        let reply = client.message(&key, &with(body, &json!({"stream": true}))).await;
        assert_eq!(reply.headers["content-type"], "text/event-stream; charset=utf-8");
        let events = reply.events();
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
        assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
        let mut streamed = assemble(&events);
        for message in [&mut whole, &mut streamed] {
            message["id"] = json!("any");
            for block in message["content"].as_array_mut().unwrap() {
                for name in ["id", "tool_use_id"] {
                    if block.get(name).is_some() {
                        block[name] = json!("any");
                    }
                }
            }
        }
        assert_eq!(streamed, whole);
    }
}

#[tokio::test]
async fn a_tool_is_called_in_several_pieces_and_its_result_is_told() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let reply = client.message(&key, &with(ask_weather(), &json!({"stream": true}))).await;
    let events = reply.events();
    let pieces = events.iter().filter(|(_, data)| data["delta"]["type"] == "input_json_delta").count();
    assert!(pieces > 2, "{pieces}");
    let message = assemble(&events);
    assert_eq!(message["stop_reason"], "tool_use");
    let call = message["content"][1].clone();
    assert_eq!(
        (&call["name"], &call["input"]),
        (&json!("get_weather"), &json!({"city": "Paris", "days": 21}))
    );

    let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"});
    let mut next = ask_weather();
    next["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": message["content"]}),
        json!({"role": "user", "content": [result]}),
    ]);
    let answer = client.message(&key, &next).await.json();
    assert_eq!(answer["content"][0]["text"], "The tools said: sunny");
}

#[tokio::test]
async fn a_tool_is_called_with_the_input_that_the_person_tells() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let clock = json!({"name": "get_time", "input_schema": {"type": "object", "properties": {}}});
    let asked = |name: &str| {
        let words = format!("Please {CALL_WORDS}{name} with {{\"zone\": \"UTC\"}} now.");
        let more =
            json!({"tools": [weather_tool(), clock], "messages": [{"role": "user", "content": words}]});
        with(hello(), &more)
    };
    let message = client.message(&key, &asked("get_time")).await.json();
    let call = &message["content"][1];
    assert_eq!((&call["name"], &call["input"]), (&json!("get_time"), &json!({"zone": "UTC"})));
    let unknown = client.message(&key, &asked("get_age")).await.json();
    assert_eq!(unknown["stop_reason"], "end_turn");
}

#[tokio::test]
async fn a_search_names_what_it_found_and_goes_back_as_it_came() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let content = client.message(&key, &ask_search()).await.json()["content"].clone();
    let kinds: Vec<_> = content.as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["server_tool_use", "web_search_tool_result", "text", "text"]);
    assert_eq!(content[1]["content"][0]["url"], FOUND_URL);
    assert_eq!(content[2]["citations"][0]["url"], FOUND_URL);
    let mut next = ask_search();
    next["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": content}),
        json!({"role": "user", "content": "And?"}),
    ]);
    assert_eq!(client.message(&key, &next).await.json()["content"][0]["text"], "You said: And?");
}

#[tokio::test]
async fn a_refusal_says_why_beside_an_empty_answer() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let message = client.message(&key, &ask_refused()).await.json();
    assert_eq!(
        (&message["stop_reason"], &message["content"], &message["stop_details"]["explanation"]),
        (&json!("refusal"), &json!([]), &json!(REFUSAL))
    );
    let streamed = client.message(&key, &with(ask_refused(), &json!({"stream": true}))).await;
    assert_eq!(assemble(&streamed.events())["stop_details"], message["stop_details"]);
}

#[tokio::test]
async fn every_tool_is_called_at_once_when_asked_for() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let clock = json!({"name": "get_time", "input_schema": {"type": "object", "properties": {}}});
    let both = json!({
        "tools": [weather_tool(), clock],
        "messages": [{"role": "user", "content": "Use every tool."}],
    });
    let calls = |message: &Value| {
        message["content"].as_array().unwrap().iter().filter(|b| b["type"] == "tool_use").count()
    };
    assert_eq!(calls(&client.message(&key, &with(hello(), &both)).await.json()), 2);
    let mut one = with(hello(), &both);
    one["tool_choice"] = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(calls(&client.message(&key, &one).await.json()), 1);
}

#[tokio::test]
async fn a_forced_tool_is_called_without_a_trigger_and_without_thoughts_or_words() {
    let fake = FakeClaude::start().await;
    let forced = json!({"model": "claude-opus-5", "tools": [weather_tool()], "tool_choice": {"type": "any"}});
    let message = Client::of(&fake).message(&fake.add_api_key(), &with(hello(), &forced)).await.json();
    let kinds: Vec<_> =
        message["content"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
    assert_eq!((kinds, &message["stop_reason"]), (vec!["tool_use"], &json!("tool_use")));
}

#[tokio::test]
async fn thinking_is_signed_and_its_replay_is_checked() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let thinking =
        with(hello(), &json!({"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}));
    let content = client.message(&key, &thinking).await.json()["content"].clone();
    assert_eq!(content[0]["type"], "thinking");
    assert!(!content[0]["thinking"].as_str().unwrap().is_empty());
    let replay = |content: &Value| {
        let mut body = thinking.clone();
        body["messages"].as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": content}),
            json!({"role": "user", "content": "And?"}),
        ]);
        body
    };
    assert_eq!(client.message(&key, &replay(&content)).await.status, StatusCode::OK);
    let mut touched = content.clone();
    touched[0]["thinking"] = json!("something else");
    assert_eq!(client.message(&key, &replay(&touched)).await.status, StatusCode::BAD_REQUEST);
    let unasked = client.message(&key, &with(hello(), &json!({"model": "claude-opus-5"}))).await.json();
    assert_eq!(
        (&unasked["content"][0]["type"], &unasked["content"][0]["thinking"]),
        (&json!("thinking"), &json!(""))
    );
}

#[tokio::test]
async fn thoughts_of_some_models_are_bound_to_the_conversation_before_them() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let system = json!([{"type": "text", "text": "Be brief."}]);
    let first = with(hello(), &json!({"model": "claude-opus-5-5", "system": system}));
    let content = client.message(&key, &first).await.json()["content"].clone();
    let mut next = first.clone();
    next["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": content}),
        json!({"role": "user", "content": "And?"}),
    ]);
    // Marks of the cache and the form of a text are no change.
    next["system"][0]["cache_control"] = json!({"type": "ephemeral"});
    next["messages"][0]["content"] = json!([{"type": "text", "text": first["messages"][0]["content"]}]);
    assert_eq!(client.message(&key, &next).await.status, StatusCode::OK);

    next["system"][0]["text"] = json!("Be long.");
    let refused = client.message(&key, &next).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let text = refused.json()["error"]["message"].to_string();
    assert!(text.contains("messages.1.content.0: `thinking` block is bound"), "{text}");
    assert_eq!(fake.lost_thoughts(), 0);
    next["thinking"] =
        json!({"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}});
    let beta = ("anthropic-beta", "thinking-binding-controls-2026-08-01");
    let dropped = client.post("/v1/messages", &[("x-api-key", &key), VERSION, beta], &next).await;
    assert_eq!((dropped.status, fake.lost_thoughts()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_json_schema_is_answered_with_an_instance() {
    let fake = FakeClaude::start().await;
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["city", "sunny"],
        "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}, "tags": {"type": "array", "items": {"enum": ["a"]}}},
    });
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let reply = Client::of(&fake).message(&fake.add_api_key(), &with(hello(), &format)).await.json();
    let said: Value = serde_json::from_str(reply["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({"city": "Paris", "sunny": true, "tags": ["a"]}));
    // A call comes without a text, which would have to be an instance, too.
    let called = with(with(ask_weather(), &format), &json!({"tools": [weather_tool()]}));
    let message = Client::of(&fake).message(&fake.add_api_key(), &called).await.json();
    assert_eq!(message["content"][0]["type"], "tool_use");
}

#[tokio::test]
async fn credentials_are_checked_as_the_service_checks_them() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let login = fake.issue_account("a@example.com");
    let (bearer, key_bearer) = (format!("Bearer {}", login.access_token), format!("Bearer {key}"));
    let beta = ("anthropic-beta", OAUTH_BETA);
    let two_betas = ("anthropic-beta", "other-2026-01-01, oauth-2025-04-20");
    let unauthorized = StatusCode::UNAUTHORIZED;
    for (headers, expected) in [
        (vec![VERSION], unauthorized),
        (vec![VERSION, ("x-api-key", "sk-ant-api03-FAKEunknown")], unauthorized),
        (vec![VERSION, ("authorization", "Bearer sk-ant-oat01-FAKEunknown"), beta], unauthorized),
        (vec![VERSION, ("authorization", bearer.as_str())], unauthorized),
        (vec![("x-api-key", key.as_str())], StatusCode::BAD_REQUEST),
        (vec![("anthropic-version", "1999-01-01"), ("x-api-key", key.as_str())], StatusCode::BAD_REQUEST),
        (vec![VERSION, ("authorization", bearer.as_str()), beta], StatusCode::OK),
        (vec![VERSION, ("authorization", bearer.as_str()), two_betas], StatusCode::OK),
        (vec![VERSION, ("authorization", key_bearer.as_str())], StatusCode::OK),
    ] {
        let reply = client.post("/v1/messages", &headers, &hello()).await;
        assert_eq!(reply.status, expected, "{headers:?}");
    }
    assert!(fake.remove_api_key(&key));
    assert_eq!(client.message(&key, &hello()).await.status, unauthorized);
    let setup = fake.issue_setup_token("b@example.com");
    let reply = client.message_as(&setup).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.headers["anthropic-ratelimit-unified-status"], "allowed");
}

#[tokio::test]
async fn a_bad_request_is_a_400_in_the_services_shape() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let reply = client.message(&key, &with(hello(), &json!({"frequency_penalty": 0}))).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let error = reply.json();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "invalid_request_error");
    assert_eq!(error["error"]["message"], "frequency_penalty: Extra inputs are not permitted");
    assert_eq!(error["request_id"].as_str(), reply.headers["request-id"].to_str().ok());
    let unknown = client.message(&key, &with(hello(), &json!({"model": "gpt-4"}))).await;
    assert_eq!(
        (unknown.status, &unknown.json()["error"]["type"]),
        (StatusCode::NOT_FOUND, &json!("not_found_error"))
    );
    let beta = client
        .post(
            "/v1/messages?beta=true",
            &[("x-api-key", &key), VERSION],
            &with(hello(), &json!({"context_management": {}})),
        )
        .await;
    assert_eq!(beta.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_counted_as_the_answer_counts_them() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let said = client.message(&key, &hello()).await.json();
    let mut body = hello();
    body.as_object_mut().unwrap().remove("max_tokens");
    let headers = [("x-api-key", key.as_str()), VERSION];
    let counted = client.post("/v1/messages/count_tokens", &headers, &body).await.json();
    assert_eq!(counted, json!({"input_tokens": said["usage"]["input_tokens"]}));
    let refused = client.post("/v1/messages/count_tokens", &headers, &hello()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn models_come_in_pages_and_one_by_one() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let key = fake.add_api_key();
    let headers = [("x-api-key", key.as_str()), VERSION];
    let all = client.get("/v1/models?limit=1000", &headers).await.json();
    assert_eq!(all["has_more"], false);
    let ids = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
    };
    let (mut collected, mut target) = (Vec::new(), "/v1/models?limit=4".to_owned());
    loop {
        let page = client.get(&target, &headers).await.json();
        collected.extend(ids(&page));
        if page["has_more"] == false {
            break;
        }
        target = format!("/v1/models?limit=4&after_id={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(collected, ids(&all));
    let before = client.get(&format!("/v1/models?limit=2&before_id={}", collected[3]), &headers).await.json();
    assert_eq!((ids(&before), &before["has_more"]), (collected[1..3].to_vec(), &json!(true)));

    let one = client.get("/v1/models/claude-opus-4-6", &headers).await.json();
    assert_eq!(one["capabilities"]["thinking"]["types"]["adaptive"]["supported"], true);
    assert_eq!(one["capabilities"]["effort"]["xhigh"]["supported"], false);
    let none = client.get("/v1/models/claude-nope", &headers).await;
    assert_eq!(
        (none.status, &none.json()["error"]["type"]),
        (StatusCode::NOT_FOUND, &json!("not_found_error"))
    );
    assert_eq!(client.get("/v1/models?limit=0", &headers).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_no_correct_client_does_is_remembered() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    assert_eq!(client.get("/v1/complete", &[]).await.status, StatusCode::NOT_FOUND);
    let twice = [("x-api-key", key.as_str()), ("authorization", "Bearer x"), ("cookie", "a=b"), VERSION];
    client.post("/v1/messages", &twice, &hello()).await;
    let put = client.send(Method::PUT, "/v1/messages", &[], &Value::Null).await.unwrap();
    assert_eq!(put.status, StatusCode::NOT_FOUND);
    assert_eq!(
        fake.verify().unwrap_err(),
        [
            Surprise::UnknownCall { method: "GET".to_owned(), path: "/v1/complete".to_owned() },
            Surprise::TwoCredentials { path: "/v1/messages".to_owned() },
            Surprise::LeakedHeader { path: "/v1/messages".to_owned(), header: "cookie" },
            Surprise::UnknownCall { method: "PUT".to_owned(), path: "/v1/messages".to_owned() },
        ]
    );
    assert_eq!(fake.take_surprises().len(), 4);
    assert_eq!(fake.verify(), Ok(()));
}

#[tokio::test]
#[should_panic(expected = "unexpected call GET /v1/complete")]
async fn an_unexpected_call_fails_the_test_when_the_fake_is_dropped() {
    let fake = FakeClaude::start().await;
    Client::of(&fake).get("/v1/complete", &[]).await;
}
