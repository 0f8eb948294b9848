//! What the upstream says, made before it is asked: the head of an answer with everything that Anthropic sends to an account with an
//! API key, and the bytes of bodies and events.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The word of each text event, and of the small answer: it stands in no other place, so its count is theirs in every dialect.
pub(crate) const WORD: &str = "heron";
/// Events of a stream that hold no text.
pub(crate) const FRAME_EVENTS: usize = 6;
/// The body of the answer that is not streamed.
const SMALL_BODY: usize = 1024;

/// What a request asks for, by a word in its body, which every translation keeps.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Asked {
    /// One answer of 1 KB.
    Small,
    /// So many events as fast as they go.
    Stream(usize),
    /// So many text events, with so many milliseconds between them, each with the time it was sent at.
    Paced(usize, u64),
    /// One text event, and then nothing until the caller goes.
    Held,
}

impl Asked {
    pub(crate) fn marker(self) -> String {
        match self {
            Self::Small => "[bench small]".to_owned(),
            Self::Stream(events) => format!("[bench stream {events}]"),
            Self::Paced(events, gap) => format!("[bench paced {events} {gap}]"),
            Self::Held => "[bench held]".to_owned(),
        }
    }

    /// What a body asks for; without a word of its own, a small answer.
    pub(crate) fn of(body: &[u8]) -> Self {
        Self::read(body).unwrap_or(Self::Small)
    }

    fn read(body: &[u8]) -> Option<Self> {
        const OPEN: &[u8] = b"[bench ";
        let (_, rest) = body.split_at_checked(memchr::memmem::find(body, OPEN)? + OPEN.len())?;
        let (marker, _) = rest.split_at_checked(memchr::memchr(b']', rest)?)?;
        let mut words = std::str::from_utf8(marker).ok()?.split(' ');
        match words.next()? {
            "stream" => Some(Self::Stream(words.next()?.parse().ok()?)),
            "paced" => Some(Self::Paced(words.next()?.parse().ok()?, words.next()?.parse().ok()?)),
            "held" => Some(Self::Held),
            _ => None,
        }
    }
}

/// All of it, ready to be written.
#[derive(Debug)]
pub(crate) struct Answers {
    small_body: Bytes,
    headers: String,
}

impl Answers {
    pub(crate) fn new(now: Timestamp) -> Self {
        let reset = now.checked_add(1.hour()).unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut headers = String::from(
            "server: bench\r\nrequest-id: req_011BenchFAKE0000000000000\r\nanthropic-organization-id: 00000000-0000-4000-8000-000000000000\r\n",
        );
        for (name, limit, remaining) in [
            ("requests", 4_000, 3_999),
            ("tokens", 480_000, 479_000),
            ("input-tokens", 400_000, 399_000),
            ("output-tokens", 80_000, 80_000),
        ] {
            let name = format!("anthropic-ratelimit-{name}");
            // Writing to a string cannot fail.
            let _written = write!(
                headers,
                "{name}-limit: {limit}\r\n{name}-remaining: {remaining}\r\n{name}-reset: {reset}\r\n"
            );
        }
        Self { small_body: small_body(), headers }
    }

    /// For those that answer by a server of their own.
    pub(crate) fn small_body(&self) -> Bytes {
        self.small_body.clone()
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.lines().filter_map(|line| line.split_once(": "))
    }

    /// A whole answer that is not streamed.
    pub(crate) fn small(&self) -> Bytes {
        let length = self.small_body.len();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{}\r\n",
            self.headers
        )
        .into_bytes();
        answer.extend_from_slice(&self.small_body);
        answer.into()
    }

    /// A stream's head and the events before its first text, each a chunk of its own, as all events are.
    pub(crate) fn stream_begin(&self) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n{}\r\n",
            self.headers
        );
        let mut begin = head.into_bytes();
        for event in opening() {
            chunk(&mut begin, &event);
        }
        begin
    }

    /// A whole stream of so many events.
    pub(crate) fn stream(&self, events: usize) -> Bytes {
        let mut stream = self.stream_begin();
        for _ in 0..events.saturating_sub(FRAME_EVENTS) {
            chunk(&mut stream, &text(WORD));
        }
        stream.extend_from_slice(&stream_end());
        stream.into()
    }
}

