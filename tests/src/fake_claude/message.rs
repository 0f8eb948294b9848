//! A message of the fake model on the wire: whole, or as the service's sequence of events.
//!
//! Pure. It decides nothing about what is said; see [`super::reply`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Step;
use super::issued::Caller;
use super::prompt_cache::Cached;

/// One answer, before it is known whether it goes out whole or as events.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) model: &'static str,
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: &'static str,
    pub(super) stop_sequence: Option<String>,
    /// Why it was refused, if it was.
    pub(super) refusal: Option<&'static str>,
    pub(super) usage: Usage,
    /// The id of the container that its code ran in.
    pub(super) container: Option<String>,
}

#[derive(Debug)]
pub(super) enum Block {
    Thinking {
        text: String,
        signature: String,
    },
    Text(String),
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    /// A search of the web, with the id of the call.
    Search {
        id: String,
    },
    SearchResult {
        id: String,
    },
    /// A text that cites what a search found.
    Cited(String),
    /// The result of code that made this file.
    MadeFile {
        id: String,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) thinking: usize,
    pub(super) cached: Cached,
}

impl Usage {
    /// The prompt's tokens that were neither read from the cache nor put there.
    const fn uncached(&self) -> usize {
        self.input.saturating_sub(self.cached.read + self.cached.written)
    }
}

/// A signature that only fits this thought.
pub(super) fn signature_of(thought: &str) -> String {
    STANDARD.encode([b"FAKE signature ".as_slice(), Sha256::digest(thought.as_bytes()).as_slice()].concat())
}

/// The same, where the thought is bound to what was said before it and, if there is one, to whose it is.
pub(super) fn bound_signature_of(thought: &str, prefix_mark: &str, owner: Option<&Caller>) -> String {
    format!("{}{prefix_mark}{}", signature_of(thought), owner.map(mark_of).unwrap_or_default())
}

/// Whether a bound signature is this caller's.
pub(super) fn is_signed_by(signature: &str, caller: &Caller) -> bool {
    signature.ends_with(&mark_of(caller))
}

fn mark_of(caller: &Caller) -> String {
    STANDARD.encode(Sha256::digest(format!("{caller:?}")))
}

/// Whether this fake signed exactly this thought, for whomever.
pub(super) fn is_signature_of(signature: &str, thought: &str) -> bool {
    signature.starts_with(&signature_of(thought))
}

impl Block {
    pub(super) fn tokens(&self) -> usize {
        match self {
            Self::Thinking { .. } => 12,
            Self::Text(text) | Self::Cited(text) => text.split_whitespace().count(),
            Self::MadeFile { .. } | Self::Search { .. } | Self::SearchResult { .. } => 20,
            Self::ToolUse { input, .. } => 10 + input.to_string().len().div_ceil(4),
        }
    }

    fn whole(&self) -> Value {
        match self {
            Self::Thinking { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::ToolUse { id, name, input } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
            Self::Search { id } => {
                json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": search_input()})
            }
            Self::SearchResult { id } => json!({
                "type": "web_search_tool_result",
                "tool_use_id": id,
                "content": [{
                    "type": "web_search_result", "url": FOUND_URL, "title": FOUND_TITLE,
                    "encrypted_content": "FAKEencrypted", "page_age": null,
                }],
            }),
            Self::Cited(text) => json!({"type": "text", "text": text, "citations": [citation()]}),
            Self::MadeFile { id } => json!({
                "type": "code_execution_tool_result",
                "tool_use_id": "srvtoolu_FAKE",
                "content": {
                    "type": "code_execution_result", "stdout": "", "stderr": "", "return_code": 0,
                    "content": [{"type": "code_execution_output", "file_id": id}],
                },
            }),
        }
    }

    /// The block as it stands in `content_block_start`.
    fn start(&self) -> Value {
        match self {
            Self::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Self::Text(_) => json!({"type": "text", "text": ""}),
            Self::ToolUse { id, name, .. } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": {}})
            }
            Self::Search { id } => {
                json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {}})
            }
            Self::Cited(_) => json!({"type": "text", "text": "", "citations": []}),
            Self::MadeFile { .. } | Self::SearchResult { .. } => self.whole(),
        }
    }

    fn deltas(&self) -> Vec<Value> {
        match self {
            Self::MadeFile { .. } | Self::SearchResult { .. } => Vec::new(),
            Self::Thinking { text, signature } => {
                let thoughts =
                    pieces(text).into_iter().map(|p| json!({"type": "thinking_delta", "thinking": p}));
                thoughts.chain([json!({"type": "signature_delta", "signature": signature})]).collect()
            }
            Self::Text(text) => {
                pieces(text).into_iter().map(|p| json!({"type": "text_delta", "text": p})).collect()
            }
            Self::ToolUse { input, .. } => input_deltas(input),
            Self::Search { .. } => input_deltas(&search_input()),
            Self::Cited(text) => {
                let cited = json!({"type": "citations_delta", "citation": citation()});
                let said = pieces(text).into_iter().map(|p| json!({"type": "text_delta", "text": p}));
                [cited].into_iter().chain(said).collect()
            }
        }
    }
}

