//! The tables and the readers, held against each other: every example is sent, and its fate observed.

use serde_json::{Value, json};

use super::*;
use crate::translate::{Config, Prepared, chat, completions, responses};
use crate::wire::error::ApiError;
use crate::wire::responses::Request;

#[path = "documented.rs"]
mod documented;

/// What a request leads to.
struct Outcome {
    /// What Claude is asked, and which conversation it belongs to.
    asked: (Value, Option<String>),
    /// What decides the answer's form.
    answer: String,
    dropped: Vec<String>,
}

type Translate = fn(&Value, Config) -> Result<Outcome, ApiError>;

fn outcome<R: std::fmt::Debug>(prepared: Prepared<R>) -> Outcome {
    Outcome {
        asked: (serde_json::from_slice(&prepared.body).unwrap(), prepared.session),
        answer: format!("{:?}", prepared.reply),
        dropped: prepared.dropped,
    }
}

fn by_chat(request: &Value, config: Config) -> Result<Outcome, ApiError> {
    chat::to_messages(request.to_string().as_bytes(), config, |_| None).map(outcome)
}

fn by_responses(request: &Value, config: Config) -> Result<Outcome, ApiError> {
    let text = request.to_string();
    let recalled = responses::Recalled { keeps: true, ..responses::Recalled::default() };
    responses::to_messages(Request::read(text.as_bytes())?, &recalled, text.len(), config, |_| None)
        .map(outcome)
}

fn by_completions(request: &Value, config: Config) -> Result<Outcome, ApiError> {
    completions::to_messages(request.to_string().as_bytes(), config, |_| None).map(outcome)
}

/// Long enough to be cached.
fn long_text() -> String {
    "All of this is the prompt. ".repeat(100)
}

/// A chat request that holds whatever the table's places stand in.
fn chat_base(name: &str) -> Value {
    let mut base = json!({
        "model": "claude-sonnet-4-5",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": long_text()}]},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"}},
            ]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "refusal": "Not now.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "patch", "input": "a"}},
            ]},
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": "Well.", "function_call": {"name": "look", "arguments": "{\"x\":1}"}, "thinking_blocks": [
                {"type": "thinking", "thinking": "So.", "signature": "c2ln"}]},
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": "Well.", "tool_calls": [
                {"id": "call_3", "type": "function", "function": {"name": "look", "arguments": "{}"}}], "reasoning_details": [
                {"type": "reasoning.text", "text": "Yes.", "signature": "c2ln"}]},
            {"role": "tool", "tool_call_id": "call_3", "content": "seen"},
            {"role": "assistant", "content": "Good.", "reasoning_content": "Hm.", "reasoning": "Hm."},
            {"role": "user", "content": "Go on."},
        ],
        "tools": [
            {"type": "function", "function": {"name": "look", "description": "Looks.",
                "parameters": {"type": "object", "properties": {}, "additionalProperties": false}}},
            {"type": "custom", "custom": {"name": "patch", "description": "Edits.", "format": {"type": "grammar",
                "grammar": {"definition": "start: X", "syntax": "lark"}}}},
        ],
    });
    if name.starts_with("function") {
        base.as_object_mut().unwrap().remove("tools");
        base["functions"] = json!([{"name": "look", "parameters": {"type": "object", "properties": {}}}]);
    }
    if name.starts_with("response_format.") {
        base["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}});
    }
    match name {
        // Only models without structured output have use for it.
        "response_format.json_schema.name" => base["model"] = "claude-3-5-sonnet-20241022".into(),
        "messages[].content[].file.file_id" => {
            base["messages"] = json!([{"role": "user", "content": [{"type": "file", "file": {}}]}]);
        }
        "messages[].content[].input_audio" => {
            base["messages"] = json!([{"role": "user", "content": [{"type": "input_audio"}]}]);
        }
        _ => {}
    }
    base
}

