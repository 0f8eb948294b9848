//! The body pump: takes what upstream has ready, encodes it for the client, and hands it on as one frame. What is ready leaves together,
//! what is alone leaves at once, and nothing is read from upstream that the client has not taken: there is no queue.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt as _;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::ProxyError;
use super::answer::BrokenOff;
use super::gzip::Gunzip;
use super::native_events::NativeEvents;
use crate::claude::api::UpstreamBody;
use crate::pool::{Lease, Signal};
use crate::translate::{chat, responses};
use crate::wire::error::{self, ApiError, ErrorKind};
use crate::wire::sse;

/// A frame downstream grows no larger by coalescing.
const MOST_COALESCED: usize = 64 * 1024;
/// An event upstream may not be longer: 300 kB deltas occur.
const MOST_PER_EVENT: usize = 16 * 1024 * 1024;

/// What becomes of upstream's bytes.
#[derive(Debug)]
pub(super) enum Encoder {
    /// A body that is no stream of events, as it comes.
    Plain,
    /// A Messages stream, as it comes, followed so that a cut is told.
    Events(NativeEvents),
    Chat {
        reader: sse::Reader,
        encoder: Box<chat::Encoder>,
    },
    Responses {
        reader: sse::Reader,
        encoder: Box<responses::Encoder>,
    },
}

/// One body on its way down. Dropped (the client went away), it drops upstream's body and with it the call.
#[derive(Debug)]
pub struct Pump {
    /// `None` once the body has ended, in whichever way.
    upstream: Option<UpstreamBody>,
    gunzip: Option<Gunzip>,
    encoder: Encoder,
    lease: Lease,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Encoded and not handed on yet.
    ready: Ready,
    /// The connection is to be cut after what is ready.
    broken: bool,
    signal: Option<Signal>,
}

/// Bytes for one frame. A single piece is handed on as it is, without a copy.
#[derive(Debug, Default)]
struct Ready {
    single: Bytes,
    many: BytesMut,
}

impl Encoder {
    pub(super) fn events() -> Self {
        Self::Events(NativeEvents::default())
    }

    pub(super) fn chat(encoder: chat::Encoder) -> Self {
        Self::Chat { reader: sse::Reader::new(MOST_PER_EVENT), encoder: Box::new(encoder) }
    }

    pub(super) fn responses(encoder: responses::Encoder) -> Self {
        Self::Responses { reader: sse::Reader::new(MOST_PER_EVENT), encoder: Box::new(encoder) }
    }
}

impl Pump {
    pub(super) fn new(
        upstream: UpstreamBody,
        gunzip: bool,
        encoder: Encoder,
        lease: Lease,
        cut: CancellationToken,
    ) -> Self {
        Self {
            upstream: Some(upstream),
            gunzip: gunzip.then(Gunzip::new),
            encoder,
            lease,
            cut: Box::pin(cut.cancelled_owned()),
            ready: Ready::default(),
            broken: false,
            signal: None,
        }
    }

