//! Requests that the fake accepts, and those it refuses as the service would.

use serde_json::{Map, Value, json};

use super::{Request, check};
use crate::fake_claude::models;

fn complaint_about(body: &Value) -> String {
    verdict(body, "2023-06-01", false, false).err().unwrap_or_else(|| "nothing".to_owned())
}

fn verdict(body: &Value, version: &str, beta: bool, counting: bool) -> Result<(), String> {
    let body: Map<String, Value> = body.as_object().unwrap().clone();
    let model = models::find(body["model"].as_str().unwrap()).unwrap();
    check(&Request { body: &body, model, version, beta, counting })
}

/// The smallest good request to a model, with these fields over it.
fn request(model: &str, over: Value) -> Value {
    let mut body =
        json!({"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": "Hello"}]});
    let Value::Object(fields) = over else { panic!("fields to put over it") };
    for (name, value) in fields {
        body[name] = value;
    }
    body
}

fn messages(messages: Value) -> Value {
    let mut body = request("claude-haiku-4-5", json!({}));
    body["messages"] = messages;
    body
}

fn tool() -> Value {
    json!({"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}})
}

fn strict_tools(count: usize, properties: &Value) -> Value {
    let required: Vec<&String> =
        properties.as_object().unwrap().keys().filter(|n| n.starts_with('r')).collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let tool = |n| json!({"name": format!("tool_{n}"), "input_schema": schema, "strict": true});
    (0..count).map(tool).collect()
}

const PNG: &str = "iVBORw0KGgo=";

#[test]
fn good_requests_pass() {
    let call = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "ok"});
    let image = json!({"type": "base64", "media_type": "image/png", "data": PNG});
    for body in [
        request("claude-opus-5", json!({})),
        request("claude-haiku-4-5", json!({"temperature": 1, "stop_sequences": ["x"], "stream": true})),
        request(
            "claude-opus-4-6",
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        ),
        request(
            "claude-haiku-4-5",
            json!({"tools": [tool()], "tool_choice": {"type": "tool", "name": "get_weather"}}),
        ),
        messages(json!([{"role": "user", "content": [{"type": "image", "source": image}]}])),
        messages(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "prefill"}])),
        messages(json!([
            {"role": "user", "content": "a"}, {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]}, {"role": "user", "content": "and then"},
        ])),
        request(
            "claude-opus-5",
            json!({"messages": [
                {"role": "user", "content": "a"}, {"role": "system", "content": "b"}, {"role": "assistant", "content": "c"},
                {"role": "user", "content": "d"},
            ]}),
        ),
    ] {
        assert_eq!(complaint_about(&body), "nothing", "{body}");
    }
}

