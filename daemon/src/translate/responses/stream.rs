//! A stream of Messages events becomes the events of a response.
//!
//! What goes out depends on the events so far and on nothing else. There is exactly one terminal event:
//! completed, incomplete, or failed when the stream did not end as the protocol ends it.

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::assembly::Assembly;
use super::frames::Frames;
use super::{Reply, base_id};
use crate::wire::error::{ApiError, ErrorKind};
use crate::wire::json::raw_of;
use crate::wire::messages::{Start, StopReason, StreamEvent, Usage};
use crate::wire::responses::{Failure, Response, Status};
use crate::wire::sse;

/// Encodes one stream.
#[derive(Debug)]
pub struct Encoder {
    assembly: Assembly,
    created: i64,
    now: i64,
    /// The response's id; empty until the message starts.
    id: String,
    model: String,
    usage: Usage,
    /// Why the message ends, as soon as that is known. What comes before the end still belongs to the output.
    stop: Option<(StopReason, Option<String>)>,
    /// The response object as it ended, if it is to be stored.
    ended: Option<Box<RawValue>>,
    done: bool,
}

impl Encoder {
    /// `created` is in Unix seconds.
    pub fn new(reply: Reply, created: i64) -> Self {
        Self {
            model: reply.model.clone(),
            assembly: Assembly::new(reply, Frames::speaking()),
            created,
            now: created,
            id: String::new(),
            usage: Usage::default(),
            stop: None,
            ended: None,
            done: false,
        }
    }

    /// Tells the time in Unix seconds, for `completed_at`; until told, it is the time of creation.
    pub const fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// The stream has ended, well or not: nothing more will be written.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Hands over the response object to be stored, once, after it ended well.
    pub fn take_ended(&mut self) -> Option<Box<RawValue>> {
        self.ended.take()
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

    /// Ends the stream as failed.
    pub fn on_error(&mut self, error: &ApiError, out: &mut BytesMut) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let code = if error.kind == ErrorKind::RateLimit { "rate_limit_exceeded" } else { "server_error" };
        let failure = Failure { code, message: &error.message };
        // Without a message there is no id to tell the response by.
        let id = if self.id.is_empty() { "resp_failed" } else { &self.id };
        let echo = std::sync::Arc::clone(&self.assembly.reply().echo);
        let response = Response {
            status: Status::Failed,
            error: Some(failure),
            output: &self.assembly.items,
            ..Response::begun(id, self.created, &self.model, &echo)
        };
        self.assembly.frames.response("response.failed", &response, out);
    }

    /// Upstream's body has ended: a failure unless the message had ended before.
    pub fn on_end(&mut self, out: &mut BytesMut) {
        self.on_error(&ApiError::upstream_disconnected(), out);
    }

    fn event(&mut self, event: StreamEvent<'_>, out: &mut BytesMut) {
        match event {
            StreamEvent::Error(error) => self.on_error(&error, out),
            StreamEvent::Ping => out.extend_from_slice(sse::KEEP_ALIVE),
            StreamEvent::Other => {}
            StreamEvent::Start(start) => self.start(&start, out),
            _ if self.id.is_empty() => {
                self.on_error(
                    &ApiError::bad_gateway("upstream's stream does not begin with message_start"),
                    out,
                );
            }
            StreamEvent::BlockStart { block, .. } => self.assembly.start_block(block, out),
            StreamEvent::Delta { delta, .. } => self.assembly.delta(delta, out),
            StreamEvent::BlockStop { .. } => self.assembly.stop_block(out),
            StreamEvent::MessageDelta { stop_reason, stop_details, usage } => {
                self.usage.merge(&usage);
                if let (Some(reason), None) = (stop_reason, &self.stop) {
                    let explanation = stop_details.and_then(|details| details.explanation);
                    self.stop = Some((reason, explanation.map(|text| text.to_string())));
                }
            }
            StreamEvent::Stop => self.stop(out),
        }
    }

    fn start(&mut self, start: &Start<'_>, out: &mut BytesMut) {
        if !self.id.is_empty() {
            return;
        }
        let base = base_id(&start.id);
        self.id = format!("resp_{base}");
        self.model = start.model.to_string();
        self.usage = start.usage;
        self.assembly.begin(base, &start.model);
        let echo = std::sync::Arc::clone(&self.assembly.reply().echo);
        let response = Response::begun(&self.id, self.created, &self.model, &echo);
        self.assembly.frames.response("response.created", &response, out);
        self.assembly.frames.response("response.in_progress", &response, out);
    }

    fn stop(&mut self, out: &mut BytesMut) {
        let (reason, explanation) = self.stop.take().unwrap_or((StopReason::Ended, None));
        let (status, incomplete_details) = self.assembly.finish(reason, explanation.as_deref(), out);
        let kind = if status == Status::Completed { "response.completed" } else { "response.incomplete" };
        let echo = std::sync::Arc::clone(&self.assembly.reply().echo);
        let response = Response {
            status,
            incomplete_details,
            completed_at: Some(self.now),
            output: &self.assembly.items,
            usage: Some((&self.usage).into()),
            ..Response::begun(&self.id, self.created, &self.model, &echo)
        };
        self.assembly.frames.response(kind, &response, out);
        self.ended = echo.store.then(|| raw_of(&response));
        self.done = true;
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
