//! What a request of the older completions becomes, and what is refused.

use serde_json::{Value, json};

use super::*;

fn prepare(request: &Value) -> Result<Prepared<Reply>, ApiError> {
    to_messages(request.to_string().as_bytes(), Config::default(), |_| None)
}

fn with(model: &str, fields: impl std::borrow::Borrow<Value>) -> Value {
    let mut request = json!({"model": model, "prompt": "Say hi."});
    for (name, value) in fields.borrow().as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn body(request: &Value) -> Value {
    let prepared = prepare(request).unwrap_or_else(|error| panic!("{error}: {request}"));
    serde_json::from_slice(&prepared.body).unwrap()
}

#[test]
fn the_prompt_is_one_user_turn() {
    let expected = json!({"model": "claude-3-5-sonnet-20241022", "max_tokens": 8192,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}]});
    assert_eq!(body(&with("claude-3-5-sonnet-20241022", json!({}))), expected);
    assert_eq!(body(&with("claude-3-5-sonnet-20241022", json!({"prompt": ["Say hi."]}))), expected);
    let ones = json!({"n": 1, "best_of": 1, "suffix": "", "echo": false, "logprobs": null, "stop": null});
    assert_eq!(body(&with("claude-3-5-sonnet-20241022", ones)), expected);
}

#[test]
fn every_field_with_a_counterpart_is_mapped() {
    let prepared = prepare(&with(
        "claude-sonnet-4-5",
        json!({"max_tokens": 50, "temperature": 0.2, "stop": "\n\n;", "stream": true, "user": "me@example.test",
            "stream_options": {"include_usage": true}, "echo": true, "seed": 7, "logprobs": 2}),
    ))
    .unwrap();
    let got: Value = serde_json::from_slice(&prepared.body).unwrap();
    let expected = json!({"model": "claude-sonnet-4-5", "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}],
        "temperature": 0.2, "stop_sequences": ["\n\n;"], "thinking": {"type": "disabled"},
        "metadata": {"user_id": crate::translate::call::sha256_hex("me@example.test")}, "stream": true});
    assert_eq!(got, expected);
    assert_eq!(prepared.dropped, ["seed", "logprobs"]);
    assert_eq!(prepared.reply.echo.as_deref(), Some("Say hi."));
    assert!(prepared.reply.include_usage && prepared.stream);
}

#[test]
fn a_completion_thinks_only_where_the_models_name_says_so() {
    assert_eq!(body(&with("claude-opus-5", json!({})))["thinking"], json!({"type": "disabled"}));
    let got = body(&with("claude-opus-5(high)", json!({})));
    assert_eq!((&got["model"], &got["thinking"]["type"]), (&json!("claude-opus-5"), &json!("adaptive")));
    assert_eq!(got["output_config"]["effort"], "high");
}

#[test]
fn what_claude_cannot_do_is_refused_by_name() {
    let cases = [
        (json!({"prompt": null}), "prompt", "required"),
        (json!({"prompt": []}), "prompt", "empty"),
        (json!({"prompt": " "}), "prompt", "no message"),
        (json!({"prompt": ["a", "b"]}), "prompt", "several requests"),
        (json!({"prompt": [1, 2]}), "prompt", "tokens"),
        (json!({"prompt": [[1], [2]]}), "prompt", "tokens"),
        (json!({"prompt": {"a": 1}}), "prompt", "found an object"),
        (json!({"prompt": ["a", 1]}), "prompt", "expected a string"),
        (json!({"suffix": "end"}), "suffix", "fill in"),
        (json!({"n": 2}), "n", "only 1"),
        (json!({"best_of": 3}), "best_of", "only 1"),
        (json!({"max_tokens": 0}), "max_tokens", "at least 1"),
        (json!({"echo": "yes"}), "echo", "boolean"),
        (json!({"stream_options": {"include_usage": 1}}), "stream_options.include_usage", "boolean"),
        (json!({"model": "claude-opus-5(huge)"}), "model", "huge"),
    ];
    for (fields, param, hint) in cases {
        let error = prepare(&with("claude-opus-5", &fields)).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{fields}: {error}");
        assert!(error.message.contains(hint), "{fields}: {error}");
    }
}
