//! Puts the output of a response together, block by block and delta by delta.
//!
//! The one place that knows how Claude's blocks become items: a whole reply goes through it silently, so that
//! a stream's last event and the whole answer cannot differ.

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::Reply;
use super::frames::Frames;
use super::items::{Call, Message, Open, Reasoning, Search, Sink, refusal};
use crate::translate::tools::WEB_SEARCH;
use crate::wire::json::compact;
use crate::wire::messages::{Citation, Delta, ReplyBlock, StopReason};
use crate::wire::responses::{Incomplete, Item, ItemStatus, Status};

#[derive(Debug)]
pub(super) struct Assembly {
    reply: Reply,
    /// Upstream's message id without its prefix, part of every item's id.
    base: String,
    model: String,
    pub(super) frames: Frames,
    /// Items that are complete.
    pub(super) items: Vec<Item>,
    open: Option<Open>,
    block: Block,
    said: bool,
}

/// What the deltas of the current block belong to.
#[derive(Debug)]
enum Block {
    /// Nothing a client sees.
    Skipped,
    /// The open message, from this character on.
    Text { start: usize, citations: Vec<Citation<'static>> },
    /// The answer as a tool's input, which is the open message's text. Its initial input is used if no part
    /// follows.
    Answer { initial: Option<String> },
    /// The open item itself.
    Item,
}

impl Assembly {
    pub(super) fn new(reply: Reply, frames: Frames) -> Self {
        Self {
            reply,
            base: String::new(),
            model: String::new(),
            frames,
            items: Vec::new(),
            open: None,
            block: Block::Skipped,
            said: false,
        }
    }

    pub(super) const fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Fixes what the items' ids and carried thinking are made of.
    pub(super) fn begin(&mut self, base: &str, model: &str) {
        base.clone_into(&mut self.base);
        model.clone_into(&mut self.model);
    }

    pub(super) fn start_block(&mut self, block: ReplyBlock<'_>, out: &mut BytesMut) {
        self.stop_block(out);
        match block {
            ReplyBlock::Text { text, citations } => {
                let start = self.continue_message(out);
                let citations = citations.into_iter().map(Citation::into_owned).collect();
                self.block = Block::Text { start, citations };
                self.text(&text, out);
            }
            ReplyBlock::ToolUse { name, input, .. } if self.reply.answer_tool.as_deref() == Some(&name) => {
                self.continue_message(out);
                self.block = Block::Answer { initial: Some(given_input(input)) };
            }
            ReplyBlock::ServerToolUse { name, .. } if &*name != WEB_SEARCH => {}
            ReplyBlock::Other => {}
            other => {
                self.close(ItemStatus::Completed, out);
                self.open = self.open_item(other, out);
                self.block = Block::Item;
            }
        }
    }

    /// Opens an item that is a block of its own.
    fn open_item(&mut self, block: ReplyBlock<'_>, out: &mut BytesMut) -> Option<Open> {
        let show = self.reply.show_thinking;
        let id = item_id(&self.base, self.items.len());
        let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
        Some(match block {
            ReplyBlock::Thinking { thinking, signature } => {
                let mut reasoning = Reasoning::open(id("rs"), None, show, sink);
                reasoning.push(&thinking, sink);
                reasoning.sign(&signature);
                Open::Reasoning(reasoning)
            }
            ReplyBlock::RedactedThinking { data } => {
                Open::Reasoning(Reasoning::open(id("rs"), Some(data.to_string()), show, sink))
            }
            ReplyBlock::ToolUse { id: call, name, input } => {
                Open::Call(Call::open(id, &call, &name, &self.reply.names, given_input(input), sink))
            }
            ReplyBlock::ServerToolUse { input, .. } => {
                Open::Search(Search::open(id("ws"), given_input(input), sink))
            }
            ReplyBlock::Text { .. } | ReplyBlock::Other => return None,
        })
    }

