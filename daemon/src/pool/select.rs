//! Who is next. Pure: candidates in, an index out.
//!
//! The order of a choice:
//!
//! 1. A *ready* account of the highest priority that has one. The strategy says which of several.
//! 2. Nobody is ready: one that we only *guess* to be in trouble, of the highest priority, and of several the one
//!    that is due back first. So a guess never makes the pool refuse.
//! 3. All are *named*: nobody, until the first of the times that upstream named, of whatever priority.
//!
//! A ready account of a lower priority comes before a guessed one of a higher: what a person wants of a spare
//! account is that it serves while the first one is in trouble.
//!
//! **Shares.** Each ready account of the priority has a share of the requests: equal ones (`round-robin`), those a person
//! set (`weighted`), or the person's times the account's pace (`quota`, see [`super::quota`]), in steps of an octave, so
//! that conversations do not move with every answer. Accounts behind one limit have one share together.
//!
//! **A conversation** goes to the account that wins the draw for it ([`super::affinity`]), each winning as often as its
//! share, unless that account carries clearly more than its share of what is in flight: then to the next in the draw.
//!
//! **What belongs to no conversation** goes to whose turn it is, or with `quota` to the account with the most pace for each
//! request it carries. Turns are a smooth weighted rotation: each ready account of the tier gains its share in credit, the
//! richest one serves and pays the whole. So each gets exactly its share of every run, spread evenly over it, and one that
//! is not ready gains nothing, so it has nothing to catch up on when it is back.
//!
//! **`fill-first`** takes the same account as long as it is ready: the heaviest, then the first.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;

use super::affinity::AffinityKey;
use crate::clock::Timestamp;

/// How an account is chosen among those that are ready, within the highest priority.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// More to the accounts with more quota left for the time until it begins anew.
    #[default]
    Quota,
    /// As much to each.
    RoundRobin,
    /// By the weights that a person set.
    Weighted,
    /// One after the other.
    FillFirst,
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "quota" => Ok(Self::Quota),
            "round-robin" => Ok(Self::RoundRobin),
            "weighted" => Ok(Self::Weighted),
            "fill-first" => Ok(Self::FillFirst),
            _ => Err(format!("{text:?} must be one of quota, round-robin, weighted, fill-first")),
        }
    }
}

/// Where one account stands for one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Ready,
    /// We guess that it is in trouble until then: it comes after the ready ones.
    Guessed(Timestamp),
    /// Upstream said, or a person, not to use it before then.
    Named(Timestamp),
    /// Disabled, closed, waiting for a login, or tried already.
    Out,
}

/// An account that could serve the request, as far as the choice must know it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Candidate {
    pub(super) tier: Tier,
    pub(super) weight: u32,
    pub(super) standing: Standing,
    /// Of its binding window; `None` where nothing is known.
    pub(super) pace: Option<f64>,
    /// Requests in flight.
    pub(super) load: u32,
    /// Its number in draws.
    pub(super) number: u64,
    /// Those of one number have one limit upstream.
    pub(super) limit: u64,
    /// What it has saved up for its turn; kept by the caller from one choice to the next.
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
    Use(usize, Why),
    /// Nobody before this time.
    Until(Timestamp),
    Nobody,
}

/// Why an account was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It owns what the request is about.
    Owner,
    /// No other account was ready.
    OnlyReady,
    /// The conversation belongs to it.
    Conversation,
    /// The conversation belongs to another one, which carries more than its share right now.
    Overflow,
    /// It has the most quota left for the time until it begins anew.
    MostQuota,
    /// It was its turn.
    Turn,
    /// It is the first that is ready.
    First,
    /// None was ready, and this one is due back first.
    LeastDoubtful,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "it owns what the request is about",
            Self::OnlyReady => "it is the only one that is ready",
            Self::Conversation => "its conversation belongs there",
            Self::Overflow => {
                "its conversation belongs to an account that carries more than its share right now"
            }
            Self::MostQuota => "it has the most quota left for the time until it begins anew",
            Self::Turn => "it was its turn",
            Self::First => "it is the first that is ready",
            Self::LeastDoubtful => "none is ready, and this one is due back first",
        })
    }
}

/// An account may carry this many times its share of the requests in flight before conversations pass it by.
const MOST_LOAD: f64 = 1.25;
/// Fewer than this are no load.
const ALWAYS_ALLOWED: f64 = 2.0;
/// Paces below this are of accounts that have next to nothing left.
const NOTHING_LEFT: f64 = 0.02;
/// Bounds of a pace's share.
const LOWEST_SHARE: f64 = 0.25;
const HIGHEST_SHARE: f64 = 4.0;
/// Paces this near to the highest are as good.
const AS_GOOD: f64 = 0.95;
/// Credit for one whole share, so that the shares of accounts behind one limit are whole numbers, too.
const WHOLE_SHARE: f64 = 840.0;

