//! What an account's answers say about it. Pure: it is told the time.
//!
//! Two kinds of cooldown never mix. A *named* one was told by upstream (`retry-after`, a window's reset) and
//! makes the account unusable until then. A *guess* is ours (5xx, 529, a dead connection, a 429 without a
//! time): it grows with each failure, is forgotten on success, and only orders the accounts.
//!
//! A named time binds for the model whose request earned it, since a provider has limits per model, too. For
//! every other model it is a guess like any other: the account comes last, is asked all the same, and answers
//! for itself.

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
    Refused,
}

/// Models whose limits are remembered at once.
const MOST_NAMED: usize = 32;

/// The account's cooldowns.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Health {
    /// By model; few, since times that have passed are dropped.
    named: Vec<(String, Timestamp)>,
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
    /// Takes over what an answer to a request for `model` says.
    pub fn apply(&mut self, signal: &Signal, model: &str, now: Timestamp) {
        match signal {
            Signal::Served => {
                self.guess = None;
                self.served_at = Some(now);
            }
            Signal::RateLimited { until: Some(until) } => self.name(model, *until, now),
            Signal::RateLimited { until: None } => self.strike(now, 1, 60),
            Signal::Overloaded | Signal::Unreachable => self.strike(now, 1, 30),
            Signal::Refused => self.strike(now, 30, 600),
        }
    }

    /// The last of the times that upstream named and that are still to come, with the models they are about.
    pub fn named(&self, now: Timestamp) -> Option<(Timestamp, Vec<&str>)> {
        let coming = || self.named.iter().filter(|(_, until)| *until > now);
        let until = coming().map(|(_, until)| *until).max()?;
        Some((until, coming().map(|(model, _)| model.as_str()).collect()))
    }

    /// When upstream last took its credential.
    pub fn served_at(&self) -> Option<Timestamp> {
        self.served_at
    }

    pub(super) fn standing(&self, model: &str, now: Timestamp) -> Standing {
        let coming = || self.named.iter().filter(|(_, until)| *until > now);
        if let Some((_, until)) = coming().find(|(named, _)| named == model) {
            return Standing::Named(*until);
        }
        let others = coming().map(|(_, until)| *until).max();
        let guess = self.guess.map(|guess| guess.until).filter(|until| *until > now);
        others.max(guess).map_or(Standing::Ready, Standing::Guessed)
    }

    fn name(&mut self, model: &str, until: Timestamp, now: Timestamp) {
        self.named.retain(|(_, until)| *until > now);
        if let Some((_, known)) = self.named.iter_mut().find(|(named, _)| named == model) {
            *known = until.max(*known);
        } else if self.named.len() < MOST_NAMED {
            self.named.push((model.to_owned(), until));
        }
        // Else a client makes up model names: what is known is enough.
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
        health.apply(&Signal::RateLimited { until: Some(at(100)) }, "m", at(0));
        health.apply(&Signal::RateLimited { until: Some(at(50)) }, "m", at(0));
        health.apply(&Signal::Served, "m", at(1));
        assert_eq!(health.standing("m", at(99)), Standing::Named(at(100)));
        assert_eq!(health.standing("m", at(100)), Standing::Ready);
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
            health.apply(&signal, "m", at(0));
            assert_eq!(health.standing("m", at(0)), Standing::Guessed(at(seconds)), "{signal:?}");
        }
        for _ in 0..100 {
            health.apply(&Signal::Overloaded, "m", at(0));
        }
        assert_eq!(health.standing("m", at(0)), Standing::Guessed(at(30)));
        health.apply(&Signal::Served, "m", at(0));
        assert_eq!(health.standing("m", at(0)), Standing::Ready);
    }

    #[test]
    fn a_refused_credential_waits_longer_but_is_only_a_guess() {
        let mut health = Health::default();
        health.apply(&Signal::Refused, "m", at(0));
        assert_eq!(health.standing("m", at(0)), Standing::Guessed(at(30)));
    }

    #[test]
    fn a_limit_of_one_model_only_orders_the_account_for_the_others() {
        let mut health = Health::default();
        health.apply(&Signal::RateLimited { until: Some(at(100)) }, "opus", at(0));
        assert_eq!(health.standing("opus", at(1)), Standing::Named(at(100)));
        assert_eq!(health.standing("haiku", at(1)), Standing::Guessed(at(100)));
        assert_eq!(health.named(at(1)), Some((at(100), vec!["opus"])));
        assert_eq!(health.standing("haiku", at(100)), Standing::Ready);
    }

    #[test]
    fn made_up_model_names_take_no_memory_without_bound() {
        let mut health = Health::default();
        for n in 0..1000 {
            health.apply(&Signal::RateLimited { until: Some(at(100)) }, &format!("m{n}"), at(0));
        }
        assert_eq!(health.named.len(), MOST_NAMED);
    }
}
