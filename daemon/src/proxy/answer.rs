//! From upstream's answer to the client's: the head filtered, the body given to the pump.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};

use super::attempt::Attempt;
use super::encoder::Encoder;
use super::fault::Fault;
use super::headers::{self, REQUEST_ID, SHOULD_RETRY, UPSTREAM_REQUEST_ID};
use super::history::Telling;
use super::late::Late;
use super::meter::Meter;
use super::stream::Pump;
use super::{Exchange, Inner, ProxyError};
use crate::id::RequestId;
use crate::pool::Endpoint;
use crate::wire::Dialect;
use crate::wire::error::{ApiError, ErrorKind};

/// A refusal is no longer.
const MOST_HELD: usize = 1024 * 1024;

/// What a client gets.
pub type Answer = Response<Body>;

/// A body downstream: whole, or pumped from upstream as it comes, if need be after its head.
#[derive(Debug)]
pub enum Body {
    Whole(Option<Bytes>),
    Pumped(Box<Pump>),
    /// Its head went down before upstream answered.
    Late(Box<Late>),
}

/// Upstream's body broke off where the protocol has no way to say so: the connection is cut instead of
/// passing it off as complete.
#[derive(Debug, thiserror::Error)]
#[error("upstream's answer broke off")]
pub struct BrokenOff;

impl Body {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(
                bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))),
            ),
            Self::Pumped(pump) => pump.poll_data(context).map(|data| data.map(|data| data.map(Frame::data))),
            Self::Late(late) => late.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pumped(pump) => pump.size_hint(),
            Self::Late(_) => SizeHint::default(),
        }
    }
}

/// A Messages answer as upstream gave it.
pub(super) async fn native(
    attempt: Attempt,
    exchange: &Exchange,
    inner: &Inner,
) -> Result<Answer, ProxyError> {
    let (head, mut body) = attempt.response.into_parts();
    let mut headers = headers::for_downstream(head.headers);
    let gunzip = take_gzip(&mut headers);
    let is_own = exchange.caller.credential.is_some();
    if is_own {
        name(&mut headers, exchange.id);
    } else {
        mark(&mut headers, exchange.id, head.status);
    }
    if !head.status.is_success() && !is_json(&headers) && !is_own {
        return Ok(unreadable(head.status, &headers, exchange.id));
    }
    // A file is what it is, also where it holds events.
    let events = is_event_stream(&headers) && exchange.endpoint != Endpoint::Files;
    let encoder = if events { Encoder::events() } else { Encoder::Plain };
    if !events {
        // As long as nothing has gone down, an answer that does not come can be told.
        let begun = body.begin().await.map_err(|error| ProxyError::Body(Fault::from(error)));
        begun.inspect_err(|error| inner.count(error))?;
    }
    let meter = (head.status.is_success() && exchange.endpoint == Endpoint::Messages).then(|| {
        let lease = attempt.lease.as_ref();
        if events { Meter::new(inner, exchange, lease) } else { Meter::of_whole(inner, exchange, lease) }
    });
    let maker = attempt.lease.as_ref().filter(|_| head.status.is_success());
    let witness = maker.and_then(|lease| inner.witness(exchange, lease));
    let telling = Telling::goes_on(&attempt.entry);
    let pump = Pump::new(body, gunzip, encoder, (attempt.lease, telling), witness, inner)
        .metered(meter)
        .observed(&exchange.caller.observed);
    Ok(respond(head.status, headers, Body::Pumped(Box::new(pump))))
}

/// The answer with all of its body here, for one that is worth little without and is small: a refusal.
pub async fn held(answer: Answer) -> Result<Answer, ProxyError> {
    let (head, body) = answer.into_parts();
    let read = Limited::new(body, MOST_HELD).collect().await.map_err(|_| ProxyError::BadAnswer)?;
    Ok(Response::from_parts(head, Body::whole(read.to_bytes())))
}

/// An answer of ours.
pub(super) fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    id: RequestId,
    body: Vec<u8>,
    content_type: &'static str,
) -> Answer {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    mark(&mut headers, id, status);
    respond(status, headers, Body::whole(body))
}

/// Names the exchange, and keeps clients from hammering a credential that is refused: they would retry for
/// minutes and print nothing.
pub(super) fn mark(headers: &mut HeaderMap, id: RequestId, status: StatusCode) {
    name(headers, id);
    if status == StatusCode::UNAUTHORIZED {
        headers.entry(SHOULD_RETRY).or_insert(HeaderValue::from_static("false"));
    }
}

fn name(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

pub(super) fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Whether the body is to be gunzipped; then its encoding and its length are no longer what the head says.
pub(super) fn take_gzip(headers: &mut HeaderMap) -> bool {
    let gzip = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if gzip {
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    }
    gzip
}

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    has_type(headers, "text/event-stream")
}

fn is_json(headers: &HeaderMap) -> bool {
    has_type(headers, "application/json")
}

fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

/// An error page that is not JSON (a load balancer's HTML): clients need an error they can read, with the
/// same status.
fn unreadable(status: StatusCode, upstream: &HeaderMap, id: RequestId) -> Answer {
    let error = ApiError::new(
        ErrorKind::of_status(status.as_u16()),
        format!("upstream answered with status {status} and no readable error"),
    );
    let mut headers = HeaderMap::new();
    for name in [header::RETRY_AFTER, UPSTREAM_REQUEST_ID] {
        if let Some(value) = upstream.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    whole(status, headers, id, error.body(Dialect::Messages, Some(&id.to_string())), "application/json")
}