#[test]
fn each_rule_has_its_complaint() {
    let haiku = |over: Value| request("claude-haiku-4-5", over);
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    let user = |content: Value| json!({"role": "user", "content": content});
    let assistant = |content: Value| json!({"role": "assistant", "content": content});
    let object = json!({"type": "object", "properties": {}});
    let text = json!({"type": "string"});
    let optional = json!({"a": text, "b": text, "r": text});
    let nullable = json!({"ra": {"anyOf": [text, {"type": "null"}]}, "rb": {"type": ["string", "null"]}});
    let marked = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    let cases = [
        (haiku(json!({"functions": []})), "functions: Extra inputs"),
        (haiku(json!({"max_tokens": null})), "max_tokens: Input should be a valid integer"),
        (haiku(json!({"max_tokens": 64_001})), "maximum allowed number of output tokens"),
        (messages(json!([])), "at least one message"),
        (messages(json!([assistant(json!("a")), user(json!("b"))])), "first message must use"),
        (messages(json!([user(json!("a")), {"role": "tool", "content": "b"}])), "messages.1.role"),
        (messages(json!([{"role": "user", "content": "a", "name": "b"}])), "messages.0.name: Extra inputs"),
        (
            messages(json!([user(json!("a")), {"role": "system", "content": "b"}])),
            "'system' is not supported",
        ),
        (messages(json!([user(json!(" "))])), "non-empty content"),
        (messages(json!([user(json!([]))])), "non-empty content"),
        (messages(json!([user(json!([{"type": "text", "text": ""}]))])), "must be non-empty"),
        (messages(json!([user(json!([{"type": "text", "text": " \n"}]))])), "non-whitespace"),
        (messages(json!([user(json!([{"type": "image_url"}]))])), "Input tag 'image_url'"),
        (messages(json!([user(json!([call("a")]))])), "not allowed in user content"),
        (
            messages(json!([user(json!([{"type": "image", "source": {
                "type": "base64", "media_type": "image/jpeg", "data": PNG}}]))])),
            "does not match the provided media type",
        ),
        (messages(json!([user(json!([marked, marked, marked, marked, marked]))])), "Found 5"),
        (
            messages(json!([user(json!("a")), assistant(json!([call("t1")])), user(json!("b"))])),
            "without `tool_result`",
        ),
        (messages(json!([user(json!("a")), assistant(json!([call("t1")]))])), "without `tool_result`"),
        (messages(json!([user(json!([result("t1")]))])), "unexpected `tool_use_id`"),
        (
            messages(json!([
                user(json!("a")),
                assistant(json!([call("t1")])),
                user(json!([{"type": "text", "text": "b"}, result("t1")]))
            ])),
            "must come first",
        ),
        (
            messages(json!([
                user(json!("a")),
                assistant(json!([call("t1")])),
                user(json!([result("t1"), result("t1")]))
            ])),
            "single result",
        ),
        (
            messages(json!([
                user(json!("a")),
                assistant(json!([call("t1"), call("t1")])),
                user(json!([result("t1")]))
            ])),
            "ids must be unique",
        ),
        (
            messages(json!([
                user(json!("a")),
                assistant(json!([{"type": "tool_use", "id": "a:b", "name": "f", "input": {}}]))
            ])),
            "tool_use.id",
        ),
        (
            messages(json!([
                user(json!("a")),
                assistant(json!([{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]))
            ])),
            "valid dictionary",
        ),
        (messages(json!([user(json!("a")), assistant(json!("b "))])), "trailing whitespace"),
        (
            request("claude-opus-5", json!({"messages": [user(json!("a")), assistant(json!("b"))]})),
            "does not support assistant message prefill",
        ),
        (
            messages(json!([
                user(json!("a")),
                assistant(json!([{"type": "thinking", "thinking": "x", "signature": "y"}])),
                user(json!("b"))
            ])),
            "Invalid `signature`",
        ),
        (haiku(json!({"system": [{"type": "text", "text": ""}]})), "system.0: text content blocks"),
        (haiku(json!({"tools": [{"name": "a b", "input_schema": object}]})), "should match pattern"),
        (haiku(json!({"tools": [{"name": "a"}]})), "input_schema: Field required"),
        (haiku(json!({"tools": [{"name": "a", "input_schema": {}}]})), "input_schema.type"),
        (haiku(json!({"tools": [{"type": "function", "function": {}}]})), "Input tag 'function'"),
        (
            haiku(json!({"tools": [{"name": "a", "input_schema": object, "strict": true}]})),
            "additionalProperties",
        ),
        (haiku(json!({"tools": [tool(), tool()]})), "must be unique"),
        (haiku(json!({"tool_choice": {"type": "auto"}})), "while providing tools"),
        (haiku(json!({"tools": [tool()], "tool_choice": {"type": "tool", "name": "nope"}})), "not found"),
        (
            request("claude-opus-5-5", json!({"tools": [tool()], "tool_choice": {"type": "any"}})),
            "'any' is not supported",
        ),
        (haiku(json!({"temperature": 1.5})), "temperature: range"),
        (haiku(json!({"temperature": 1, "top_p": 1})), "cannot both be specified"),
        (request("claude-opus-5", json!({"temperature": 1})), "is not supported for this model"),
        (haiku(json!({"stop_sequences": ["\n"]})), "stop_sequences.0"),
        (haiku(json!({"metadata": {"user_id": "a@b.c"}})), "email address"),
        (haiku(json!({"metadata": {"trace": "x"}})), "metadata.trace: Extra inputs"),
        (haiku(json!({"service_tier": "flex"})), "service_tier"),
        (haiku(json!({"thinking": {"type": "adaptive"}})), "'adaptive' is not supported"),
        (
            haiku(json!({"thinking": {"type": "enabled", "budget_tokens": 1000}})),
            "greater than or equal to 1024",
        ),
        (haiku(json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})), "must be greater than"),
        (
            haiku(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 1})),
            "`temperature` may not be set",
        ),
        (
            haiku(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [tool()],
                "tool_choice": {"type": "any"}})),
            "forces tool use",
        ),
        (
            haiku(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [
                user(json!("a")), assistant(json!([call("t1")])), user(json!([result("t1")]))]})),
            "Expected `thinking`",
        ),
        (haiku(json!({"output_config": {"effort": "low"}})), "output_config.effort"),
        (
            haiku(json!({"output_config": {"format": {"type": "json_schema", "schema": {
                "type": "object", "additionalProperties": false, "properties": {"a": {"type": "integer", "minimum": 1}}}}}})),
            "'minimum' is not supported",
        ),
        (haiku(json!({"tools": strict_tools(21, &json!({}))})), "Too many strict tools (21)"),
        (haiku(json!({"tools": strict_tools(13, &optional)})), "too many optional parameters (26)"),
        (haiku(json!({"tools": strict_tools(9, &nullable)})), "union types (18)"),
    ];
    for (body, expected) in cases {
        let complaint = complaint_about(&body);
        assert!(complaint.contains(expected), "expected '{expected}', got '{complaint}' for {body}");
    }
}

#[test]
fn a_beta_opens_unknown_fields_and_blocks() {
    let body = request(
        "claude-opus-5",
        json!({"context_management": {}, "messages": [
        {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]}),
    );
    assert!(verdict(&body, "2023-06-01", false, false).is_err());
    assert_eq!(verdict(&body, "2023-06-01", true, false), Ok(()));
}

#[test]
fn counting_takes_neither_max_tokens_nor_stream() {
    let mut body = request("claude-opus-5", json!({}));
    assert_eq!(
        verdict(&body, "2023-06-01", false, true).unwrap_err(),
        "max_tokens: Extra inputs are not permitted"
    );
    body.as_object_mut().unwrap().remove("max_tokens");
    assert_eq!(verdict(&body, "2023-06-01", false, true), Ok(()));
    assert_eq!(verdict(&body, "2023-06-01", false, false).unwrap_err(), "max_tokens: Field required");
}

#[test]
fn the_newest_version_takes_no_sampling() {
    let body = request("claude-haiku-4-5", json!({"temperature": 1}));
    assert_eq!(verdict(&body, "2023-06-01", false, false), Ok(()));
    assert!(verdict(&body, "2026-10-21", false, false).is_err());
}
