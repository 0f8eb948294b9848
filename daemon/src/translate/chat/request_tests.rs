//! What a Chat Completions request becomes, and what is refused.

use serde_json::{Value, json};

use super::*;

pub(super) fn prepare(request: &Value) -> Result<Prepared<Reply>, ApiError> {
    to_messages(request.to_string().as_bytes(), Config::default(), |_| None)
}

pub(super) fn body(request: &Value) -> Value {
    let prepared = prepare(request).unwrap_or_else(|error| panic!("{error}: {request}"));
    serde_json::from_slice(&prepared.body).unwrap()
}

/// A request for `model` with one user message and these further fields.
pub(super) fn with(model: &str, fields: impl std::borrow::Borrow<Value>) -> Value {
    let mut request = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.borrow().as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

#[test]
fn the_plainest_request_is_translated() {
    let text =
        r#"{"model": "claude-3-5-sonnet-20241022", "messages": [{"role": "user", "content": "Hello!"}]}"#;
    let prepared = to_messages(text.as_bytes(), Config::default(), |_| None).unwrap();
    assert_eq!(
        prepared.body,
        r#"{"model":"claude-3-5-sonnet-20241022","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hello!"}]}]}"#
    );
    assert_eq!(prepared.model, "claude-3-5-sonnet-20241022");
    assert!(!prepared.stream && prepared.betas.is_empty() && prepared.dropped.is_empty());
    assert_eq!(prepared.session, None);
}

#[test]
fn a_full_request_is_translated_field_by_field() {
    let request = json!({
        "model": "claude-sonnet-4-5",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "In English.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "name": "x", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "high"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}},
            ]},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"n\": 1.0}"}},
                {"id": "call 2", "type": "function", "function": {"name": "look", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "call 2", "content": [{"type": "text", "text": "two"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "one"},
            {"role": "user", "content": "Well?"},
        ],
        "max_tokens": 50, "max_completion_tokens": 100,
        "temperature": 1.5,
        "stop": ["END", " ", "STOP"],
        "stream": true, "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "strict": true,
            "parameters": {"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": false}}}],
        "tool_choice": "auto", "parallel_tool_calls": false,
        "user": "me@example.test", "prompt_cache_key": "k1", "n": 1, "seed": null, "logprobs": false,
    });
    let prepared = prepare(&request).unwrap();
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    let second = got["messages"][1]["content"][2]["id"].as_str().unwrap().to_owned();
    assert!(second.starts_with("call_2_"), "{second}");
    let expected = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": [
            {"type": "text", "text": "Be brief."},
            {"type": "text", "text": "In English.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}, "title": "a.pdf"},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {"n": 1.0}},
                {"type": "tool_use", "id": second, "name": "look", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "one"}]},
                {"type": "tool_result", "tool_use_id": second, "content": [{"type": "text", "text": "two"}]},
                {"type": "text", "text": "Well?"},
            ]},
        ],
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object",
            "properties": {"n": {"type": "number"}}, "additionalProperties": false}, "strict": true}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "temperature": 1.0,
        "stop_sequences": ["END", "STOP"],
        "metadata": {"user_id": crate::translate::call::sha256_hex("me@example.test")},
        "stream": true,
    });
    assert_eq!(got, expected);
    assert!(prepared.stream && prepared.reply.include_usage);
    assert_eq!(prepared.session.as_deref(), Some("k1"));
    assert_eq!(
        prepared.dropped,
        ["messages[2].name", "messages[2].content[1].image_url.detail", "temperature", "stop"]
    );
}

#[test]
fn translation_depends_on_nothing_but_the_request() {
    let request =
        with("claude-opus-5", json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}));
    assert_eq!(prepare(&request).unwrap().body, prepare(&request).unwrap().body);
}

