//! What an account's answers say about it. Pure: it is told the time.
//!
//! Two kinds of cooldown never mix. A *named* one was told by upstream (`retry-after`, a window's reset) and makes the account
//! unusable until then. A *guess* is ours (5xx, 529, a dead connection, a 429 without a time): it grows with each failure, is forgotten
//! on success, and only orders the accounts.

use super::select::Standing;
use crate::clock::{SignedDuration, Timestamp, after};

/// What one answer says about the account it came by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signal {
    /// It answered as it should, or the fault was the client's.
    Served,
    /// 429. `until` is the time upstream named, where it did.
    RateLimited { until: Option<Timestamp> },
    /// 5xx or 529.
    Overloaded,
    /// No answer came.
    Unreachable,
    /// 401 after a refresh, or 403.
    Refused { status: u16 },
}

/// The account's cooldowns.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Health {
    named: Option<(Timestamp, &'static str)>,
    guess: Option<Guess>,
    /// When upstream last took its credential.
    served_at: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Guess {
    until: Timestamp,
    strikes: u32,
}

impl Health {
    pub fn apply(&mut self, signal: &Signal, now: Timestamp) {
        match signal {
            Signal::Served => {
                self.guess = None;
                self.served_at = Some(now);
            }
            Signal::RateLimited { until: Some(until) } => {
                let until = self.named.map_or(*until, |(named, _)| named.max(*until));
                self.named = Some((until, "upstream limits it (429)"));
            }
            Signal::RateLimited { until: None } => self.strike(now, 1, 60),
            Signal::Overloaded | Signal::Unreachable => self.strike(now, 1, 30),
            Signal::Refused { .. } => self.strike(now, 30, 600),
        }
    }

    /// The time upstream named, if it is still to come, with the reason in words.
    pub fn named(&self, now: Timestamp) -> Option<(Timestamp, &'static str)> {
        self.named.filter(|(until, _)| *until > now)
    }

    /// When upstream last took its credential.
    pub fn served_at(&self) -> Option<Timestamp> {
        self.served_at
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        if let Some((until, _)) = self.named(now) {
            return Standing::Named(until);
        }
        match self.guess {
            Some(guess) if guess.until > now => Standing::Guessed(guess.until),
            _ => Standing::Ready,
        }
    }

    /// Doubles from `first` seconds up to `most`.
    fn strike(&mut self, now: Timestamp, first: i64, most: i64) {
        let strikes = self.guess.map_or(0, |guess| guess.strikes);
        let seconds = first.saturating_mul(1 << strikes.min(16)).min(most);
        let until = after(now, SignedDuration::from_secs(seconds));
        self.guess = Some(Guess { until, strikes: strikes.saturating_add(1) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_named_time_makes_it_unusable_and_success_does_not_shorten_it() {
        let mut health = Health::default();
        health.apply(&Signal::RateLimited { until: Some(at(100)) }, at(0));
        health.apply(&Signal::RateLimited { until: Some(at(50)) }, at(0));
        health.apply(&Signal::Served, at(1));
        assert_eq!(health.standing(at(99)), Standing::Named(at(100)));
        assert_eq!(health.standing(at(100)), Standing::Ready);
    }

    #[test]
    fn guesses_grow_are_capped_and_are_forgotten_on_success() {
        let mut health = Health::default();
        let cases = [
            (Signal::Overloaded, 1),
            (Signal::Unreachable, 2),
            (Signal::Overloaded, 4),
            (Signal::RateLimited { until: None }, 8),
        ];
        for (signal, seconds) in cases {
            health.apply(&signal, at(0));
            assert_eq!(health.standing(at(0)), Standing::Guessed(at(seconds)), "{signal:?}");
        }
        for _ in 0..100 {
            health.apply(&Signal::Overloaded, at(0));
        }
        assert_eq!(health.standing(at(0)), Standing::Guessed(at(30)));
        health.apply(&Signal::Served, at(0));
        assert_eq!(health.standing(at(0)), Standing::Ready);
    }

    #[test]
    fn a_refused_credential_waits_longer_but_is_only_a_guess() {
        let mut health = Health::default();
        health.apply(&Signal::Refused { status: 403 }, at(0));
        assert_eq!(health.standing(at(0)), Standing::Guessed(at(30)));
    }
}
