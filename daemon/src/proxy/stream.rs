//! The body pump: takes what upstream has ready, encodes it for the client, and hands it on as one frame.
//! What is ready leaves together, what is alone leaves at once, and nothing is read from upstream that the
//! client has not taken: there is no queue.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt as _;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::answer::BrokenOff;
use super::encoder::Encoder;
use super::gzip::Gunzip;
use super::history::Telling;
use super::quiet::{Due, Quiet};
use super::ready::Ready;
use super::{Inner, ProxyError};
use crate::claude::UpstreamBody;
use crate::clock::{Clock, in_words};
use crate::owners::Witness;
use crate::pool::{Lease, Reach, Signal};
use crate::wire::error::{self, ApiError, ErrorKind};
use crate::wire::sse;

/// A frame downstream grows no larger by coalescing.
const MOST_COALESCED: usize = 64 * 1024;
/// How upstream's body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Complete,
    BrokenOff,
    Unreadable,
    /// It did not: nothing came for too long.
    Silent,
    /// It did not: the daemon's grace period is over.
    Stopping,
}

/// One body on its way down. Dropped (the client went away), it drops upstream's body and with it the call.
#[derive(Debug)]
pub struct Pump {
    /// `None` once the body has ended, in whichever way.
    upstream: Option<UpstreamBody>,
    gunzip: Option<Gunzip>,
    encoder: Encoder,
    lease: Lease,
    telling: Telling,
    /// Learns from the bytes what the account made.
    witness: Option<Witness>,
    clock: Clock,
    cut: CancellationToken,
    /// Wakes the pump when `cut` is cancelled.
    cutting: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Encoded and not handed on yet.
    ready: Ready,
    quiet: Quiet,
    /// The connection is to be cut after what is ready.
    broken: bool,
    /// What the stream said about the account, beyond its status.
    signal: Option<Signal>,
}

impl Pump {
    pub(super) fn new(
        upstream: UpstreamBody,
        gunzip: bool,
        encoder: Encoder,
        (lease, telling): (Lease, Telling),
        witness: Option<Witness>,
        inner: &Inner,
    ) -> Self {
        Self {
            upstream: Some(upstream),
            gunzip: gunzip.then(Gunzip::new),
            encoder,
            lease,
            telling,
            witness,
            clock: inner.clock.clone(),
            cut: inner.cut.clone(),
            cutting: Box::pin(inner.cut.clone().cancelled_owned()),
            ready: Ready::default(),
            quiet: Quiet::new(inner.config.quiet()),
            broken: false,
            signal: None,
        }
    }

