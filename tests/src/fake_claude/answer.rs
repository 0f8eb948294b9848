//! An answer before it is on the wire, and the body that plays it step by step.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use serde_json::Value;

use super::gate::Gate;
use super::server::{Connection, Ending};
use super::state::Watched;

/// One step of a body.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes, sent as one chunk of their own.
    Data(Bytes),
    /// Waits until the gate is open.
    Gate(Gate),
    /// Resets the connection (RST).
    Reset,
    /// Closes the connection without ending the body.
    Cut,
}

impl Step {
    pub fn data(bytes: impl Into<Bytes>) -> Self {
        Self::Data(bytes.into())
    }

    pub fn gate(gate: &Gate) -> Self {
        Self::Gate(gate.clone())
    }

    /// One server-sent event.
    pub fn event(name: &str, data: &Value) -> Self {
        Self::Data(Bytes::from(format!("event: {name}\ndata: {data}\n\n")))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) steps: Vec<Step>,
}

impl Answer {
    pub(super) fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Self { status, headers, steps: vec![Step::Data(body)] }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::whole(status, "application/json", Bytes::from(body.to_string()))
    }

    pub(super) fn html(status: StatusCode, page: String) -> Self {
        Self::whole(status, "text/html; charset=utf-8", Bytes::from(page))
    }

    pub(super) fn event_stream(steps: Vec<Step>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { status: StatusCode::OK, headers, steps }
    }

    /// Sets a header whose value was made here and is plain ASCII.
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    pub(super) fn patched(mut self, patch: &Value) -> Self {
        if let [Step::Data(body)] = self.steps.as_slice()
            && let Ok(mut value) = serde_json::from_slice::<Value>(body)
        {
            merge(&mut value, patch);
            self.replace_body(Bytes::from(value.to_string()));
        }
        self
    }

    pub(super) fn gzipped(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut last_data = None;
        for (at, step) in self.steps.iter_mut().enumerate() {
            if let Step::Data(bytes) = step {
                // Writing to memory cannot fail.
                let _in_memory = encoder.write_all(bytes).and_then(|()| encoder.flush());
                *bytes = Bytes::from(std::mem::take(encoder.get_mut()));
                last_data = Some(at);
            }
        }
        let trailer = encoder.finish().unwrap_or_default();
        if let Some(Step::Data(bytes)) = last_data.and_then(|at| self.steps.get_mut(at)) {
            *bytes = Bytes::from([bytes.as_ref(), trailer.as_slice()].concat());
        }
        if let [Step::Data(body)] = self.steps.as_slice() {
            let body = body.clone();
            self.replace_body(body);
        }
        self
    }

    pub(super) fn cut_after(mut self, bytes: usize) -> Self {
        let mut left = bytes;
        let mut kept = Vec::new();
        for step in self.steps {
            match step {
                Step::Data(data) if data.len() >= left => {
                    kept.push(Step::Data(data.slice(..left)));
                    break;
                }
                Step::Data(data) => {
                    left -= data.len();
                    kept.push(Step::Data(data));
                }
                other => kept.push(other),
            }
        }
        kept.push(Step::Cut);
        self.steps = kept;
        self
    }

    /// Puts a whole body in place; only a whole answer has a content length to correct.
    fn replace_body(&mut self, body: Bytes) {
        if self.headers.contains_key(header::CONTENT_LENGTH) {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        self.steps = vec![Step::Data(body)];
    }

    pub(super) fn into_response(self, connection: Connection, watched: Watched) -> Response<Body> {
        let steps = self.steps.into_iter().filter(|s| !matches!(s, Step::Data(d) if d.is_empty())).collect();
        let mut body = Body { steps, waiting: None, connection, watched };
        body.note_if_done();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A body that plays its steps.
pub(super) struct Body {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    connection: Connection,
    watched: Watched,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Body {
    fn note_if_done(&mut self) {
        if self.steps.is_empty() {
            self.watched.answered();
        }
    }

    /// Ends the connection after what was sent so far is flushed. The connection's task runs the HTTP
    /// machinery first and looks at this request after it, so a pending body is always flushed before the
    /// end.
    fn end(&mut self, ending: Ending) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.watched.answered();
        self.connection.end(ending);
        self.waiting = Some(Box::pin(std::future::pending()));
        Poll::Pending
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(waiting) = self.waiting.as_mut() {
                std::task::ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
                self.note_if_done();
            }
            match self.steps.pop_front() {
                Some(Step::Data(bytes)) => {
                    self.note_if_done();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Gate(gate)) => self.waiting = Some(Box::pin(gate.pass())),
                Some(Step::Reset) => return self.end(Ending::Reset),
                Some(Step::Cut) => return self.end(Ending::Close),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}
