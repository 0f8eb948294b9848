//! The one place that reads a clock. Everything else is handed a [`Clock`], a [`Timestamp`] or a [`Moment`].
//!
//! There are two clocks, since the wall clock may be set: back, forth, or both. The boot clock only goes on, through
//! suspend, too, and ends with the machine: it says how long something is ago, and never when it was.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use jiff::{SignedDuration, Timestamp};
use jiff::{Span, SpanRelativeTo};
use nix::time::ClockId;

/// Both clocks: the system's, or those that a test sets.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(ManualClock),
}

/// One reading of both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    pub wall: Timestamp,
    pub boot: SinceBoot,
}

/// Time since the machine started, suspend included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SinceBoot(SignedDuration);

impl SinceBoot {
    /// So much later, held at the end of time instead of overflowing.
    #[must_use]
    pub fn after(self, by: SignedDuration) -> Self {
        Self(self.0.checked_add(by).unwrap_or(SignedDuration::MAX))
    }

    /// How long after `earlier` this is.
    pub fn since(self, earlier: Self) -> SignedDuration {
        self.0.checked_sub(earlier.0).unwrap_or(SignedDuration::MAX)
    }
}

impl Moment {
    /// What the wall clock shows at `boot`, unless it is set meanwhile.
    pub fn wall_at(&self, boot: SinceBoot) -> Timestamp {
        after(self.wall, boot.since(self.boot))
    }
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => wall(),
            Source::Manual(manual) => manual.now(),
        }
    }

    pub fn moment(&self) -> Moment {
        match &self.0 {
            Source::System => Moment { wall: wall(), boot: since_boot() },
            Source::Manual(manual) => manual.moment(),
        }
    }
}

fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the one reading of the clock")]
    Timestamp::now()
}

fn since_boot() -> SinceBoot {
    // Every Linux since 2.6.39 has this clock. Without it the wall clock judges alone.
    let read = nix::time::clock_gettime(ClockId::CLOCK_BOOTTIME).ok();
    let seconds = |time: nix::sys::time::TimeSpec| {
        SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0))
    };
    SinceBoot(read.map_or(SignedDuration::ZERO, seconds))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock(system)"),
            Source::Manual(manual) => write!(f, "Clock({})", manual.now()),
        }
    }
}

/// Clocks that stand still until they are told to go on.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Moment>>);

impl ManualClock {
    /// Starts at `at`.
    pub fn at(at: Timestamp) -> Self {
        let boot = SinceBoot(SignedDuration::from_hours(1));
        Self(Arc::new(Mutex::new(Moment { wall: at, boot })))
    }

    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    pub fn now(&self) -> Timestamp {
        self.moment().wall
    }

    pub fn moment(&self) -> Moment {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time goes on by `by`, on both clocks, awake or asleep.
    pub fn advance(&self, by: SignedDuration) {
        let mut moment = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *moment = Moment { wall: after(moment.wall, by), boot: moment.boot.after(by) };
    }

    /// Somebody sets the wall clock by `by`, or back where it is negative. No time passes.
    pub fn set_by(&self, by: SignedDuration) {
        let mut moment = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moment.wall = after(moment.wall, by);
    }
}

/// `at + by`, held at the end of time instead of overflowing.
pub fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// A span of time as people write it: `30s`, `1h 30m`, `7d`. A day has 24 hours.
pub fn span(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

/// A span of time as it is shown to people: `5m`, `1h 30m`.
pub fn in_words(span: std::time::Duration) -> String {
    SignedDuration::try_from(span).map_or_else(|_| format!("{span:?}"), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clocks_move_only_when_told() {
        let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
        let clock = manual.clock();
        let start = clock.moment();
        assert_eq!((clock.now(), clock.moment()), (Timestamp::UNIX_EPOCH, start));
        manual.advance(SignedDuration::from_secs(5));
        assert_eq!(clock.now().as_second(), 5);
        assert_eq!(clock.moment().boot.since(start.boot), SignedDuration::from_secs(5));
    }

    #[test]
    fn setting_the_wall_clock_takes_no_time() {
        let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
        let start = manual.moment();
        manual.set_by(SignedDuration::from_hours(-48));
        assert_eq!(manual.moment().boot, start.boot);
        assert_eq!(manual.now().as_second(), -48 * 3600);
        assert_eq!(manual.moment().wall_at(start.boot.after(SignedDuration::from_hours(48))), start.wall);
    }

    #[test]
    fn the_systems_boot_clock_goes_on() {
        let (one, two) = (Clock::system().moment(), Clock::system().moment());
        assert!(one.boot > SinceBoot(SignedDuration::ZERO) && two.boot >= one.boot);
    }

    #[test]
    fn adding_past_the_end_of_time_stays_there() {
        assert_eq!(after(Timestamp::MAX, SignedDuration::MAX), Timestamp::MAX);
        assert_eq!(after(Timestamp::MIN, SignedDuration::MIN), Timestamp::MIN);
        let end = SinceBoot(SignedDuration::MAX);
        assert_eq!(end.after(SignedDuration::MAX), end);
        assert_eq!(end.since(SinceBoot(SignedDuration::MIN)), SignedDuration::MAX);
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("30s", 30),
            (" 5m ", 300),
            ("1h 30m", 5_400),
            ("7d", 604_800),
            ("1d2h", 93_600),
            ("2w", 1_209_600),
        ] {
            assert_eq!(span(text), Some(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "x", "1 month", "s"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
