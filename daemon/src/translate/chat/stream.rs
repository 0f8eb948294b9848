//! A stream of Messages events becomes a stream of chat completion chunks.
//!
//! One state machine: what goes out depends on the events so far and on nothing else. A stream that did not
//! end as the protocol ends it gets an error frame, and never `[DONE]`.

use bytes::BytesMut;

use super::frames::{self, Frames};
use super::response::{annotations, arguments, finish_reason, is_answer, thinking_block};
use super::{Reply, completion_id};
use crate::translate::call::unwrap_custom_input;
use crate::wire::chat::{ChunkCall, CustomCall, Delta as Chunk, FunctionCall, ThinkingBlock};
use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::{Citation, Delta, ReplyBlock, Start, StopReason, StreamEvent, Usage};
use crate::wire::sse;

/// Encodes one stream.
#[derive(Debug)]
pub struct Encoder {
    reply: Reply,
    created: i64,
    frames: Frames,
    usage: Usage,
    block: Option<Block>,
    /// Tool calls begun so far: their index counts tools, not blocks.
    calls: u64,
    client_calls: bool,
    /// Characters of content so far, where citations count from.
    characters: usize,
    /// Why the message ends, as soon as that is known. It is told with the end alone: a stream that is cut before has no
    /// finish reason.
    stop: Option<(StopReason, Option<String>)>,
    done: bool,
}

/// The block being streamed.
#[derive(Debug)]
enum Block {
    Text { start: usize, citations: Vec<Citation<'static>> },
    Thinking { thinking: String, signature: String },
    Call(OpenCall),
    Other,
}

#[derive(Debug)]
struct OpenCall {
    index: u64,
    form: CallForm,
    /// The input given with the block's start, used if no part of it follows.
    initial: Option<String>,
    has_parts: bool,
}

#[derive(Debug)]
enum CallForm {
    Function,
    LegacyFunction,
    /// Free text, which can be unwrapped only when all of it is there.
    Custom(String),
    /// The answer itself.
    Answer,
    /// A second call for a client whose answers hold one.
    Skipped,
}

impl Encoder {
    /// `created` is in Unix seconds.
    pub fn new(reply: Reply, created: i64) -> Self {
        Self {
            frames: Frames::new(reply.include_usage),
            reply,
            created,
            usage: Usage::default(),
            block: None,
            calls: 0,
            client_calls: false,
            characters: 0,
            stop: None,
            done: false,
        }
    }

    /// The stream has ended, well or not: nothing more will be written.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Takes one event and appends what it means to `out`.
    pub fn on_event(&mut self, event: &sse::Event, out: &mut BytesMut) {
        if self.done {
            return;
        }
        if let Ok(event) = StreamEvent::parse(event) {
            self.event(event, out);
        } else {
            let message = format!("upstream sent a {:?} event that cannot be read", event.event);
            self.on_error(&ApiError::bad_gateway(message), out);
        }
    }

    /// Ends the stream with an error frame.
    pub fn on_error(&mut self, error: &ApiError, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.done, true) {
            frames::error(error, out);
        }
    }

    /// Upstream's body has ended: an error frame unless the message had ended before.
    pub fn on_end(&mut self, out: &mut BytesMut) {
        self.on_error(&ApiError::upstream_disconnected(), out);
    }

    fn event(&mut self, event: StreamEvent<'_>, out: &mut BytesMut) {
        match event {
            StreamEvent::Error(error) => self.on_error(&error, out),
            StreamEvent::Ping => out.extend_from_slice(sse::KEEP_ALIVE),
            StreamEvent::Other => {}
            StreamEvent::Start(start) => self.start(&start, out),
            _ if !self.frames.has_started() => {
                self.on_error(
                    &ApiError::bad_gateway("upstream's stream does not begin with message_start"),
                    out,
                );
            }
            StreamEvent::BlockStart { block, .. } => {
                self.stop_block(out);
                self.start_block(block, out);
            }
            StreamEvent::Delta { delta, .. } => self.delta(delta, out),
            StreamEvent::BlockStop { .. } => self.stop_block(out),
            StreamEvent::MessageDelta { stop_reason, stop_details, usage } => {
                self.usage.merge(&usage);
                if let (Some(reason), None) = (stop_reason, &self.stop) {
                    let explanation = stop_details.and_then(|details| details.explanation);
                    self.stop = Some((reason, explanation.map(|text| text.to_string())));
                }
            }
            StreamEvent::Stop => {
                let (reason, explanation) = self.stop.take().unwrap_or((StopReason::Ended, None));
                self.finish(reason, explanation.as_deref(), out);
                self.frames.done(&(&self.usage).into(), out);
                self.done = true;
            }
        }
    }

    fn start(&mut self, start: &Start<'_>, out: &mut BytesMut) {
        if !self.frames.has_started() {
            self.usage = start.usage;
            self.frames.start(&completion_id(&start.id), self.created, &start.model, out);
        }
    }

