//! What is counted: requests, and what upstream answers to them.

use std::fmt::Write as _;

/// Events of a stream.
const EVENTS: usize = 200;
/// And of one that is taken step by step.
const STEPS: usize = 50;

/// One kind of request, made on one connection, one after another.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// So many at first, and three times as many then.
    pub(crate) requests: u64,
    /// Its host follows the first line.
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Answer,
}

#[derive(Clone)]
pub(crate) enum Answer {
    /// It is here at once.
    Whole(Vec<u8>),
    /// Each piece comes once the client has the event of the piece before.
    Steps(Vec<Vec<u8>>),
}

pub(crate) fn all() -> Vec<Work> {
    let small = || Answer::Whole(message());
    let stream = || Answer::Whole(pieces(EVENTS).concat());
    let work = |name, requests, request, answer| Work { name, requests, request, answer };
    vec![
        work("messages", 50, messages(false, 300), small()),
        work("chat", 50, chat(false, 64), small()),
        work("stream", 20, messages(true, 300), stream()),
        work("stream_chat", 10, chat(true, 64), stream()),
        work("stream_steps", 10, messages(true, 300), Answer::Steps(pieces(STEPS))),
        work("messages_1mb", 5, messages(false, 1 << 20), small()),
        work("chat_1mb", 5, chat(false, 1 << 20), small()),
    ]
}

/// A prompt of this length or little more, as it stands in JSON.
fn prompt(length: usize) -> String {
    let sentence = r#"The quick brown fox said: \"Why jump?\" and the lazy dog slept on.\n"#;
    sentence.repeat(length.div_ceil(sentence.len()))
}

/// A Messages request whose prompt has this length.
fn messages(streams: bool, length: usize) -> Vec<u8> {
    let prompt = prompt(length);
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5","max_tokens":1024,"stream":{streams},"system":"You are a helpful assistant.","messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    post("/v1/messages", &body)
}

/// The same as a chat completion.
fn chat(streams: bool, length: usize) -> Vec<u8> {
    let prompt = prompt(length);
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5","max_tokens":1024,"stream":{streams},"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{prompt}"}}]}}"#
    );
    post("/v1/chat/completions", &body)
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nuser-agent: bench/1\r\naccept: */*\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What the provider says of itself in each answer.
const HEAD: &str = "HTTP/1.1 200 OK\r\ndate: Mon, 02 Nov 2026 00:00:00 GMT\r\nrequest-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n\
    anthropic-organization-id: 1a2b3c4d-0000-4000-8000-000000000000\r\n";

/// An answer of about 1 KB.
fn message() -> Vec<u8> {
    let text = "All that is gold does not glitter, not all those who wander are lost. ".repeat(9);
    let body = format!(
        r#"{{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":150,"service_tier":"standard"}}}}"#
    );
    let length = body.len();
    format!("{HEAD}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A stream with so many pieces of text, each event a chunk. The first piece and the last hold what stands around them.
fn pieces(events: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(events);
    for number in 0..events {
        let mut piece = String::new();
        if number == 0 {
            let _never_fails = write!(
                piece,
                "{HEAD}content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            piece.push_str(&event("message_start", r#""message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}"#));
            piece.push_str(&event(
                "content_block_start",
                r#""index":0,"content_block":{"type":"text","text":""}"#,
            ));
        }
        let delta = r#""index":0,"delta":{"type":"text_delta","text":" wander far"}"#;
        piece.push_str(&event("content_block_delta", delta));
        if number + 1 == events {
            piece.push_str(&event("content_block_stop", r#""index":0"#));
            let end =
                r#""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":150}"#;
            piece.push_str(&event("message_delta", end));
            piece.push_str(&chunk("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
            piece.push_str("0\r\n\r\n");
        }
        all.push(piece.into_bytes());
    }
    all
}

/// One event as a chunk.
fn event(name: &str, rest: &str) -> String {
    chunk(&format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n"))
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
