//! `/v1/chat/completions` over HTTP: what an OpenAI client sends is served by Claude accounts, and what comes
//! back is what that client expects. The fake refuses whatever the Messages API would.

use http::{Method, StatusCode};
use proxy_tests::client::{Reading, frames};
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, put};
use proxy_tests::fake_claude::{FakeClaude, OAUTH_BETA, Script};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const MODEL: &str = "claude-sonnet-4-5";
/// One transparent pixel.
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

async fn ask(daemon: &TestDaemon, body: &Value) -> reqwest::Response {
    let headers = [("content-type", "application/json"), ("authorization", "Bearer none-needed")];
    daemon.send(Method::POST, CHAT, &headers, body.to_string()).await
}

async fn answered(daemon: &TestDaemon, body: &Value) -> Value {
    let answer = ask(daemon, body).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

async fn streamed(daemon: &TestDaemon, body: &Value) -> Vec<Value> {
    let answer = ask(daemon, body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("content-type").unwrap(), "text/event-stream; charset=utf-8");
    frames(&Reading::new(answer).text().await)
}

fn weather_tool() -> Value {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": parameters}})
}

fn sent(fake: &FakeClaude) -> Value {
    fake.requests_to(MESSAGES).pop().unwrap().json()
}

#[tokio::test]
async fn the_curl_of_the_readme_is_answered() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body =
        r#"{"model": "claude-3-5-sonnet-20241022", "messages": [{"role": "user", "content": "Hello!"}]}"#;
    let headers = [("content-type", "application/json"), ("user-agent", "curl/8.5.0"), ("accept", "*/*")];
    let answer = daemon.send(Method::POST, CHAT, &headers, body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("content-type").unwrap(), "application/json");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "claude-3-5-sonnet-20241022");
    assert!(answer["id"].is_string() && answer["created"].as_i64().unwrap() > 1_700_000_000, "{answer}");
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 1);
    assert_eq!(choices[0]["message"]["role"], "assistant");
    assert_eq!(choices[0]["message"]["content"], "You said: Hello!");
    assert_eq!(choices[0]["finish_reason"], "stop");
    let usage = &answer["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert!(count("prompt_tokens") > 0 && count("completion_tokens") > 0);
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    assert_eq!(sent(&fake)["max_tokens"], 8192);
}

#[tokio::test]
async fn upstream_is_called_under_the_daemons_own_name() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-FAKEcallers"),
        ("user-agent", "OpenAI/Python 3.54.0"),
        ("openai-organization", "org-FAKE"),
        ("x-stainless-lang", "python"),
        ("cookie", "theirs=1"),
        ("x-unknown", "1"),
    ];
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    let path = format!("{CHAT}?api-version=1");
    assert_eq!(daemon.send(Method::POST, &path, &headers, body.to_string()).await.status(), 200);
    let sent = fake.requests_to(MESSAGES).pop().unwrap();
    assert!(sent.header("user-agent").unwrap().starts_with("proxyd/"), "{:?}", sent.header("user-agent"));
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {}", issued.access_token).as_str()));
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(sent.header_members("anthropic-beta"), [OAUTH_BETA]);
    assert_eq!(sent.header_members("via"), ["1.1 proxyd"]);
    assert_eq!(sent.query, "");
    for name in ["openai-organization", "x-stainless-lang", "cookie", "x-unknown"] {
        assert_eq!(sent.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn an_answer_names_its_request_and_nothing_of_the_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for stream in [false, true] {
        let body = json!({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let answer = ask(&daemon, &body).await;
        let headers = answer.headers();
        assert!(headers.get("x-request-id").unwrap().to_str().unwrap().starts_with("req_FAKE"));
        assert!(headers.contains_key("x-proxyd-request-id"));
        let foreign = headers.keys().find(|name| name.as_str().starts_with("anthropic-"));
        assert_eq!(foreign, None);
        assert_eq!(headers.get("x-proxyd-dropped-fields"), None);
    }
}

#[tokio::test]
async fn fields_without_a_counterpart_are_dropped_and_named() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for stream in [false, true] {
        let body = json!({
            "model": MODEL, "stream": stream, "seed": 7, "logit_bias": {"1": 2}, "presence_penalty": 0.5,
            "messages": [{"role": "user", "content": "hi"}],
        });
        let answer = ask(&daemon, &body).await;
        assert_eq!(answer.status(), 200);
        let dropped = answer.headers().get("x-proxyd-dropped-fields").unwrap().to_str().unwrap();
        let mut dropped: Vec<_> = dropped.split(", ").collect();
        dropped.sort_unstable();
        assert_eq!(dropped, ["logit_bias", "presence_penalty", "seed"]);
        assert_eq!(sent(&fake).get("seed"), None);
    }
}

#[tokio::test]
async fn a_system_prompt_and_a_history_keep_their_order() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": MODEL, "temperature": 1.7, "stop": "END", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three END four"},
    ]});
    let answer = answered(&daemon, &body).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: three ");
    let sent = sent(&fake);
    assert_eq!(sent["system"][0]["text"], "Be brief.");
    let roles: Vec<_> = sent["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!((&sent["temperature"], &sent["stop_sequences"]), (&json!(1.0), &json!(["END"])));
}

