//! How much goes on in a second, from the totals of the last few. Pure.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::json::Totals;

/// What a rate is taken over: streams tell their tokens in lumps.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);
/// Looks that are kept, however near to each other they are.
const MOST: usize = 128;

/// The totals of the last few seconds.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(Timestamp, Totals)>);

/// In a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct PerSecond {
    pub(super) requests: f64,
    /// Tokens of prompts, cached or not.
    pub(super) input: f64,
    pub(super) output: f64,
}

impl Rates {
    pub(super) fn note(&mut self, at: Timestamp, totals: Totals) {
        // A daemon that was started anew counts from the beginning, and a clock may be set back.
        let is_new = |(before, last): &(Timestamp, Totals)| at <= *before || totals.requests < last.requests;
        if self.0.back().is_some_and(is_new) {
            self.0.clear();
        }
        // One that is older than the window stays: else a long interval would leave nothing to compare with.
        while self.0.get(1).is_some_and(|(second, _)| at.duration_since(*second) >= WINDOW)
            || self.0.len() >= MOST
        {
            self.0.pop_front();
        }
        self.0.push_back((at, totals));
    }

    /// What was known is not so any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// `None` as long as there is nothing to compare with.
    pub(super) fn per_second(&self) -> Option<PerSecond> {
        let ((from, old), (to, new)) = (self.0.front()?, self.0.back()?);
        let seconds = to.duration_since(*from).as_secs_f64();
        // What was guessed of a stream may have been too much: then it is nothing, not less.
        let rate = |old: u64, new: u64| count(new.saturating_sub(old)) / seconds;
        (seconds > 0.0).then(|| PerSecond {
            requests: rate(old.requests, new.requests),
            input: rate(prompt(old), prompt(new)),
            output: rate(output(old), output(new)),
        })
    }
}

/// How much of all prompts was read from a cache, in percent; `None` where there was none.
pub(super) fn cached(totals: &Totals) -> Option<f64> {
    let all = prompt(totals);
    (all > 0).then(|| count(totals.tokens.cache_read) / count(all) * 100.0)
}

fn prompt(totals: &Totals) -> u64 {
    let tokens = &totals.tokens;
    tokens.input.saturating_add(tokens.cache_read).saturating_add(tokens.cache_write)
}

fn output(totals: &Totals) -> u64 {
    totals.tokens.output.saturating_add(totals.output_under_way)
}

#[expect(clippy::cast_precision_loss, reason = "a person reads two or three digits of it")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tokens;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn totals(requests: u64, output: u64, output_under_way: u64) -> Totals {
        let tokens = Tokens { input: requests, output, cache_read: 3 * requests, cache_write: 0 };
        Totals { requests, failed: 0, tokens, output_under_way }
    }

    #[test]
    fn a_rate_is_taken_over_the_last_ten_seconds() {
        let mut rates = Rates::default();
        assert_eq!(rates.per_second(), None);
        for second in 0..60 {
            let n = u64::try_from(second).unwrap();
            rates.note(at(second), totals(2 * n, 30 * n, 0));
            assert_eq!(rates.per_second().is_some(), second > 0);
        }
        assert_eq!(rates.per_second(), Some(PerSecond { requests: 2.0, input: 8.0, output: 30.0 }));
        for second in 60..71 {
            rates.note(at(second), totals(118, 1770, 0));
        }
        assert_eq!(rates.per_second(), Some(PerSecond::default()));
    }

    #[test]
    fn a_stream_counts_while_it_goes_on_and_not_again_at_its_end() {
        let mut rates = Rates::default();
        rates.note(at(0), totals(1, 0, 0));
        rates.note(at(1), totals(1, 0, 40));
        assert!((rates.per_second().unwrap().output - 40.0).abs() < 1e-9);
        rates.note(at(2), totals(1, 50, 0));
        assert!((rates.per_second().unwrap().output - 25.0).abs() < 1e-9);
    }

    #[test]
    fn a_daemon_that_was_started_anew_counts_from_its_beginning() {
        let mut rates = Rates::default();
        rates.note(at(0), totals(100, 0, 0));
        rates.note(at(1), totals(2, 0, 0));
        assert_eq!(rates.per_second(), None);
    }

    #[test]
    fn looks_that_are_far_apart_are_compared_all_the_same_and_those_that_are_near_are_bounded() {
        let mut rates = Rates::default();
        rates.note(at(0), totals(0, 0, 0));
        rates.note(at(60), totals(60, 0, 0));
        rates.note(at(120), totals(180, 0, 0));
        assert!((rates.per_second().unwrap().requests - 2.0).abs() < 1e-9);
        for n in 0..1000 {
            rates.note(at(200) + SignedDuration::from_millis(n), totals(200, 0, 0));
        }
        assert!(rates.0.len() <= MOST);
    }

    #[test]
    fn what_came_from_a_cache_is_a_share_of_all_prompts() {
        assert_eq!(cached(&totals(0, 9, 0)), None);
        assert_eq!(cached(&totals(10, 0, 0)), Some(75.0));
    }
}
