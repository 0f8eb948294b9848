//! What holds of the translation of any answer of upstream's.

use std::sync::LazyLock;

use bytes::BytesMut;
use serde_json::{Value, json};

use crate::clients;
use crate::requests;
use crate::translate::{chat, responses};
use crate::wire::sse::{Event, Reader};

/// An event upstream may not be longer.
const MOST_PER_EVENT: usize = 1 << 16;
const CREATED: i64 = 1_795_464_512;

/// Requests whose answers take different forms: plain, with tools of every form, with the answer given by a tool.
static CHAT: LazyLock<Vec<chat::Reply>> = LazyLock::new(|| {
    let requests = [
        json!({"model": "claude-opus-5", "stream_options": {"include_usage": true}}),
        json!({"model": "claude-opus-5", "tools": [{"type": "function", "function": {"name": "a.b"}}, {"type": "custom", "custom": {"name": "patch"}}]}),
        json!({"model": "claude-opus-5", "functions": [{"name": "f"}]}),
        json!({"model": "claude-3-5-haiku-latest", "response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": {}}}}),
    ];
    let reply = |mut request: Value| {
        request["messages"] = json!([{"role": "user", "content": "hi"}]);
        requests::chat(request.to_string().as_bytes()).unwrap().reply
    };
    requests.into_iter().map(reply).collect()
});
static RESPONSES: LazyLock<Vec<responses::Reply>> = LazyLock::new(|| {
    let requests = [
        json!({"model": "claude-opus-5", "reasoning": {"summary": "auto"}}),
        json!({"model": "claude-opus-5", "tools": [{"type": "custom", "name": "patch"}, {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}]}]}),
        json!({"model": "claude-3-5-haiku-latest", "text": {"format": {"type": "json_schema", "name": "out", "schema": {}}}}),
    ];
    let reply = |mut request: Value| {
        request["input"] = json!("hi");
        requests::responses(request.to_string().as_bytes()).unwrap().reply
    };
    requests.into_iter().map(reply).collect()
});

/// The events of a stream that comes in parts of `size` bytes; `None` where one of them is too long.
pub fn events(stream: &[u8], size: usize) -> Option<Vec<Event>> {
    let mut reader = Reader::new(MOST_PER_EVENT);
    let mut events = Vec::new();
    for part in stream.chunks(size.max(1)) {
        events.extend(reader.push(part).ok()?);
    }
    events.extend(reader.finish());
    Some(events)
}

/// Whatever upstream sends, each dialect's client gets a stream that ends as its API says, or says that it broke.
pub fn check_stream(events: &[Event]) {
    for reply in CHAT.iter() {
        let mut encoder = chat::Encoder::new(reply.clone(), CREATED);
        let mut out = BytesMut::new();
        for event in events {
            encoder.on_event(event, &mut out);
        }
        encoder.on_end(&mut out);
        assert!(encoder.is_done());
        let stream = clients::chat::read(std::str::from_utf8(&out).unwrap());
        let finish = &clients::chat::accumulate(&stream.chunks)["finish_reason"];
        assert_eq!(finish.is_null(), stream.error.is_some());
    }
    for reply in RESPONSES.iter() {
        let mut encoder = responses::Encoder::new(reply.clone(), CREATED);
        let mut out = BytesMut::new();
        for event in events {
            encoder.on_event(event, &mut out);
        }
        encoder.on_end(&mut out);
        assert!(encoder.is_done());
        clients::responses::accumulate(&clients::responses::read(std::str::from_utf8(&out).unwrap()));
    }
}

/// A body is a reply in every dialect or in none.
pub fn check_whole(body: &[u8]) {
    let mut read = Vec::new();
    for reply in CHAT.iter() {
        let answer = chat::from_messages(body, reply, CREATED);
        read.push(answer.is_ok());
        match answer {
            Ok(answer) => {
                clients::chat::whole(&serde_json::from_slice(&answer).unwrap(), true);
            }
            Err(error) => assert_eq!(error.status, 502),
        }
    }
    for reply in RESPONSES.iter() {
        let answer = responses::from_messages(body, reply, CREATED);
        read.push(answer.is_ok());
        match answer {
            Ok(answer) => {
                let response: Value = serde_json::from_slice(&answer).unwrap();
                assert!(response["output"].is_array() && response["error"].is_null());
            }
            Err(error) => assert_eq!(error.status, 502),
        }
    }
    assert!(read.iter().all(|ok| *ok == read[0]));
}
