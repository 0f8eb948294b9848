//! From upstream's bytes to the client's, without the connections on both sides: decodes, learns, counts and encodes,
//! piece by piece, so that little is held at once. A panic in here is this answer's end and nobody else's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::ProxyError;
use super::encoder::Encoder;
use super::fault::Fault;
use super::gzip::Gunzip;
use super::meter::Meter;
use super::ready::Ready;
use crate::clock::Clock;
use crate::owners::Witness;
use crate::pool::{Reach, Signal};
use crate::wire::error::{self, ApiError, ErrorKind};
use crate::wire::sse;

/// A frame downstream grows no larger by coalescing.
const MOST_COALESCED: usize = 64 * 1024;
/// What is translated at once: small events grow to several times their size.
const MOST_AT_ONCE: usize = 16 * 1024;
/// What a stream that is translated may have in all: some dialects repeat it at the end.
const MOST_TRANSLATED: usize = 256 * 1024 * 1024;

/// How upstream's body ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// As HTTP ends it.
    Complete,
    Broken(Fault),
    /// It did not: the daemon's grace period is over.
    Stopping,
}

/// How the answer ended.
#[derive(Debug)]
pub(super) struct End {
    /// In the protocol's own way.
    pub(super) complete: bool,
    /// What the stream said about the account, beyond its status.
    pub(super) signal: Option<Signal>,
}

/// One answer's body.
#[derive(Debug)]
pub(super) struct Flow {
    gunzip: Option<Gunzip>,
    /// Decoded and not encoded yet.
    rest: Bytes,
    /// Room for the events of a piece.
    room: Vec<sse::Event>,
    encoder: Encoder,
    /// Encoded and not handed on yet.
    ready: Ready,
    /// As much of `ready` is whole events.
    sound: usize,
    /// Bytes translated so far.
    read: usize,
    /// Learns from the bytes what the account made.
    witness: Option<Witness>,
    meter: Option<Meter>,
    clock: Clock,
    signal: Option<Signal>,
    /// The connection is to be cut after what is ready.
    broken: bool,
}

impl Flow {
    pub(super) fn new(gunzip: bool, encoder: Encoder, witness: Option<Witness>, clock: Clock) -> Self {
        Self {
            gunzip: gunzip.then(Gunzip::new),
            rest: Bytes::new(),
            room: Vec::new(),
            encoder,
            ready: Ready::default(),
            sound: 0,
            read: 0,
            witness,
            meter: None,
            clock,
            signal: None,
            broken: false,
        }
    }

    /// Counts what it tells of tokens.
    pub(super) fn metered(&mut self, meter: Meter) {
        self.meter = Some(meter);
    }