#[tokio::test]
async fn an_image_in_a_data_url_is_seen() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
    ]}]});
    let answer = answered(&daemon, &body).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: What is this? [image image/png]");
}

#[tokio::test]
async fn a_loop_of_tool_calls_comes_to_its_end() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut messages = vec![json!({"role": "user", "content": "What is the weather?"})];
    let body = |messages: &[Value]| json!({"model": MODEL, "tools": [weather_tool()], "messages": messages});
    let answer = answered(&daemon, &body(&messages)).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("get_weather")));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "Paris"}));

    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}));
    let answer = answered(&daemon, &body(&messages)).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "The tools said: 21 degrees");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stream_gives_the_text_then_the_reason_then_the_usage_then_done() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut body = json!({
        "model": MODEL, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "Say something long enough."}],
    });
    let mut frames = streamed(&daemon, &body).await;
    assert_eq!(frames.pop().unwrap(), "[DONE]");
    let usage = frames.pop().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["total_tokens"].as_u64().unwrap() > 0, "{usage}");
    let (last, rest) = frames.split_last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(rest[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(rest.len() > 3, "in pieces: {rest:?}");
    let text: String =
        rest.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "You said: Say something long enough.");
    for frame in &frames {
        assert_eq!(frame["object"], "chat.completion.chunk");
        assert_eq!((&frame["id"], &frame["usage"]), (&usage["id"], &Value::Null));
    }

    body["stream_options"] = Value::Null;
    let frames = streamed(&daemon, &body).await;
    assert_eq!(frames.last().unwrap(), "[DONE]");
    assert!(frames.iter().all(|frame| frame.get("usage").is_none()), "{frames:?}");
}

