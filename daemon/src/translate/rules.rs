//! What upstream checks of a request, for tests: whatever a client sends, what goes up keeps these rules.
//!
//! The fuzz targets take this file in, too.

use serde_json::Value;

use crate::translate::models::capabilities;

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

/// Panics where the body breaks a rule.
pub(crate) fn check(body: &Value) {
    let model = capabilities(body["model"].as_str().unwrap());
    for name in body.as_object().unwrap().keys() {
        assert!(FIELDS.contains(&name.as_str()), "unknown field {name}");
    }
    let max_tokens = body["max_tokens"].as_u64().unwrap();
    assert!(max_tokens >= 1 && model.max_output.is_none_or(|most| max_tokens <= most));
    let tools = list(&body["tools"]);
    assert!(!tools.is_empty() || body.get("tool_choice").is_none(), "a choice without tools");
    check_tools(tools);
    assert!(!is_forced(body) || model.forced_tool, "a forced tool");
    assert!(!(body.get("temperature").is_some() && body.get("top_p").is_some()), "both sampling parameters");
    for name in ["temperature", "top_p"] {
        assert!(
            body.get(name)
                .is_none_or(|value| model.sampling && (0.0..=1.0).contains(&value.as_f64().unwrap()))
        );
    }
    assert!(list(&body["stop_sequences"]).iter().all(|stop| !stop.as_str().unwrap().trim().is_empty()));
    if let Some(metadata) = body.get("metadata") {
        assert_eq!(
            (metadata.as_object().unwrap().len(), metadata["user_id"].as_str().unwrap().len()),
            (1, 64)
        );
    }
    list(&body["system"]).iter().for_each(check_block);
    check_turns(body, model.system_mid);
    let last = list(&body["messages"]).last().unwrap();
    if last["role"] == "assistant" {
        assert!(model.prefill && body["output_config"].get("format").is_none(), "a prefill");
        let text = list(&last["content"]).last().unwrap()["text"].as_str().unwrap_or_default();
        assert_eq!(text, text.trim_end());
    }
    let turns = list(&body["messages"]).iter().flat_map(|turn| list(&turn["content"]));
    let blocks = list(&body["system"]).iter().chain(turns);
    let inner = blocks.clone().flat_map(|block| list(&block["content"]));
    let marked = tools.iter().chain(blocks).chain(inner).chain([body]);
    assert!(marked.filter(|value| value.get("cache_control").is_some()).count() <= 4, "cache markers");
}

/// What holds of `thinking` where it is not the client's own.
pub(crate) fn check_thinking(body: &Value) {
    let thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive" | "between_tools"));
    let sampled = body.get("temperature").is_some() || body.get("top_p").is_some();
    assert!(!(thinks && (sampled || is_forced(body))), "thinking excludes sampling and forced tools");
    let prefilled = list(&body["messages"]).last().unwrap()["role"] == "assistant";
    assert!(!(thinks && prefilled), "thinking excludes a prefill");
    if body["thinking"]["type"] == "enabled" {
        let (budget, most) = (&body["thinking"]["budget_tokens"], body["max_tokens"].as_u64().unwrap());
        assert!((1_024..most).contains(&budget.as_u64().unwrap()));
    }
}

fn is_forced(body: &Value) -> bool {
    matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool"))
}

/// The elements of an array; none of what is no array.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn check_tools(tools: &[Value]) {
    let mut names = std::collections::HashSet::new();
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        assert!(is_plain(name) && name.len() <= 128 && names.insert(name), "{name}");
        if tool.get("type").is_none() {
            let schema = &tool["input_schema"];
            assert!(schema["type"] == "object" && schema["properties"].is_object(), "{schema}");
            for keyword in ["anyOf", "oneOf", "allOf"] {
                assert_eq!(schema.get(keyword), None, "{schema}");
            }
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
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
    let text = |field: &str| block[field].as_str().unwrap();
    match text("type") {
        "text" => assert!(!text("text").trim().is_empty(), "blank text"),
        "image" | "document" => check_source(&block["source"]),
        "thinking" => {
            assert!(!text("signature").is_empty());
            assert_eq!(block.get("cache_control"), None);
        }
        "redacted_thinking" => assert!(!text("data").is_empty()),
        "tool_use" => {
            assert!(is_plain(text("id")) && is_plain(text("name")));
            assert!(block["input"].is_object());
        }
        "tool_result" => {
            assert!(block.get("content").is_none_or(|content| !list(content).is_empty()));
            list(&block["content"]).iter().for_each(check_block);
        }
        other => panic!("block {other}"),
    }
}

fn check_source(source: &Value) {
    match source["type"].as_str().unwrap() {
        "base64" => assert!(source["media_type"].is_string() && source["data"].is_string()),
        "url" => assert!(source["url"].as_str().unwrap().to_ascii_lowercase().starts_with("https://")),
        "text" => assert!(!source["data"].as_str().unwrap().trim().is_empty()),
        other => panic!("source {other}"),
    }
}
