//! What a Messages stream looks like to a Responses client, wherever it is cut.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::translate::Config;
use crate::translate::clients::responses as client;
use crate::translate::responses::from_messages;
use crate::translate::testing::{
    Piece, Script, any_fault, any_script, fixtures, read, responses_to_messages, script, text, tool,
    with_noise,
};

const CREATED: i64 = 1_795_464_512;

fn reply_to(fields: &Value) -> Reply {
    let mut request = json!({"model": "claude-opus-5", "input": "hi", "reasoning": {"summary": "auto"}});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    responses_to_messages(request.to_string().as_bytes(), Config::default()).unwrap().reply
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

fn streamed(script: &Script, size: usize, reply: &Reply) -> Vec<Value> {
    client::read(&encode(&read(&[script.stream(size).as_bytes()]), reply))
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

fn whole(script: &Script, reply: &Reply) -> Value {
    serde_json::from_slice(&from_messages(script.whole().as_bytes(), reply, CREATED).unwrap()).unwrap()
}

fn check(script: &Script, size: usize, reply: &Reply) {
    let events = streamed(script, size, reply);
    assert_eq!(events[0]["response"]["output"], json!([]));
    let expected = whole(script, reply);
    assert_eq!(events.last().unwrap()["response"], expected, "{script:?}");
    assert_eq!(client::accumulate(&events), expected["output"], "{script:?}");
}

#[test]
fn every_fixture_adds_up_to_its_whole_reply() {
    for script in fixtures() {
        for fields in [json!({}), json!({"reasoning": null})] {
            for size in [1, 3, 1000] {
                check(&script, size, &reply_to(&fields));
            }
        }
    }
}

#[test]
fn answers_of_special_tools_add_up_too() {
    let tools = json!({"tools": [{"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}]}]});
    let format = json!({"model": "claude-3-5-haiku-latest", "reasoning": null,
        "text": {"format": {"type": "json_schema", "name": "out", "schema": {"type": "object"}}}});
    let cases = [
        (
            tools,
            vec![
                tool("patch", json!({"input": "p \"q\"\n"})),
                tool("ns__f", json!({"x": 1})),
                tool("odd", json!({})),
            ],
        ),
        (format.clone(), vec![tool("out", json!({"x": [1, 2]}))]),
        (format, vec![tool("out", json!({}))]),
    ];
    for (fields, pieces) in cases {
        for size in [1, 4, 1000] {
            check(&script(pieces.clone(), "tool_use"), size, &reply_to(&fields));
        }
    }
}

#[test]
fn a_stream_split_at_any_byte_gives_the_same_events() {
    let reply = reply_to(&json!({}));
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
        assert_eq!(encode(&read(&single), &reply), encode(&whole, &reply));
    }
}

#[test]
fn the_events_come_in_the_order_clients_know() {
    let thinking = Piece::Thinking { text: "hm".to_owned(), signature: "s".to_owned() };
    let search = Piece::Search { id: "srv".to_owned(), query: "q".to_owned() };
    let cited = Piece::Cited { text: "Hi".to_owned(), url: Some("https://x.test".to_owned()) };
    let all = vec![thinking, search, cited, tool("f", json!({})), tool("patch", json!({"input": "p"}))];
    let reply = reply_to(&json!({"tools": [{"type": "custom", "name": "patch"}]}));
    let events = streamed(&script(all, "tool_use"), 100, &reply);
    assert_eq!(
        kinds(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "web_search_call.in_progress",
            "web_search_call.searching",
            "web_search_call.completed",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.annotation.added",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "output_item.done",
            "completed",
        ]
    );
}

#[test]
fn a_frame_has_its_name_its_number_and_its_fields() {
    let stream =
        encode(&read(&[script(vec![text("Hi")], "end_turn").stream(9).as_bytes()]), &reply_to(&json!({})));
    assert!(stream.contains(
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_01ABC_0\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi\",\"logprobs\":[]}\n\n"
    ), "{stream}");
    assert!(!stream.contains("[DONE]"));
}

#[test]
fn errors_end_the_stream_as_failed() {
    let stream = script(vec![text("Hello"), tool("f", json!({"x": 1}))], "end_turn").stream(2);
    let cut = stream.find("event: message_delta").unwrap();
    let error = |kind: &str| {
        format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"Oh\"}}}}\n\n"
        )
    };
    let cases = [
        (stream[..cut].to_owned(), "server_error", "closed the connection"),
        (String::new(), "server_error", "closed the connection"),
        (format!("{}{}", &stream[..cut], error("overloaded_error")), "server_error", "Oh"),
        (
            format!("{}{}{}", &stream[..cut], error("rate_limit_error"), &stream[cut..]),
            "rate_limit_exceeded",
            "Oh",
        ),
        (error("overloaded_error"), "server_error", "Oh"),
        (
            format!("{}event: content_block_delta\ndata: oops\n\n", &stream[..cut]),
            "server_error",
            "cannot be read",
        ),
        (stream[cut..].to_owned(), "server_error", "message_start"),
    ];
    for (stream, code, hint) in cases {
        let events = client::read(&encode(&read(&[stream.as_bytes()]), &reply_to(&json!({}))));
        let last = events.last().unwrap();
        assert_eq!(
            (&last["type"], &last["response"]["status"]),
            (&json!("response.failed"), &json!("failed"))
        );
        assert_eq!(last["response"]["error"]["code"], code);
        assert!(last["response"]["error"]["message"].as_str().unwrap().contains(hint), "{last}");
        assert_eq!(last["response"]["model"], "claude-opus-5");
    }
}

#[test]
fn nothing_follows_the_end() {
    let events = read(&[script(vec![text("x")], "end_turn").stream(1).as_bytes()]);
    let mut encoder = Encoder::new(reply_to(&json!({})), CREATED);
    let mut out = BytesMut::new();
    for event in &events {
        encoder.on_event(event, &mut out);
    }
    let length = out.len();
    for event in &events {
        encoder.on_event(event, &mut out);
    }
    encoder.on_error(&ApiError::api("late"), &mut out);
    encoder.on_end(&mut out);
    assert_eq!(out.len(), length);
}

#[test]
fn a_block_behind_the_stop_reason_still_belongs_to_the_output() {
    let stream = script(vec![text("Hello"), text(" there")], "end_turn").stream(9);
    let (head, tail) = stream.split_at(
        stream
            .find("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1")
            .unwrap(),
    );
    let (block, end) = tail.split_at(tail.find("event: message_delta").unwrap());
    let (delta, stop) = end.split_at(end.find("event: message_stop").unwrap());
    let late = [head, delta, block, stop].concat();
    let events = client::read(&encode(&read(&[late.as_bytes()]), &reply_to(&json!({}))));
    assert_eq!(client::accumulate(&events)[0]["content"][0]["text"], "Hello there");
}

#[test]
fn the_time_of_completion_is_the_one_told() {
    let mut encoder = Encoder::new(reply_to(&json!({})), CREATED);
    let mut out = BytesMut::new();
    for event in read(&[script(vec![text("x")], "end_turn").stream(1).as_bytes()]) {
        encoder.set_time(CREATED + 7);
        encoder.on_event(&event, &mut out);
    }
    let events = client::read(std::str::from_utf8(&out).unwrap());
    assert_eq!(events[0]["response"]["created_at"], CREATED);
    assert_eq!(events.last().unwrap()["response"]["completed_at"], CREATED + 7);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_adds_up_to_its_whole_reply(script in any_script(), size in 1usize..6, shown in any::<bool>()) {
        let fields = if shown { json!({}) } else { json!({"reasoning": null}) };
        check(&script, size, &reply_to(&fields));
    }

    #[test]
    fn what_says_nothing_changes_nothing(
        script in any_script(),
        places in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let reply = reply_to(&json!({}));
        let events = read(&[script.stream(3).as_bytes()]);
        let places: Vec<usize> = places.iter().map(|place| place.index(events.len() + 1)).collect();
        let noisy = client::read(&encode(&with_noise(&events, &places), &reply));
        prop_assert_eq!(noisy, client::read(&encode(&events, &reply)));
    }

    #[test]
    fn a_stream_that_is_interrupted_anywhere_has_failed(
        script in any_script(),
        place in any::<proptest::sample::Index>(),
        fault in any_fault(),
    ) {
        let reply = reply_to(&json!({}));
        let mut events = read(&[script.stream(3).as_bytes()]);
        events.truncate(place.index(events.len()));
        events.extend(fault);
        let events = client::read(&encode(&events, &reply));
        prop_assert_eq!(&events.last().unwrap()["type"], "response.failed");
        let told = client::accumulate(&events);
        let whole = whole(&script, &reply)["output"].clone();
        prop_assert!(whole.as_array().unwrap().starts_with(told.as_array().unwrap()));
    }

    #[test]
    fn a_stream_that_is_cut_at_any_byte_has_failed(script in any_script(), at in any::<proptest::sample::Index>()) {
        let stream = script.stream(3);
        let end = stream.rfind("\n\n").unwrap();
        let out = encode(&read(&[&stream.as_bytes()[..at.index(end)]]), &reply_to(&json!({})));
        let events = client::read(&out);
        prop_assert_eq!(&events.last().unwrap()["type"], "response.failed");
    }
}
