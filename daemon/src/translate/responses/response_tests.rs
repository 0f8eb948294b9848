//! What a Messages reply looks like to a Responses client.

use serde_json::{Value, json};

use super::*;
use crate::translate::Config;
use crate::translate::testing::{Piece, Script, responses_to_messages, script, text, tool};

fn reply_to(fields: &Value) -> Reply {
    let mut request = json!({"model": "claude-opus-5", "input": "hi", "reasoning": {"summary": "auto"}});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    responses_to_messages(request.to_string().as_bytes(), Config::default()).unwrap().reply
}

fn answered(script: &Script, reply: &Reply) -> Value {
    serde_json::from_slice(&from_messages(script.whole().as_bytes(), reply, 1_795_464_512).unwrap()).unwrap()
}

#[test]
fn a_response_has_every_field_clients_expect() {
    let got =
        answered(&script(vec![text("Hel"), text("lo")], "end_turn"), &reply_to(&json!({"reasoning": null})));
    let expected = json!({
        "id": "resp_01ABC",
        "object": "response",
        "created_at": 1_795_464_512,
        "status": "completed",
        "background": false,
        "completed_at": 1_795_464_512,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": "claude-opus-5",
        "output": [{
            "type": "message",
            "id": "msg_01ABC_0",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 33,
            "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 3},
            "output_tokens": 42,
            "output_tokens_details": {"reasoning_tokens": 7},
            "total_tokens": 75,
        },
        "user": null,
        "metadata": {},
    });
    assert_eq!(got, expected);
}

#[test]
fn what_was_asked_is_repeated_as_it_was_written() {
    let tools = json!([{"type": "function", "name": "f", "parameters": {"b": 1.0}, "x": true}]);
    let reply = reply_to(
        &json!({"store": true, "instructions": "Be brief.", "max_output_tokens": 9, "metadata": {"a": "b"},
        "tools": tools, "tool_choice": "none", "temperature": 0.5, "prompt_cache_key": "k", "user": "u"}),
    );
    let got = answered(&script(Vec::new(), "end_turn"), &reply);
    assert_eq!((&got["tools"], &got["store"]), (&tools, &json!(false)));
    assert_eq!((&got["instructions"], &got["max_output_tokens"]), (&json!("Be brief."), &json!(9)));
    assert_eq!((&got["metadata"], &got["tool_choice"]), (&json!({"a": "b"}), &json!("none")));
    assert_eq!((&got["temperature"], &got["prompt_cache_key"]), (&json!(0.5), &json!("k")));
    assert_eq!((&got["output"], &got["status"]), (&json!([]), &json!("completed")));
}

#[test]
fn blocks_become_items_in_their_order() {
    let thinking = Piece::Thinking { text: "hm".to_owned(), signature: "c2ln".to_owned() };
    let search = Piece::Search { id: "srvtoolu_1".to_owned(), query: "rain".to_owned() };
    let cited = Piece::Cited { text: "wet".to_owned(), url: Some("https://x.test".to_owned()) };
    let all = vec![
        thinking,
        Piece::Redacted("xx".to_owned()),
        search,
        text("It is "),
        cited,
        Piece::Unknown,
        text("."),
        tool("f", json!({"x": 1})),
    ];
    let got = answered(&script(all, "tool_use"), &reply_to(&json!({})));
    let output = got["output"].as_array().unwrap();
    let kinds: Vec<&str> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "reasoning", "web_search_call", "message", "function_call"]);
    assert_eq!(output[0]["summary"], json!([{"type": "summary_text", "text": "hm"}]));
    assert!(output[0]["encrypted_content"].as_str().unwrap().starts_with("pxd1:thinking:claude-opus-5:"));
    assert_eq!(output[1]["summary"], json!([]));
    assert!(output[1]["encrypted_content"].as_str().unwrap().starts_with("pxd1:redacted:"));
    assert_eq!(output[2]["action"], json!({"type": "search", "query": "rain"}));
    assert_eq!(
        output[3]["content"],
        json!([{"type": "output_text", "text": "It is wet.", "logprobs": [], "annotations": [
        {"type": "url_citation", "url": "https://x.test", "title": "T", "start_index": 6, "end_index": 9}]}])
    );
    assert_eq!(
        output[4],
        json!({"type": "function_call", "id": "fc_01ABC_4", "call_id": "toolu_f", "name": "f",
        "arguments": "{\"x\":1}", "status": "completed"})
    );
}

