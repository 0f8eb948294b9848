//! Where prompts are marked, for chat and Responses clients.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::translate::testing::responses_to_messages;
use crate::translate::{Config, chat};

const MARKER: &str = "cache_control";

fn config(prompt_cache: bool) -> Config {
    Config { prompt_cache, ..Config::default() }
}

fn by_chat(request: &Value, config: Config) -> Value {
    let prepared = chat::to_messages(request.to_string().as_bytes(), config, |_| None).unwrap();
    serde_json::from_slice(&prepared.body).unwrap()
}

fn by_responses(request: &Value, config: Config) -> Value {
    let prepared = responses_to_messages(request.to_string().as_bytes(), config).unwrap();
    serde_json::from_slice(&prepared.body).unwrap()
}

/// The places of all markers.
fn marked(body: &Value) -> Vec<String> {
    fn walk(node: &Value, place: &str, found: &mut Vec<String>) {
        match node {
            Value::Object(map) => {
                if map.contains_key(MARKER) {
                    found.push(place.to_owned());
                }
                map.iter().for_each(|(name, inner)| walk(inner, &format!("{place}/{name}"), found));
            }
            Value::Array(list) => {
                list.iter()
                    .enumerate()
                    .for_each(|(index, inner)| walk(inner, &format!("{place}/{index}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(body, "", &mut found);
    found.sort();
    found
}

fn without_markers(mut body: Value) -> Value {
    fn strip(node: &mut Value) {
        match node {
            Value::Object(map) => {
                map.shift_remove(MARKER);
                map.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut body);
    body
}

fn long(text: &str) -> String {
    format!("{text} ").repeat(400)
}

/// A conversation in which a tool was used, and `rounds` more questions were answered.
fn conversation(rounds: usize) -> Value {
    let mut messages = vec![
        json!({"role": "system", "content": long("Be brief.")}),
        json!({"role": "user", "content": "What is the weather?"}),
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]}),
        json!({"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"}),
    ];
    for round in 0..rounds {
        messages.push(json!({"role": "assistant", "content": format!("Answer {round}.")}));
        messages.push(json!({"role": "user", "content": [
            {"type": "text", "text": format!("Question {round}?")}, {"type": "text", "text": "Say."}, {"type": "text", "text": " "}]}));
    }
    json!({"model": "claude-opus-5", "messages": messages, "tools": [
        {"type": "function", "function": {"name": "weather"}}, {"type": "function", "function": {"name": "time"}}]})
}

#[test]
fn tools_system_and_the_last_two_user_turns_are_marked() {
    let body = by_chat(&conversation(2), config(true));
    assert_eq!(marked(&body), ["/messages/4/content/1", "/messages/6/content/1", "/system/0", "/tools/1"]);
    assert_eq!(body["tools"][1][MARKER], json!({"type": "ephemeral"}));
    // In a tool loop the result ends the last turn, and the marker is the result's own.
    let body = by_chat(&conversation(0), config(true));
    assert_eq!(marked(&body), ["/messages/0/content/0", "/messages/2/content/0", "/system/0", "/tools/1"]);
}

#[test]
fn the_next_request_reads_up_to_where_the_last_one_was_marked() {
    let (before, after) = (by_chat(&conversation(1), config(true)), by_chat(&conversation(2), config(true)));
    let last = "/messages/4/content/1";
    assert!(marked(&before).contains(&last.to_owned()) && marked(&after).contains(&last.to_owned()));
    let prefix = |body: Value| {
        let body = without_markers(body);
        (body["tools"].clone(), body["system"].clone(), body["messages"].as_array().unwrap()[..5].to_vec())
    };
    assert_eq!(prefix(before), prefix(after));
}

#[test]
fn both_dialects_are_marked_alike() {
    let request = json!({"model": "claude-opus-5", "instructions": long("Be brief."), "input": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
        "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]});
    let body = by_responses(&request, config(true));
    assert_eq!(marked(&body), ["/messages/0/content/0", "/messages/2/content/0", "/system/0", "/tools/1"]);
    assert_eq!(without_markers(body), by_responses(&request, config(false)));
}

#[test]
fn a_request_with_markers_of_its_own_is_left_as_it_is() {
    let marker = json!({"type": "ephemeral", "ttl": "1h"});
    for place in ["/messages/1/cache_control", "/tools/0/cache_control", "/cache_control"] {
        let mut request = conversation(2);
        let (parent, _) = place.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[MARKER] = marker.clone();
        assert_eq!(marked(&by_chat(&request, config(true))).len(), 1, "{place}");
        assert_eq!(by_chat(&request, config(true)), by_chat(&request, config(false)), "{place}");
    }
    let mut request = conversation(2);
    request["messages"][1] = json!({"role": "user", "content": [
        {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}]});
    assert_eq!(marked(&by_chat(&request, config(true))), ["/messages/0/content/0"]);
}

#[test]
fn no_marker_is_set_where_none_is_wanted_or_none_would_help() {
    assert!(marked(&by_chat(&conversation(2), config(false))).is_empty(), "the switch is off");
    let mut request = conversation(2);
    request["prompt_cache_options"] = json!({"mode": "explicit"});
    assert!(marked(&by_chat(&request, config(true))).is_empty(), "the client said so");
    let short = json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}]});
    assert!(marked(&by_chat(&short, config(true))).is_empty(), "too short to be cached");
}

fn any_message() -> impl Strategy<Value = Value> {
    let text = prop_oneof![Just(String::new()), Just(" ".to_owned()), Just(long("Words")), "[a-z]{1,9}"];
    let marker = proptest::option::of(prop_oneof![
        Just(json!({"type": "ephemeral"})),
        Just(json!({"type": "ephemeral", "ttl": "1h"})),
        Just(json!("odd")),
    ]);
    let role = prop_oneof![Just("system"), Just("user"), Just("assistant"), Just("thought")];
    (role, text, marker.clone(), marker).prop_map(|(role, text, on_part, on_message)| {
        let mut message = json!({"role": role, "content": [{"type": "text", "text": text}]});
        if role == "thought" {
            message = json!({"role": "assistant", "content": [{"type": "text", "text": text}], "thinking_blocks": [
                {"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]});
        }
        if let Some(marker) = on_part {
            message["content"][0][MARKER] = marker;
        }
        if let Some(marker) = on_message {
            message[MARKER] = marker;
        }
        message
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn there_are_never_more_than_four_and_nothing_else_changes(
        messages in proptest::collection::vec(any_message(), 1..12),
        tools in 0usize..4,
        whole in any::<bool>(),
    ) {
        let tools: Vec<_> = (0..tools).map(|tool| json!({"type": "function", "function": {"name": format!("f{tool}")}})).collect();
        let mut request = json!({"model": "claude-opus-5", "messages": messages, "tools": tools});
        if whole {
            request[MARKER] = json!({"type": "ephemeral"});
        }
        let translated = |on| chat::to_messages(request.to_string().as_bytes(), config(on), |_| None).map(|prepared| prepared.body);
        match (translated(true), translated(false)) {
            (Ok(on), Ok(off)) => {
                let (on, off): (Value, Value) = (serde_json::from_slice(&on).unwrap(), serde_json::from_slice(&off).unwrap());
                prop_assert!(marked(&on).len() <= 4, "{}", on);
                if !marked(&off).is_empty() {
                    prop_assert_eq!(&on, &off, "the client's own markers win");
                }
                for place in marked(&on) {
                    let block = on.pointer(&place).unwrap();
                    let kind = block["type"].as_str().unwrap_or_default();
                    prop_assert!(!kind.contains("thinking") && (kind != "text" || !block["text"].as_str().unwrap().trim().is_empty()));
                }
                prop_assert_eq!(without_markers(on), without_markers(off));
            }
            (on, off) => prop_assert_eq!(on.is_ok(), off.is_ok()),
        }
    }
}
