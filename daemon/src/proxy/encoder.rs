//! What becomes of upstream's bytes on their way down: passed on as they are, or translated.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::native_events::{self, NativeEvents};
use crate::translate::{chat, completions, responses};
use crate::wire::error::ApiError;
use crate::wire::sse;

/// An event upstream may not be longer: 300 kB deltas occur.
const MOST_PER_EVENT: usize = 16 * 1024 * 1024;

/// What becomes of upstream's bytes.
#[derive(Debug)]
pub(super) enum Encoder {
    /// A body that is no stream of events, as it comes.
    Plain,
    /// A Messages stream, as it comes, followed so that a cut is told.
    Events(NativeEvents),
    /// A Messages stream, in another dialect.
    Translated { reader: sse::Reader, dialect: Box<dyn Translate> },
}

/// One dialect's state machine: events in, bytes out.
pub(super) trait Translate: fmt::Debug + Send {
    fn on_event(&mut self, event: &sse::Event, out: &mut BytesMut);
    fn on_error(&mut self, error: &ApiError, out: &mut BytesMut);
    fn on_end(&mut self, out: &mut BytesMut);
    fn is_done(&self) -> bool;
    /// Tells the time in Unix seconds, for dialects that say when an answer was completed.
    fn set_time(&mut self, now: &dyn Fn() -> i64);
}

macro_rules! translate {
    ($($encoder:ty, $set_time:expr;)*) => {$(
        impl Translate for $encoder {
            fn on_event(&mut self, event: &sse::Event, out: &mut BytesMut) {
                self.on_event(event, out);
            }

            fn on_error(&mut self, error: &ApiError, out: &mut BytesMut) {
                self.on_error(error, out);
            }

            fn on_end(&mut self, out: &mut BytesMut) {
                self.on_end(out);
            }

            fn is_done(&self) -> bool {
                self.is_done()
            }

            fn set_time(&mut self, now: &dyn Fn() -> i64) {
                ($set_time)(self, now);
            }
        }
    )*};
}

translate! {
    chat::Encoder, |_: &mut chat::Encoder, _now| ();
    completions::Encoder, |_: &mut completions::Encoder, _now| ();
    responses::Encoder, |encoder: &mut responses::Encoder, now: &dyn Fn() -> i64| encoder.set_time(now());
}

impl Encoder {
    pub(super) fn events() -> Self {
        Self::Events(NativeEvents::default())
    }

    pub(super) fn translated(dialect: impl Translate + 'static) -> Self {
        Self::Translated { reader: sse::Reader::new(MOST_PER_EVENT), dialect: Box::new(dialect) }
    }

    /// What shows a client that its stream lives, where that can be said now: between two events, and before the end.
    pub(super) fn keep_alive(&self) -> Option<Bytes> {
        match self {
            Self::Events(events) if events.is_between_events() => {
                Some(Bytes::from_static(native_events::PING))
            }
            Self::Translated { dialect, .. } if !dialect.is_done() => {
                Some(Bytes::from_static(sse::KEEP_ALIVE))
            }
            Self::Plain | Self::Events(_) | Self::Translated { .. } => None,
        }
    }

    /// The end of a stream that did not come to its own, where the dialect has one.
    pub(super) fn fail(&mut self, error: &ApiError) -> Bytes {
        match self {
            Self::Plain => Bytes::new(),
            Self::Events(events) => events.closing(error).unwrap_or_default(),
            Self::Translated { dialect, .. } => {
                let mut out = BytesMut::new();
                dialect.on_error(error, &mut out);
                out.freeze()
            }
        }
    }
}
