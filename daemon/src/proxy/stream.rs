//! The body pump: takes what upstream has ready, encodes it for the client, and hands it on as one frame.
//! What is ready leaves together, what is alone leaves at once, and nothing is read from upstream that the
//! client has not taken: there is no queue. While upstream is silent, the client is told that its stream lives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt as _;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::answer::BrokenOff;
use super::encoder::Encoder;
use super::fault::Fault;
use super::flow::{Ending, Flow, signal};
use super::history::Telling;
use super::meter::Meter;
use super::quiet::Quiet;
use super::{Inner, Observed, ProxyError};
use crate::chain::ErrorChain;
use crate::claude::UpstreamBody;
use crate::owners::Witness;
use crate::pool::{Lease, Signal};
use crate::telemetry::Metrics;
use crate::wire::error::{self, ApiError};

/// One body on its way down. Dropped (the client went away), it drops upstream's body and with it the call.
#[derive(Debug)]
pub struct Pump {
    /// `None` once the body has ended, in whichever way.
    upstream: Option<UpstreamBody>,
    flow: Flow,
    quiet: Quiet,
    /// `None` where the answer came by the caller's own credential.
    lease: Option<Lease>,
    telling: Telling,
    metrics: Arc<Metrics>,
    observed: Observed,
    cut: CancellationToken,
    /// What was handed on may not have left yet.
    is_leaving: bool,
    /// Wakes the pump when `cut` is cancelled, once it had to wait; nobody looks at it before it calls.
    cutting: Option<FuturesUnordered<WaitForCancellationFutureOwned>>,
}

impl Pump {
    pub(super) fn new(
        upstream: UpstreamBody,
        gunzip: bool,
        encoder: Encoder,
        (lease, telling): (Option<Lease>, Telling),
        witness: Option<Witness>,
        inner: &Inner,
    ) -> Self {
        Self {
            upstream: Some(upstream),
            flow: Flow::new(gunzip, encoder, witness, inner.clock.clone()),
            quiet: Quiet::new(inner.config.load().keep_alive),
            lease,
            telling,
            metrics: Arc::clone(&inner.metrics),
            observed: Observed::default(),
            cut: inner.cut.clone(),
            // The head is.
            is_leaving: true,
            cutting: None,
        }
    }

    /// Counts what the body tells of tokens.
    pub(super) fn metered(mut self, meter: Option<Meter>) -> Self {
        if let Some(meter) = meter {
            self.flow.metered(meter);
        }
        self
    }

    /// Tells when the answer begins, and whether it breaks off.
    pub(super) fn observed(mut self, request: &Observed) -> Self {
        self.observed = request.clone();
        self
    }

