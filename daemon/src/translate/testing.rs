//! Replies for tests: one description gives the whole body and the same reply as a stream, cut as one likes.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Config, Prepared, responses};
use crate::wire::error::ApiError;
use crate::wire::responses::Request;
use crate::wire::sse;

/// A Responses request that goes on from nothing, translated.
pub(super) fn responses_to_messages(
    body: &[u8],
    config: Config,
) -> Result<Prepared<responses::Reply>, ApiError> {
    let request = Request::read(body)?;
    responses::to_messages(request, &responses::Recalled::default(), body.len(), config, |_| None)
}

/// A block of a reply.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(String),
    Cited { text: String, url: Option<String> },
    Thinking { text: String, signature: String },
    Redacted(String),
    Tool { id: String, name: String, input: Value },
    Search { id: String, query: String },
    Unknown,
}

/// A reply with all its blocks.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) pieces: Vec<Piece>,
    pub(super) stop_reason: &'static str,
    pub(super) explanation: Option<&'static str>,
}

pub(super) fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

pub(super) fn tool(name: &str, input: Value) -> Piece {
    Piece::Tool { id: format!("toolu_{name}"), name: name.to_owned(), input }
}

pub(super) fn script(pieces: Vec<Piece>, stop_reason: &'static str) -> Script {
    Script { pieces, stop_reason, explanation: None }
}

impl Piece {
    /// The block as it stands in a whole reply. Search results follow their call as a block of their own.
    fn blocks(&self) -> Vec<Value> {
        match self {
            Self::Text(text) => vec![json!({"type": "text", "text": text})],
            Self::Cited { text, url } => {
                vec![json!({"type": "text", "text": text, "citations": [citation(url.as_deref())]})]
            }
            Self::Thinking { text, signature } => {
                vec![json!({"type": "thinking", "thinking": text, "signature": signature})]
            }
            Self::Redacted(data) => vec![json!({"type": "redacted_thinking", "data": data})],
            Self::Tool { id, name, input } => {
                vec![json!({"type": "tool_use", "id": id, "name": name, "input": input})]
            }
            Self::Search { id, query } => vec![
                json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}}),
                json!({"type": "web_search_tool_result", "tool_use_id": id, "content": [{"type": "web_search_result", "url": "https://x.test"}]}),
            ],
            Self::Unknown => vec![json!({"type": "hologram", "text": {"odd": 1}, "data": 7})],
        }
    }

    /// The block's start, with what the deltas bring taken out, and the deltas.
    fn streamed(block: &Value, size: usize) -> (Value, Vec<Value>) {
        let mut start = block.clone();
        let mut deltas = Vec::new();
        let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match block["type"].as_str().unwrap() {
            "text" => {
                start = json!({"type": "text", "text": ""});
                for part in split(&string(&block["text"]), size) {
                    deltas.push(json!({"type": "text_delta", "text": part}));
                }
                for citation in block["citations"].as_array().into_iter().flatten() {
                    deltas.push(json!({"type": "citations_delta", "citation": citation}));
                }
            }
            "thinking" => {
                start = json!({"type": "thinking", "thinking": "", "signature": ""});
                for part in split(&string(&block["thinking"]), size) {
                    deltas.push(json!({"type": "thinking_delta", "thinking": part}));
                }
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            }
            "tool_use" | "server_tool_use" => {
                start["input"] = json!({});
                deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
                if block["input"] != json!({}) {
                    for part in split(&block["input"].to_string(), size) {
                        deltas.push(json!({"type": "input_json_delta", "partial_json": part}));
                    }
                }
            }
            "hologram" => deltas.push(json!({"type": "hologram_delta", "text": [1]})),
            _ => {}
        }
        (start, deltas)
    }
}

fn citation(url: Option<&str>) -> Value {
    match url {
        Some(url) => {
            json!({"type": "web_search_result_location", "url": url, "title": "T", "cited_text": "c"})
        }
        None => {
            json!({"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "d"})
        }
    }
}

fn split(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|part| part.iter().collect()).collect()
}

impl Script {
    /// The body of the whole reply.
    pub(super) fn whole(&self) -> String {
        let content: Vec<Value> = self.pieces.iter().flat_map(Piece::blocks).collect();
        json!({
            "id": "msg_01ABC", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": content,
            "stop_reason": self.stop_reason, "stop_sequence": null,
            "stop_details": self.explanation.map(|explanation| json!({"type": "refusal", "explanation": explanation})),
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 42,
                "output_tokens_details": {"thinking_tokens": 7}},
        })
        .to_string()
    }

    /// The same reply as event stream, its deltas `size` characters long.
    pub(super) fn stream(&self, size: usize) -> String {
        let mut out = String::new();
        let mut send = |data: &Value| {
            let name = data["type"].as_str().unwrap();
            write!(out, "event: {name}\ndata: {data}\n\n").unwrap();
        };
        send(
            &json!({"type": "message_start", "message": {"id": "msg_01ABC", "type": "message", "role": "assistant",
            "model": "claude-opus-5", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 1}}}),
        );
        send(&json!({"type": "ping"}));
        for (index, block) in self.pieces.iter().flat_map(Piece::blocks).enumerate() {
            let (start, deltas) = Piece::streamed(&block, size);
            send(&json!({"type": "content_block_start", "index": index, "content_block": start}));
            for delta in deltas {
                send(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
            }
            send(&json!({"type": "content_block_stop", "index": index}));
        }
        send(&json!({"type": "new_kind_of_event", "x": 1}));
        let details =
            self.explanation.map(|explanation| json!({"type": "refusal", "explanation": explanation}));
        send(&json!({"type": "message_delta",
            "delta": {"stop_reason": self.stop_reason, "stop_sequence": null, "stop_details": details},
            "usage": {"output_tokens": 42, "cache_read_input_tokens": null, "output_tokens_details": {"thinking_tokens": 7}}}));
        send(&json!({"type": "message_stop"}));
        out
    }
}

