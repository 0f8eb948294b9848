//! The line that the log gets of each request once it is over, whichever way it ends: exactly one, when the last byte of its
//! answer went down or when nobody waits for it any longer. No prompt, header, query or e-mail is in it.
//!
//! Requests that are refused at the door have lines of their own, and no more of them in a second than a reader can bear.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::throttle::Source;
use crate::id::RequestId;
use crate::proxy::{Broken, Notes, Observed};
use crate::wire::Dialect;

/// Refusals that are told in a second.
const MOST_REFUSALS: u32 = 10;

/// What is written of a request when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    id: RequestId,
    dialect: Dialect,
    came: Instant,
    observed: Observed,
    pub(super) client_key: Option<String>,
    /// Cancelled when the grace period of a stop is over.
    cut: CancellationToken,
    /// All of its answer went down.
    pub(super) ended: bool,
}

impl Line {
    /// Of a request that has come.
    pub(super) fn new(
        (dialect, id): (Dialect, RequestId),
        observed: &Observed,
        cut: &CancellationToken,
    ) -> Self {
        let (came, observed, cut) = (Instant::now(), observed.clone(), cut.clone());
        Self { id, dialect, came, observed, client_key: None, cut, ended: false }
    }

    /// How it ended, in one word.
    fn outcome(&self, notes: &Notes) -> &'static str {
        let status = self.observed.measured.status();
        match &notes.end {
            Some(Broken::Stopped) => "stopped",
            // Where there was time for a status, that is the answer.
            Some(Broken::Failed { .. }) if self.ended && status.is_some_and(|status| status >= 400) => {
                "answered"
            }
            Some(Broken::Failed { .. }) => "broken_off",
            None if self.ended => "answered",
            None if self.cut.is_cancelled() => "stopped",
            None => "client_gone",
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let (notes, measured) = (self.observed.noted.notes(), &self.observed.measured);
        let endpoint = measured.endpoint();
        let (code, why) = match &notes.end {
            Some(Broken::Failed { code, why }) => (Some(code.as_str()), why.as_deref()),
            Some(Broken::Stopped) | None => (None, None),
        };
        let usage = notes.usage.as_ref();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request.id = %self.id,
                    account.id = notes.account.as_ref().map(tracing::field::display),
                    client_key = self.client_key,
                    dialect = (!endpoint.is_a_look()).then(|| self.dialect.name()),
                    endpoint = endpoint.as_str(),
                    model = notes.model,
                    status = measured.status(),
                    streamed = measured.streams(),
                    attempts = notes.attempts,
                    first_byte_ms = measured.first_byte_after().map(milliseconds),
                    duration_ms = milliseconds(self.came.elapsed()),
                    tokens.input = usage.map(crate::wire::messages::Usage::input),
                    tokens.cache_read = usage.map(crate::wire::messages::Usage::cache_read),
                    tokens.cache_creation = usage.map(crate::wire::messages::Usage::cache_write),
                    tokens.output = usage.map(crate::wire::messages::Usage::output),
                    ended = self.outcome(&notes),
                    error.code = code,
                    error = why,
                    "request"
                )
            };
        }
        if endpoint.is_a_look() {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counts refusals, so that a crowd of them does not fill the log; clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<Spate>>);

#[derive(Debug, Default)]
struct Spate {
    began: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// Whether one more is told that may be, and then how many before it were not.
    pub(super) fn tell(&self, now: Instant, may_be: bool) -> Option<u64> {
        let mut spate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spate.began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            (spate.began, spate.told) = (Some(now), 0);
        }
        if !may_be || spate.told >= MOST_REFUSALS {
            spate.untold += 1;
            return None;
        }
        spate.told += 1;
        Some(std::mem::take(&mut spate.untold))
    }
}

/// What kind of peer a request came from; whose it is says no more than a number.
pub(super) fn peer(source: Source) -> (&'static str, Option<u32>) {
    match source {
        Source::User(uid) => ("user", Some(uid)),
        Source::Address(_) => ("network", None),
        Source::Other => ("unknown", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{Endpoint, Request};
    use crate::wire::error::ApiError;

    fn line() -> Line {
        let measured = Request::new(&Arc::default(), Endpoint::ChatCompletions, None, "POST", None);
        let observed = Observed { measured, ..Observed::default() };
        Line::new((Dialect::Chat, RequestId::new()), &observed, &CancellationToken::new())
    }

    fn outcome(line: &Line) -> &'static str {
        line.outcome(&line.observed.noted.notes())
    }

    #[test]
    fn a_request_ends_in_one_of_these_ways() {
        let mut stream = line();
        stream.observed.answers(200, true);
        assert_eq!(outcome(&stream), "client_gone");
        stream.cut.cancel();
        assert_eq!(outcome(&stream), "stopped");
        stream.ended = true;
        assert_eq!(outcome(&stream), "answered");
        stream.observed.breaks_off(&ApiError::internal(), None);
        assert_eq!(outcome(&stream), "broken_off");

        let mut refused = line();
        refused.observed.noted.failed(&ApiError::internal(), None);
        refused.observed.answers(500, false);
        assert_eq!(outcome(&refused), "broken_off");
        refused.ended = true;
        assert_eq!(outcome(&refused), "answered");
    }

    #[test]
    fn so_many_refusals_are_told_in_a_second_and_then_how_many_were_not() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for _ in 0..MOST_REFUSALS {
            assert_eq!(refusals.tell(start, true), Some(0));
        }
        for _ in 0..500 {
            assert_eq!(refusals.tell(start + Duration::from_millis(999), true), None);
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(refusals.tell(later, false), None);
        assert_eq!(refusals.tell(later, true), Some(501));
        assert_eq!(refusals.tell(later, true), Some(0));
    }
}