#[test]
fn numbers_and_escapes_inside_arguments_survive() {
    let arguments = "{\"big\":12345678901234567890,\"x\":1.50,\"s\":\"\\u00e9\\n\"}";
    let request = json!({"model": "claude-opus-5", "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "1", "content": ""},
    ]});
    let prepared = prepare(&request).unwrap();
    let text = std::str::from_utf8(&prepared.body).unwrap();
    assert!(text.contains(&format!("\"input\":{arguments}}}")), "{text}");
    assert!(
        text.contains(r#"{"type":"tool_result","tool_use_id":"1"}"#),
        "an empty result has no content: {text}"
    );
}

#[test]
fn legacy_functions_become_tools() {
    let request = json!({"model": "claude-opus-5", "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\":1}"}},
            {"role": "function", "name": "f", "content": "done"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}],
        "function_call": {"name": "f"}});
    let prepared = prepare(&request).unwrap();
    assert!(prepared.reply.legacy_functions);
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!(got["messages"][1]["content"][0]["input"], json!({"x": 1}));
    assert_eq!(got["messages"][2]["content"][0]["tool_use_id"], got["messages"][1]["content"][0]["id"]);
    assert_eq!(got["tool_choice"], json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}));
}

#[test]
fn tool_choices_of_every_form_are_understood() {
    let tools =
        json!([{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}]);
    let cases = [
        (json!("auto"), json!({"type": "auto"})),
        (json!("none"), json!({"type": "none"})),
        (json!("required"), json!({"type": "any"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"type": "tool", "name": "f"})),
        (json!({"type": "custom", "custom": {"name": "c"}}), json!({"type": "tool", "name": "c"})),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
                "tools": [{"type": "function", "function": {"name": "f"}}]}}),
            json!({"type": "any"}),
        ),
    ];
    for (choice, expected) in cases {
        let got = body(&with("claude-opus-5", json!({"tools": tools, "tool_choice": choice})));
        assert_eq!(got["tool_choice"], expected, "{choice}");
    }
    let got = body(&with("claude-opus-5", json!({"tool_choice": "required"})));
    assert_eq!(got.get("tool_choice"), None, "without tools there is nothing to choose");
    let none = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}});
    for fields in [json!({"tools": tools, "tool_choice": none}), json!({"tool_choice": none})] {
        let prepared = prepare(&with("claude-opus-5", fields)).unwrap();
        assert_eq!(prepared.dropped, ["tool_choice"], "nor where none is allowed");
    }
    let prepared =
        prepare(&with("claude-opus-5-5", json!({"tools": tools, "tool_choice": "required"}))).unwrap();
    assert_eq!(prepared.dropped, ["tool_choice"], "this model refuses forced tools");
}

#[test]
fn custom_tools_and_their_calls_are_wrapped() {
    let request = json!({"model": "claude-opus-5",
    "tools": [{"type": "custom", "custom": {"name": "patch", "format": {"type": "grammar",
        "grammar": {"definition": "start: X", "syntax": "lark"}}}}],
    "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "patch", "input": "*** \"x\""}}]},
        {"role": "tool", "tool_call_id": "1", "content": "ok"},
    ]});
    let got = body(&request);
    assert_eq!(got["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(got["messages"][1]["content"][0]["input"], json!({"input": "*** \"x\""}));
}