#[test]
fn reasoning_goes_back_as_it_came() {
    let pieces = vec![
        Piece::Thinking { text: "h\"m".to_owned(), signature: "c2ln".to_owned() },
        Piece::Redacted("xx".to_owned()),
        tool("f", json!({})),
    ];
    for shown in [json!({}), json!({"reasoning": {"effort": "low"}})] {
        let got = answered(&script(pieces.clone(), "tool_use"), &reply_to(&shown));
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        input.extend(got["output"].as_array().unwrap().iter().cloned());
        input.push(json!({"type": "function_call_output", "call_id": "toolu_f", "output": "ok"}));
        let request = json!({"model": "claude-opus-5", "input": input});
        let sent: Value = serde_json::from_slice(
            &responses_to_messages(request.to_string().as_bytes(), Config::default()).unwrap().body,
        )
        .unwrap();
        assert_eq!(
            sent["messages"][1]["content"],
            json!([
                {"type": "thinking", "thinking": "h\"m", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "xx"},
                {"type": "tool_use", "id": "toolu_f", "name": "f", "input": {}},
            ])
        );
    }
}

#[test]
fn a_summary_is_shown_only_where_asked() {
    let thinking = Piece::Thinking { text: "hm".to_owned(), signature: "c2ln".to_owned() };
    let got =
        answered(&script(vec![thinking], "end_turn"), &reply_to(&json!({"reasoning": {"effort": "low"}})));
    assert_eq!(got["output"][0]["summary"], json!([]));
}

#[test]
fn names_and_forms_of_tools_come_back_as_the_client_gave_them() {
    let reply = reply_to(&json!({"tools": [
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]},
    ]}));
    let calls = vec![
        tool("patch", json!({"input": "p \"q\""})),
        tool("ns__f", json!({})),
        tool("ns__c", json!({"input": ""})),
    ];
    let output = answered(&script(calls, "tool_use"), &reply)["output"].clone();
    assert_eq!(
        output[0],
        json!({"type": "custom_tool_call", "id": "ctc_01ABC_0", "call_id": "toolu_patch", "name": "patch",
        "input": "p \"q\"", "status": "completed"})
    );
    assert_eq!((&output[1]["name"], &output[1]["namespace"]), (&json!("f"), &json!("ns")));
    assert_eq!((&output[2]["type"], &output[2]["namespace"]), (&json!("custom_tool_call"), &json!("ns")));
}

#[test]
fn unfinished_answers_are_incomplete() {
    let cases = [
        ("end_turn", "completed", Value::Null),
        ("tool_use", "completed", Value::Null),
        ("max_tokens", "incomplete", json!({"reason": "max_output_tokens"})),
        ("model_context_window_exceeded", "incomplete", json!({"reason": "max_output_tokens"})),
        ("refusal", "incomplete", json!({"reason": "content_filter"})),
    ];
    for (stop, status, details) in cases {
        let got = answered(&script(vec![text("x")], stop), &reply_to(&json!({})));
        assert_eq!((&got["status"], &got["incomplete_details"]), (&json!(status), &details), "{stop}");
        assert_eq!(got["output"][0]["status"], status);
    }
    let refused = Script { explanation: Some("No."), ..script(Vec::new(), "refusal") };
    let got = answered(&refused, &reply_to(&json!({})));
    assert_eq!(got["output"][0]["content"], json!([{"type": "refusal", "refusal": "No."}]));
}

#[test]
fn an_answer_given_through_a_tool_is_text() {
    let reply = reply_to(&json!({"model": "claude-3-5-haiku-latest", "reasoning": null,
        "text": {"format": {"type": "json_schema", "name": "out", "schema": {"type": "object"}}}}));
    let got = answered(&script(vec![tool("out", json!({"x": 1}))], "tool_use"), &reply);
    assert_eq!(got["output"][0]["content"][0]["text"], "{\"x\":1}");
}

#[test]
fn what_is_no_reply_is_upstreams_fault() {
    for body in [&b"<html>"[..], b"{}", b"", b"\xff"] {
        assert_eq!(from_messages(body, &reply_to(&json!({})), 0).unwrap_err().status, 502);
    }
}
