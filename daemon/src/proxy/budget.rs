//! How many calls upstream may get beyond the clients' own requests. Pure.
//!
//! When all of upstream has trouble, asking again helps nobody and makes it worse. Of the requests of the last minute a
//! fifth may be sent once more; a few may always be, so that a single hiccup in a quiet hour is not the client's to see.

use crate::clock::{SignedDuration, Timestamp};

/// The share of the requests that may be sent again, in percent.
const SHARE_PERCENT: u64 = 20;
/// So many may always be: once there are ten requests a minute, they are within the share.
const ALWAYS: u64 = 2;
/// The minute is forgotten in steps.
const STEP: SignedDuration = SignedDuration::from_secs(10);
const STEPS: usize = 6;

/// The books of the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    steps: [Step; STEPS],
    /// Which step counts now, since 1970.
    current: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    requests: u64,
    extra: u64,
}

impl Budget {
    /// A client's request, which is paid for.
    pub(super) fn request(&mut self, now: Timestamp) {
        self.step(now).requests += 1;
    }

    /// Whether one more call may be made; if so it is counted.
    pub(super) fn try_extra(&mut self, now: Timestamp) -> bool {
        self.step(now);
        let requests: u64 = self.steps.iter().map(|step| step.requests).sum();
        let extra: u64 = self.steps.iter().map(|step| step.extra).sum();
        let may = extra < ALWAYS.max(requests * SHARE_PERCENT / 100);
        self.step(now).extra += u64::from(may);
        may
    }

    /// The step of now. What is older than a minute is forgotten; a clock that went back starts anew.
    fn step(&mut self, now: Timestamp) -> &mut Step {
        let step = now.as_second().div_euclid(STEP.as_secs());
        let gone = step.saturating_sub(self.current);
        if (0..6).contains(&gone) {
            for passed in 1..=gone {
                *self.at(self.current + passed) = Step::default();
            }
        } else {
            self.steps = Default::default();
        }
        self.current = step;
        self.at(step)
    }

    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the length")]
    fn at(&mut self, step: i64) -> &mut Step {
        let index = usize::try_from(step.rem_euclid(6)).unwrap_or(0) % STEPS;
        &mut self.steps[index]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_storm_gets_a_fifth_more_and_no_more() {
        let mut budget = Budget::default();
        let mut calls = 0;
        for n in 0..1000 {
            budget.request(at(n / 100));
            calls += 1 + u64::from(budget.try_extra(at(n / 100))) + u64::from(budget.try_extra(at(n / 100)));
        }
        assert_eq!(calls, 1200);
    }

    #[test]
    fn a_quiet_hour_has_a_few_and_a_minute_later_as_many_again() {
        let mut budget = Budget::default();
        for start in [0, 60, 3600] {
            budget.request(at(start));
            let extra: Vec<bool> = (0..4).map(|n| budget.try_extra(at(start + n))).collect();
            assert_eq!(extra, [true, true, false, false], "{start}");
        }
        assert!(!budget.try_extra(at(3659 - 10)));
        assert!(budget.try_extra(at(0)), "a clock that went back is no reason to refuse");
    }

    proptest! {
        #[test]
        fn whatever_comes_when_the_last_minute_is_within_the_share(
            events in prop::collection::vec((0..20_i64, any::<bool>()), 1..400),
        ) {
            let (mut budget, mut now) = (Budget::default(), 0);
            let (mut requests, mut extra) = (0_u64, 0_u64);
            for (passed, is_request) in events {
                now += passed;
                if is_request {
                    budget.request(at(now));
                    requests += 1;
                } else {
                    extra += u64::from(budget.try_extra(at(now)));
                }
                let minutes = u64::try_from(now / 50 + 1).unwrap();
                prop_assert!(extra <= requests / 5 + ALWAYS * minutes);
            }
        }
    }
}
