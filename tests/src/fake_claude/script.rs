//! Scripted answers: what to send instead of, or around, the answer the fake would give.
//!
//! A script never waits for a time. Where a test needs a slow upstream it puts a [`Gate`] there and opens it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{Answer, Step};
use super::gate::Gate;

/// One scripted answer. Built from one of the constructors and shaped by the methods after them.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) act: Act,
    pub(super) hold: Option<Gate>,
    pub(super) hold_answer: Option<Gate>,
    pub(super) patch: Option<Value>,
    pub(super) headers: HeaderMap,
    pub(super) gzip: bool,
    pub(super) cut_after: Option<usize>,
    pub(super) lose: Option<Loss>,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Do what would be done without a script.
    Real,
    /// Do nothing and send this.
    Canned(Answer),
}

/// How an answer is lost before its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    Reset,
    Close,
}

impl Script {
    fn of(act: Act) -> Self {
        Self {
            act,
            hold: None,
            hold_answer: None,
            patch: None,
            headers: HeaderMap::new(),
            gzip: false,
            cut_after: None,
            lose: None,
        }
    }

    /// The answer the fake would give anyway, to be held, patched or lost.
    pub fn real() -> Self {
        Self::of(Act::Real)
    }

    /// A whole JSON answer.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::of(Act::Canned(Answer::json(status, body)))
    }

    /// A whole answer of any type.
    pub fn body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::of(Act::Canned(Answer::whole(status, content_type, body.into())))
    }

    /// The HTML page a gateway in front of the service sends.
    pub fn html_502() -> Self {
        let page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>";
        Self::body(StatusCode::BAD_GATEWAY, "text/html", page)
    }

    /// An error in the shape of the Messages API.
    pub fn api_error(status: StatusCode, kind: &str, message: &str) -> Self {
        let error = json!({"type": kind, "message": message});
        let body = json!({"type": "error", "error": error, "request_id": "req_FAKEscripted"});
        Self::json(status, &body).header("request-id", "req_FAKEscripted")
    }

    /// 429 `rate_limit_error` with `retry-after` in seconds.
    pub fn rate_limited(retry_after: u32) -> Self {
        let message = "This request would exceed the rate limit of the fake.";
        Self::api_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
            .header("retry-after", &retry_after.to_string())
    }

    /// 529 `overloaded_error`.
    pub fn overloaded() -> Self {
        let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Self::api_error(status, "overloaded_error", "Overloaded")
    }

    /// An error in the shape of the token endpoint (RFC 6749, 5.2).
    pub fn oauth_error(status: StatusCode, code: &str, description: &str) -> Self {
        Self::json(status, &json!({"error": code, "error_description": description}))
    }

    /// A 200 event stream made of these steps, sent one by one as separate chunks.
    pub fn stream(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::of(Act::Canned(Answer::event_stream(steps.into_iter().collect())))
    }

    /// A 200 event stream whose first and only event is an error.
    pub fn error_event(kind: &str, message: &str) -> Self {
        let error = json!({"type": "error", "error": {"type": kind, "message": message}});
        Self::stream([Step::event("error", &error)])
    }

    /// The connection is reset (RST) before the headers, and nothing was done.
    pub fn reset() -> Self {
        Self { lose: Some(Loss::Reset), ..Self::of(Act::Canned(Answer::json(StatusCode::OK, &Value::Null))) }
    }

    /// The connection is closed (FIN) before the headers, and nothing was done.
    pub fn close() -> Self {
        Self { lose: Some(Loss::Close), ..Self::of(Act::Canned(Answer::json(StatusCode::OK, &Value::Null))) }
    }

    /// Waits at the gate before anything is done.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.hold = Some(gate.clone());
        self
    }

    /// Waits at the gate after the work is done (a token is rotated, say) and before the headers.
    #[must_use]
    pub fn hold_answer(mut self, gate: &Gate) -> Self {
        self.hold_answer = Some(gate.clone());
        self
    }

    /// The work is done, but the connection is reset instead of answering.
    #[must_use]
    pub fn lose_answer(mut self) -> Self {
        self.lose = Some(Loss::Reset);
        self
    }

    /// Merges into a whole JSON answer (RFC 7396): null removes a field, anything else replaces it.
    #[must_use]
    pub fn patch(mut self, patch: Value) -> Self {
        self.patch = Some(patch);
        self
    }

    /// Sets a header of the answer.
    ///
    /// # Panics
    /// On a name or value HTTP does not allow: a mistake in the test.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "called by tests with literals; a wrong one must fail the test at once"
    )]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Sends the body gzip-encoded, each chunk flushed on its own.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Sends that many bytes of the body and closes. A whole answer still announces its full length.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Applies everything but the gates and the loss.
    pub(super) fn shape(&self, mut answer: Answer) -> Answer {
        if let Some(patch) = &self.patch {
            answer = answer.patched(patch);
        }
        for (name, value) in &self.headers {
            answer.headers.insert(name.clone(), value.clone());
        }
        if self.gzip {
            answer = answer.gzipped();
            answer.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        match self.cut_after {
            Some(bytes) => answer.cut_after(bytes),
            None => answer,
        }
    }
}