    /// Reads up to the first event, before the head goes down: an error in its place is an answer with a
    /// status of its own.
    pub(super) async fn first_event(&mut self) -> Result<(), ProxyError> {
        let fault = loop {
            match self.flow.first_events() {
                Ok(Some(events)) => {
                    if let Some(error) = events.first().and_then(error::from_event) {
                        self.settle(&signal(error.kind).unwrap_or(Signal::Served));
                        self.telling.end(", but it began with an error of upstream");
                        return Err(error.into());
                    }
                    match self.flow.encode(&events) {
                        Ok(()) => return Ok(()),
                        Err(fault) => break fault,
                    }
                }
                Ok(None) => {}
                Err(fault) => break fault,
            }
            let Some(upstream) = &mut self.upstream else { break Fault::Ended };
            match upstream.frame().await {
                Some(Ok(frame)) => {
                    self.observed.first_byte();
                    self.flow.feed(frame.into_data().unwrap_or_default());
                }
                Some(Err(error)) => break error.into(),
                None => break Fault::Ended,
            }
        };
        if !matches!(fault, Fault::Panicked) {
            self.settle(&Signal::Unreachable);
        }
        self.telling.end(fault.in_its_story());
        self.count(&fault);
        Err(fault.into())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.upstream {
            Some(upstream) if self.flow.is_plain() => upstream.size_hint(),
            _ => SizeHint::default(),
        }
    }

    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if self.upstream.is_some() && self.cut.is_cancelled() {
            self.end(Ending::Stopping);
        }
        while let Some(upstream) = &mut self.upstream {
            if self.flow.is_full() {
                break;
            }
            match self.flow.advance() {
                Ok(true) => continue,
                Ok(false) if self.flow.is_full() => break,
                Ok(false) => {}
                Err(fault) => {
                    self.end(Ending::Broken(fault));
                    break;
                }
            }
            match Pin::new(upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.observed.first_byte();
                        self.flow.feed(data);
                    }
                }
                Poll::Ready(Some(Err(error))) => self.end(Ending::Broken(error.into())),
                Poll::Ready(None) => self.end(Ending::Complete),
                Poll::Pending => {
                    let cutting = self
                        .cutting
                        .get_or_insert_with(|| std::iter::once(self.cut.clone().cancelled_owned()).collect());
                    if cutting.poll_next_unpin(context).is_ready() {
                        self.end(Ending::Stopping);
                    } else if self.flow.has_nothing() && self.flow.may_keep_alive() {
                        self.show_life(context);
                    }
                    break;
                }
            }
        }
        match self.flow.take() {
            Some(data) => {
                self.quiet.told();
                self.is_leaving = true;
                Poll::Ready(Some(Ok(data)))
            }
            None if self.upstream.is_some() => {
                self.is_leaving = false;
                Poll::Pending
            }
            // A cut throws away what the server has not sent: it sends it when it is told to wait.
            None if self.flow.is_broken() && std::mem::take(&mut self.is_leaving) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.flow.take_broken() => Poll::Ready(Some(Err(BrokenOff))),
            None => Poll::Ready(None),
        }
    }

    /// Upstream has nothing, and so the client has nothing to take: it is told that the stream lives when that is due. Only
    /// a client that has taken all there was comes here.
    fn show_life(&mut self, context: &mut Context<'_>) {
        if self.quiet.poll(context).is_ready() {
            self.flow.keep_alive();
        }
    }

    fn end(&mut self, mut ending: Ending) {
        self.upstream = None;
        let end = self.flow.end(&mut ending);
        match &ending {
            Ending::Broken(fault @ Fault::Panicked) => {
                tracing::error!(request.id = %self.telling.id(), error = %fault, "a body ended with a mistake of ours");
            }
            Ending::Broken(fault) => {
                self.count(fault);
                tracing::debug!(request.id = %self.telling.id(), error = %ErrorChain(fault), "upstream's body broke off");
            }
            Ending::Complete | Ending::Stopping => {}
        }
        self.telling.end(match &ending {
            Ending::Stopping if !end.complete => ", but proxyd stopped before its end",
            _ if end.signal.is_some() => ", but it ended with an error of upstream",
            _ if end.complete => "",
            Ending::Broken(fault) => fault.in_its_story(),
            Ending::Complete | Ending::Stopping => Fault::Ended.in_its_story(),
        });
        let observed = &self.observed;
        match &ending {
            _ if end.complete && end.signal.is_none() => {}
            Ending::Stopping => observed.is_stopped(),
            Ending::Broken(fault) => observed.breaks_off(&fault.told(), Some(ErrorChain(fault).to_string())),
            // It came to an end with an error of upstream's own, or without the one that its protocol has.
            Ending::Complete if end.signal.is_some() => {
                observed.breaks_off(&ApiError::bad_gateway("").with_code("upstream_error"), None);
            }
            Ending::Complete => observed.breaks_off(&Fault::Ended.told(), Some(Fault::Ended.to_string())),
        }
        let is_ours = matches!(ending, Ending::Stopping | Ending::Broken(Fault::Panicked));
        let blamed = !end.complete && !is_ours;
        if let Some(signal) = end.signal.or(blamed.then_some(Signal::Unreachable)) {
            self.settle(&signal);
        }
    }

    fn count(&self, fault: &Fault) {
        if let Some(code) = fault.told().code {
            self.metrics.upstream_error(&code);
        }
    }

    fn settle(&self, signal: &Signal) {
        if let Some(lease) = &self.lease {
            lease.settle(signal);
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