fn input_deltas(input: &Value) -> Vec<Value> {
    // The service opens with an empty piece, too.
    let parts = [String::new()].into_iter().chain(pieces(&input.to_string()));
    parts.map(|p| json!({"type": "input_json_delta", "partial_json": p})).collect()
}

/// What every search of the fake finds.
pub const FOUND_URL: &str = "https://example.com/weather";
const FOUND_TITLE: &str = "The weather";

fn search_input() -> Value {
    json!({"query": "the weather in Paris"})
}

fn citation() -> Value {
    json!({
        "type": "web_search_result_location", "url": FOUND_URL, "title": FOUND_TITLE,
        "cited_text": "It is sunny.", "encrypted_index": "FAKEindex",
    })
}

/// Pieces of a few characters, so that streams have several deltas and boundaries fall anywhere between
/// characters.
fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(7).map(|c| c.iter().collect()).collect()
}

impl Message {
    /// The ids of what came into being with it.
    pub(super) fn made(&self) -> impl Iterator<Item = &str> {
        let files = self.blocks.iter().filter_map(|block| match block {
            Block::MadeFile { id } => Some(id.as_str()),
            _ => None,
        });
        files.chain(self.container.as_deref()).chain([self.id.as_str()])
    }

    pub(super) fn whole(&self) -> Value {
        let content: Vec<Value> = self.blocks.iter().map(Block::whole).collect();
        let mut whole =
            self.message(&content, Some(self.stop_reason), self.stop_sequence.as_deref(), self.usage.output);
        self.tell_container(&mut whole);
        self.tell_refusal(&mut whole);
        whole
    }

    fn tell_refusal(&self, object: &mut Value) {
        if let (Some(explanation), Some(object)) = (self.refusal, object.as_object_mut()) {
            let details = json!({"type": "refusal", "category": null, "explanation": explanation});
            object.insert("stop_details".to_owned(), details);
        }
    }

    /// Only answers that ran code have one.
    fn tell_container(&self, object: &mut Value) {
        if let (Some(id), Some(object)) = (&self.container, object.as_object_mut()) {
            let container = json!({"id": id, "expires_at": "2030-01-01T00:00:00Z"});
            object.insert("container".to_owned(), container);
        }
    }

    fn message(&self, content: &[Value], stop: Option<&str>, sequence: Option<&str>, output: usize) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": sequence,
            "usage": {
                "input_tokens": self.usage.uncached(),
                "cache_creation_input_tokens": self.usage.cached.written,
                "cache_read_input_tokens": self.usage.cached.read,
                "cache_creation": {"ephemeral_5m_input_tokens": self.usage.cached.written, "ephemeral_1h_input_tokens": 0},
                "output_tokens": output,
                "output_tokens_details": {"thinking_tokens": self.usage.thinking},
                "service_tier": "standard",
            },
        })
    }

    /// The events in the order of the service.
    pub(super) fn events(&self) -> Vec<Step> {
        let start = json!({"type": "message_start", "message": self.message(&[], None, None, 1)});
        let mut steps = vec![Step::event("message_start", &start)];
        for (index, block) in self.blocks.iter().enumerate() {
            let started =
                json!({"type": "content_block_start", "index": index, "content_block": block.start()});
            steps.push(Step::event("content_block_start", &started));
            if index == 0 {
                steps.push(Step::event("ping", &json!({"type": "ping"})));
            }
            for delta in block.deltas() {
                let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
                steps.push(Step::event("content_block_delta", &event));
            }
            steps.push(Step::event(
                "content_block_stop",
                &json!({"type": "content_block_stop", "index": index}),
            ));
        }
        let usage = json!({
            "input_tokens": self.usage.uncached(),
            "cache_creation_input_tokens": self.usage.cached.written,
            "cache_read_input_tokens": self.usage.cached.read,
            "output_tokens": self.usage.output,
            "output_tokens_details": {"thinking_tokens": self.usage.thinking},
        });
        let mut delta = json!({"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence});
        self.tell_container(&mut delta);
        self.tell_refusal(&mut delta);
        steps.push(Step::event(
            "message_delta",
            &json!({"type": "message_delta", "delta": delta, "usage": usage}),
        ));
        steps.push(Step::event("message_stop", &json!({"type": "message_stop"})));
        steps
    }
}

/// The events of a plain text answer with these deltas, for scripts that put gates or cuts between them.
/// Element 0 is `message_start`, 1 `content_block_start`, then one per delta, then `content_block_stop`,
/// `message_delta`, `message_stop`.
pub fn text_events(model: &str, deltas: &[&str]) -> Vec<Step> {
    let usage = json!({"input_tokens": 10, "output_tokens": 1});
    let message = json!({
        "id": "msg_FAKEscripted", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let mut steps = vec![
        Step::event("message_start", &json!({"type": "message_start", "message": message})),
        Step::event("content_block_start", &block),
    ];
    steps.extend(deltas.iter().map(|text| {
        let delta = json!({"type": "text_delta", "text": text});
        Step::event(
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        )
    }));
    let end = json!({"stop_reason": "end_turn", "stop_sequence": null});
    let usage = json!({"output_tokens": deltas.len()});
    steps.extend([
        Step::event("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        Step::event("message_delta", &json!({"type": "message_delta", "delta": end, "usage": usage})),
        Step::event("message_stop", &json!({"type": "message_stop"})),
    ]);
    steps
}
