//! What the fake model says, as a pure function of the request, and how that looks whole and as events.
//!
//! - Plain text is answered with `You said: ...`, naming images and documents it was shown.
//! - If there are tools and the last user text contains [`TOOL_WORD`], or a tool is forced, the first (or the forced)
//!   tool is called with an input made from its schema. [`ALL_TOOLS_WORD`] calls every tool at once.
//! - After tool results the answer is `The tools said: ...`.
//! - With a JSON schema as output format the answer is an instance of it.
//! - With thinking on, a signed thinking block comes first; its text is empty where the display is `omitted`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Step;
use super::checks::{content, list, text};
use super::models::Model;

/// In the last user text, makes the fake call its first tool.
pub const TOOL_WORD: &str = "weather";

/// In the last user text, makes the fake call all its tools in one answer.
pub const ALL_TOOLS_WORD: &str = "every tool";

const THOUGHT: &str = "The person wants an answer. I will give a short one.";

/// One answer, before it is known whether it goes out whole or as events.
#[derive(Debug)]
pub(super) struct Reply {
    id: String,
    model: &'static str,
    blocks: Vec<Block>,
    stop_reason: &'static str,
    stop_sequence: Option<String>,
    usage: Usage,
}

#[derive(Debug)]
enum Block {
    Thinking { text: String, signature: String },
    Text(String),
    ToolUse { id: String, name: String, input: Value },
}

#[derive(Clone, Copy, Debug)]
struct Usage {
    input: usize,
    output: usize,
    thinking: usize,
}

/// Composes the answer. `mint` makes a new id from a prefix.
pub(super) fn compose(
    body: &Map<String, Value>,
    model: &'static Model,
    mint: &mut dyn FnMut(&str) -> String,
) -> Reply {
    let thinking = body.get("thinking");
    let mut blocks = Vec::new();
    if model.thinks(thinking.map(|t| text(t, "type"))) {
        // Models that take a budget show their thoughts unless told not to; the newer ones the other way round.
        let shown = match thinking.map(|t| text(t, "display")) {
            Some("omitted") => false,
            Some("summarized") => true,
            _ => model.thinking.contains(&"enabled"),
        };
        let thought = if shown { THOUGHT } else { "" };
        blocks.push(Block::Thinking {
            text: thought.to_owned(),
            signature: signature_of(thought),
        });
    }
    let calls = tools_to_call(body);
    let (stop_reason, stop_sequence) = if calls.is_empty() {
        let (said, reason, sequence) = stopped(body, words(body));
        if !said.is_empty() {
            blocks.push(Block::Text(said));
        }
        (reason, sequence)
    } else {
        blocks.push(Block::Text("I will look that up.".to_owned()));
        blocks.extend(calls.into_iter().map(|tool| Block::ToolUse {
            id: mint("toolu_"),
            name: text(tool, "name").to_owned(),
            input: tool.get("input_schema").map_or_else(|| json!({}), instance),
        }));
        ("tool_use", None)
    };
    let thinking = blocks
        .iter()
        .map(|b| if let Block::Thinking { .. } = b { 12 } else { 0 })
        .sum();
    let output = blocks.iter().map(Block::tokens).sum::<usize>().max(1);
    let usage = Usage {
        input: input_tokens(body),
        output,
        thinking,
    };
    Reply {
        id: mint("msg_"),
        model: model.id,
        blocks,
        stop_reason,
        stop_sequence,
        usage,
    }
}

/// The tools the answer calls; none means a text.
fn tools_to_call(body: &Map<String, Value>) -> Vec<&Value> {
    let tools: Vec<&Value> = list(body.get("tools"))
        .iter()
        .filter(|t| t.get("input_schema").is_some())
        .collect();
    let choice = body.get("tool_choice");
    let one_only = choice.and_then(|c| c.get("disable_parallel_tool_use")) == Some(&Value::Bool(true));
    let last = last_user_text(body);
    let first = || tools.iter().take(1).copied().collect();
    if answers_a_tool(body) {
        return Vec::new();
    }
    match choice.map(|c| text(c, "type")).unwrap_or_default() {
        "none" => Vec::new(),
        "tool" => {
            let wanted = choice.map(|c| text(c, "name")).unwrap_or_default();
            tools.into_iter().filter(|t| text(t, "name") == wanted).collect()
        }
        _ if last.contains(ALL_TOOLS_WORD) && !one_only => tools,
        "any" => first(),
        _ if last.contains(TOOL_WORD) || last.contains(ALL_TOOLS_WORD) => first(),
        _ => Vec::new(),
    }
}

fn last_user_message(body: &Map<String, Value>) -> Option<&Value> {
    list(body.get("messages"))
        .iter()
        .rev()
        .find(|m| text(m, "role") == "user")
}

fn answers_a_tool(body: &Map<String, Value>) -> bool {
    last_user_message(body).is_some_and(|m| content(m).iter().any(|b| text(b, "type") == "tool_result"))
}

fn last_user_text(body: &Map<String, Value>) -> String {
    last_user_message(body)
        .map(|m| text_of(m.get("content")))
        .unwrap_or_default()
}

/// Text of a content value; what is no text is named in brackets, so that tests see it arrived.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(blocks)) => blocks.iter().map(named).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn named(block: &Value) -> String {
    let source = block.get("source");
    let of = |name: &str| source.map(|s| text(s, name)).unwrap_or_default();
    match text(block, "type") {
        "text" => text(block, "text").to_owned(),
        "tool_result" => text_of(block.get("content")),
        "image" if of("type") == "url" => format!("[image {}]", of("url")),
        "image" => format!("[image {}]", of("media_type")),
        "document" => format!("[document {}]", text(block, "title")),
        other => format!("[{other}]"),
    }
}