    fn start_block(&mut self, block: ReplyBlock<'_>, out: &mut BytesMut) {
        self.block = Some(match block {
            ReplyBlock::Text { text, citations } => {
                let start = self.characters;
                self.text(&text, out);
                Block::Text { start, citations: citations.into_iter().map(Citation::into_owned).collect() }
            }
            ReplyBlock::Thinking { thinking, signature } => {
                self.thought(&thinking, out);
                Block::Thinking { thinking: thinking.to_string(), signature: signature.to_string() }
            }
            ReplyBlock::RedactedThinking { data } => {
                self.carry(ThinkingBlock::RedactedThinking { data: &data }, out);
                Block::Other
            }
            ReplyBlock::ToolUse { id, name, input } => {
                let index = self.calls;
                let form = self.start_call(&id, &name, out);
                let initial = arguments(input).to_string();
                Block::Call(OpenCall { index, form, initial: Some(initial), has_parts: false })
            }
            ReplyBlock::ServerToolUse { .. } | ReplyBlock::Other => Block::Other,
        });
    }

    fn start_call(&mut self, id: &str, upstream_name: &str, out: &mut BytesMut) -> CallForm {
        if is_answer(upstream_name, &self.reply) {
            return CallForm::Answer;
        }
        self.client_calls = true;
        let index = self.calls;
        self.calls += 1;
        let tool = self.reply.names.client(upstream_name);
        let name = Some(tool.map_or(upstream_name, |tool| tool.name.as_str()));
        let function = Some(FunctionCall { name, arguments: Str::borrowed("") });
        if self.reply.legacy_functions {
            if index > 0 {
                return CallForm::Skipped;
            }
            self.frames.delta(&Chunk { function_call: function, ..Chunk::default() }, out);
            return CallForm::LegacyFunction;
        }
        if tool.is_some_and(|tool| tool.custom) {
            let custom = Some(CustomCall { name, input: Str::borrowed("") });
            let call = ChunkCall { index, id: Some(id), kind: Some("custom"), function: None, custom };
            self.frames.tool_call(call, out);
            return CallForm::Custom(String::new());
        }
        let call = ChunkCall { index, id: Some(id), kind: Some("function"), function, custom: None };
        self.frames.tool_call(call, out);
        CallForm::Function
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut BytesMut) {
        let Some(mut block) = self.block.take() else {
            return;
        };
        match (&mut block, delta) {
            (Block::Text { .. }, Delta::Text(text)) => self.text(&text, out),
            (Block::Text { citations, .. }, Delta::Citation(citation)) => {
                citations.push(citation.into_owned());
            }
            (Block::Thinking { thinking, .. }, Delta::Thinking(text)) => {
                thinking.push_str(&text);
                self.thought(&text, out);
            }
            (Block::Thinking { signature, .. }, Delta::Signature(text)) => signature.push_str(&text),
            (Block::Call(call), Delta::Json(part)) if !part.is_empty() => {
                call.has_parts = true;
                self.input(call, &part, out);
            }
            // A delta that does not belong to its block's type says nothing we could pass on.
            _ => {}
        }
        self.block = Some(block);
    }

    /// Passes on a part of a call's input.
    fn input(&mut self, call: &mut OpenCall, part: &str, out: &mut BytesMut) {
        let function = Some(FunctionCall { name: None, arguments: Str::borrowed(part) });
        match &mut call.form {
            CallForm::Function => {
                let call = ChunkCall { index: call.index, id: None, kind: None, function, custom: None };
                self.frames.tool_call(call, out);
            }
            CallForm::LegacyFunction => {
                self.frames.delta(&Chunk { function_call: function, ..Chunk::default() }, out);
            }
            CallForm::Custom(input) => input.push_str(part),
            CallForm::Answer => self.text(part, out),
            CallForm::Skipped => {}
        }
    }

    fn stop_block(&mut self, out: &mut BytesMut) {
        match self.block.take() {
            Some(Block::Text { start, citations }) => {
                let annotations = annotations(&citations, start, self.characters);
                if !annotations.is_empty() {
                    self.frames.delta(&Chunk { annotations, ..Chunk::default() }, out);
                }
            }
            Some(Block::Thinking { thinking, signature }) => {
                if let Some(block) = thinking_block(&thinking, &signature) {
                    self.carry(block, out);
                }
            }
            Some(Block::Call(mut call)) => {
                if let Some(whole) = call.initial.take().filter(|_| !call.has_parts) {
                    self.input(&mut call, &whole, out);
                }
                if let CallForm::Custom(input) = call.form {
                    let custom = Some(CustomCall { name: None, input: unwrap_custom_input(&input).into() });
                    let call = ChunkCall { index: call.index, id: None, kind: None, function: None, custom };
                    self.frames.tool_call(call, out);
                }
            }
            Some(Block::Other) | None => {}
        }
    }

    fn finish(&mut self, reason: StopReason, explanation: Option<&str>, out: &mut BytesMut) {
        self.stop_block(out);
        if reason == StopReason::Refusal && self.characters == 0 && explanation.is_some() {
            self.frames.delta(&Chunk { refusal: explanation, ..Chunk::default() }, out);
        }
        self.frames.finish(finish_reason(Some(reason), &self.reply, self.client_calls), out);
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        if !text.is_empty() {
            self.characters += text.chars().count();
            self.frames.content(text, out);
        }
    }

    fn thought(&self, text: &str, out: &mut BytesMut) {
        if !text.is_empty() {
            self.frames.delta(&Chunk { reasoning_content: Some(text), ..Chunk::default() }, out);
        }
    }

    fn carry(&self, block: ThinkingBlock<'_>, out: &mut BytesMut) {
        self.frames.delta(&Chunk { thinking_blocks: Some([block]), ..Chunk::default() }, out);
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