/// Reads a stream cut into the given chunks.
pub(super) fn read(chunks: &[&[u8]]) -> Vec<sse::Event> {
    let mut reader = sse::Reader::new(1 << 20);
    let mut events: Vec<sse::Event> = chunks.iter().flat_map(|chunk| reader.push(chunk).unwrap()).collect();
    events.extend(reader.finish());
    events
}

/// Scripts that between them hold every kind of block and every reason to stop.
pub(super) fn fixtures() -> Vec<Script> {
    let refusal = Script { explanation: Some("I will not."), ..script(Vec::new(), "refusal") };
    vec![
        script(vec![text("Hello \u{1f600}\u{2028}world\n")], "end_turn"),
        script(Vec::new(), "end_turn"),
        script(vec![text("cut")], "max_tokens"),
        refusal.clone(),
        Script { pieces: vec![text("Well, ")], ..refusal },
        script(
            vec![
                Piece::Thinking { text: "Let me \"think\"".to_owned(), signature: "c2ln".to_owned() },
                Piece::Redacted("aGlk".to_owned()),
                text("First "),
                tool("alpha", json!({"a": 1, "text": "x\"y\n", "list": [1.5, null]})),
                text("between"),
                tool("beta", json!({})),
            ],
            "tool_use",
        ),
        script(
            vec![
                Piece::Search { id: "srvtoolu_1".to_owned(), query: "weather".to_owned() },
                Piece::Cited { text: "It rains".to_owned(), url: Some("https://x.test/a".to_owned()) },
                Piece::Cited { text: " caf\u{e9}".to_owned(), url: None },
                Piece::Unknown,
                text("."),
            ],
            "pause_turn",
        ),
        script(
            vec![Piece::Thinking { text: String::new(), signature: "c2ln".to_owned() }, text("x")],
            "stop_sequence",
        ),
        script(vec![text("x")], "model_context_window_exceeded"),
        script(vec![text("x")], "some_new_reason"),
    ]
}

/// Any reply. Call ids are unique, as upstream makes them.
pub(super) fn any_script() -> impl Strategy<Value = Script> {
    let words = "[a-z \"\\\\\n\u{e9}\u{1f600}]{0,12}";
    let piece = prop_oneof![
        3 => words.prop_map(Piece::Text),
        1 => (words, proptest::option::of("https://[a-z]{1,5}")).prop_map(|(text, url)| Piece::Cited { text, url }),
        1 => (words, "[a-z]{1,6}").prop_map(|(text, signature)| Piece::Thinking { text, signature }),
        1 => "[a-z]{1,6}".prop_map(Piece::Redacted),
        2 => ("[a-z]{1,4}", proptest::collection::btree_map("[a-z]{1,3}", words, 0..3))
            .prop_map(|(name, input)| Piece::Tool { id: String::new(), name, input: json!(input) }),
        1 => words.prop_map(|query| Piece::Search { id: String::new(), query }),
        1 => Just(Piece::Unknown),
    ];
    let reasons = prop_oneof![Just("end_turn"), Just("max_tokens"), Just("tool_use"), Just("refusal")];
    (proptest::collection::vec(piece, 0..6), reasons, any::<bool>()).prop_map(
        |(mut pieces, stop_reason, explained)| {
            for (index, piece) in pieces.iter_mut().enumerate() {
                if let Piece::Tool { id, .. } | Piece::Search { id, .. } = piece {
                    *id = format!("toolu_{index}");
                }
            }
            Script { pieces, stop_reason, explanation: explained.then_some("No.") }
        },
    )
}

/// Events that say nothing of the reply, at these places among `events`.
pub(super) fn with_noise(events: &[sse::Event], places: &[usize]) -> Vec<sse::Event> {
    let noise = [
        ("ping", r#"{"type":"ping"}"#),
        ("news", r#"{"type":"news","delta":7}"#),
        ("message", "{\"type\":\"x\"}"),
    ];
    let mut noisy = events.to_vec();
    for (place, (event, data)) in places.iter().zip(noise.iter().cycle()) {
        let event = sse::Event { event: (*event).into(), data: (*data).to_owned() };
        noisy.insert(place % (noisy.len() + 1), event);
    }
    noisy
}

/// An event that ends a stream before its time.
pub(super) fn any_fault() -> impl Strategy<Value = Option<sse::Event>> {
    let event = |event: &str, data: &str| Some(sse::Event { event: event.into(), data: data.to_owned() });
    prop_oneof![
        // None but the end of the body.
        Just(None),
        Just(event(
            "error",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#
        )),
        Just(event("error", "not JSON")),
        Just(event(
            "message",
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}"#
        )),
        Just(event("content_block_delta", "{\"type\":\"content_block_de")),
        Just(event("content_block_start", r#"{"type":"content_block_start","index":0}"#)),
    ]
}
