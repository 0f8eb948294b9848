//! What a Chat Completions request may hold beside the plainest: it goes up, or is named.

use serde_json::{Value, json};

use super::tests::{body, prepare, with};
use super::*;

/// A request whose assistant message, in the middle of a tool loop, has these further fields.
fn looped(model: &str, fields: &Value) -> Value {
    let mut said = json!({"role": "assistant", "content": null,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    said.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"model": model, "messages": [
        {"role": "user", "content": "a"}, said, {"role": "tool", "tool_call_id": "1", "name": "f", "content": "ok"}]})
}

#[test]
fn reasoning_comes_back_in_the_form_of_other_gateways_if_it_is_signed() {
    let text = |format: &str| json!({"type": "reasoning.text", "text": "hm", "signature": "sig", "format": format, "index": 0});
    let hidden = json!({"type": "reasoning.encrypted", "data": "xx", "format": "anthropic-claude-v1", "index": 1, "id": "r"});
    let given = json!({"reasoning": "hm", "reasoning_details": [text("anthropic-claude-v1"), hidden]});
    let prepared = prepare(&looped("claude-haiku-4-5", &given)).unwrap();
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    let blocks = &got["messages"][1]["content"];
    assert_eq!(blocks[0], json!({"type": "thinking", "thinking": "hm", "signature": "sig"}));
    assert_eq!(blocks[1], json!({"type": "redacted_thinking", "data": "xx"}));
    assert_eq!(blocks[2]["type"], "tool_use");
    assert!(prepared.dropped.is_empty(), "{:?}", prepared.dropped);

    let lost = json!({"reasoning_details": [
        {"type": "reasoning.text", "text": "unsigned"}, text("google-gemini-v1"), {"type": "reasoning.summary", "summary": "s"},
        {"type": "reasoning.encrypted", "data": "xx", "format": "openai-responses-v1"}]});
    let prepared = prepare(&looped("claude-haiku-4-5", &lost)).unwrap();
    assert!(
        !String::from_utf8_lossy(&prepared.body).contains("thinking"),
        "another provider's is no use to Claude"
    );
    let places: Vec<_> = prepared.dropped.iter().map(|place| place.split('.').next_back().unwrap()).collect();
    for index in 0..4 {
        assert!(places.contains(&&*format!("reasoning_details[{index}]")), "{places:?}");
    }
    // Both forms of the same thinking go up once.
    let both = json!({"reasoning_details": [text("anthropic-claude-v1")],
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "sig"}]});
    let got = body(&looped("claude-haiku-4-5", &both));
    assert_eq!(got["messages"][1]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn thinking_that_cannot_go_back_is_named() {
    let bare = prepare(&looped("claude-opus-5", &json!({"reasoning_content": "hm"}))).unwrap();
    assert_eq!(bare.dropped, ["messages[1].reasoning_content"]);
    let unsigned =
        json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm"}], "reasoning_content": "hm"});
    let unsigned = prepare(&looped("claude-opus-5", &unsigned)).unwrap();
    assert_eq!(unsigned.dropped, ["messages[1].thinking_blocks[0]", "messages[1].reasoning_content"]);
    let signed = json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}], "reasoning_content": "hm"});
    assert!(prepare(&looped("claude-opus-5", &signed)).unwrap().dropped.is_empty(), "the text is a copy");
    let old = prepare(&looped("claude-3-5-sonnet-20241022", &signed)).unwrap();
    assert_eq!(old.dropped, ["messages[1].thinking_blocks[0]", "messages[1].reasoning_content"]);
}

#[test]
fn a_tools_result_may_hold_images_and_files() {
    let request = json!({"model": "claude-opus-5", "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": [
            {"type": "text", "text": "See:"},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
            {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"}},
        ]},
    ]});
    let got = body(&request);
    let content = got["messages"][2]["content"][0]["content"].as_array().unwrap();
    let kinds: Vec<_> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "image", "document"]);
}

