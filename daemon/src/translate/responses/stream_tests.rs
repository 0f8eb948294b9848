//! What a Messages stream looks like to a Responses client, wherever it is cut.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::translate::responses::from_messages;
use crate::translate::testing::{
    Piece, Script, any_script, fixtures, read, responses_to_messages, script, text, tool,
};

const CREATED: i64 = 1_795_464_512;

fn reply_to(fields: &Value) -> Reply {
    let mut request = json!({"model": "claude-opus-5", "input": "hi", "reasoning": {"summary": "auto"}});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    responses_to_messages(request.to_string().as_bytes()).unwrap().reply
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
    events(&encode(&read(&[script.stream(size).as_bytes()]), reply))
}

/// The events of an encoded stream, after a check of what holds for each of them.
fn events(stream: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for (index, event) in read(&[stream.as_bytes()]).into_iter().enumerate() {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(data["type"], event.event);
        assert_eq!(data["sequence_number"], index);
        events.push(data);
    }
    let terminal = |event: &Value| {
        matches!(
            event["type"].as_str().unwrap(),
            "response.completed" | "response.incomplete" | "response.failed"
        )
    };
    assert_eq!(events.iter().filter(|event| terminal(event)).count(), 1);
    assert!(terminal(events.last().unwrap()), "the terminal event is the last");
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

fn whole(script: &Script, reply: &Reply) -> Value {
    serde_json::from_slice(&from_messages(script.whole().as_bytes(), reply, CREATED).unwrap()).unwrap()
}

/// Puts the output together from the events alone, the way clients do, and checks each event against it.
fn accumulate(events: &[Value]) -> Vec<Value> {
    let mut output: Vec<Value> = Vec::new();
    let mut closed = 0;
    for event in events {
        let kind = event["type"].as_str().unwrap();
        let Some(index) = event.get("output_index").and_then(Value::as_u64) else {
            continue;
        };
        let index = usize::try_from(index).unwrap();
        if kind == "response.output_item.added" {
            assert_eq!((index, closed), (output.len(), output.len()), "one item at a time");
            assert_eq!(event["item"]["status"], "in_progress");
            output.push(event["item"].clone());
            continue;
        }
        let item = &mut output[index];
        if kind == "response.output_item.done" {
            closed += 1;
            let mut settled = item.clone();
            for late in ["status", "encrypted_content", "action"] {
                if event["item"].get(late).is_some() {
                    settled[late] = event["item"][late].clone();
                }
            }
            assert_eq!(settled, event["item"], "the deltas add up to the item");
            *item = event["item"].clone();
            continue;
        }
        assert_eq!(event["item_id"], item["id"]);
        match kind {
            "response.content_part.added" => {
                item["content"].as_array_mut().unwrap().push(event["part"].clone());
            }
            "response.output_text.delta" => append(&mut item["content"][0]["text"], &event["delta"]),
            "response.output_text.done" => assert_eq!(item["content"][0]["text"], event["text"]),
            "response.refusal.delta" => append(&mut item["content"][0]["refusal"], &event["delta"]),
            "response.refusal.done" => assert_eq!(item["content"][0]["refusal"], event["refusal"]),
            "response.content_part.done" => assert_eq!(item["content"][0], event["part"]),
            "response.output_text.annotation.added" => {
                let annotations = item["content"][0]["annotations"].as_array_mut().unwrap();
                assert_eq!(event["annotation_index"], annotations.len());
                annotations.push(event["annotation"].clone());
            }
            "response.function_call_arguments.delta" => append(&mut item["arguments"], &event["delta"]),
            "response.function_call_arguments.done" => assert_eq!(item["arguments"], event["arguments"]),
            "response.custom_tool_call_input.delta" => append(&mut item["input"], &event["delta"]),
            "response.custom_tool_call_input.done" => assert_eq!(item["input"], event["input"]),
            "response.reasoning_summary_part.added" => {
                item["summary"].as_array_mut().unwrap().push(event["part"].clone());
            }
            "response.reasoning_summary_text.delta" => {
                append(&mut item["summary"][0]["text"], &event["delta"]);
            }
            "response.reasoning_summary_text.done" => assert_eq!(item["summary"][0]["text"], event["text"]),
            "response.reasoning_summary_part.done" => assert_eq!(item["summary"][0], event["part"]),
            "response.web_search_call.in_progress"
            | "response.web_search_call.searching"
            | "response.web_search_call.completed" => assert_eq!(item["type"], "web_search_call"),
            other => panic!("unexpected {other}"),
        }
    }
    assert_eq!(closed, output.len(), "every item is closed");
    output
}

fn append(slot: &mut Value, more: &Value) {
    *slot = json!(slot.as_str().unwrap().to_owned() + more.as_str().unwrap());
}

fn check(script: &Script, size: usize, reply: &Reply) {
    let events = streamed(script, size, reply);
    assert_eq!(kinds(&events)[..2], ["created", "in_progress"]);
    assert_eq!(events[0]["response"]["output"], json!([]));
    let expected = whole(script, reply);
    assert_eq!(events.last().unwrap()["response"], expected, "{script:?}");
    assert_eq!(json!(accumulate(&events)), expected["output"], "{script:?}");
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
        let events = events(&encode(&read(&[stream.as_bytes()]), &reply_to(&json!({}))));
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
fn the_time_of_completion_is_the_one_told() {
    let mut encoder = Encoder::new(reply_to(&json!({})), CREATED);
    let mut out = BytesMut::new();
    for event in read(&[script(vec![text("x")], "end_turn").stream(1).as_bytes()]) {
        encoder.set_time(CREATED + 7);
        encoder.on_event(&event, &mut out);
    }
    let events = events(std::str::from_utf8(&out).unwrap());
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
}
