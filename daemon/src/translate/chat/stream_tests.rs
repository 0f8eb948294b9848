//! What a Messages stream looks like to a Chat Completions client, wherever it is cut.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::translate::Config;
use crate::translate::chat::{from_messages, to_messages};
use crate::translate::clients::chat::{self as client, Stream};
use crate::translate::testing::{
    Script, any_fault, any_script, fixtures, read, script, text, tool, with_noise,
};

const CREATED: i64 = 1_795_464_512;

fn reply_to(request: &Value) -> Reply {
    to_messages(request.to_string().as_bytes(), Config::default(), |_| None).unwrap().reply
}

fn plain(include_usage: bool) -> Reply {
    reply_to(&json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}],
        "stream": true, "stream_options": {"include_usage": include_usage}}))
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

fn streamed(script: &Script, size: usize, reply: &Reply) -> String {
    encode(&read(&[script.stream(size).as_bytes()]), reply)
}

/// What the stream of a reply adds up to for a client.
fn added_up(script: &Script, size: usize, reply: &Reply) -> Value {
    let Stream { chunks, error } = client::read(&streamed(script, size, reply));
    assert_eq!(error, None);
    client::accumulate(&chunks)
}

/// The same of the whole reply.
fn whole(script: &Script, reply: &Reply) -> Value {
    let body = from_messages(script.whole().as_bytes(), reply, CREATED).unwrap();
    client::whole(&serde_json::from_slice(&body).unwrap(), reply.include_usage)
}

#[test]
fn every_fixture_adds_up_to_its_whole_reply() {
    for script in fixtures() {
        for (size, usage) in [(1, true), (3, false), (1000, true)] {
            let reply = plain(usage);
            assert_eq!(added_up(&script, size, &reply), whole(&script, &reply), "{script:?}");
        }
    }
}