#[test]
fn reasoning_follows_the_model_and_carries_its_blocks() {
    let got = body(&with("claude-opus-5", json!({"reasoning_effort": "high", "temperature": 0.3})));
    assert_eq!(got["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(got["output_config"], json!({"effort": "high"}));
    assert_eq!(got.get("temperature"), None);

    let conversation = |model: &str| {
        json!({"model": model, "reasoning_effort": "low", "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "reasoning_content": "ignored", "thinking_blocks": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "thinking", "thinking": "unsigned"},
                {"type": "redacted_thinking", "data": "xx"},
            ], "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
        ]})
    };
    let got = body(&conversation("claude-haiku-4-5"));
    assert_eq!(got["thinking"]["type"], "enabled");
    assert_eq!(got["messages"][1]["content"].as_array().unwrap().len(), 3);
    assert_eq!(
        got["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "sig"})
    );
    assert_eq!(got["messages"][1]["content"][1], json!({"type": "redacted_thinking", "data": "xx"}));

    let bound = prepare(&conversation("claude-opus-5-5")).unwrap();
    assert_eq!(bound.betas, ["thinking-binding-controls-2026-08-01"]);
    let old = body(&conversation("claude-3-5-sonnet-20241022"));
    assert_eq!(old["messages"][1]["content"].as_array().unwrap().len(), 1, "this model knows no thinking");
}

#[test]
fn a_tool_loop_whose_thinking_was_lost_goes_on_without() {
    let request = json!({"model": "claude-haiku-4-5", "reasoning_effort": "high", "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "ok"},
    ]});
    let prepared = prepare(&request).unwrap();
    assert_eq!(prepared.dropped, ["reasoning_effort"]);
    assert!(!String::from_utf8_lossy(&prepared.body).contains("thinking"));

    let mut request = request;
    request["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
    let prepared = prepare(&request).unwrap();
    assert_eq!(prepared.dropped, ["reasoning_effort", "thinking"], "the client's own is refused, too");
    assert!(!String::from_utf8_lossy(&prepared.body).contains("thinking"));
}

#[test]
fn response_formats_become_structured_output() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "strict": true,
        "schema": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}}});
    let got = body(&with("claude-opus-5", json!({"response_format": schema, "reasoning_effort": "low"})));
    assert_eq!(got["output_config"]["effort"], "low");
    assert_eq!(got["output_config"]["format"]["type"], "json_schema");
    assert_eq!(got["output_config"]["format"]["schema"]["additionalProperties"], false);
    let got = body(&with("claude-opus-5", json!({"response_format": {"type": "json_object"}})));
    assert!(got["system"][0]["text"].as_str().unwrap().contains("one JSON object only"));
    let got = body(&with("claude-opus-5", json!({"response_format": {"type": "text"}})));
    assert_eq!(got.as_object().unwrap().len(), 3);
}

#[test]
fn web_search_is_upstreams_own_tool() {
    let options = json!({"search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Bern", "country": null}}});
    let prepared = prepare(&with("claude-opus-5", json!({"web_search_options": options}))).unwrap();
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!(
        got["tools"],
        json!([{"type": "web_search_20250305", "name": "web_search",
            "user_location": {"type": "approximate", "city": "Bern"}}])
    );
    assert_eq!(prepared.dropped, ["web_search_options.search_context_size"]);
}

#[test]
fn anthropics_own_fields_pass() {
    let request = with(
        "claude-opus-5",
        json!({"thinking": {"type": "adaptive", "x": 1.0}, "cache_control": {"type": "ephemeral"}}),
    );
    let got = body(&request);
    assert_eq!(got["thinking"], json!({"type": "adaptive", "x": 1.0}));
    assert_eq!(got["cache_control"], json!({"type": "ephemeral"}));
}

#[test]
fn message_markers_stand_on_the_last_block() {
    let marker = json!({"type": "ephemeral", "ttl": "1h"});
    let request = json!({"model": "claude-opus-5", "messages": [
        {"role": "user", "cache_control": marker, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " "}]},
        {"role": "assistant", "cache_control": marker, "content": "b", "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "cache_control": marker, "content": "c"},
        {"role": "user", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "\n", "cache_control": marker}]},
    ]});
    let got = body(&request);
    assert_eq!(got["messages"][0]["content"][0]["cache_control"], marker);
    assert_eq!(got["messages"][1]["content"][0].get("cache_control"), None);
    assert_eq!(got["messages"][1]["content"][1]["cache_control"], marker);
    assert_eq!(got["messages"][2]["content"][0]["cache_control"], marker);
    assert_eq!(got["messages"][2]["content"][1]["cache_control"], marker, "the part that bore it is blank");
}

#[test]
fn fields_without_a_counterpart_are_named() {
    let request = with(
        "claude-opus-5",
        json!({
            "seed": 7, "frequency_penalty": 0.5, "presence_penalty": 0, "logit_bias": {}, "store": false, "metadata": {"a": "b"},
            "logprobs": true, "verbosity": "low", "service_tier": "flex", "future": [1], "prediction": null,
        }),
    );
    let prepared = prepare(&request).unwrap();
    assert_eq!(
        prepared.dropped,
        ["seed", "frequency_penalty", "metadata", "logprobs", "verbosity", "future", "service_tier"]
    );
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!(got.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "max_tokens", "messages"]);
}

