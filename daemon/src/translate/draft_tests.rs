//! What every draft of a Messages request has in common.

use serde_json::{Value, json};

use super::*;
use crate::translate::models::capabilities;
use crate::translate::reasoning::Level;
use crate::wire::json::raw_of;

fn draft(model: &'static str) -> Draft<'static> {
    let mut history = History::new(capabilities(model));
    history.user(Block::text("hi"));
    Draft {
        model,
        capabilities: capabilities(model),
        max_tokens: None,
        temperature: None,
        top_p: None,
        stop: Vec::new(),
        stream: false,
        history,
        tools: Tools::new(capabilities(model)),
        choice: None,
        parallel: None,
        wish: None,
        wish_field: "reasoning_effort",
        show_thinking: true,
        structure: None,
        user: None,
        thinking: None,
        cache_control: None,
        own_markers: false,
        dropped: Vec::new(),
        fields: &fields::CHAT,
        config: Config::default(),
        messages_field: "messages",
    }
}

fn written(draft: Draft<'_>) -> (Value, Vec<String>) {
    let written = draft.write(100).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written.dropped)
}

#[test]
fn the_least_request_has_only_what_upstream_requires() {
    let (body, dropped) = written(draft("claude-opus-5"));
    let expected = json!({"model": "claude-opus-5", "max_tokens": 32000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]});
    assert_eq!((body, dropped.len()), (expected, 0));
}

#[test]
fn sampling_is_cut_to_what_the_model_takes() {
    let sampled = |model, temperature, top_p, level: Option<Level>| {
        let wish = level.map(Wish::Level);
        let (body, dropped) = written(Draft { temperature, top_p, wish, ..draft(model) });
        (body["temperature"].as_f64(), body["top_p"].as_f64(), dropped.join(","))
    };
    let old = "claude-sonnet-4-5";
    assert_eq!(sampled(old, Some(1.7), None, None), (Some(1.0), None, "temperature".to_owned()));
    assert_eq!(sampled(old, Some(0.2), Some(0.9), None), (Some(0.2), None, "top_p".to_owned()));
    assert_eq!(sampled(old, None, Some(1.5), None), (None, Some(1.0), "top_p".to_owned()));
    assert_eq!(sampled(old, Some(0.2), None, Some(Level::High)), (None, None, "temperature".to_owned()));
    assert_eq!(sampled(old, Some(0.2), None, Some(Level::None)), (Some(0.2), None, String::new()));
    assert_eq!(
        sampled("claude-opus-5", Some(0.2), Some(0.9), None),
        (None, None, "temperature,top_p".to_owned())
    );
    let error = Draft { top_p: Some(-0.1), ..draft(old) }.write(0).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("top_p"));
}

#[test]
fn a_final_assistant_turn_is_continued_only_where_the_model_can() {
    let prefilled = |model| {
        let mut draft = draft(model);
        draft.history.assistant(Block::text("{\"a\": \n"));
        draft
    };
    let (body, _) = written(prefilled("claude-sonnet-4-5"));
    assert_eq!(body["messages"][1]["content"][0]["text"], "{\"a\":");
    let (body, _) = written(prefilled("claude-opus-5"));
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    assert_eq!(body["messages"][2]["role"], "user");
    let schema = raw_of(&json!({"type": "object"}));
    let structure =
        Some(Structure::Schema { name: "s".into(), description: None, schema: &schema, param: "p" });
    let (body, _) = written(Draft { structure, ..prefilled("claude-sonnet-4-5") });
    assert_eq!(body["messages"][2]["role"], "user", "a format and a prefill exclude each other");
    let (body, dropped) =
        written(Draft { wish: Some(Wish::Level(Level::High)), ..prefilled("claude-sonnet-4-5") });
    assert_eq!((body.get("thinking"), dropped.join(",")), (None, "reasoning_effort".to_owned()));
}

#[test]
fn given_thinking_is_sent_as_it_is() {
    let raw = raw_of(&json!({"type": "enabled", "budget_tokens": 40000}));
    let (body, dropped) =
        written(Draft { thinking: Some(&raw), temperature: Some(0.5), ..draft("claude-sonnet-4-5") });
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 40000}));
    assert_eq!(body["max_tokens"], 64000, "the default limit leaves room beside the budget");
    assert_eq!(dropped, ["temperature"]);
    let raw = raw_of(&json!("yes"));
    assert!(Draft { thinking: Some(&raw), ..draft("claude-sonnet-4-5") }.write(0).is_err());
}

#[test]
fn models_without_structured_output_answer_through_a_tool() {
    let schema = raw_of(&json!({"type": "object", "properties": {"a": {"type": "integer"}}}));
    let structured = || {
        Some(Structure::Schema { name: "My Answer".into(), description: None, schema: &schema, param: "p" })
    };
    let written = Draft { structure: structured(), ..draft("claude-3-5-haiku-latest") }.write(0).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    let name = written.answer_tool.unwrap();
    assert_eq!(body["tools"][0]["name"], *name);
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": name, "disable_parallel_tool_use": true}));
    assert_eq!(body.get("output_config"), None);

    let written = Draft { structure: structured(), ..draft("claude-sonnet-4-5") }.write(0).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    assert_eq!(written.answer_tool, None);
    assert_eq!(body["output_config"]["format"]["schema"]["additionalProperties"], false);
}

#[test]
fn only_the_last_four_cache_markers_stay() {
    let marker = raw_of(&json!({"type": "ephemeral"}));
    let odd = raw_of(&json!("yes"));
    let mut draft = draft("claude-sonnet-4-5");
    draft.history.system(Block::Text { text: "top".into(), cache_control: Some(&marker) });
    for n in 0..6 {
        draft.history.user(Block::Text { text: format!("u{n}").into(), cache_control: Some(&marker) });
    }
    draft.history.user(Block::Text { text: "odd".into(), cache_control: Some(&odd) });
    let (body, _) = written(Draft { cache_control: Some(&marker), ..draft });
    let marked: Vec<&str> = body["messages"][0]["content"]
        .as_array()
        .unwrap()
        .iter()
        .chain(body["system"].as_array().into_iter().flatten())
        .filter(|block| block.get("cache_control").is_some())
        .map(|block| block["text"].as_str().unwrap())
        .collect();
    assert_eq!(marked, ["u3", "u4", "u5"], "the whole request's own marker is the fourth");
}

#[test]
fn token_counts_are_whole_and_positive() {
    assert_eq!(token_count(Some(1024.0), "max_tokens"), Ok(Some(1024)));
    assert_eq!(token_count(None, "max_tokens"), Ok(None));
    for wrong in [0.0, -1.0, 1.5, 1e300] {
        assert_eq!(token_count(Some(wrong), "max_tokens").unwrap_err().param.as_deref(), Some("max_tokens"));
    }
}

#[test]
fn a_session_is_told_by_the_cache_key_or_by_a_hash_of_the_user() {
    assert_eq!(session_key(Some("k"), Some("me@example.test")).as_deref(), Some("k"));
    assert_eq!(session_key(None, Some("me@example.test")), Some(sha256_hex("me@example.test")));
    assert_eq!(session_key(None, None), None);
}
