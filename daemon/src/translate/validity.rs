//! Property tests: whatever a client sends, what is sent upstream keeps the rules upstream checks, or the
//! client gets a 400 that names a field.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::chat;
use super::models::capabilities;
use super::testing::responses_to_messages;
use crate::wire::error::ApiError;

const MODELS: [&str; 7] = [
    "claude-3-5-sonnet-20241022",
    "claude-haiku-4-5",
    "claude-opus-4-5",
    "claude-sonnet-4-6",
    "claude-opus-5",
    "claude-sonnet-5-5",
    "somebody-else",
];

/// Fields a Messages request may have.
const FIELDS: [&str; 14] = [
    "model",
    "max_tokens",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
    "cache_control",
    "stream",
];

fn check(body: &Value) {
    let model = capabilities(body["model"].as_str().unwrap());
    for name in body.as_object().unwrap().keys() {
        assert!(FIELDS.contains(&name.as_str()), "unknown field {name}");
    }
    let max_tokens = body["max_tokens"].as_u64().unwrap();
    assert!(max_tokens >= 1 && model.max_output.is_none_or(|most| max_tokens <= most));
    let empty = Vec::new();
    let tools = body["tools"].as_array().unwrap_or(&empty);
    let forced = matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool"));
    assert!(!tools.is_empty() || body.get("tool_choice").is_none(), "a choice without tools");
    assert!(!forced || model.forced_tool, "a forced tool");
    let sampled = body.get("temperature").is_some() || body.get("top_p").is_some();
    assert!(!(body.get("temperature").is_some() && body.get("top_p").is_some()), "both sampling parameters");
    assert!(!sampled || model.sampling);
    let thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive" | "between_tools"));
    assert!(!(thinks && (sampled || forced)), "thinking excludes sampling and forced tools");
    if body["thinking"]["type"] == "enabled" {
        let budget = body["thinking"]["budget_tokens"].as_u64().unwrap();
        assert!((1_024..max_tokens).contains(&budget));
    }
    for block in body["system"].as_array().unwrap_or(&empty) {
        check_block(block);
    }
    check_turns(body, model.system_mid);
    let last = body["messages"].as_array().unwrap().last().unwrap();
    if last["role"] == "assistant" {
        assert!(model.prefill && !thinks && body["output_config"].get("format").is_none(), "a prefill");
        let text = last["content"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap();
        assert_eq!(text, text.trim_end());
    }
    assert!(body.to_string().matches("\"cache_control\"").count() <= 4, "cache markers");
}

fn check_turns(body: &Value, system_mid: bool) {
    let turns = body["messages"].as_array().unwrap();
    assert_eq!(turns[0]["role"], "user");
    let mut seen = std::collections::HashSet::new();
    let mut previous = "system";
    for (index, turn) in turns.iter().enumerate() {
        let role = turn["role"].as_str().unwrap();
        let content = turn["content"].as_array().unwrap();
        assert!(!content.is_empty(), "an empty turn");
        assert_ne!(role, previous, "turns alternate");
        content.iter().for_each(check_block);
        let calls = |turn: &Value, kind: &str, field: &str| -> Vec<String> {
            let blocks = turn["content"].as_array().unwrap().iter().filter(|block| block["type"] == kind);
            blocks.map(|block| block[field].as_str().unwrap().to_owned()).collect()
        };
        match role {
            "system" => assert!(system_mid && previous == "user", "system text stands behind a user turn"),
            "assistant" => {
                assert!(!content.last().unwrap()["type"].as_str().unwrap().contains("thinking"));
                let made = calls(turn, "tool_use", "id");
                for id in &made {
                    assert!(seen.insert(id.clone()), "{id} is used twice");
                }
                if !made.is_empty() {
                    let answered = calls(&turns[index + 1], "tool_result", "tool_use_id");
                    assert_eq!(answered, made, "each call has its result, in order");
                    let first = &turns[index + 1]["content"].as_array().unwrap()[..made.len()];
                    assert!(first.iter().all(|block| block["type"] == "tool_result"), "results come first");
                }
            }
            "user" => {
                let results = calls(turn, "tool_result", "tool_use_id");
                let made = if index > 0 { calls(&turns[index - 1], "tool_use", "id") } else { Vec::new() };
                assert!(previous != "system" || index == 0, "user text stands before system text");
                assert_eq!(results, made, "no result without its call");
            }
            other => panic!("role {other}"),
        }
        previous = role;
    }
}

fn check_block(block: &Value) {
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    match block["type"].as_str().unwrap() {
        "text" => assert!(!block["text"].as_str().unwrap().trim().is_empty(), "blank text"),
        "thinking" => {
            assert!(!block["signature"].as_str().unwrap().is_empty());
            assert_eq!(block.get("cache_control"), None);
        }
        "tool_use" => {
            assert!(plain(block["id"].as_str().unwrap()) && plain(block["name"].as_str().unwrap()));
            assert!(block["input"].is_object());
        }
        "tool_result" => {
            let content = block.get("content");
            assert!(content.is_none_or(|content| !content.as_array().unwrap().is_empty()));
            content.into_iter().flat_map(|content| content.as_array().unwrap()).for_each(check_block);
        }
        other => panic!("block {other}"),
    }
}

/// A refusal is the client's to understand.
fn check_refusal(error: &ApiError) {
    assert_eq!(error.status, 400, "{error}");
    assert!(error.param.is_some() && !error.message.is_empty(), "{error}");
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-z]{1,5} ?"]
}

fn ids() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("a_2"), Just("c|1"), Just("")].prop_map(str::to_owned)
}

