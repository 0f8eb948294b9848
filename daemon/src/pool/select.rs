//! Who is next. Pure: candidates in, an index out.
//!
//! The order of a choice:
//!
//! 1. A *ready* account of the highest priority that has one. Several take turns by weight.
//! 2. Nobody is ready: one that we only *guess* to be in trouble, of the highest priority, and of several the one
//!    that is due back first. So a guess never makes the pool refuse.
//! 3. All are *named*: nobody, until the first of the times that upstream named, of whatever priority.
//!
//! A ready account of a lower priority comes before a guessed one of a higher: what a person wants of a spare
//! account is that it serves while the first one is in trouble.
//!
//! Turns are a smooth weighted rotation: each ready account of the tier gains its weight in credit, the richest
//! one serves and pays the tier's whole weight. With the same accounts ready, each gets exactly its share of every
//! run of as many requests as the weights add up to, spread evenly over the run. One that is not ready gains
//! nothing, so it has nothing to catch up on when it is back.

use crate::clock::Timestamp;

/// Where one account stands for one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Ready,
    /// We guess that it is in trouble until then: it comes after the ready ones.
    Guessed(Timestamp),
    /// Upstream said not to use it before then.
    Named(Timestamp),
    /// Disabled, closed, waiting for a login, or tried already.
    Out,
}

/// An account that could serve the request, as far as the choice must know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) tier: Tier,
    pub(super) weight: u32,
    pub(super) standing: Standing,
    /// What it has saved up; kept by the caller from one choice to the next.
    pub(super) credit: i64,
}

/// Higher ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Tier {
    /// Before any priority: whether the account goes the way that this kind of request prefers.
    pub(super) preferred: bool,
    pub(super) priority: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    Use(usize),
    /// Nobody before this time.
    Until(Timestamp),
    Nobody,
}

/// Chooses, and keeps the books of the tier that took a turn.
pub(super) fn select(candidates: &mut [Candidate]) -> Choice {
    let ready = |candidate: &Candidate| candidate.standing == Standing::Ready;
    if let Some(tier) = candidates.iter().filter(|one| ready(one)).map(|one| one.tier).max() {
        return turn(candidates, |one| ready(one) && one.tier == tier);
    }
    let guessed = candidates.iter().enumerate().filter_map(|(index, one)| match one.standing {
        Standing::Guessed(until) => Some((std::cmp::Reverse(one.tier), until, index)),
        Standing::Ready | Standing::Named(_) | Standing::Out => None,
    });
    if let Some((_, _, index)) = guessed.min() {
        return Choice::Use(index);
    }
    let named = candidates.iter().filter_map(|one| match one.standing {
        Standing::Named(until) => Some(until),
        Standing::Ready | Standing::Guessed(_) | Standing::Out => None,
    });
    named.min().map_or(Choice::Nobody, Choice::Until)
}

/// One turn among those that take part. Of equally rich ones the first in the candidates' order serves.
fn turn(candidates: &mut [Candidate], takes_part: impl Fn(&Candidate) -> bool) -> Choice {
    let mut stake = 0;
    let mut richest: Option<(i64, usize)> = None;
    for (index, one) in candidates.iter_mut().enumerate().filter(|(_, one)| takes_part(one)) {
        let weight = i64::from(one.weight);
        stake += weight;
        one.credit = one.credit.saturating_add(weight);
        if richest.is_none_or(|(credit, _)| one.credit > credit) {
            richest = Some((one.credit, index));
        }
    }
    let Some((_, index)) = richest else { return Choice::Nobody };
    if let Some(one) = candidates.get_mut(index) {
        one.credit = one.credit.saturating_sub(stake);
    }
    Choice::Use(index)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