    /// Reads up to the first event, before the head goes down: an error in its place is an answer with a status of its own.
    pub(super) async fn first_event(&mut self) -> Result<(), ApiError> {
        while let Some(upstream) = &mut self.upstream {
            let data = match upstream.frame().await {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) | None => break,
            };
            let events = self.read(&data).map_err(|error| {
                tracing::warn!(error = %error, "upstream's body cannot be read");
                unreadable()
            })?;
            let Some(first) = events.first() else { continue };
            if let Some(error) = error::from_event(first) {
                self.lease.settle(&signal(error.kind).unwrap_or(Signal::Served));
                return Err(error);
            }
            self.encode_all(&events);
            return Ok(());
        }
        self.lease.settle(&Signal::Unreachable);
        Err(ApiError::upstream_disconnected())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match (&self.encoder, &self.gunzip, &self.upstream) {
            (Encoder::Plain, None, Some(upstream)) => upstream.size_hint(),
            _ => SizeHint::default(),
        }
    }

    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        while let Some(upstream) = &mut self.upstream {
            if self.ready.len() >= MOST_COALESCED {
                break;
            }
            match Pin::new(upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(&data);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::info!(error = %crate::chain::ErrorChain(&error), "upstream's body broke off");
                    self.end(Some(&ApiError::upstream_disconnected()));
                }
                Poll::Ready(None) => self.end(None),
                Poll::Pending => {
                    if self.cut.as_mut().poll(context).is_ready() {
                        self.end(Some(&ApiError::overloaded(ProxyError::Stopping.to_string())));
                    }
                    break;
                }
            }
        }
        match self.ready.take() {
            Some(data) => Poll::Ready(Some(Ok(data))),
            None if self.upstream.is_some() => Poll::Pending,
            None if std::mem::take(&mut self.broken) => Poll::Ready(Some(Err(BrokenOff))),
            None => Poll::Ready(None),
        }
    }

    fn take(&mut self, data: &Bytes) {
        match self.read(data) {
            Ok(events) => self.encode_all(&events),
            Err(error) => {
                tracing::warn!(error = %error, "upstream's body cannot be read");
                self.end(Some(&unreadable()));
            }
        }
    }

    /// Decodes bytes; those that pass through are ready at once, those to be translated come back as events.
    fn read(&mut self, data: &Bytes) -> Result<Vec<sse::Event>, Unreadable> {
        let bytes = match &mut self.gunzip {
            None => data.clone(),
            Some(gunzip) => gunzip.push(data)?,
        };
        self.read_decoded(bytes)
    }

    fn read_decoded(&mut self, bytes: Bytes) -> Result<Vec<sse::Event>, Unreadable> {
        match &mut self.encoder {
            Encoder::Plain => self.ready.push(bytes),
            Encoder::Events(events) => {
                events.observe(&bytes);
                self.ready.push(bytes);
            }
            Encoder::Chat { reader, .. } | Encoder::Responses { reader, .. } => {
                return Ok(reader.push(&bytes)?);
            }
        }
        Ok(Vec::new())
    }

    fn encode_all(&mut self, events: &[sse::Event]) {
        for event in events {
            self.encode(event);
        }
    }

    fn encode(&mut self, event: &sse::Event) {
        let out = self.ready.buffer();
        match &mut self.encoder {
            Encoder::Plain | Encoder::Events(_) => return,
            Encoder::Chat { encoder, .. } => encoder.on_event(event, out),
            Encoder::Responses { encoder, .. } => encoder.on_event(event, out),
        }
        if let Some(error) = error::from_event(event) {
            self.signal = signal(error.kind);
        }
    }

    /// Ends the body in the dialect's own way, whatever became of upstream's.
    fn end(&mut self, error: Option<&ApiError>) {
        self.upstream = None;
        let unfinished = match self.gunzip.take().map(|mut gunzip| gunzip.finish()) {
            Some(Ok(rest)) => match self.read_decoded(rest) {
                Ok(events) => {
                    self.encode_all(&events);
                    false
                }
                Err(_) => true,
            },
            Some(Err(_)) => true,
            None => false,
        };
        let cut_off = ApiError::upstream_disconnected();
        let error = error.or(unfinished.then_some(&cut_off));
        let out = self.ready.buffer();
        match &mut self.encoder {
            Encoder::Plain => self.broken = error.is_some(),
            Encoder::Events(events) => {
                self.signal = events.signal();
                if let Some(closing) = events.closing(error.unwrap_or(&cut_off)) {
                    out.extend_from_slice(&closing);
                }
            }
            Encoder::Chat { reader, encoder } => {
                if let Some(event) = reader.finish() {
                    encoder.on_event(&event, out);
                }
                match error {
                    Some(error) if !encoder.is_done() => encoder.on_error(error, out),
                    _ => encoder.on_end(out),
                }
            }
            Encoder::Responses { reader, encoder } => {
                if let Some(event) = reader.finish() {
                    encoder.on_event(&event, out);
                }
                match error {
                    Some(error) if !encoder.is_done() => encoder.on_error(error, out),
                    _ => encoder.on_end(out),
                }
            }
        }
        if let Some(signal) = self.signal.take() {
            self.lease.settle(&signal);
        }
    }
}

/// Upstream's bytes are not what its head said.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("its gzip is broken: {0}")]
    Gzip(#[from] std::io::Error),
    #[error(transparent)]
    Events(#[from] sse::TooLong),
}

fn unreadable() -> ApiError {
    ApiError::bad_gateway("upstream's answer cannot be read").with_code("upstream_unreadable")
}

/// What an error inside a stream says about the account.
pub(super) fn signal(kind: ErrorKind) -> Option<Signal> {
    match kind {
        ErrorKind::RateLimit => Some(Signal::RateLimited { until: None }),
        ErrorKind::Overloaded | ErrorKind::Api | ErrorKind::Timeout => Some(Signal::Overloaded),
        ErrorKind::InvalidRequest
        | ErrorKind::Authentication
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::RequestTooLarge => None,
    }
}

impl Ready {
    fn len(&self) -> usize {
        self.single.len() + self.many.len()
    }

    fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.single = bytes;
        } else {
            self.buffer().extend_from_slice(&bytes);
        }
    }

    /// Where encoded bytes are appended; a piece that stood alone joins them.
    fn buffer(&mut self) -> &mut BytesMut {
        if !self.single.is_empty() {
            self.many.extend_from_slice(&std::mem::take(&mut self.single));
        }
        &mut self.many
    }

    fn take(&mut self) -> Option<Bytes> {
        if !self.single.is_empty() {
            return Some(std::mem::take(&mut self.single));
        }
        (!self.many.is_empty()).then(|| self.many.split().freeze())
    }
}
