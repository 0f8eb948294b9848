//! Requests in OpenAI's dialects: translated up, dispatched as Messages, and their answers translated back.

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;

use super::answer::{self, Answer, Body};
use super::attempt::Attempt;
use super::encoder::Encoder;
use super::fault::Fault;
use super::gzip::Gunzip;
use super::headers::{self, UPSTREAM_REQUEST_ID};
use super::history::Telling;
use super::late::{Expected, HeadCame, stream_headers};
use super::meter::Meter;
use super::stream::Pump;
use super::{Caller, Exchange, Proxy, ProxyError};
use crate::claude::UpstreamBody;
use crate::id::RequestId;
use crate::translate::fields::{self, Table};
use crate::translate::{self, Prepared, chat, completions};
use crate::wire::Dialect;
use crate::wire::error::ApiError;

/// A whole answer is read into memory up to this.
const MOST_WHOLE: usize = 64 * 1024 * 1024;

/// Under this name the OpenAI clients look for the request's id.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Lists the fields of the request that have no counterpart and were not sent.
pub(super) const DROPPED_FIELDS: HeaderName = HeaderName::from_static("x-proxyd-dropped-fields");

/// Whether this request may lose a field, whatever the configuration says.
const STRICT: HeaderName = HeaderName::from_static("x-proxyd-strict");

/// How an answer becomes the client's, per dialect.
pub(super) trait Translation: Clone + Send + 'static {
    const DIALECT: Dialect;
    const FIELDS: &Table;

    fn whole(&self, body: &[u8], created: i64) -> Result<Vec<u8>, ApiError>;
    fn encoder(self, created: i64) -> Encoder;
}

impl Translation for chat::Reply {
    const DIALECT: Dialect = Dialect::Chat;
    const FIELDS: &Table = &fields::CHAT;

    fn whole(&self, body: &[u8], created: i64) -> Result<Vec<u8>, ApiError> {
        chat::from_messages(body, self, created)
    }

    fn encoder(self, created: i64) -> Encoder {
        Encoder::translated(chat::Encoder::new(self, created))
    }
}

impl Translation for completions::Reply {
    const DIALECT: Dialect = Dialect::Completions;
    const FIELDS: &Table = &fields::COMPLETIONS;

    fn whole(&self, body: &[u8], created: i64) -> Result<Vec<u8>, ApiError> {
        completions::from_messages(body, self, created)
    }

    fn encoder(self, created: i64) -> Encoder {
        Encoder::translated(completions::Encoder::new(self, created))
    }
}

impl Proxy {
    /// `POST /v1/chat/completions`.
    pub async fn chat(&self, id: RequestId, sent: &Parts, body: &[u8]) -> Result<Answer, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        let known = |model: &str| Some(self.0.known(model, &caller));
        let config = self.translation(&sent.headers)?;
        self.translate(id, sent, chat::to_messages(body, config, known)?).await
    }

    /// `POST /v1/completions`.
    pub async fn completions(&self, id: RequestId, sent: &Parts, body: &[u8]) -> Result<Answer, ProxyError> {
        let caller = Caller::of(&sent.extensions);
        let known = |model: &str| Some(self.0.known(model, &caller));
        let config = self.translation(&sent.headers)?;
        self.translate(id, sent, completions::to_messages(body, config, known)?).await
    }

    /// How this request is translated.
    pub(super) fn translation(&self, sent: &HeaderMap) -> Result<translate::Config, ApiError> {
        let config = self.0.config.load().translation;
        let mut values = sent.get_all(STRICT).iter().map(HeaderValue::as_bytes);
        let strict = match (values.next(), values.next()) {
            (None, _) => config.strict,
            (Some(b"true"), None) => true,
            (Some(b"false"), None) => false,
            _ => {
                let text = format!("{STRICT}: must be true or false, and given once");
                return Err(ApiError::invalid_param(STRICT.as_str(), text));
            }
        };
        Ok(translate::Config { strict, ..config })
    }

    pub(super) async fn translate<R: Translation>(
        &self,
        id: RequestId,
        sent: &Parts,
        prepared: Prepared<R>,
    ) -> Result<Answer, ProxyError> {
        let exchange = self.0.with_carried(Exchange::translated(id, R::DIALECT, sent, &prepared));
        let dropped = self.declare(R::DIALECT, R::FIELDS, &prepared.dropped);
        let header = dropped.map(|list| (DROPPED_FIELDS, list));
        let (created, reply) = (self.0.clock.now().as_second(), prepared.reply);
        let head_came = HeadCame::default();
        let streams = prepared.stream;
        let expected = streams.then(|| Expected {
            id,
            observed: exchange.caller.observed.clone(),
            encoder: reply.clone().encoder(created),
            header: header.clone(),
            head_came: head_came.clone(),
        });
        let is_own = exchange.caller.credential.is_some();
        let this = self.clone();
        let work = Box::pin(async move {
            let mut answer = match this.answer(&exchange, reply.clone(), created, &head_came).await {
                // Nothing has gone down yet. The account that was cut off comes last now, so another one is asked where there is one.
                Err(error) if streams && !is_own && is_cut_off(&error) && this.0.may_ask_again() => {
                    this.answer(&exchange, reply, created, &head_came).await?
                }
                answered => answered?,
            };
            answer.headers_mut().extend(header);
            Ok(answer)
        });
        self.0.in_time(expected, work).await
    }

    /// Counts what was dropped, and names it for the client.
    pub(super) fn declare(
        &self,
        dialect: Dialect,
        fields: &Table,
        dropped: &[String],
    ) -> Option<HeaderValue> {
        for place in dropped {
            // A name of the client's own making is no label: there is no end to them.
            let field = fields.find(place).map_or("other", |field| field.name);
            self.0.metrics.dropped_field(dialect.name(), field);
        }
        let list = (!dropped.is_empty()).then(|| fields.list(dropped))?;
        HeaderValue::from_str(&list).ok()
    }

    async fn answer<R: Translation>(
        &self,
        exchange: &Exchange,
        reply: R,
        created: i64,
        head_came: &HeadCame,
    ) -> Result<Answer, ProxyError> {
        let attempt = self.unless_cut(self.0.dispatch(exchange)).await?;
        head_came.tell();
        if attempt.response.status().is_success() {
            self.success(attempt, exchange, reply, created).await
        } else {
            failure(attempt, exchange).await
        }
    }

    async fn success<R: Translation>(
        &self,
        attempt: Attempt,
        exchange: &Exchange,
        reply: R,
        created: i64,
    ) -> Result<Answer, ProxyError> {
        let mut witness = attempt.lease.as_ref().and_then(|lease| self.0.witness(exchange, lease));
        let Opened { mut headers, streams, gunzip, body } = open(attempt.response);
        if !streams {
            let bytes = self.unless_cut(read_whole(body, gunzip)).await;
            let bytes = bytes.inspect_err(|error| self.0.count(error))?;
            if let Some(witness) = &mut witness {
                witness.observe(&bytes);
            }
            let mut meter = Meter::of_whole(&self.0, exchange, attempt.lease.as_ref());
            meter.keep(&bytes);
            meter.settle();
            let translated = reply.whole(&bytes, created)?;
            return Ok(answer::whole(StatusCode::OK, headers, exchange.id, translated, "application/json"));
        }
        let meter = Meter::new(&self.0, exchange, attempt.lease.as_ref());
        let of = (attempt.lease, Telling::goes_on(&attempt.entry));
        let mut pump = Pump::new(body, gunzip, reply.encoder(created), of, witness, &self.0)
            .metered(Some(meter))
            .observed(&exchange.caller.observed);
        self.unless_cut(pump.first_event()).await?;
        headers.extend(stream_headers());
        answer::mark(&mut headers, exchange.id, StatusCode::OK);
        Ok(answer::respond(StatusCode::OK, headers, Body::Pumped(Box::new(pump))))
    }
}