/// Gives those of whom nothing is known the pace that is usual among the others: the first answer of an account must not
/// move everybody's conversations to those that have not answered yet.
pub(super) fn assume_usual_pace(candidates: &mut [Candidate]) {
    let usual = usual_pace(candidates);
    for one in candidates {
        one.pace.get_or_insert(usual);
    }
}

/// The median of those that are known.
pub(super) fn usual_pace(candidates: &[Candidate]) -> f64 {
    let mut known: Vec<f64> = candidates.iter().filter_map(|one| one.pace).collect();
    let middle = known.len() / 2;
    if known.is_empty() { 1.0 } else { *known.select_nth_unstable_by(middle, f64::total_cmp).1 }
}

/// Chooses, and keeps the books of the tier that took a turn.
pub(super) fn select(candidates: &mut [Candidate], strategy: Strategy, key: Option<AffinityKey>) -> Choice {
    let ready = |candidate: &Candidate| candidate.standing == Standing::Ready;
    if let Some(tier) = candidates.iter().filter(|one| ready(one)).map(|one| one.tier).max() {
        let takes_part = |one: &Candidate| ready(one) && one.tier == tier;
        let shares = shares(candidates, strategy, takes_part);
        return match shares.as_slice() {
            [(index, _)] if candidates.iter().filter(|one| takes_part(one)).count() == 1 => {
                Choice::Use(*index, Why::OnlyReady)
            }
            shares => among(candidates, shares, strategy, key),
        };
    }
    let guessed = candidates.iter().enumerate().filter_map(|(index, one)| match one.standing {
        Standing::Guessed(until) => Some((std::cmp::Reverse(one.tier), until, index)),
        Standing::Ready | Standing::Named(_) | Standing::Out => None,
    });
    if let Some((_, _, index)) = guessed.min() {
        return Choice::Use(index, Why::LeastDoubtful);
    }
    let named = candidates.iter().filter_map(|one| match one.standing {
        Standing::Named(until) => Some(until),
        Standing::Ready | Standing::Guessed(_) | Standing::Out => None,
    });
    named.min().map_or(Choice::Nobody, Choice::Until)
}

fn among(
    candidates: &mut [Candidate],
    shares: &[(usize, f64)],
    strategy: Strategy,
    key: Option<AffinityKey>,
) -> Choice {
    match (strategy, key) {
        (Strategy::FillFirst, _) => first(candidates, shares),
        (_, Some(key)) => drawn(candidates, shares, key),
        (Strategy::Quota, None) => most_quota(candidates, shares),
        (Strategy::RoundRobin | Strategy::Weighted, None) => turn(candidates, shares, Why::Turn),
    }
}

/// Who takes part, and each one's share: none where nothing is left of its quota, unless that is so for all.
pub(super) fn shares(
    candidates: &[Candidate],
    strategy: Strategy,
    takes_part: impl Fn(&Candidate) -> bool,
) -> Vec<(usize, f64)> {
    let part = || candidates.iter().enumerate().filter(|(_, one)| takes_part(one));
    let sharers = by_limit(part().map(|(_, one)| (one, 1)));
    let share = |one: &Candidate| {
        let whole = match strategy {
            Strategy::Quota => f64::from(one.weight) * octave(one.pace.unwrap_or(1.0)),
            Strategy::RoundRobin => 1.0,
            Strategy::Weighted | Strategy::FillFirst => f64::from(one.weight),
        };
        whole / of_limit(&sharers, one)
    };
    let all: Vec<_> = part().map(|(index, one)| (index, share(one))).collect();
    let some: Vec<_> = all.iter().copied().filter(|(_, share)| *share > 0.0).collect();
    if some.is_empty() { all.into_iter().map(|(index, _)| (index, 1.0)).collect() } else { some }
}

/// The pace in steps of an octave, and of a few of them: a share that followed it closely, or to its extremes, would move
/// conversations away from their caches for less than it saves. Nothing left is no share.
pub(super) fn octave(pace: f64) -> f64 {
    if pace < NOTHING_LEFT { 0.0 } else { pace.clamp(LOWEST_SHARE, HIGHEST_SHARE).log2().round().exp2() }
}