fn responses_base(name: &str) -> Value {
    let mut base = json!({
        "model": "claude-sonnet-4-5",
        "include": [],
        "input": [
            {"role": "system", "content": [{"type": "input_text", "text": long_text()}]},
            {"role": "user", "content": [
                {"type": "input_text", "text": "Look."},
                {"type": "input_image", "image_url": "https://example.com/a.png"},
                {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            ]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "reasoning", "encrypted_content": "pxd1:thinking:m:eyJ0aGlua2luZyI6InQiLCJzaWduYXR1cmUiOiJzIn0="},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"type": "function_call", "call_id": "toolu_1", "name": "look", "namespace": "tools", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "toolu_2", "name": "patch", "input": "a"},
            {"type": "function_call", "call_id": "toolu_3", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "toolu_3", "output": [
                {"type": "input_text", "text": "seen"},
                {"type": "input_image", "image_url": "https://example.com/a.png"},
                {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            ]},
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "extra"}]},
            {"role": "user", "content": "Go on."},
        ],
        "tools": [
            {"type": "function", "name": "look", "description": "Looks.",
                "parameters": {"type": "object", "properties": {}, "additionalProperties": false}},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
            {"type": "namespace", "name": "docs", "tools": [{"type": "function", "name": "find"}]},
            {"type": "web_search", "filters": {"allowed_domains": ["a.test"]}, "user_location": {"city": "Basel"}},
        ],
    });
    if name.starts_with("text.format.") {
        base["text"] = json!({"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}});
    }
    match name {
        "text.format.name" => base["model"] = "claude-3-5-sonnet-20241022".into(),
        "input[].content[].file_id" => {
            base["input"] = json!([{"role": "user", "content": [{"type": "input_file"}]}]);
        }
        _ => {}
    }
    base
}

fn completions_base(_: &str) -> Value {
    json!({"model": "claude-sonnet-4-5", "prompt": "Say hello."})
}

/// How a place is looked for.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// Where the field stands already.
    There,
    /// Else in the first object that could hold it.
    Inside,
    /// Else in objects made for it.
    Made,
}

/// Puts the value at the first such place, or takes out what is there.
fn put(node: &mut Value, path: &str, value: Option<&Value>, how: Where) -> bool {
    let (step, rest) = match path.find(['.', '[']) {
        Some(end) => (&path[..end], &path[end..]),
        None => (path, ""),
    };
    let Some(object) = node.as_object_mut() else { return false };
    if rest.is_empty() {
        if how == Where::There && !object.contains_key(step) {
            return false;
        }
        match value {
            Some(value) => drop(object.insert(step.to_owned(), value.clone())),
            None => drop(object.remove(step)),
        }
        return true;
    }
    if how == Where::Made && rest.starts_with('.') {
        object.entry(step).or_insert_with(|| json!({}));
    }
    let Some(inner) = object.get_mut(step) else { return false };
    match (rest.strip_prefix('.'), rest.strip_prefix("[].")) {
        (Some(rest), _) => put(inner, rest, value, how),
        (_, Some(rest)) => {
            inner.as_array_mut().is_some_and(|list| list.iter_mut().any(|node| put(node, rest, value, how)))
        }
        // The list's last element.
        _ => {
            let Some(list) = inner.as_array_mut() else { return false };
            match value {
                Some(value) => list.push(value.clone()),
                None => drop(list.pop()),
            }
            true
        }
    }
}

/// The request with the field's example, and the same request without the field.
fn with_and_without(field: &Field, mut base: Value) -> (Value, Value) {
    let example: Value =
        serde_json::from_str(field.example).unwrap_or_else(|error| panic!("{}: {error}", field.name));
    let ways = [Where::There, Where::Inside, Where::Made];
    assert!(
        ways.into_iter().any(|how| put(&mut base, field.name, Some(&example), how)),
        "{}: no place",
        field.name
    );
    let mut without = base.clone();
    assert!(put(&mut without, field.name, None, Where::There), "{}", field.name);
    (base, without)
}

fn names(dropped: &[String]) -> Vec<String> {
    dropped.iter().map(|place| general(place)).collect()
}

fn check(table: &Table, translate: Translate, base: fn(&str) -> Value) {
    for field in table.fields {
        let name = field.name;
        let (with, without) = with_and_without(field, base(name));
        let refusal = |error: &ApiError| {
            assert_eq!(error.status, 400, "{name}: {error}");
            general(error.param.as_deref().unwrap_or_default())
        };
        let (with, without) = (translate(&with, Config::default()), translate(&without, Config::default()));
        if field.fate == Fate::Refused {
            let error = with.err().unwrap_or_else(|| panic!("{name} is not refused"));
            let named = if name.ends_with("input_audio") { "messages[].content[].type" } else { name };
            assert_eq!(refusal(&error), named, "{error}");
            continue;
        }
        let with = with.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            names(&with.dropped).iter().any(|dropped| dropped == name),
            field.fate == Fate::Dropped,
            "{name}: {:?}",
            with.dropped
        );
        let without = match (without, field.fate) {
            (Ok(without), _) => without,
            // A field that must be there.
            (Err(error), Fate::Mapped) => {
                refusal(&error);
                continue;
            }
            (Err(error), _) => panic!("{name}: {error}"),
        };
        assert_eq!(with.asked != without.asked, field.fate == Fate::Mapped, "{name}: {:#}", with.asked.0);
        if field.fate == Fate::Answered {
            assert_ne!(with.answer, without.answer, "{name}");
        }
        if field.fate == Fate::Dropped {
            assert!(!names(&without.dropped).iter().any(|dropped| dropped == name), "{name}");
        }
    }
}

