//! A client of Chat Completions.

use serde_json::{Value, json};

use super::{append, frames};

/// A stream as it was read.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) chunks: Vec<Value>,
    /// What it ended with, if not with `[DONE]`.
    pub(crate) error: Option<Value>,
}

/// Reads a stream that is over. It ends with `[DONE]` behind a finish reason, or with an error and neither.
pub(crate) fn read(stream: &str) -> Stream {
    let (mut chunks, mut error, mut done) = (Vec::new(), None, false);
    for (name, data) in frames(stream) {
        assert_eq!(name, None, "chunks have no name");
        assert!(!done && error.is_none(), "nothing follows the end: {data}");
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let frame: Value = serde_json::from_str(data).unwrap();
        match frame.get("error") {
            Some(found) => {
                let keys: Vec<_> = found.as_object().unwrap().keys().collect();
                assert_eq!(keys, ["message", "type", "param", "code"]);
                error = Some(found.clone());
            }
            None => chunks.push(frame),
        }
    }
    assert!(done != error.is_some(), "one end: {stream}");
    let finishes = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string());
    assert_eq!(finishes.count(), usize::from(done), "a finish reason where it is done: {stream}");
    Stream { chunks, error }
}

/// Puts the chunks together, in the form of [`whole`].
pub(crate) fn accumulate(chunks: &[Value]) -> Value {
    let mut message = empty();
    let [mut finish, mut usage] = [Value::Null, Value::Null];
    for (place, chunk) in chunks.iter().enumerate() {
        for common in ["id", "created", "model", "object"] {
            assert_eq!(chunk[common], chunks[0][common], "all chunks have it in common");
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if !chunk["usage"].is_null() {
            assert_eq!((&chunk["choices"], place), (&json!([]), chunks.len() - 1), "usage comes last");
            usage = chunk["usage"].clone();
            continue;
        }
        let choice = &chunk["choices"][0];
        assert!(finish.is_null(), "nothing follows the finish reason");
        finish = choice["finish_reason"].clone();
        let delta = choice["delta"].as_object().unwrap();
        assert_eq!(delta.contains_key("role"), place == 0, "the role comes first and once");
        for (name, value) in delta {
            match name.as_str() {
                "role" | "refusal" => message[name] = value.clone(),
                "content" | "reasoning_content" => append(&mut message[name], value),
                "thinking_blocks" | "annotations" => {
                    message[name].as_array_mut().unwrap().extend(value.as_array().unwrap().iter().cloned());
                }
                "tool_calls" => call(message["tool_calls"].as_array_mut().unwrap(), &value[0]),
                "function_call" if message[name].is_null() => message[name] = value.clone(),
                "function_call" => append(&mut message[name]["arguments"], &value["arguments"]),
                other => panic!("unexpected {other}"),
            }
        }
    }
    json!({"message": message, "finish_reason": finish, "usage": usage})
}

/// A call's first part has its id and its name; the others have its index and more of its input.
fn call(calls: &mut Vec<Value>, delta: &Value) {
    let index = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
    if index == calls.len() {
        let mut call = delta.clone();
        call.as_object_mut().unwrap().shift_remove("index");
        assert!(call["id"].is_string() && call["type"].is_string(), "{call}");
        calls.push(call);
        return;
    }
    assert_eq!(index + 1, calls.len(), "one call at a time");
    assert_eq!(delta.get("id"), None);
    if delta.get("custom").is_some() {
        append(&mut calls[index]["custom"]["input"], &delta["custom"]["input"]);
    } else {
        append(&mut calls[index]["function"]["arguments"], &delta["function"]["arguments"]);
    }
}

/// What a whole completion says, in the form in which a stream's chunks add up. A stream tells the usage only where it
/// was asked to.
pub(crate) fn whole(completion: &Value, with_usage: bool) -> Value {
    let choice = &completion["choices"][0];
    let mut message = empty();
    for (name, value) in choice["message"].as_object().unwrap() {
        if !value.is_null() {
            message[name] = value.clone();
        }
    }
    let usage = if with_usage { completion["usage"].clone() } else { Value::Null };
    json!({"message": message, "finish_reason": choice["finish_reason"], "usage": usage})
}

fn empty() -> Value {
    json!({"role": null, "content": "", "refusal": null, "reasoning_content": "", "thinking_blocks": [],
        "annotations": [], "tool_calls": [], "function_call": null})
}