fn words(body: &Map<String, Value>) -> String {
    let format = body
        .get("output_config")
        .and_then(|c| c.get("format"))
        .filter(|f| !f.is_null());
    if let Some(schema) = format.and_then(|f| f.get("schema")) {
        return instance(schema).to_string();
    }
    let said = last_user_text(body);
    if answers_a_tool(body) {
        format!("The tools said: {said}")
    } else {
        format!("You said: {said}")
    }
}

/// Applies stop sequences and `max_tokens`, counting a word as a token.
fn stopped(body: &Map<String, Value>, mut said: String) -> (String, &'static str, Option<String>) {
    let sequences = list(body.get("stop_sequences")).iter().filter_map(Value::as_str);
    let first = sequences
        .filter_map(|s| said.find(s).map(|at| (at, s)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, sequence)) = first {
        let sequence = sequence.to_owned();
        said.truncate(at);
        return (said, "stop_sequence", Some(sequence));
    }
    let limit = body
        .get("max_tokens")
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n).ok());
    match limit.and_then(|n| said.split_inclusive(' ').nth(n).map(|_| n)) {
        Some(n) => (said.split_inclusive(' ').take(n).collect(), "max_tokens", None),
        None => (said, "end_turn", None),
    }
}

/// The smallest sensible value of a JSON schema.
fn instance(schema: &Value) -> Value {
    let first = |name: &str| list(schema.get(name)).first();
    if let Some(value) = schema
        .get("const")
        .or_else(|| first("enum"))
        .or_else(|| schema.get("default"))
    {
        return value.clone();
    }
    if let Some(one) = first("anyOf").or_else(|| first("oneOf")) {
        return instance(one);
    }
    let kind = schema.get("type");
    match kind
        .and_then(Value::as_str)
        .or_else(|| first("type").and_then(Value::as_str))
    {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            properties
                .into_iter()
                .flatten()
                .map(|(k, v)| (k.clone(), instance(v)))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => schema
            .get("items")
            .map_or_else(|| json!([]), |items| json!([instance(items)])),
        Some("string") => json!("Paris"),
        Some("number") => json!(21.5),
        Some("integer") => json!(21),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

/// A stand-in for the tokenizer: a quarter of the bytes of everything the model would read.
pub(super) fn input_tokens(body: &Map<String, Value>) -> usize {
    let parts = ["system", "messages", "tools"]
        .iter()
        .filter_map(|name| body.get(*name));
    parts.map(|p| p.to_string().len().div_ceil(4)).sum()
}

fn signature_of(thought: &str) -> String {
    STANDARD.encode(
        [
            b"FAKE signature ".as_slice(),
            Sha256::digest(thought.as_bytes()).as_slice(),
        ]
        .concat(),
    )
}

/// Whether this fake signed exactly this thought.
pub(super) fn is_signature_of(signature: &str, thought: &str) -> bool {
    signature == signature_of(thought)
}

impl Block {
    fn tokens(&self) -> usize {
        match self {
            Self::Thinking { .. } => 12,
            Self::Text(text) => text.split_whitespace().count(),
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
        }
    }

    fn deltas(&self) -> Vec<Value> {
        match self {
            Self::Thinking { text, signature } => {
                let thoughts = pieces(text)
                    .into_iter()
                    .map(|p| json!({"type": "thinking_delta", "thinking": p}));
                thoughts
                    .chain([json!({"type": "signature_delta", "signature": signature})])
                    .collect()
            }
            Self::Text(text) => pieces(text)
                .into_iter()
                .map(|p| json!({"type": "text_delta", "text": p}))
                .collect(),
            Self::ToolUse { input, .. } => {
                // The service opens with an empty piece, too.
                let parts = [String::new()].into_iter().chain(pieces(&input.to_string()));
                parts
                    .map(|p| json!({"type": "input_json_delta", "partial_json": p}))
                    .collect()
            }
        }
    }
}

/// Pieces of a few characters, so that streams have several deltas and boundaries fall anywhere between characters.
fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(7).map(|c| c.iter().collect()).collect()
}

impl Reply {
    pub(super) fn whole(&self) -> Value {
        let content: Vec<Value> = self.blocks.iter().map(Block::whole).collect();
        self.message(
            &content,
            Some(self.stop_reason),
            self.stop_sequence.as_deref(),
            self.usage.output,
        )
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
                "input_tokens": self.usage.input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
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
            "input_tokens": self.usage.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": self.usage.output,
            "output_tokens_details": {"thinking_tokens": self.usage.thinking},
        });
        let delta = json!({"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence});
        steps.push(Step::event(
            "message_delta",
            &json!({"type": "message_delta", "delta": delta, "usage": usage}),
        ));
        steps.push(Step::event("message_stop", &json!({"type": "message_stop"})));
        steps
    }
}

/// The events of a plain text answer with these deltas, for scripts that put gates or cuts between them. Element 0 is
/// `message_start`, 1 `content_block_start`, then one per delta, then `content_block_stop`, `message_delta`,
/// `message_stop`.
pub fn text_events(model: &str, deltas: &[&str]) -> Vec<Step> {
    let usage = json!({"input_tokens": 10, "output_tokens": 1});
    let message = json!({
        "id": "msg_FAKEscripted", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let mut steps = vec![
        Step::event(
            "message_start",
            &json!({"type": "message_start", "message": message}),
        ),
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
        Step::event(
            "content_block_stop",
            &json!({"type": "content_block_stop", "index": 0}),
        ),
        Step::event(
            "message_delta",
            &json!({"type": "message_delta", "delta": end, "usage": usage}),
        ),
        Step::event("message_stop", &json!({"type": "message_stop"})),
    ]);
    steps
}