#[test]
fn every_chat_field_meets_the_fate_that_its_table_tells() {
    check(&CHAT, by_chat, chat_base);
}

#[test]
fn every_responses_field_meets_the_fate_that_its_table_tells() {
    check(&RESPONSES, by_responses, responses_base);
}

#[test]
fn every_completions_field_meets_the_fate_that_its_table_tells() {
    check(&COMPLETIONS, by_completions, completions_base);
}

#[test]
fn no_documented_field_is_missing_and_none_stands_twice() {
    let tables = [
        (&CHAT, documented::CHAT),
        (&RESPONSES, documented::RESPONSES),
        (&COMPLETIONS, documented::COMPLETIONS),
    ];
    for (table, groups) in tables {
        for (prefix, fields) in groups {
            for field in *fields {
                let name = format!("{prefix}{field}");
                assert!(table.find(&name).is_some(), "{}: {name} is missing", table.title);
            }
        }
        for (index, field) in table.fields.iter().enumerate() {
            assert!(!field.note.is_empty(), "{}", field.name);
            assert!(
                !table.fields[..index].iter().any(|other| other.name == field.name),
                "{} stands twice",
                field.name
            );
        }
    }
}

#[test]
fn strict_mode_refuses_what_would_be_dropped_and_nothing_else() {
    let strict = Config { strict: true, ..Config::default() };
    let plain = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]});
    let prepared = by_chat(&plain, strict).unwrap();
    assert!(prepared.dropped.is_empty());
    for field in CHAT.fields.iter().filter(|field| field.fate == Fate::Dropped) {
        let mut base = chat_base(field.name);
        // It is dropped from the base itself.
        for place in ["messages[].reasoning_content", "messages[].reasoning"] {
            put(&mut base, place, None, Where::There);
        }
        assert!(by_chat(&base, strict).is_ok(), "{}", field.name);
        if field.name.starts_with("messages[].reasoning") {
            // An assistant's field; the first message is the system's.
            base["messages"][8][field.name.trim_start_matches("messages[].")] = "".into();
        }
        let (with, _) = with_and_without(field, base);
        let error = by_chat(&with, strict).err().unwrap_or_else(|| panic!("{} is not refused", field.name));
        assert_eq!(general(error.param.as_deref().unwrap()), field.name, "{error}");
    }
    let two = json!({"model": "m", "messages": [{"role": "user", "content": "hi", "name": "Ann", "future": "x"}], "seed": 7});
    let error = by_chat(&two, strict).err().unwrap();
    assert_eq!(error.param.as_deref(), Some("seed"));
    for place in ["seed", "messages[0].future", "messages[0].name"] {
        assert!(error.message.contains(place), "{error}");
    }
}

#[test]
fn a_header_names_each_field_once_and_holds_ascii_alone() {
    let places =
        ["messages[0].name", "messages[12].name", "input[3] (web_search_call)", "caf\u{e9}, x", "seed"];
    let places = places.map(str::to_owned);
    assert_eq!(CHAT.list(&places), "messages[].name, input[], caf???x, seed");
    let many: Vec<String> = (0..100).map(|index| format!("{}{index}", "x".repeat(200))).collect();
    let list = CHAT.list(&many);
    assert!(list.len() < 4_000 && list.is_ascii(), "{list}");
    assert_eq!(CHAT.find("messages[12].name").unwrap().name, "messages[].name");
    assert!(CHAT.find("messages[].future").is_none());
    for place in [
        "tools[1].defer_loading",
        "input[2].tools[0].defer_loading",
        "input[2].tools[0].tools[4].defer_loading",
    ] {
        assert_eq!(RESPONSES.find(place).unwrap().name, "tools[].defer_loading", "{place}");
    }
    assert_eq!(RESPONSES.find("input[2].output[0].detail").unwrap().name, "input[].content[].detail");
}

#[test]
fn a_thousand_losses_make_a_short_refusal() {
    let places: Vec<String> = (0..1_000).map(|index| format!("messages[{index}].name")).collect();
    let error = strict(&places).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[0].name"));
    assert!(error.message.contains("and 970 more") && error.message.len() < 4_000, "{error}");
}

#[test]
fn the_document_has_a_row_for_each_field() {
    let text = document();
    for table in [&CHAT, &RESPONSES, &COMPLETIONS] {
        for field in table.fields {
            assert!(text.contains(&format!("| `{}` |", field.name)), "{}", field.name);
        }
    }
}