    pub(super) fn delta(&mut self, delta: Delta<'_>, out: &mut BytesMut) {
        match (&mut self.block, delta) {
            (Block::Text { .. }, Delta::Text(text)) => self.text(&text, out),
            (Block::Text { citations, .. }, Delta::Citation(citation)) => {
                citations.push(citation.into_owned());
            }
            (Block::Answer { initial }, Delta::Json(part)) if !part.is_empty() => {
                *initial = None;
                self.text(&part, out);
            }
            (Block::Item, delta) => {
                let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
                match (&mut self.open, delta) {
                    (Some(Open::Reasoning(reasoning)), Delta::Thinking(text)) => reasoning.push(&text, sink),
                    (Some(Open::Reasoning(reasoning)), Delta::Signature(text)) => reasoning.sign(&text),
                    (Some(Open::Call(call)), Delta::Json(part)) => call.push(&part, sink),
                    (Some(Open::Search(search)), Delta::Json(part)) => search.push(&part),
                    _ => {}
                }
            }
            // A delta that does not belong to its block's type says nothing we could pass on.
            _ => {}
        }
    }

    pub(super) fn stop_block(&mut self, out: &mut BytesMut) {
        match (std::mem::replace(&mut self.block, Block::Skipped), &mut self.open) {
            (Block::Text { start, citations }, Some(Open::Message(message))) => {
                let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
                message.cite(start, citations, sink);
            }
            (Block::Item, Some(Open::Call(call))) => {
                let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
                call.end_input(sink);
            }
            (Block::Answer { initial: Some(initial) }, _) => self.text(&initial, out),
            _ => {}
        }
    }

    /// Completes the last item. Returns what the response's end says.
    pub(super) fn finish(
        &mut self,
        stop: StopReason,
        explanation: Option<&str>,
        out: &mut BytesMut,
    ) -> (Status, Option<Incomplete>) {
        self.stop_block(out);
        let reason = match stop {
            StopReason::Ended | StopReason::ToolUse => None,
            StopReason::Length => Some("max_output_tokens"),
            StopReason::Refusal => Some("content_filter"),
        };
        let status = if reason.is_some() { ItemStatus::Incomplete } else { ItemStatus::Completed };
        self.close(status, out);
        if let (StopReason::Refusal, Some(explanation), false) = (stop, explanation, self.said) {
            let id = item_id(&self.base, self.items.len());
            let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
            let item = refusal(id("msg"), explanation, sink);
            self.items.push(item);
        }
        match reason {
            Some(reason) => (Status::Incomplete, Some(Incomplete { reason })),
            None => (Status::Completed, None),
        }
    }

    /// Closes any item that is not a message. Returns how much the open message says already.
    fn continue_message(&mut self, out: &mut BytesMut) -> usize {
        if let Some(Open::Message(message)) = &self.open {
            return message.characters();
        }
        self.close(ItemStatus::Completed, out);
        0
    }

    /// Says something, in a new message if none is open.
    fn text(&mut self, text: &str, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.said = true;
        let id = item_id(&self.base, self.items.len());
        let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
        if let Some(Open::Message(message)) = &mut self.open {
            message.push(text, sink);
            return;
        }
        let mut message = Message::open(id("msg"), sink);
        message.push(text, sink);
        self.open = Some(Open::Message(message));
    }

    /// Completes the open item, if there is one.
    fn close(&mut self, status: ItemStatus, out: &mut BytesMut) {
        if let Some(open) = self.open.take() {
            let sink = &mut Sink { frames: &mut self.frames, output_index: self.items.len(), out };
            let item = open.close(status, &self.model, sink);
            self.items.push(item);
        }
    }
}

/// Makes the id of the item at a place of the output from its prefix.
fn item_id(base: &str, place: usize) -> impl FnOnce(&str) -> String {
    move |prefix| format!("{prefix}_{base}_{place}")
}

/// The input given with a block's start, as compact text.
fn given_input(input: Option<&RawValue>) -> String {
    input.map_or_else(|| "{}".to_owned(), |raw| compact(raw.get()).into_owned())
}