/// Whether upstream's stream ended before its first event.
fn is_cut_off(error: &ProxyError) -> bool {
    matches!(error, ProxyError::Body(fault) if fault.is_cut())
}

/// An answer's head as far as a client of another dialect may see it, and its body.
struct Opened {
    headers: HeaderMap,
    streams: bool,
    gunzip: bool,
    body: UpstreamBody,
}

fn open(response: Response<UpstreamBody>) -> Opened {
    let (head, body) = response.into_parts();
    let mut upstream = headers::for_downstream(head.headers);
    let gunzip = answer::take_gzip(&mut upstream);
    let mut headers = HeaderMap::new();
    if let Some(id) = upstream.get(UPSTREAM_REQUEST_ID) {
        headers.insert(X_REQUEST_ID, id.clone());
    }
    for name in [header::RETRY_AFTER, headers::SHOULD_RETRY] {
        if let Some(value) = upstream.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    Opened { headers, streams: answer::is_event_stream(&upstream), gunzip, body }
}

/// Upstream's error in the client's dialect.
pub(super) async fn failure(attempt: Attempt, exchange: &Exchange) -> Result<Answer, ProxyError> {
    let status = attempt.response.status();
    let Opened { headers, gunzip, body, .. } = open(attempt.response);
    let error = exchange.caller.told(status, &read_whole(body, gunzip).await?);
    let status = StatusCode::from_u16(error.http_status(exchange.dialect)).unwrap_or(StatusCode::BAD_GATEWAY);
    let body = error.body(exchange.dialect, None);
    let mut answer = answer::whole(status, headers, exchange.id, body, "application/json");
    answer.extensions_mut().insert(error);
    Ok(answer)
}

/// An answer that does not stream: its head as far as a client of another dialect may see it, and its body.
pub(super) async fn read_answer(attempt: Attempt) -> Result<(HeaderMap, Bytes), ProxyError> {
    let Opened { headers, gunzip, body, .. } = open(attempt.response);
    Ok((headers, read_whole(body, gunzip).await?))
}

pub(super) async fn read_whole(mut body: UpstreamBody, gunzip: bool) -> Result<Bytes, ProxyError> {
    let mut gunzip = gunzip.then(Gunzip::new);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(Fault::from)?.into_data().unwrap_or_default();
        match &mut gunzip {
            None => append(&mut whole, &data)?,
            Some(gunzip) => {
                gunzip.feed(data);
                while let Some(piece) = gunzip.next()? {
                    append(&mut whole, &piece)?;
                }
            }
        }
    }
    if let Some(rest) = gunzip.map(|mut gunzip| gunzip.finish()).transpose()?.flatten() {
        append(&mut whole, &rest)?;
    }
    Ok(whole.freeze())
}

fn append(whole: &mut BytesMut, piece: &[u8]) -> Result<(), Fault> {
    if whole.len() + piece.len() > MOST_WHOLE {
        return Err(Fault::TooLong(MOST_WHOLE));
    }
    whole.extend_from_slice(piece);
    Ok(())
}