    /// Reads up to the first event, before the head goes down: an error in its place is an answer with a
    /// status of its own.
    pub(super) async fn first_event(&mut self) -> Result<(), ApiError> {
        while let Some(upstream) = &mut self.upstream {
            let data = match tokio::time::timeout(self.quiet.silence(), upstream.frame()).await {
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(_)) | None) => break,
                Err(_) => {
                    self.lease.settle(&Signal::Unreachable);
                    self.telling.end(SILENT);
                    return Err(silent(self.quiet.silence()));
                }
            };
            let events = self.read(&data).map_err(|error| {
                tracing::warn!(error = %error, "upstream's body cannot be read");
                unreadable()
            })?;
            let Some(first) = events.first() else { continue };
            if let Some(error) = error::from_event(first) {
                self.lease.settle(&signal(error.kind).unwrap_or(Signal::Served));
                self.telling.end(", but it began with an error of upstream");
                return Err(error);
            }
            self.encode_all(&events);
            return Ok(());
        }
        self.lease.settle(&Signal::Unreachable);
        self.telling.end(", but upstream broke it off");
        Err(ApiError::upstream_disconnected())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match (&self.encoder, &self.gunzip, &self.upstream) {
            (Encoder::Plain, None, Some(upstream)) => upstream.size_hint(),
            _ => SizeHint::default(),
        }
    }

    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if self.upstream.is_some() && self.cut.is_cancelled() {
            self.end(Ending::Stopping);
        }
        while let Some(upstream) = &mut self.upstream {
            if self.ready.len() >= MOST_COALESCED {
                break;
            }
            match Pin::new(upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.quiet.heard();
                    if let Ok(data) = frame.into_data() {
                        self.take(&data);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::info!(error = %crate::chain::ErrorChain(&error), "upstream's body broke off");
                    self.end(Ending::BrokenOff);
                }
                Poll::Ready(None) => self.end(Ending::Complete),
                Poll::Pending => {
                    if self.cutting.as_mut().poll(context).is_ready() {
                        self.end(Ending::Stopping);
                    } else if self.ready.len() == 0 {
                        self.wait(context);
                    }
                    break;
                }
            }
        }
        match self.ready.take() {
            Some(data) => {
                self.quiet.told();
                Poll::Ready(Some(Ok(data)))
            }
            None if self.upstream.is_some() => Poll::Pending,
            None if std::mem::take(&mut self.broken) => Poll::Ready(Some(Err(BrokenOff))),
            None => Poll::Ready(None),
        }
    }

    /// Upstream has nothing, and neither has the client anything to take: it gets a sign of life when one is due.
    fn wait(&mut self, context: &mut Context<'_>) {
        let keep_alive = self.encoder.keep_alive();
        match self.quiet.poll(keep_alive.is_some(), context) {
            Poll::Ready(Due::KeepAlive) => self.ready.push(keep_alive.unwrap_or_default()),
            Poll::Ready(Due::Silence) => self.end(Ending::Silent),
            Poll::Pending => {}
        }
    }

    fn take(&mut self, data: &Bytes) {
        match self.read(data) {
            Ok(events) => self.encode_all(&events),
            Err(error) => {
                tracing::warn!(error = %error, "upstream's body cannot be read");
                self.end(Ending::Unreadable);
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
        if let Some(witness) = &mut self.witness {
            witness.observe(&bytes);
        }
        match &mut self.encoder {
            Encoder::Plain => self.ready.push(bytes),
            Encoder::Events(events) => {
                events.observe(&bytes);
                self.ready.push(bytes);
            }
            Encoder::Translated { reader, .. } => return Ok(reader.push(&bytes)?),
        }
        Ok(Vec::new())
    }

    fn encode_all(&mut self, events: &[sse::Event]) {
        if let Encoder::Translated { dialect, .. } = &mut self.encoder {
            dialect.set_time(self.clock.now().as_second());
        }
        for event in events {
            self.encode(event);
        }
    }

    fn encode(&mut self, event: &sse::Event) {
        let out = self.ready.buffer();
        match &mut self.encoder {
            Encoder::Plain | Encoder::Events(_) => return,
            Encoder::Translated { dialect, .. } => dialect.on_event(event, out),
        }
        if let Some(error) = error::from_event(event) {
            self.signal = signal(error.kind);
        }
    }

    /// Ends the body in the dialect's own way, whatever became of upstream's.
    fn end(&mut self, ending: Ending) {
        self.upstream = None;
        let ending = self.end_gzip(ending);
        let error = ending.error(self.quiet.silence());
        let out = self.ready.buffer();
        let complete = match &mut self.encoder {
            Encoder::Plain => {
                self.broken = ending != Ending::Complete;
                !self.broken
            }
            Encoder::Events(events) => {
                self.signal = events.error().and_then(signal);
                let closing = events.closing(&error);
                if let Some(closing) = &closing {
                    out.extend_from_slice(closing);
                }
                closing.is_none()
            }
            Encoder::Translated { reader, dialect } => {
                // Half an event of a body that broke off says nothing.
                if let Some(event) = reader.finish().filter(|_| ending == Ending::Complete) {
                    dialect.on_event(&event, out);
                }
                let complete = dialect.is_done();
                match ending {
                    Ending::Complete => dialect.on_end(out),
                    _ if complete => dialect.on_end(out),
                    _ => dialect.on_error(&error, out),
                }
                complete
            }
        };
        self.telling.end(match ending {
            Ending::Stopping if !complete => ", but proxyd stopped before its end",
            _ if self.signal.is_some() => ", but it ended with an error of upstream",
            _ if complete => "",
            Ending::Unreadable => ", but it cannot be read",
            Ending::Silent => SILENT,
            _ => ", but upstream broke it off",
        });
        let blamed = !complete && ending != Ending::Stopping;
        if let Some(signal) = self.signal.take().or(blamed.then_some(Signal::Unreachable)) {
            self.lease.settle(&signal);
        }
    }

    /// What the decoder still held; a gzip stream without its end was cut off.
    fn end_gzip(&mut self, ending: Ending) -> Ending {
        let Some(mut gunzip) = self.gunzip.take() else { return ending };
        let rest = gunzip.finish().map_err(Unreadable::from).and_then(|rest| self.read_decoded(rest));
        match rest {
            Ok(events) => {
                self.encode_all(&events);
                ending
            }
            Err(_) if ending == Ending::Complete => Ending::BrokenOff,
            Err(_) => ending,
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        // A body of a known length is complete with its last byte, and nobody asks for more.
        if self.upstream.as_ref().is_some_and(http_body::Body::is_end_stream) {
            self.telling.end("");
        }
    }
}

impl Ending {
    /// What the client is told where the protocol did not end.
    fn error(self, silence: Duration) -> ApiError {
        match self {
            Self::Silent => silent(silence),
            Self::Complete | Self::BrokenOff => ApiError::upstream_disconnected(),
            Self::Unreadable => unreadable(),
            Self::Stopping => ApiError::overloaded(ProxyError::Stopping.to_string()),
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

/// How the story of a request ends whose answer's body stopped.
const SILENT: &str = ", but then upstream said nothing any more";

fn silent(silence: Duration) -> ApiError {
    let message = format!("upstream sent nothing of its answer for {}", in_words(silence));
    ApiError::timeout(message).with_code("upstream_silent")
}

fn unreadable() -> ApiError {
    ApiError::bad_gateway("upstream's answer cannot be read").with_code("upstream_unreadable")
}

/// What an error inside a stream says about the account.
pub(super) fn signal(kind: ErrorKind) -> Option<Signal> {
    match kind {
        ErrorKind::RateLimit => Some(Signal::RateLimited { until: None, reach: Reach::Model }),
        ErrorKind::Overloaded | ErrorKind::Api | ErrorKind::Timeout => Some(Signal::Overloaded),
        ErrorKind::InvalidRequest
        | ErrorKind::Authentication
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::RequestTooLarge => None,
    }
}