#[test]
fn arguments_that_do_not_parse_go_up_as_text() {
    let call = |arguments: &str| {
        let calls = json!({"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]});
        let prepared = prepare(&looped("claude-opus-5", &calls)).unwrap();
        assert!(prepared.dropped.is_empty());
        serde_json::from_slice::<Value>(&prepared.body).unwrap()["messages"][1]["content"][0]["input"].clone()
    };
    assert_eq!(call("{\"city\": \"Par"), json!({"arguments": "{\"city\": \"Par"}));
    assert_eq!(call("[1]"), json!({"arguments": "[1]"}));
    assert_eq!(call("null"), json!({}));
}

#[test]
fn a_strictness_that_cannot_be_kept_is_named() {
    let strict = |model: &str, parameters: Value| {
        let tools = json!([{"type": "function", "function": {"name": "f", "strict": true, "parameters": parameters}}]);
        let prepared = prepare(&with(model, json!({"tools": tools}))).unwrap();
        let got: Value = serde_json::from_slice(&prepared.body).unwrap();
        (got["tools"][0].get("strict").is_some(), prepared.dropped.join(","))
    };
    let closed =
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false});
    let lost = (false, "tools[0].function.strict".to_owned());
    assert_eq!(strict("claude-opus-5", closed.clone()), (true, String::new()));
    assert_eq!(strict("claude-3-5-sonnet-20241022", closed), lost);
    assert_eq!(strict("claude-opus-5", json!({"type": "object", "properties": {}})), lost);
}

#[test]
fn a_schemas_description_goes_up_with_it() {
    let format = |model: &str| {
        let format = json!({"type": "json_schema", "json_schema": {"name": "s", "description": "A person.", "schema": {"type": "object"}}});
        body(&with(model, json!({"response_format": format})))
    };
    assert_eq!(format("claude-opus-5")["output_config"]["format"]["schema"]["description"], "A person.");
    let told = format("claude-3-5-sonnet-20241022")["tools"][0]["description"].clone();
    assert!(told.as_str().unwrap().ends_with(" A person."), "{told}");
}

#[test]
fn a_choice_among_no_tools_is_named() {
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
        assert_eq!(
            prepare(&with("claude-opus-5", json!({"tool_choice": choice}))).unwrap().dropped,
            ["tool_choice"]
        );
    }
    for choice in ["auto", "none"] {
        assert!(prepare(&with("claude-opus-5", json!({"tool_choice": choice}))).unwrap().dropped.is_empty());
    }
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "maybe", "tools": [{"type": "function", "function": {"name": "f"}}]}});
    let error = prepare(&with("claude-opus-5", json!({"tools": tools, "tool_choice": choice}))).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tool_choice.allowed_tools.mode"));
}

#[test]
fn a_suffix_of_the_models_name_says_how_hard_it_thinks() {
    let prepared = prepare(&with("claude-opus-5(high)", json!({"reasoning_effort": "low"}))).unwrap();
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    assert_eq!((&got["model"], &got["output_config"]["effort"]), (&json!("claude-opus-5"), &json!("high")));
    assert_eq!((prepared.model.as_str(), prepared.upstream.as_str()), ("claude-opus-5", "claude-opus-5"));
    assert_eq!(prepared.dropped, ["reasoning_effort"], "the suffix wins");
    assert!(
        prepare(&with("claude-opus-5(high)", json!({"reasoning_effort": "high"})))
            .unwrap()
            .dropped
            .is_empty()
    );
    let prepared = prepare(&with("claude-opus-5(none)", json!({"thinking": {"type": "adaptive"}}))).unwrap();
    assert_eq!(prepared.dropped, ["thinking"]);
    let got = body(&with("claude-haiku-4-5(5000)", json!({})));
    assert_eq!(got["thinking"], json!({"type": "enabled", "budget_tokens": 5_000}));
    let error = prepare(&with("claude-opus-5(huge)", json!({}))).unwrap_err();
    assert_eq!((error.status, error.param.as_deref()), (400, Some("model")));
    let alias = json!({"model": "best(none)", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let prepared = to_messages(alias.as_bytes(), Config::default(), |name| {
        assert_eq!(name, "best", "routing never sees the suffix");
        Some(Known::by_name("claude-opus-5".to_owned()))
    })
    .unwrap();
    assert!(String::from_utf8_lossy(&prepared.body).contains(r#""thinking":{"type":"disabled"}"#));
}
