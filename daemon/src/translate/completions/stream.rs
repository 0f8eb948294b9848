//! A stream of Messages events becomes a stream of completions that hold parts of the text.
//!
//! One state machine: what goes out depends on the events so far and on nothing else. A stream that did not
//! end as the protocol ends it gets an error frame, and never `[DONE]`.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::{Reply, completion_id, finish_reason};
use crate::wire::Dialect;
use crate::wire::chat::ChatUsage;
use crate::wire::completions::Choice;
use crate::wire::error::ApiError;
use crate::wire::messages::{Delta, ReplyBlock, Start, StopReason, StreamEvent, Usage};
use crate::wire::sse;

/// Encodes one stream.
#[derive(Debug)]
pub struct Encoder {
    reply: Reply,
    created: i64,
    /// What every chunk begins with; empty until the message starts.
    head: Vec<u8>,
    usage: Usage,
    /// The answer has text.
    spoke: bool,
    finished: bool,
    done: bool,
}

/// The fields all chunks have in common.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    model: &'a str,
}

impl Encoder {
    /// `created` is in Unix seconds.
    pub fn new(reply: Reply, created: i64) -> Self {
        Self {
            reply,
            created,
            head: Vec::new(),
            usage: Usage::default(),
            spoke: false,
            finished: false,
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
            out.put_slice(b"data: ");
            out.put_slice(&error.body(Dialect::Completions, None));
            out.put_slice(b"\n\n");
        }
    }

    /// Upstream's body has ended: an error frame unless the message had ended before.
    pub fn on_end(&mut self, out: &mut BytesMut) {
        self.on_error(&ApiError::upstream_disconnected(), out);
    }

    fn event(&mut self, event: StreamEvent<'_>, out: &mut BytesMut) {
        match event {
            StreamEvent::Error(error) => self.on_error(&error, out),
            StreamEvent::Start(start) => self.start(&start, out),
            StreamEvent::Ping => out.extend_from_slice(sse::KEEP_ALIVE),
            StreamEvent::Other => {}
            _ if self.head.is_empty() => {
                let text = "upstream's stream does not begin with message_start";
                self.on_error(&ApiError::bad_gateway(text), out);
            }
            StreamEvent::BlockStart { block: ReplyBlock::Text { text, .. }, .. }
            | StreamEvent::Delta { delta: Delta::Text(text), .. } => self.text(&text, out),
            StreamEvent::BlockStart { .. } | StreamEvent::Delta { .. } | StreamEvent::BlockStop { .. } => {}
            StreamEvent::MessageDelta { stop_reason, stop_details, usage } => {
                self.usage.merge(&usage);
                if let Some(reason) = stop_reason {
                    let explanation = stop_details.and_then(|details| details.explanation);
                    self.finish(reason, explanation.as_deref(), out);
                }
            }
            StreamEvent::Stop => {
                self.finish(StopReason::Ended, None, out);
                self.end(out);
            }
        }
    }

    /// Fixes the common fields; the prompt goes first where it is wanted.
    fn start(&mut self, start: &Start<'_>, out: &mut BytesMut) {
        if !self.head.is_empty() {
            return;
        }
        self.usage = start.usage;
        let id = completion_id(&start.id);
        let head = Head { id: &id, object: "text_completion", created: self.created, model: &start.model };
        self.head.extend_from_slice(b"data: ");
        // Strings and numbers cannot fail to be written.
        self.head.extend(serde_json::to_vec(&head).unwrap_or_default());
        // The object is left open for what differs from chunk to chunk.
        self.head.pop();
        self.head.extend_from_slice(b",\"choices\":[");
        if let Some(prompt) = self.reply.echo.take() {
            self.chunk(&prompt, None, out);
        }
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        if !text.is_empty() {
            self.spoke = true;
            self.chunk(text, None, out);
        }
    }

    fn finish(&mut self, reason: StopReason, explanation: Option<&str>, out: &mut BytesMut) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let refused = reason == StopReason::Refusal && !self.spoke;
        let text = explanation.filter(|_| refused).unwrap_or_default();
        self.chunk(text, Some(finish_reason(Some(reason))), out);
    }

    /// The end of the stream, behind the token counts if they were promised.
    fn end(&mut self, out: &mut BytesMut) {
        if self.reply.include_usage {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            write_json(&ChatUsage::from(&self.usage), out);
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
        self.done = true;
    }

    fn chunk(&self, text: &str, finish_reason: Option<&'static str>, out: &mut BytesMut) {
        out.put_slice(&self.head);
        write_json(&Choice { text, index: 0, logprobs: None, finish_reason }, out);
        out.put_slice(if self.reply.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" });
    }
}

fn write_json<T: Serialize>(value: &T, out: &mut BytesMut) {
    // Writing strings and numbers to memory cannot fail.
    let _written = serde_json::to_writer(out.writer(), value);
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