#[test]
fn a_stream_split_at_any_byte_gives_the_same_chunks() {
    for script in fixtures() {
        let stream = script.stream(5);
        let bytes = stream.as_bytes();
        let whole = read(&[bytes]);
        // The encoder sees events alone, so equal events are equal output.
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read(&[head, tail]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(encode(&read(&single), &plain(true)), encode(&whole, &plain(true)));
    }
}

#[test]
fn the_frames_are_what_clients_know() {
    let script = script(vec![text("Hi"), tool("f", json!({"x": 1}))], "tool_use");
    let head = r#"data: {"id":"chatcmpl-01ABC","object":"chat.completion.chunk","created":1795464512,"model":"claude-opus-5","system_fingerprint":null,"choices":["#;
    let frame = |delta: &str, finish: &str| {
        format!(r#"{head}{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#) + "\n\n"
    };
    let expected = [
        frame(r#"{"role":"assistant","content":""}"#, "null"),
        ": keep-alive\n\n".to_owned(),
        frame(r#"{"content":"Hi"}"#, "null"),
        frame(
            r#"{"tool_calls":[{"index":0,"id":"toolu_f","type":"function","function":{"name":"f","arguments":""}}]}"#,
            "null",
        ),
        frame(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#, "null"),
        frame(r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#, "null"),
        frame("{}", r#""tool_calls""#),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(streamed(&script, 4, &plain(false)), expected.concat());
}

#[test]
fn usage_comes_last_and_only_where_asked() {
    let script = script(vec![text("Hi")], "end_turn");
    let with = streamed(&script, 9, &plain(true));
    let all = client::read(&with).chunks;
    let (last, earlier) = all.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 75);
    assert!(earlier.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert!(!streamed(&script, 9, &plain(false)).contains("usage"));
}

#[test]
fn errors_end_the_stream_in_the_clients_own_form() {
    let stream = script(vec![text("Hello")], "end_turn").stream(2);
    let cut = stream.find("event: message_delta").unwrap();
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let stop = stream.find("event: message_stop").unwrap();
    let cases = [
        (stream[..cut].to_owned(), "upstream_disconnected"),
        (stream[..stop].to_owned(), "upstream_disconnected"),
        (String::new(), "upstream_disconnected"),
        (format!("{}{error}{}", &stream[..cut], &stream[cut..]), "overloaded_error"),
        (error.to_owned(), "overloaded_error"),
        (format!("{}event: content_block_delta\ndata: oops\n\n", &stream[..cut]), "cannot be read"),
        (stream[stream.find("event: content_block_start").unwrap()..].to_owned(), "message_start"),
    ];
    for (stream, hint) in cases {
        let out = encode(&read(&[stream.as_bytes()]), &plain(true));
        let error = client::read(&out).error.unwrap();
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[test]
fn nothing_follows_the_end() {
    let events = read(&[script(vec![text("x")], "end_turn").stream(1).as_bytes()]);
    let mut encoder = Encoder::new(plain(false), CREATED);
    let mut out = BytesMut::new();
    for event in &events {
        encoder.on_event(event, &mut out);
    }
    assert!(encoder.is_done());
    let length = out.len();
    for event in &events {
        encoder.on_event(event, &mut out);
    }
    encoder.on_error(&ApiError::api("late"), &mut out);
    encoder.on_end(&mut out);
    assert_eq!(out.len(), length);
}

#[test]
fn deltas_of_unknown_kinds_and_odd_orders_are_survived() {
    let stream = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01ABC\",\"model\":\"claude-opus-5\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lost\"}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\": 1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"given\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"new_delta\",\"text\":{\"x\":1}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let got = client::accumulate(&client::read(&encode(&read(&[stream.as_bytes()]), &plain(true))).chunks);
    assert_eq!(got["message"]["content"], "given");
    assert_eq!(got["message"]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(
        (&got["finish_reason"], &got["usage"]["completion_tokens"]),
        (&json!("tool_calls"), &json!(5))
    );
}

/// Requests whose answers are formed differently, with an answer for each.
fn special() -> Vec<(Reply, Script)> {
    let ask = |fields: Value| {
        let mut request = json!({"model": "claude-3-5-haiku-latest", "messages": [{"role": "user", "content": "hi"}],
            "stream_options": {"include_usage": true}});
        fields.as_object().unwrap().iter().for_each(|(name, value)| request[name] = value.clone());
        reply_to(&request)
    };
    let odd = ask(
        json!({"tools": [{"type": "function", "function": {"name": "a.b"}}, {"type": "custom", "custom": {"name": "patch"}}]}),
    );
    let upstream = odd.names.upstream(None, "a.b");
    vec![
        (
            odd,
            script(
                vec![tool(&upstream, json!({"x": 1})), tool("patch", json!({"input": "p \"q\"\n"}))],
                "tool_use",
            ),
        ),
        (
            ask(json!({"functions": [{"name": "f"}]})),
            script(vec![text("a"), tool("f", json!({"x": 1})), tool("g", json!({"y": 1}))], "tool_use"),
        ),
        (
            ask(
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object"}}}}),
            ),
            script(vec![tool("out", json!({"x": [1, 2]}))], "tool_use"),
        ),
    ]
}

#[test]
fn special_answers_add_up_too() {
    for (reply, script) in special() {
        for size in [1, 4, 1000] {
            assert_eq!(added_up(&script, size, &reply), whole(&script, &reply), "{script:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_adds_up_to_its_whole_reply(script in any_script(), size in 1usize..6, usage in any::<bool>()) {
        let reply = plain(usage);
        prop_assert_eq!(added_up(&script, size, &reply), whole(&script, &reply));
    }

    #[test]
    fn what_says_nothing_changes_nothing(
        script in any_script(),
        places in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let events = read(&[script.stream(3).as_bytes()]);
        let places: Vec<usize> = places.iter().map(|place| place.index(events.len() + 1)).collect();
        let noisy = encode(&with_noise(&events, &places), &plain(true));
        let without_comments: String =
            noisy.split_inclusive("\n\n").filter(|frame| !frame.starts_with(':')).collect();
        let quiet = encode(&events, &plain(true)).replace(": keep-alive\n\n", "");
        prop_assert_eq!(without_comments, quiet);
    }

    #[test]
    fn a_stream_that_is_interrupted_anywhere_is_no_finished_one(
        script in any_script(),
        place in any::<proptest::sample::Index>(),
        fault in any_fault(),
    ) {
        let mut events = read(&[script.stream(3).as_bytes()]);
        events.truncate(place.index(events.len()));
        events.extend(fault);
        let Stream { chunks, error } = client::read(&encode(&events, &plain(true)));
        prop_assert!(error.is_some());
        let told = client::accumulate(&chunks)["message"]["content"].as_str().unwrap().to_owned();
        prop_assert!(whole(&script, &plain(true))["message"]["content"].as_str().unwrap().starts_with(&told));
    }

    #[test]
    fn a_stream_that_is_cut_at_any_byte_is_no_finished_one(script in any_script(), at in any::<proptest::sample::Index>()) {
        let stream = script.stream(3);
        let end = stream.rfind("\n\n").unwrap();
        let out = encode(&read(&[&stream.as_bytes()[..at.index(end)]]), &plain(true));
        prop_assert!(client::read(&out).error.is_some());
    }
}