fn arguments() -> impl Strategy<Value = String> {
    prop_oneof![Just(""), Just("{\"x\": 1}"), Just("[1]"), Just("{\"cut"), Just("null")]
        .prop_map(str::to_owned)
}

fn any_chat_message() -> impl Strategy<Value = Value> {
    let marker = json!({"type": "ephemeral"});
    let thinking = json!([{"type": "thinking", "thinking": "t", "signature": "s"}]);
    prop_oneof![
        (prop_oneof![Just("system"), Just("developer"), Just("user"), Just("assistant")], words(), any::<bool>()).prop_map(
            move |(role, text, marked)| {
                let mut message = json!({"role": role, "content": text});
                if marked {
                    message["cache_control"] = marker.clone();
                }
                message
            }
        ),
        (words(), proptest::collection::vec((ids(), arguments()), 1..3), any::<bool>()).prop_map(
            move |(text, calls, thought)| {
                let calls: Vec<Value> = calls
                    .into_iter()
                    .map(|(id, arguments)| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}))
                    .collect();
                let mut message = json!({"role": "assistant", "content": text, "tool_calls": calls});
                if thought {
                    message["thinking_blocks"] = thinking.clone();
                }
                message
            }
        ),
        (ids(), words()).prop_map(|(id, text)| json!({"role": "tool", "tool_call_id": id, "content": text})),
    ]
}

/// Conversations, most of them without results that answer no call.
fn any_conversation() -> impl Strategy<Value = Vec<Value>> {
    let messages = proptest::collection::vec(any_chat_message(), 0..10);
    (messages, 0..8).prop_map(|(mut messages, orphans)| {
        let mut called = Vec::new();
        messages.retain(|message| {
            let calls = message["tool_calls"].as_array().into_iter().flatten();
            called.extend(calls.map(|call| call["id"].clone()));
            orphans == 0 || message["role"] != "tool" || called.contains(&message["tool_call_id"])
        });
        messages
    })
}

/// Settings both dialects have under one name or another, as (chat fields, responses fields).
fn any_settings() -> impl Strategy<Value = (Value, Value)> {
    let level = proptest::option::of(prop_oneof![Just("none"), Just("minimal"), Just("high"), Just("max")]);
    let choice = proptest::option::of(prop_oneof![Just("auto"), Just("none"), Just("required")]);
    let limit = proptest::option::of(prop_oneof![Just(1), Just(1_500), Just(900_000)]);
    let number = || proptest::option::of(0.0..2.0);
    (level, choice, limit, number(), number(), any::<bool>(), any::<bool>()).prop_map(
        |(level, choice, limit, temperature, top_p, tools, structured)| {
            let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}});
            let chat = json!({
                "reasoning_effort": level, "tool_choice": choice, "max_tokens": limit, "temperature": temperature, "top_p": top_p,
                "tools": tools.then(|| json!([{"type": "function", "function": {"name": "f"}}])),
                "response_format": structured.then(|| json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})),
            });
            let responses = json!({
                "reasoning": {"effort": level}, "tool_choice": choice, "max_output_tokens": limit, "temperature": temperature,
                "top_p": top_p, "tools": tools.then(|| json!([{"type": "function", "name": "f"}])),
                "text": structured.then(|| json!({"format": {"type": "json_schema", "name": "s", "schema": schema}})),
            });
            (chat, responses)
        },
    )
}

/// The items of a Responses request that say the same as chat messages.
fn items(messages: &[Value]) -> Vec<Value> {
    let mut items = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            items.push(json!({"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"]}));
            continue;
        }
        if message.get("thinking_blocks").is_some() {
            let carried = "pxd1:thinking:m:eyJ0aGlua2luZyI6InQiLCJzaWduYXR1cmUiOiJzIn0=";
            items.push(json!({"type": "reasoning", "summary": [], "encrypted_content": carried}));
        }
        items.push(json!({"role": message["role"], "content": message["content"]}));
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            items.push(json!({"type": "function_call", "call_id": call["id"], "name": function["name"], "arguments": function["arguments"]}));
        }
    }
    items
}

fn merged(mut request: Value, fields: Value) -> String {
    if let (Value::Object(request), Value::Object(fields)) = (&mut request, fields) {
        request.extend(fields);
    }
    request.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_upstream_keeps_its_rules(
        messages in any_conversation(),
        (chat_fields, responses_fields) in any_settings(),
        model in proptest::sample::select(&MODELS[..]),
    ) {
        let input = items(&messages);
        let request = merged(json!({"model": model, "messages": messages}), chat_fields);
        let by_chat = chat::to_messages(request.as_bytes(), |_| None).map(|prepared| prepared.body);
        let request = merged(json!({"model": model, "input": input}), responses_fields);
        let by_responses = responses_to_messages(request.as_bytes()).map(|prepared| prepared.body);
        for sent in [&by_chat, &by_responses] {
            match sent {
                Ok(body) => check(&serde_json::from_slice(body).unwrap()),
                Err(error) => check_refusal(error),
            }
        }
        prop_assert_eq!(by_chat.is_ok(), by_responses.is_ok(), "both dialects accept the same conversations");
    }

    #[test]
    fn any_bytes_are_answered_without_a_crash(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..200) {
        let whole = br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"input":[{"role":"user","content":"b"}],"tools":[{"type":"function","function":{"name":"f"},"name":"f"}]}"#;
        let mut mixed = whole[..cut.min(whole.len())].to_vec();
        mixed.extend(&bytes);
        for body in [&bytes, &mixed] {
            prop_assert_eq!(chat::to_messages(body, |_| None).err().map_or(400, |error| error.status), 400);
            prop_assert_eq!(responses_to_messages(body).err().map_or(400, |error| error.status), 400);
        }
    }
}