#[test]
fn null_is_the_same_as_absent() {
    let mut request = with("claude-opus-5", json!({}));
    let plain = prepare(&request).unwrap();
    for name in [
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "response_format",
        "reasoning_effort",
        "user",
        "safety_identifier",
        "service_tier",
        "web_search_options",
        "n",
        "modalities",
        "audio",
        "thinking",
        "cache_control",
        "prompt_cache_key",
        "metadata",
    ] {
        request[name] = Value::Null;
    }
    for name in
        ["name", "refusal", "tool_calls", "function_call", "tool_call_id", "thinking_blocks", "cache_control"]
    {
        request["messages"][0][name] = Value::Null;
    }
    let nulled = prepare(&request).unwrap();
    assert_eq!((plain.body, plain.dropped), (nulled.body, nulled.dropped));
}

#[test]
fn refusals_name_the_field() {
    let part = |part: Value| json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
    let message =
        |message: Value| json!({"model": "m", "messages": [{"role": "user", "content": "a"}, message]});
    let field = |fields: Value| with("m", fields);
    let cases = [
        (json!([]), None, "JSON object"),
        (json!({"messages": []}), Some("model"), "required"),
        (json!({"model": 7, "messages": []}), Some("model"), "expected a string"),
        (
            with("m", json!({"tool_choice": 7})),
            Some("tool_choice"),
            "expected a string or an object that names a tool",
        ),
        (json!({"model": "m"}), Some("messages"), "required"),
        (json!({"model": "m", "messages": "hi"}), Some("messages"), "sequence"),
        (json!({"model": "m", "messages": []}), Some("messages"), "no message"),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": " "}]}),
            Some("messages"),
            "no message",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": "a"}, {"content": "b"}]}),
            Some("messages[1]"),
            "role",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": 7}]}),
            Some("messages[0]"),
            "array of parts",
        ),
        (message(json!({"role": "robot", "content": "x"})), Some("messages[1].role"), "robot"),
        (message(json!({"role": "tool", "content": "x"})), Some("messages[1].tool_call_id"), "required"),
        (
            message(json!({"role": "tool", "tool_call_id": "z", "content": "x"})),
            Some("messages[1].tool_call_id"),
            "\"z\"",
        ),
        (
            message(json!({"role": "function", "name": "z", "content": "x"})),
            Some("messages[1].name"),
            "\"z\"",
        ),
        (
            message(json!({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]})),
            Some("messages[1].tool_calls[0].id"),
            "required",
        ),
        (
            message(json!({"role": "assistant", "tool_calls": [{"id": "1"}]})),
            Some("messages[1].tool_calls[0].function"),
            "required",
        ),
        (
            part(json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})),
            Some("messages[0].content[0].type"),
            "audio",
        ),
        (part(json!({"type": "video"})), Some("messages[0].content[0].type"), "video"),
        (part(json!({"type": "text"})), Some("messages[0].content[0].text"), "required"),
        (part(json!({"type": "image_url"})), Some("messages[0].content[0].image_url"), "required"),
        (
            part(json!({"type": "image_url", "image_url": {"url": "http://x.test/a.png"}})),
            Some("messages[0].content[0].image_url.url"),
            "https",
        ),
        (
            part(json!({"type": "file", "file": {"file_id": "file-1"}})),
            Some("messages[0].content[0].file.file_id"),
            "file_data",
        ),
        (
            part(json!({"type": "file", "file": {}})),
            Some("messages[0].content[0].file.file_data"),
            "required",
        ),
        (
            json!({"model": "m", "messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x.test"}}]}]}),
            Some("messages[0].content[0].type"),
            "role",
        ),
        (field(json!({"n": 2})), Some("n"), "1"),
        (field(json!({"n": "1"})), Some("n"), "f64"),
        (field(json!({"modalities": ["text", "audio"]})), Some("modalities"), "audio"),
        (field(json!({"audio": {"voice": "x"}})), Some("audio"), "audio"),
        (field(json!({"stream": "yes"})), Some("stream"), "boolean"),
        (field(json!({"max_tokens": 0})), Some("max_tokens"), "at least 1"),
        (field(json!({"max_completion_tokens": "9"})), Some("max_completion_tokens"), "f64"),
        (field(json!({"temperature": -1})), Some("temperature"), "negative"),
        (field(json!({"reasoning_effort": "huge"})), Some("reasoning_effort"), "huge"),
        (field(json!({"stop": 7})), Some("stop"), "string"),
        (field(json!({"tools": [{"type": "code_interpreter"}]})), Some("tools[0].type"), "code_interpreter"),
        (field(json!({"tools": [{"type": "function"}]})), Some("tools[0]"), "required"),
        (
            field(
                json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]}),
            ),
            Some("tools[0].function.parameters"),
            "object",
        ),
        (
            field(
                json!({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}]}),
            ),
            Some("tools[1].function.name"),
            "already",
        ),
        (
            field(
                json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "function", "function": {"name": "z"}}}),
            ),
            Some("tool_choice"),
            "\"z\"",
        ),
        (field(json!({"tool_choice": {"type": "function"}})), Some("tool_choice"), "names no tool"),
        (
            field(
                json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "maybe"}),
            ),
            Some("tool_choice"),
            "maybe",
        ),
        (field(json!({"response_format": {"type": "xml"}})), Some("response_format.type"), "xml"),
        (
            field(json!({"response_format": {"type": "json_schema"}})),
            Some("response_format.json_schema"),
            "required",
        ),
        (
            field(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}})),
            Some("response_format.json_schema.schema"),
            "required",
        ),
        (field(json!({"thinking": "on"})), Some("thinking"), "object"),
        (field(json!({"cache_control": 1})), Some("cache_control"), "object"),
    ];
    for (request, param, hint) in cases {
        let error = prepare(&request).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, param), "{request}: {error}");
        assert!(error.message.contains(hint), "{request}: {error}");
    }
    for broken in [&b"{\"model\":"[..], b"", b"\xff\xfe", b"{} x", b"null"] {
        assert_eq!(to_messages(broken, Config::default(), |_| None).unwrap_err().status, 400);
    }
}

