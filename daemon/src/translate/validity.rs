//! Property tests: whatever a client sends, what is sent upstream keeps the rules upstream checks, or the
//! client gets a 400 that names a field.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::rules::{check, check_thinking};
use super::testing::responses_to_messages;
use super::{Config, chat, completions};
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
        let by_chat = chat::to_messages(request.as_bytes(), Config::default(), |_| None).map(|prepared| prepared.body);
        let request = merged(json!({"model": model, "input": input}), responses_fields);
        let by_responses = responses_to_messages(request.as_bytes(), Config::default()).map(|prepared| prepared.body);
        for sent in [&by_chat, &by_responses] {
            match sent {
                Ok(body) => {
                    let body = serde_json::from_slice(body).unwrap();
                    check(&body);
                    check_thinking(&body);
                }
                Err(error) => check_refusal(error),
            }
        }
        prop_assert_eq!(by_chat.is_ok(), by_responses.is_ok(), "both dialects accept the same conversations");
    }

    #[test]
    fn any_bytes_are_answered_without_a_crash(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..200) {
        let whole = br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"prompt":"c","input":[{"role":"user","content":"b"}],"tools":[{"type":"function","function":{"name":"f"},"name":"f"}]}"#;
        let mut mixed = whole[..cut.min(whole.len())].to_vec();
        mixed.extend(&bytes);
        for body in [&bytes, &mixed] {
            prop_assert_eq!(chat::to_messages(body, Config::default(), |_| None).err().map_or(400, |error| error.status), 400);
            let completed = completions::to_messages(body, Config::default(), |_| None);
            prop_assert_eq!(completed.err().map_or(400, |error| error.status), 400);
            prop_assert_eq!(responses_to_messages(body, Config::default()).err().map_or(400, |error| error.status), 400);
        }
    }
}
