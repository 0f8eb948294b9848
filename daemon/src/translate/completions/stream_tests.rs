//! What a Messages stream looks like to a client of the older completions, wherever it is cut.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::translate::completions::from_messages;
use crate::translate::testing::{Script, any_script, fixtures, read, script, text};

const CREATED: i64 = 1_795_464_512;

fn reply(echo: bool, include_usage: bool) -> Reply {
    Reply { echo: echo.then(|| "Say \"hi\".\n".to_owned()), include_usage }
}

fn encode(events: &[sse::Event], reply: &Reply) -> String {
    let mut encoder = Encoder::new(reply.clone(), CREATED);
    let mut out = BytesMut::new();
    for event in events {
        encoder.on_event(event, &mut out);
    }
    encoder.on_end(&mut out);
    assert!(encoder.is_done());
    String::from_utf8(out.to_vec()).unwrap()
}

fn frames(stream: &str) -> Vec<String> {
    read(&[stream.as_bytes()]).into_iter().map(|event| event.data).collect()
}

/// Puts the parts together as clients do, in the form of a whole completion.
fn accumulate(stream: &str) -> Value {
    let mut frames = frames(stream);
    assert_eq!(frames.pop().as_deref(), Some("[DONE]"));
    let (mut text, mut finish, mut usage, mut whole) = (String::new(), Value::Null, Value::Null, json!({}));
    for frame in frames {
        let chunk: Value = serde_json::from_str(&frame).unwrap();
        if !chunk["usage"].is_null() {
            assert_eq!(chunk["choices"], json!([]));
            usage = chunk["usage"].clone();
            continue;
        }
        let choice = &chunk["choices"][0];
        assert_eq!((&choice["index"], &choice["logprobs"]), (&json!(0), &Value::Null));
        assert!(finish.is_null(), "nothing follows the finish reason");
        text.push_str(choice["text"].as_str().unwrap());
        finish = choice["finish_reason"].clone();
        whole = chunk.clone();
    }
    whole["choices"][0] = json!({"text": text, "index": 0, "logprobs": null, "finish_reason": finish});
    whole["usage"] = usage;
    whole
}

fn check(script: &Script, size: usize, reply: &Reply) {
    let stream = encode(&read(&[script.stream(size).as_bytes()]), reply);
    let whole = from_messages(script.whole().as_bytes(), reply, CREATED).unwrap();
    let mut whole: Value = serde_json::from_slice(&whole).unwrap();
    if !reply.include_usage {
        whole["usage"] = Value::Null;
    }
    assert_eq!(accumulate(&stream), whole, "{script:?}");
}

#[test]
fn a_whole_answer_has_the_form_of_the_api() {
    let script = script(vec![text("Hi"), text("!")], "end_turn");
    let whole = from_messages(script.whole().as_bytes(), &reply(true, false), CREATED).unwrap();
    let mut whole: Value = serde_json::from_slice(&whole).unwrap();
    let usage = whole["usage"].take();
    let expected = json!({"id": "cmpl-01ABC", "object": "text_completion", "created": CREATED, "model": "claude-opus-5",
        "choices": [{"text": "Say \"hi\".\nHi!", "index": 0, "logprobs": null, "finish_reason": "stop"}], "usage": null});
    assert_eq!(whole, expected);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 20);
}

#[test]
fn every_reason_to_stop_has_its_word() {
    for (reason, word) in [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
        ("some_new_reason", "stop"),
    ] {
        let whole =
            from_messages(script(vec![text("x")], reason).whole().as_bytes(), &Reply::default(), 0).unwrap();
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole["choices"][0]["finish_reason"], word, "{reason}");
    }
}

#[test]
fn a_stream_says_the_same_as_the_whole_answer_wherever_it_is_cut() {
    for script in fixtures() {
        for (echo, include_usage) in [(false, false), (true, true)] {
            let reply = reply(echo, include_usage);
            for size in [1, 3, 1_000] {
                check(&script, size, &reply);
            }
            let stream = script.stream(5);
            let all = encode(&read(&[stream.as_bytes()]), &reply);
            let (left, right) = stream.as_bytes().split_at(stream.len() / 2);
            assert_eq!(encode(&read(&[left, right]), &reply), all);
        }
    }
}

#[test]
fn an_error_and_a_cut_end_the_stream_with_an_error_and_without_done() {
    let stream = script(vec![text("Hello there")], "end_turn").stream(4);
    let events = read(&[stream.as_bytes()]);
    let cut = frames(&encode(&events[..3], &Reply::default()));
    let last: Value = serde_json::from_str(cut.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "upstream_disconnected");
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let told = frames(&encode(&read(&[error.as_bytes()]), &Reply::default()));
    let told: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!((&told["error"]["message"], &told["error"]["type"]), (&json!("busy"), &json!("server_error")));
    let early = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert!(encode(&read(&[early.as_bytes()]), &Reply::default()).contains("does not begin"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_says_the_same_as_the_whole_answer(script in any_script(), size in 1usize..20, echo in any::<bool>()) {
        check(&script, size, &reply(echo, true));
    }
}