#[test]
fn a_schema_that_cannot_be_expressed_is_refused() {
    let schema = json!({"type": "object", "properties": {"self": {"$ref": "#"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let error = prepare(&with("claude-opus-5", json!({"response_format": format}))).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("response_format.json_schema.schema"));
    assert!(error.message.contains("recursive"), "{error}");
}

#[test]
fn an_alias_is_translated_for_the_model_that_it_stands_for() {
    let request =
        json!({"model": "best", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5});
    let body = request.to_string();
    let prepared = to_messages(body.as_bytes(), Config::default(), |name| {
        assert_eq!(name, "best");
        Some(Known::by_name("claude-opus-5".to_owned()))
    })
    .unwrap();
    assert_eq!((prepared.model.as_str(), prepared.upstream.as_str()), ("best", "claude-opus-5"));
    let sent: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("claude-opus-5"), &json!(32_000)));
    assert!(sent.get("temperature").is_none(), "{sent}");
}

#[test]
fn what_is_known_of_a_model_decides_what_it_is_sent() {
    let request = json!({"model": "claude-next", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "none"});
    let prepared = to_messages(request.to_string().as_bytes(), Config::default(), |name| {
        let mut known = Known::by_name(name.to_owned());
        known.capabilities.max_output = Some(7_000);
        known.capabilities.thinking_off = crate::translate::models::ThinkingOff::BetweenTools;
        Some(known)
    });
    let sent: Value = serde_json::from_slice(&prepared.unwrap().body).unwrap();
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["type"]), (&json!(7_000), &json!("between_tools")));
}