    /// Whether the body goes down as it comes up, so that its length is known.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.encoder, Encoder::Plain) && self.gunzip.is_none()
    }

    /// Whether as much is ready as goes down in one frame.
    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= MOST_COALESCED
    }

    pub(super) fn has_nothing(&self) -> bool {
        self.ready.len() == 0
    }

    /// What goes down next.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.ready.take()
    }

    /// Whether the connection is to be cut after what is ready.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the connection is to be cut now; told once.
    pub(super) fn take_broken(&mut self) -> bool {
        std::mem::take(&mut self.broken)
    }

    /// Takes the next bytes from upstream. Those before were advanced over.
    pub(super) fn feed(&mut self, data: Bytes) {
        match &mut self.gunzip {
            Some(gunzip) => gunzip.feed(data),
            None => self.rest = data,
        }
    }

    /// Whether the client can be shown now that its stream lives.
    pub(super) fn may_keep_alive(&self) -> bool {
        self.encoder.keep_alive().is_some()
    }

    /// Shows it, where that can be.
    pub(super) fn keep_alive(&mut self) {
        self.ready.push(self.encoder.keep_alive().unwrap_or_default());
    }

    /// Goes on by a piece; `false` when more bytes are needed before there can be another.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        self.guarded(|flow| {
            let Some(mut events) = flow.next_events()? else { return Ok(false) };
            if !events.is_empty() {
                flow.encode_all(&events);
                events.clear();
            }
            flow.room = events;
            Ok(flow.gunzip.is_some() || !flow.rest.is_empty())
        })
    }

    /// Goes on up to the first events, which it gives to be looked at and then encoded; `None` when more bytes are needed.
    pub(super) fn first_events(&mut self) -> Result<Option<Vec<sse::Event>>, Fault> {
        self.guarded(|flow| {
            while let Some(events) = flow.next_events()? {
                if !events.is_empty() {
                    return Ok(Some(events));
                }
            }
            Ok(None)
        })
    }

    pub(super) fn encode(&mut self, events: &[sse::Event]) -> Result<(), Fault> {
        self.guarded(|flow| {
            flow.encode_all(events);
            Ok(())
        })
    }

    /// Ends the body in the dialect's own way, whatever became of upstream's.
    pub(super) fn end(&mut self, ending: &mut Ending) -> End {
        if let Err(fault) = self.guarded(Self::end_gzip)
            && (matches!(ending, Ending::Complete) || matches!(fault, Fault::Panicked))
        {
            *ending = Ending::Broken(if matches!(fault, Fault::Panicked) { fault } else { Fault::Ended });
        }
        let complete = self.guarded(|flow| Ok(flow.close(ending)));
        let complete = complete.unwrap_or_else(|fault| {
            // Not even the end can be told.
            self.broken = true;
            *ending = Ending::Broken(fault);
            false
        });
        if let Some(meter) = &mut self.meter {
            meter.settle();
        }
        End { complete, signal: self.signal.take() }
    }

    /// Runs what reads foreign bytes. What a panic left half done is thrown away.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.sound = self.ready.len();
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_panic| {
            self.ready.truncate(self.sound);
            Err(Fault::Panicked)
        })
    }

    /// The next piece of what is here. What passes through is ready at once; what is to be translated comes back as
    /// events.
    fn next_events(&mut self) -> Result<Option<Vec<sse::Event>>, Fault> {
        if self.rest.is_empty()
            && let Some(gunzip) = &mut self.gunzip
        {
            self.rest = gunzip.next()?.unwrap_or_default();
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let is_translated = matches!(self.encoder, Encoder::Translated { .. });
        let most = if is_translated { MOST_AT_ONCE } else { usize::MAX };
        let piece = self.rest.split_to(most.min(self.rest.len()));
        self.read_piece(piece).map(Some)
    }

    fn read_piece(&mut self, bytes: Bytes) -> Result<Vec<sse::Event>, Fault> {
        let mut events = std::mem::take(&mut self.room);
        if let Some(witness) = &mut self.witness {
            witness.observe(&bytes);
        }
        match &mut self.encoder {
            Encoder::Plain => {
                if let Some(meter) = &mut self.meter {
                    meter.keep(&bytes);
                }
                self.ready.push(bytes);
            }
            Encoder::Events(passing) => {
                passing.observe(&bytes);
                if let Some(meter) = &mut self.meter {
                    meter.passed(bytes.len());
                }
                if let (Some(meter), Some(usage)) = (&mut self.meter, passing.take_usage()) {
                    meter.tell(&usage);
                }
                self.ready.push(bytes);
            }
            Encoder::Translated { reader, .. } => {
                self.read = self.read.saturating_add(bytes.len());
                if self.read > MOST_TRANSLATED {
                    return Err(Fault::TooLong(MOST_TRANSLATED));
                }
                reader.push_into(&bytes, &mut events)?;
            }
        }
        Ok(events)
    }

    fn encode_all(&mut self, events: &[sse::Event]) {
        if let Encoder::Translated { dialect, .. } = &mut self.encoder {
            dialect.set_time(&|| self.clock.now().as_second());
        }
        for event in events {
            self.encode_one(event);
            self.sound = self.ready.len();
        }
    }

    fn encode_one(&mut self, event: &sse::Event) {
        if let Some(meter) = &mut self.meter {
            meter.on_event(event);
        }
        let out = self.ready.buffer();
        match &mut self.encoder {
            Encoder::Plain | Encoder::Events(_) => return,
            Encoder::Translated { dialect, .. } => dialect.on_event(event, out),
        }
        if let Some(error) = error::from_event(event) {
            self.signal = signal(error.kind);
        }
    }

    /// What the decoder still held; a gzip stream without its end was cut off.
    fn end_gzip(&mut self) -> Result<(), Fault> {
        let Some(mut gunzip) = self.gunzip.take() else { return Ok(()) };
        if let Some(rest) = gunzip.finish()? {
            let events = self.read_piece(rest)?;
            self.encode_all(&events);
        }
        Ok(())
    }

    /// Writes the end; whether it is the protocol's own.
    fn close(&mut self, ending: &Ending) -> bool {
        let error = ending.told();
        let is_complete = matches!(ending, Ending::Complete);
        let out = self.ready.buffer();
        match &mut self.encoder {
            Encoder::Plain => {
                self.broken = !is_complete;
                is_complete
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
                if let Some(event) = reader.finish().filter(|_| is_complete) {
                    dialect.on_event(&event, out);
                }
                let complete = dialect.is_done();
                if is_complete || complete {
                    dialect.on_end(out);
                } else {
                    dialect.on_error(&error, out);
                }
                complete
            }
        }
    }
}

impl Ending {
    /// What the client is told where the protocol did not end.
    fn told(&self) -> ApiError {
        match self {
            Self::Complete => Fault::Ended.told(),
            Self::Broken(fault) => fault.told(),
            Self::Stopping => ApiError::overloaded(ProxyError::Stopping.to_string()),
        }
    }
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

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
