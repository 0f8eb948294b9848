//! Limits against every order of events that proptest finds, and a few that a person would try.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::clock::{ManualClock, Timestamp};

fn start() -> SinceBoot {
    ManualClock::at(Timestamp::UNIX_EPOCH).moment().boot
}

fn ms(millis: i64) -> SignedDuration {
    SignedDuration::from_millis(millis)
}

fn limits(requests: Option<u32>, tokens: Option<u64>, concurrency: Option<u32>, wait: i64) -> Limits {
    Limits { requests, tokens, concurrency, wait: ms(wait) }
}

fn refused(arrival: Arrival) -> Blocked {
    match arrival {
        Arrival::Refused(blocked) => blocked,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_minutes_worth_comes_at_once_and_then_evenly() {
    let now = start();
    let mut limiter = Limiter::<()>::new(limits(Some(6), None, None, 0), now);
    for _ in 0..6 {
        assert_eq!(limiter.arrive(now, || ()), Arrival::Admitted);
    }
    let blocked = refused(limiter.arrive(now, || ()));
    assert_eq!(blocked, Blocked { limit: Limit::Requests(6), until: Some(now.after(ms(10_000))) });
    let before = now.after(SignedDuration::from_nanos(9_999_999_999));
    assert_eq!(refused(limiter.arrive(before, || ())), blocked);
    assert_eq!(limiter.arrive(now.after(ms(10_000)), || ()), Arrival::Admitted);
}

#[test]
fn tokens_are_paid_off_by_waiting() {
    let now = start();
    let mut limiter = Limiter::<()>::new(limits(None, Some(60_000), None, 0), now);
    assert_eq!(limiter.arrive(now, || ()), Arrival::Admitted);
    limiter.charge(59_999, now);
    assert_eq!(limiter.arrive(now, || ()), Arrival::Admitted, "one token is left");
    limiter.charge(30_001, now);
    let blocked = refused(limiter.arrive(now, || ()));
    // 30,000 are owed, and one must be there: a thousand come back each second.
    assert_eq!(blocked, Blocked { limit: Limit::Tokens(60_000), until: Some(now.after(ms(30_001))) });
    assert_eq!(limiter.arrive(now.after(ms(30_001)), || ()), Arrival::Admitted);
}

#[test]
fn no_charge_is_too_large() {
    let now = start();
    let mut limiter = Limiter::<()>::new(limits(None, Some(1), None, 0), now);
    limiter.charge(u64::MAX, now);
    limiter.charge(u64::MAX, now);
    assert!(refused(limiter.arrive(now, || ())).until.unwrap() > now.after(ms(i64::MAX)));
}

#[test]
fn of_two_limits_the_later_one_is_told() {
    let now = start();
    let mut limiter = Limiter::<()>::new(limits(Some(60), Some(60), Some(1), 0), now);
    assert_eq!(limiter.arrive(now, || ()), Arrival::Admitted);
    assert_eq!(
        refused(limiter.arrive(now, || ())),
        Blocked { limit: Limit::Concurrency(1), until: None },
        "only the other request holds it back"
    );
    limiter.charge(90, now);
    assert_eq!(refused(limiter.arrive(now, || ())).limit, Limit::Tokens(60), "a time that is known is told");
}

#[test]
fn who_would_wait_too_long_is_refused_at_once_with_the_time_behind_the_line() {
    let now = start();
    let mut limiter = Limiter::<()>::new(limits(Some(60), None, None, 2_500), now);
    for _ in 0..60 {
        assert_eq!(limiter.arrive(now, || ()), Arrival::Admitted);
    }
    let first = limiter.arrive(now, || ());
    let second = limiter.arrive(now, || ());
    assert!(matches!((first, second), (Arrival::Waits(_), Arrival::Waits(_))));
    let blocked = refused(limiter.arrive(now, || ()));
    assert_eq!(blocked.until, Some(now.after(ms(3_000))), "two are before it");
}

#[test]
fn a_full_line_takes_nobody() {
    let now = start();
    let mut limiter = Limiter::<()>::new(limits(None, None, Some(1), 1_000), now);
    assert_eq!(limiter.arrive(now, || ()), Arrival::Admitted);
    for _ in 0..LONGEST_LINE {
        assert!(matches!(limiter.arrive(now, || ()), Arrival::Waits(_)));
    }
    let full = Blocked { limit: Limit::Concurrency(1), until: None };
    assert_eq!(refused(limiter.arrive(now, || ())), full);
    limiter.end();
    assert_eq!(refused(limiter.arrive(now, || ())), full, "those who wait come before it");
}

/// What happens to a limiter.
#[derive(Clone, Debug)]
enum Step {
    Arrive,
    Pass(i64),
    End,
    Charge(u64),
    /// One of those who wait goes away.
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => Just(Step::Arrive),
        3 => (0_i64..20_000).prop_map(Step::Pass),
        2 => Just(Step::End),
        1 => (0_u64..300).prop_map(Step::Charge),
        1 => (0_usize..8).prop_map(Step::Leave),
    ];
    prop::collection::vec(step, 1..200)
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let (requests, tokens) = (prop::option::of(1_u32..20), prop::option::of(1_u64..200));
    let concurrency = prop::option::of(1_u32..4);
    (requests, tokens, concurrency, 0_i64..30_000)
        .prop_map(|(requests, tokens, concurrency, wait)| limits(requests, tokens, concurrency, wait))
}

/// A limiter, with what must be true of it.
struct Model {
    limits: Limits,
    limiter: Limiter<()>,
    now: SinceBoot,
    line: VecDeque<Ticket>,
    running: u32,
    admitted_at: Vec<SinceBoot>,
}

impl Model {
    fn new(limits: Limits) -> Self {
        let now = start();
        let limiter = Limiter::new(limits, now);
        Self { limits, limiter, now, line: VecDeque::new(), running: 0, admitted_at: Vec::new() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Arrive => self.arrive(),
            Step::Pass(millis) => self.now = self.now.after(ms(*millis)),
            Step::End if self.running > 0 => {
                self.running -= 1;
                self.limiter.end();
            }
            Step::End => {}
            Step::Charge(tokens) => self.limiter.charge(*tokens, self.now),
            Step::Leave(place) => {
                if let Some(ticket) = self.line.remove(*place) {
                    self.limiter.leave(ticket);
                }
            }
        }
        self.call();
        assert_eq!(self.limiter.running(), self.running);
        assert_eq!(self.limiter.waiting().len(), self.line.len());
    }

    fn arrive(&mut self) {
        match self.limiter.arrive(self.now, || ()) {
            Arrival::Admitted => {
                assert!(self.line.is_empty(), "nobody overtakes");
                self.admitted();
            }
            Arrival::Waits(ticket) => {
                assert!(self.limits.wait.is_positive() && self.line.len() < LONGEST_LINE);
                self.line.push_back(ticket);
            }
            Arrival::Refused(blocked) => self.is_true(blocked),
        }
    }

    /// Everybody in line asks, the last one first; only the first may go.
    fn call(&mut self) {
        loop {
            let others: Vec<_> = self.line.iter().skip(1).rev().copied().collect();
            for ticket in others {
                assert_eq!(self.limiter.turn(ticket, self.now), Turn::NotYet);
            }
            let Some(&first) = self.line.front() else { return };
            match self.limiter.turn(first, self.now) {
                Turn::Admitted => {
                    self.line.pop_front();
                    self.admitted();
                }
                Turn::Blocked(blocked) => {
                    assert_eq!(self.limiter.held_by(first, self.now), blocked);
                    return self.first_is_let_in_then(first, blocked);
                }
                Turn::NotYet => panic!("the first of the line is not called"),
            }
        }
    }

    /// The time that a refusal tells is when it would be admitted, were those before it admitted and nobody else: not before.
    fn is_true(&self, Blocked { limit, until }: Blocked) {
        let Some(until) = until else {
            assert!(matches!(limit, Limit::Concurrency(_)), "{limit:?}");
            return;
        };
        if self.line.len() >= LONGEST_LINE {
            return;
        }
        let mut later = Limiter::<()> { line: VecDeque::new(), ..clone(&self.limiter) };
        later.limits.wait = SignedDuration::ZERO;
        later.limits.concurrency = None;
        for _ in &self.line {
            later.admit(self.now);
        }
        let just_before = until.after(SignedDuration::from_nanos(-1));
        assert!(until > self.now);
        assert!(matches!(later.arrive(just_before, || ()), Arrival::Refused(_)));
        assert_eq!(later.arrive(until, || ()), Arrival::Admitted);
    }

    fn first_is_let_in_then(&self, first: Ticket, Blocked { until, .. }: Blocked) {
        let Some(until) = until else {
            return assert!(self.limits.concurrency.is_some_and(|most| self.running >= most));
        };
        let mut later = clone(&self.limiter);
        later.limits.concurrency = None;
        let just_before = until.after(SignedDuration::from_nanos(-1));
        assert!(matches!(later.turn(first, just_before), Turn::Blocked(_)));
        assert_eq!(later.turn(first, until), Turn::Admitted);
    }

    fn admitted(&mut self) {
        self.running += 1;
        self.admitted_at.push(self.now);
        assert!(self.limits.concurrency.is_none_or(|most| self.running <= most), "a place too many");
        let Some(most) = self.limits.requests else { return };
        let minute_ago = self.now.after(ms(-60_000));
        let in_last_minute = self.admitted_at.iter().filter(|at| **at > minute_ago).count();
        assert!(in_last_minute <= 2 * most as usize, "{in_last_minute} in a minute");
        let since_start = u128::try_from(self.now.since(start()).as_nanos()).unwrap();
        let earned = since_start * u128::from(most) / 60_000_000_000;
        assert!(self.admitted_at.len() as u128 <= u128::from(most) + earned, "more than came back");
    }
}

fn clone(limiter: &Limiter<()>) -> Limiter<()> {
    Limiter {
        limits: limiter.limits,
        requests: limiter.requests.clone(),
        tokens: limiter.tokens.clone(),
        running: limiter.running,
        line: limiter.line.clone(),
        last_ticket: limiter.last_ticket,
    }
}

proptest! {
    #[test]
    fn limits_hold_lines_are_fair_and_every_time_told_is_true(limits in any_limits(), steps in steps()) {
        let mut model = Model::new(limits);
        for step in &steps {
            model.take(step);
        }
    }

    #[test]
    fn a_bucket_never_gives_more_than_comes_back(per_minute in 1_u64..2_000_000, gaps in prop::collection::vec(0_i64..5_000_000, 1..300)) {
        let mut now = start();
        let mut bucket = Bucket::full(per_minute, now);
        let mut taken = 0_u128;
        for gap in gaps {
            now = now.after(SignedDuration::from_micros(gap));
            // As much as there is, up to a bound.
            let units = (1..=1_000).rev().find(|units| bucket.holds_at(*units, now) <= now).unwrap_or(0);
            bucket.take(units, now);
            taken += u128::from(units);
            let passed = u128::try_from(now.since(start()).as_nanos()).unwrap();
            let earned = passed * u128::from(per_minute) / 60_000_000_000;
            prop_assert!(taken <= u128::from(per_minute) + earned);
        }
    }
}