/// The events after the last text, and the end of the body.
pub(crate) fn stream_end() -> Vec<u8> {
    let mut end = Vec::new();
    for event in closing() {
        chunk(&mut end, &event);
    }
    end.extend_from_slice(b"0\r\n\r\n");
    end
}

/// A text event as a chunk, with the time it is sent at.
pub(crate) fn timed(now: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192);
    chunk(&mut bytes, &text(&format!("{WORD} {now}")));
    bytes
}

/// A text event as a chunk.
pub(crate) fn untimed() -> Vec<u8> {
    let mut bytes = Vec::new();
    chunk(&mut bytes, &text(WORD));
    bytes
}

/// The first events of a stream, up to so many with text, for those that frame them otherwise.
pub(crate) fn events(texts: usize) -> Vec<String> {
    opening().into_iter().chain(std::iter::repeat_n(text(WORD), texts)).collect()
}

fn small_body() -> Bytes {
    let body = |filler: usize| {
        let text = format!("A {WORD} stands in the reeds.{}", "-".repeat(filler));
        json!({
            "id": "msg_01BenchFAKE0000000000000", "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 25, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 180},
        })
        .to_string()
    };
    body(SMALL_BODY.saturating_sub(body(0).len())).into()
}

fn opening() -> [String; 3] {
    let message = json!({
        "type": "message_start",
        "message": {
            "id": "msg_01BenchFAKE0000000000000", "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-5", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 25, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1},
        },
    });
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    [
        event("message_start", &message),
        event("content_block_start", &block),
        event("ping", &json!({"type": "ping"})),
    ]
}

fn closing() -> [String; 3] {
    let delta = json!({
        "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 194},
    });
    [
        event("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        event("message_delta", &delta),
        event("message_stop", &json!({"type": "message_stop"})),
    ]
}

fn text(text: &str) -> String {
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\" {text}\"}}}}\n\n"
    )
}

fn event(name: &str, data: &serde_json::Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn chunk(bytes: &mut Vec<u8>, event: &str) {
    bytes.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Answers, Asked, WORD, timed};

    #[test]
    fn what_is_asked_for_is_found_in_a_body() {
        for asked in [Asked::Small, Asked::Stream(200), Asked::Paced(100, 20), Asked::Held] {
            let body = format!("{{\"text\":\"Say it. {}\"}}", asked.marker());
            assert_eq!(Asked::of(body.as_bytes()), asked);
        }
        assert_eq!(Asked::of(b"{}"), Asked::Small);
        assert_eq!(Asked::of(b"[bench stream"), Asked::Small);
    }

    #[test]
    fn the_small_body_has_its_size_and_the_word_once() {
        let answers = Answers::new(Timestamp::UNIX_EPOCH);
        assert_eq!(answers.small_body.len(), 1024);
        let text = String::from_utf8(answers.small_body.to_vec()).unwrap();
        assert_eq!(text.matches(WORD).count(), 1);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert!(answers.headers().any(
            |(name, value)| name == "anthropic-ratelimit-tokens-reset" && value == "1970-01-01T01:00:00Z"
        ));
    }

    #[test]
    fn a_stream_has_as_many_events_as_were_asked_for() {
        let stream = Answers::new(Timestamp::UNIX_EPOCH).stream(200);
        let text = String::from_utf8(stream.to_vec()).unwrap();
        assert_eq!(text.matches("\ndata: ").count(), 200);
        assert_eq!(text.matches(WORD).count(), 194);
        assert!(text.ends_with("0\r\n\r\n"));
    }

    #[test]
    fn a_timed_event_holds_its_time() {
        let event = String::from_utf8(timed(12_345)).unwrap();
        assert!(event.contains("\"text\":\" heron 12345\"}}"));
        let (size, rest) = event.split_once("\r\n").unwrap();
        assert_eq!(usize::from_str_radix(size, 16).unwrap(), rest.len() - 2);
    }
}