#[tokio::test]
async fn a_streamed_tool_call_comes_in_pieces_that_join() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({
        "model": MODEL, "stream": true, "tools": [weather_tool()],
        "messages": [{"role": "user", "content": "What is the weather?"}],
    });
    let frames = streamed(&daemon, &body).await;
    let calls: Vec<&Value> =
        frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert_eq!(calls[0]["function"]["name"], "get_weather");
    assert!(calls[0]["id"].is_string());
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"city": "Paris"}));
    let reasons: Vec<&str> =
        frames.iter().filter_map(|frame| frame["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["tool_calls"]);
}

#[tokio::test]
async fn a_gzipped_answer_is_translated_whole_and_streamed() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.on(MESSAGES).times(2, &Script::real().gzip());
    let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    let answer = answered(&daemon, &body).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: hi");
    body["stream"] = json!(true);
    assert_eq!(streamed(&daemon, &body).await.last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn errors_of_upstream_come_in_the_shape_of_this_api() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    for (status, kind, shown, expected, code) in [
        (400, "invalid_request_error", 400, "invalid_request_error", "invalid_request_error"),
        (404, "not_found_error", 404, "invalid_request_error", "model_not_found"),
        (413, "request_too_large", 413, "invalid_request_error", "request_too_large"),
        (403, "permission_error", 502, "server_error", "permission_error"),
        (500, "api_error", 500, "server_error", "api_error"),
        (529, "overloaded_error", 503, "server_error", "overloaded_error"),
        (429, "rate_limit_error", 429, "rate_limit_error", "rate_limit_error"),
    ] {
        let script =
            Script::api_error(StatusCode::from_u16(status).unwrap(), kind, "model: it is what it is");
        fake.on(MESSAGES).once(script.header("retry-after", "9"));
        let answer = ask(&daemon, &body).await;
        assert_eq!(answer.status(), shown, "{status}");
        assert_eq!(answer.headers().get("retry-after").unwrap(), "9", "{status}");
        assert_eq!(answer.headers().get("x-request-id").unwrap(), "req_FAKEscripted", "{status}");
        let error = &answer.json::<Value>().await.unwrap()["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!(expected), &json!(code)), "{status}");
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_is_no_answer() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    for script in [Script::html_502(), Script::body(StatusCode::OK, "text/html", "<html>Welcome</html>")] {
        fake.on(MESSAGES).once(script);
        let answer = ask(&daemon, &body).await;
        assert_eq!(answer.status(), 502);
        let error = answer.json::<Value>().await.unwrap();
        assert_eq!(error["error"]["type"], "server_error");
        assert!(!error.to_string().contains("html"), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_translated_is_refused_here_and_names_the_field() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let hi = json!([{"role": "user", "content": "hi"}]);
    let audio = json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]);
    for (body, param) in [
        (json!({"model": MODEL, "messages": hi, "n": 2}), "n"),
        (json!({"model": MODEL}), "messages"),
        (json!({"messages": hi}), "model"),
        (json!({"model": MODEL, "messages": audio}), "messages"),
    ] {
        let answer = ask(&daemon, &body).await;
        assert_eq!(answer.status(), 400, "{body}");
        let error = &answer.json::<Value>().await.unwrap()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["param"].as_str().unwrap().starts_with(param), "{error}");
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn an_expired_token_on_the_way_is_refreshed_and_the_client_sees_nothing_of_it() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, "claude-a.json", &expired(&issued))).await;
    let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    answered(&daemon, &body).await;
    clock.advance(SignedDuration::from_mins(1));
    fake.expire_access_tokens();
    body["stream"] = json!(true);
    assert_eq!(streamed(&daemon, &body).await.last().unwrap(), "[DONE]");
    assert_eq!(fake.rotations(issued.account), 2);
}

/// Each of these took minutes while every name was looked for among all the others.
#[tokio::test]
async fn many_names_are_read_in_the_time_that_their_number_takes() {
    const MANY: usize = 45_000;
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let hi = json!({"role": "user", "content": "hi"});
    let names: Vec<String> = (0..MANY).map(|number| format!("name_{number}")).collect();
    let backwards: Vec<&String> = names.iter().rev().collect();
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let tool_with = |parameters: Value| json!([{"type": "function", "function": {"name": "f", "strict": true, "parameters": parameters}}]);
    let call =
        |name: &String| json!({"role": "assistant", "function_call": {"name": name, "arguments": "{}"}});
    let mut calls = vec![hi.clone()];
    calls.extend(names.iter().map(call));
    calls.extend((0..MANY).map(|_| json!({"role": "function", "name": "name_0", "content": "x"})));
    let properties: Value = names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    let tools: Vec<Value> = names.iter().map(|name| tool(name)).collect();
    let allowed: Vec<Value> = backwards.iter().map(|name| tool(name)).collect();
    for (what, mut body) in [
        ("legacy calls", json!({"messages": calls})),
        (
            "allowed tools",
            json!({"tools": tools, "tool_choice":
                {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}}}),
        ),
        (
            "a strict schema",
            json!({"tools": tool_with(json!({"type": "object", "properties": properties,
                "required": backwards, "additionalProperties": false}))}),
        ),
        (
            "required alternatives",
            json!({"tools": tool_with(json!({"anyOf": [{"required": names}, {"required": backwards}]}))}),
        ),
    ] {
        body["model"] = json!(MODEL);
        // Refused when all the rest is read.
        body["temperature"] = json!(-1);
        if body.get("messages").is_none() {
            body["messages"] = json!([hi]);
        }
        let answer = within(what, ask(&daemon, &body)).await;
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["param"], "temperature", "{what}");
    }
    assert_eq!(fake.requests().len(), 0);
}