/// The first in the draw that does not carry clearly more than its share.
pub(super) fn drawn(candidates: &[Candidate], shares: &[(usize, f64)], key: AffinityKey) -> Choice {
    let of = |index: usize| candidates.get(index);
    let load = |index: usize| of(index).map_or(0.0, |one| f64::from(one.load));
    let all: f64 = shares.iter().map(|(_, share)| share).sum();
    let in_flight: f64 = shares.iter().map(|(index, _)| load(*index)).sum();
    let has_room = |(index, share): (usize, f64)| has_room(load(index), in_flight, share / all);
    let draw = |(index, share): (usize, f64)| of(index).map_or(0.0, |one| key.draw(one.number, share));
    let (mut winner, mut chosen) = (None::<(f64, usize)>, None::<(f64, usize)>);
    for share in shares {
        let drawn = draw(*share);
        if winner.is_none_or(|(highest, _)| drawn >= highest) {
            winner = Some((drawn, share.0));
        }
        if chosen.is_none_or(|(highest, _)| drawn >= highest) && has_room(*share) {
            chosen = Some((drawn, share.0));
        }
    }
    let winner = winner.map(|(_, index)| index);
    // Shares add up to the whole, so somebody always has room.
    let chosen = chosen.map(|(_, index)| index).or(winner);
    match chosen {
        Some(index) if chosen == winner => Choice::Use(index, Why::Conversation),
        Some(index) => Choice::Use(index, Why::Overflow),
        None => Choice::Nobody,
    }
}

/// Whether an account that carries `load` of what is `in_flight` may carry one more, given its part of all shares.
pub(super) fn has_room(load: f64, in_flight: f64, part: f64) -> bool {
    load + 1.0 <= (MOST_LOAD * (in_flight + 1.0) * part).ceil().max(ALWAYS_ALLOWED)
}

/// The account with the most pace for each request that it carries, this one included. Equally good ones take turns.
fn most_quota(candidates: &mut [Candidate], shares: &[(usize, f64)]) -> Choice {
    let loads = by_limit(candidates.iter().map(|one| (one, one.load)));
    let sharers = by_limit(shares.iter().filter_map(|(index, _)| Some((candidates.get(*index)?, 1))));
    let score = |(index, _): &(usize, f64)| {
        candidates.get(*index).map_or(0.0, |one| {
            // A heavier account carries more before it counts as much.
            one.pace.unwrap_or(1.0) / (1.0 + of_limit(&loads, one) / f64::from(one.weight))
        })
    };
    let best = shares.iter().map(score).fold(0.0, f64::max);
    let good: Vec<_> = shares
        .iter()
        .filter(|share| score(share) >= best * AS_GOOD)
        .filter_map(|(index, _)| {
            let one = candidates.get(*index)?;
            Some((*index, f64::from(one.weight) / of_limit(&sharers, one)))
        })
        .collect();
    turn(candidates, &good, Why::MostQuota)
}

type Sums = HashMap<u64, f64, BuildHasherDefault<AsItIs>>;

/// Limits have numbers that are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What the accounts behind each limit have together. Made once for a choice: to look through all accounts for each of them
/// takes a while where they are many.
fn by_limit<'a>(parts: impl Iterator<Item = (&'a Candidate, u32)>) -> Sums {
    let mut sums =
        Sums::with_capacity_and_hasher(parts.size_hint().1.unwrap_or(0), BuildHasherDefault::default());
    for (one, part) in parts {
        *sums.entry(one.limit).or_default() += f64::from(part);
    }
    sums
}

fn of_limit(sums: &Sums, one: &Candidate) -> f64 {
    sums.get(&one.limit).copied().unwrap_or(1.0)
}

/// The heaviest, then the first.
fn first(candidates: &[Candidate], shares: &[(usize, f64)]) -> Choice {
    let weight = |index: &usize| candidates.get(*index).map_or(0, |one| one.weight);
    let first =
        shares.iter().map(|(index, _)| *index).min_by_key(|index| (std::cmp::Reverse(weight(index)), *index));
    first.map_or(Choice::Nobody, |index| Choice::Use(index, Why::First))
}

/// One turn among those that take part. Of equally rich ones the first in the candidates' order serves.
fn turn(candidates: &mut [Candidate], shares: &[(usize, f64)], why: Why) -> Choice {
    let mut stake = 0;
    let mut richest: Option<(i64, usize)> = None;
    for (index, share) in shares {
        let Some(one) = candidates.get_mut(*index) else { continue };
        #[expect(clippy::cast_possible_truncation, reason = "weights are at most 100")]
        let gain = (share * WHOLE_SHARE).round() as i64;
        stake += gain;
        one.credit = one.credit.saturating_add(gain);
        if richest.is_none_or(|(credit, _)| one.credit > credit) {
            richest = Some((one.credit, *index));
        }
    }
    let Some((_, index)) = richest else { return Choice::Nobody };
    if let Some(one) = candidates.get_mut(index) {
        one.credit = one.credit.saturating_sub(stake);
    }
    Choice::Use(index, why)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
