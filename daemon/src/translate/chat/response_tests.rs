//! What a Messages reply looks like to a Chat Completions client.

use serde_json::{Value, json};

use super::*;
use crate::translate::Config;
use crate::translate::chat::to_messages;
use crate::translate::testing::{Piece, Script, script, text, tool};

fn reply_to(request: &Value) -> Reply {
    to_messages(request.to_string().as_bytes(), Config::default(), |_| None).unwrap().reply
}

fn plain() -> Reply {
    reply_to(&json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}]}))
}

fn completed(script: &Script, reply: &Reply) -> Value {
    serde_json::from_slice(&from_messages(script.whole().as_bytes(), reply, 1_795_464_512).unwrap()).unwrap()
}

#[test]
fn a_completion_has_every_field_clients_expect() {
    let got = completed(&script(vec![text("Hel"), text("lo")], "end_turn"), &plain());
    let expected = json!({
        "id": "chatcmpl-01ABC",
        "object": "chat.completion",
        "created": 1_795_464_512,
        "model": "claude-opus-5",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": null},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": 33,
            "completion_tokens": 42,
            "total_tokens": 75,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 7},
        },
        "system_fingerprint": null,
    });
    assert_eq!(got, expected);
}

#[test]
fn calls_have_compact_arguments_and_no_content_beside_them() {
    let body = r#"{"id":"msg_1","model":"m","content":[
        {"type":"tool_use","id":"toolu_1","name":"f","input":{ "b" : 1.0, "a": [ 12345678901234567890 ] }},
        {"type":"tool_use","id":"toolu_2","name":"g","input":{}},
        {"type":"server_tool_use","id":"srv","name":"web_search","input":{"query":"x"}},
        {"type":"future_block","id":7}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":null}}"#;
    let got = String::from_utf8(from_messages(body.as_bytes(), &plain(), 0).unwrap()).unwrap();
    assert!(got.contains(r#""content":null"#), "{got}");
    assert!(got.contains(
        r#""tool_calls":[{"type":"function","id":"toolu_1","function":{"name":"f","arguments":"{\"b\":1.0,\"a\":[12345678901234567890]}"}},{"type":"function","id":"toolu_2","function":{"name":"g","arguments":"{}"}}]"#
    ), "{got}");
    assert!(got.contains(r#""finish_reason":"tool_calls""#), "{got}");
}

#[test]
fn nothing_said_is_empty_content() {
    let got = completed(&script(Vec::new(), "end_turn"), &plain());
    assert_eq!(got["choices"][0]["message"]["content"], "");
}

#[test]
fn thinking_is_shown_and_can_be_sent_back() {
    let thinking = Piece::Thinking { text: "hm".to_owned(), signature: "sig".to_owned() };
    let got =
        completed(&script(vec![thinking, Piece::Redacted("xx".to_owned()), text("a")], "end_turn"), &plain());
    let message = &got["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "hm");
    let blocks = json!([{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "xx"}]);
    assert_eq!(message["thinking_blocks"], blocks);

    let mut echoed = message.clone();
    echoed["role"] = json!("assistant");
    let request = json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}, echoed, {"role": "user", "content": "go on"}]});
    let prepared = to_messages(request.to_string().as_bytes(), Config::default(), |_| None).unwrap();
    let sent: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!(sent["messages"][1]["content"][0], blocks[0]);
    assert_eq!(sent["messages"][1]["content"][1], blocks[1]);
}

#[test]
fn sources_with_an_address_are_annotations() {
    let cited =
        |text: &str, url: Option<&str>| Piece::Cited { text: text.to_owned(), url: url.map(str::to_owned) };
    let got = completed(
        &script(vec![text("\u{e9}: "), cited("rain", Some("https://x.test")), cited("!", None)], "end_turn"),
        &plain(),
    );
    assert_eq!(
        got["choices"][0]["message"]["annotations"],
        json!([{"type": "url_citation", "url_citation": {"url": "https://x.test", "title": "T", "start_index": 3, "end_index": 7}}])
    );
}

#[test]
fn every_stop_reason_has_its_finish_reason() {
    let cases = [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("compaction", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("news", "stop"),
    ];
    for (stop, finish) in cases {
        assert_eq!(
            completed(&script(vec![text("x")], stop), &plain())["choices"][0]["finish_reason"],
            finish
        );
    }
}

#[test]
fn a_refusal_without_words_is_explained() {
    let refused = Script { explanation: Some("No."), ..script(Vec::new(), "refusal") };
    let message = &completed(&refused, &plain())["choices"][0]["message"];
    assert_eq!((&message["refusal"], &message["content"]), (&json!("No."), &Value::Null));
    let worded = Script { pieces: vec![text("Sorry")], ..refused };
    let message = &completed(&worded, &plain())["choices"][0]["message"];
    assert_eq!((&message["refusal"], &message["content"]), (&Value::Null, &json!("Sorry")));
}

#[test]
fn names_and_forms_of_tools_come_back_as_the_client_gave_them() {
    let reply = reply_to(
        &json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}], "tools": [
        {"type": "function", "function": {"name": "a.b"}}, {"type": "custom", "custom": {"name": "patch"}}]}),
    );
    let upstream = reply.names.upstream(None, "a.b");
    let answer = script(
        vec![tool(&upstream, json!({"x": 1})), tool("patch", json!({"input": "p \"q\""}))],
        "tool_use",
    );
    let calls = &completed(&answer, &reply)["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0]["function"]["name"], "a.b");
    assert_eq!(
        calls[1],
        json!({"id": "toolu_patch", "type": "custom", "custom": {"name": "patch", "input": "p \"q\""}})
    );
}

#[test]
fn legacy_clients_get_a_function_call() {
    let reply = reply_to(
        &json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}], "functions": [{"name": "f"}]}),
    );
    let got = completed(&script(vec![tool("f", json!({"x": 1}))], "tool_use"), &reply);
    assert_eq!(got["choices"][0]["message"]["function_call"], json!({"name": "f", "arguments": "{\"x\":1}"}));
    assert_eq!(got["choices"][0]["finish_reason"], "function_call");
    assert_eq!(got["choices"][0]["message"].get("tool_calls"), None);
}

#[test]
fn an_answer_given_through_a_tool_is_text() {
    let reply = reply_to(
        &json!({"model": "claude-3-5-haiku-latest", "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object"}}}}),
    );
    let got = completed(&script(vec![tool("out", json!({"x": 1}))], "tool_use"), &reply);
    assert_eq!(got["choices"][0]["message"]["content"], "{\"x\":1}");
    assert_eq!(got["choices"][0]["finish_reason"], "stop");
}

#[test]
fn what_is_no_reply_is_upstreams_fault() {
    for body in [&b"<html>"[..], b"{}", b"", b"\xff", br#"{"type":"error"}"#] {
        assert_eq!(from_messages(body, &plain(), 0).unwrap_err().status, 502);
    }
}
