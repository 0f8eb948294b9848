//! The one place that reads the wall clock. Everything else is handed a [`Clock`] or a [`Timestamp`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use jiff::{SignedDuration, Timestamp};

/// A wall clock: the system's, or one that a test sets.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one reading of the clock")]
            Source::System => Timestamp::now(),
            Source::Manual(manual) => manual.now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock(system)"),
            Source::Manual(manual) => write!(f, "Clock({})", manual.now()),
        }
    }
}

/// A clock that stands still until it is told to go on.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Starts at `at`, to the millisecond.
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(at.as_millisecond())))
    }

    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }

    /// Goes on by `by`, or back where it is negative.
    pub fn advance(&self, by: SignedDuration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

/// `at + by`, held at the end of time instead of overflowing.
pub fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
        let clock = manual.clock();
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        manual.advance(SignedDuration::from_secs(5));
        assert_eq!(clock.now().as_second(), 5);
    }

    #[test]
    fn adding_past_the_end_of_time_stays_there() {
        assert_eq!(after(Timestamp::MAX, SignedDuration::MAX), Timestamp::MAX);
        assert_eq!(after(Timestamp::MIN, SignedDuration::MIN), Timestamp::MIN);
    }
}
