//! What the choice remembers from one request to the next, so that not each request looks at every account: which accounts serve a
//! model, how each stands, and each one's share. Everything here can be forgotten at any time.
//!
//! An account is looked at again when something was heard of it, when its time has come, and in turn: so many at a choice, but not
//! again within a few milliseconds, in which nothing changes by itself that would be worth it. Of ten thousand, each one's turn comes
//! within some seconds.
//!
//! A draw is decided by the accounts of the highest luck within each share, and whose turn comes first in a conversation is
//! kept as long as no share changes. What belongs to no conversation, and what was tried before, is chosen among copies of all,
//! see [`super::select`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::affinity::AffinityKey;
use super::asked::Endpoint;
use super::heard::Heard;
use super::route::Wanted;
use super::select::{self, Candidate, Choice, Standing, Strategy, Why};
use super::{Asked, Member, Snapshot};
use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::AccountId;

/// Boards that are kept at once: one for each model and endpoint, and for each set of accounts that a client key may use.
const MOST_BOARDS: usize = 16;
/// Accounts that are looked at anew in turn.
const IN_TURN: usize = 16;
/// And the next ones no sooner after that.
const TURN: SignedDuration = SignedDuration::from_millis(10);
/// Of so many accounts the load is added up, and the usual pace found, each time.
const FEW: usize = 64;
/// The first in a conversation's draw that are known. A draw beyond them is made among all.
const MOST_RANKED: usize = 16;
/// Conversations whose draw is kept at once.
const MOST_DRAWS: usize = 512;
/// Two requests read the clock in another order than they choose. More than this is a clock that was put back.
const PUT_BACK: SignedDuration = SignedDuration::from_secs(1);

/// The boards of one snapshot.
#[derive(Debug, Default)]
pub(super) struct Boards {
    generation: u64,
    all: Vec<Board>,
}

/// How all accounts stand that serve one kind of request.
#[derive(Debug)]
pub(super) struct Board {
    model: String,
    endpoint: Endpoint,
    accounts: Vec<AccountId>,
    serving: Vec<(Arc<Member>, Arc<str>)>,
    candidates: Vec<Candidate>,
    /// By the accounts' numbers.
    places: HashMap<u64, usize>,
    /// When who is to be looked at though nothing is heard.
    due: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// How much of what was heard is known here.
    seen: u64,
    /// Whose turn it is to be looked at.
    turn: usize,
    /// And from when on.
    next_turn: Timestamp,
    looked_at: Timestamp,
    /// Paces that are other ones since the usual one was found.
    paces_changed: usize,
    /// And those that are known at all.
    paces_known: usize,
    /// Limits that are other ones since the shares were found.
    limits_changed: usize,
    usual: f64,
    shares: Option<Shares>,
    /// Looks at an account, and draws among all: what a request costs here.
    pub(super) steps: usize,
}

/// Who takes part in a draw.
#[derive(Debug)]
struct Shares {
    strategy: Strategy,
    /// The only one that is ready.
    only: Option<usize>,
    of: Vec<(usize, f64)>,
    /// Their sum.
    all: f64,
    /// Those of one share: number and index.
    classes: Vec<(f64, Vec<(u64, usize)>)>,
    /// Those that take no part.
    apart: Vec<usize>,
    /// Who is first in a conversation's draw, with the shares.
    draws: HashMap<AffinityKey, Vec<(usize, f64)>>,
}

impl Boards {
    /// The board of what is asked.
    pub(super) fn of(&mut self, snapshot: &Snapshot, asked: &Asked<'_>, now: Timestamp) -> &mut Board {
        if self.generation != snapshot.generation || self.all.len() > MOST_BOARDS {
            self.all.clear();
            self.generation = snapshot.generation;
        }
        let known = self.all.iter().position(|board| board.is_of(asked));
        let index = known.unwrap_or(self.all.len());
        if known.is_none() {
            self.all.push(Board::new(snapshot, asked, now));
        }
        #[expect(clippy::indexing_slicing, reason = "it was found there, or put there")]
        &mut self.all[index]
    }
}

impl Board {
    fn new(snapshot: &Snapshot, asked: &Asked<'_>, now: Timestamp) -> Self {
        let wanted = Wanted::read(asked.model, &snapshot.settings());
        let serving = snapshot.serving(&wanted, asked.accounts);
        let mut names: HashMap<&str, Arc<str>> = HashMap::new();
        let mut name = |name| Arc::clone(names.entry(name).or_insert_with(|| name.into()));
        let serving: Vec<_> =
            serving.iter().map(|(member, model)| (Arc::clone(member), name(model))).collect();
        let numbers = serving.iter().map(|(member, _)| member.live.number(&member.account.id));
        Self {
            model: asked.model.to_owned(),
            endpoint: asked.endpoint,
            accounts: asked.accounts.to_owned(),
            places: numbers.zip(0..).collect(),
            serving,
            candidates: Vec::new(),
            due: BinaryHeap::new(),
            seen: 0,
            turn: 0,
            next_turn: now,
            looked_at: now,
            paces_changed: 0,
            paces_known: 0,
            limits_changed: 0,
            usual: 1.0,
            shares: None,
            steps: 0,
        }
    }

    fn is_of(&self, asked: &Asked<'_>) -> bool {
        self.model == asked.model && self.endpoint == asked.endpoint && self.accounts == asked.accounts
    }

    pub(super) fn serving(&self, index: usize) -> Option<&(Arc<Member>, Arc<str>)> {
        self.serving.get(index)
    }

    /// Looks at who may stand otherwise than before.
    pub(super) fn look(&mut self, heard: &Mutex<Heard>, now: Timestamp) {
        let news: Option<Vec<usize>> = {
            let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = std::mem::replace(&mut self.seen, heard.end());
            let place = |number| self.places.get(&number).copied();
            heard.since(seen).map(|numbers| numbers.filter_map(place).collect())
        };
        let was_put_back = now < after(self.looked_at, -PUT_BACK);
        self.looked_at = if was_put_back { now } else { self.looked_at.max(now) };
        let is_known = self.candidates.len() == self.serving.len();
        // Times that were found and are none any more stay there until they come.
        let is_tidy = self.due.len() <= 4 * self.serving.len() + IN_TURN;
        let Some(mut news) = news.filter(|_| is_known && is_tidy && !was_put_back) else {
            self.look_at_all(now);
            return;
        };
        // Of one answer more is heard than one thing.
        news.dedup();
        for index in news {
            self.look_at(index, now);
        }
        while let Some(Reverse((_, index))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now)
        {
            self.due.pop();
            self.look_at(index, now);
        }
        let all = self.serving.len();
        // A clock that was put back a little is no reason to wait.
        if now >= self.next_turn || self.next_turn > after(now, TURN) {
            for _ in 0..IN_TURN.min(all) {
                self.look_at(self.turn % all, now);
                self.turn = (self.turn + 1) % all;
            }
            self.next_turn = after(now, TURN);
        }
        let enough = if all <= IN_TURN { 1 } else { all / 4 };
        if self.paces_changed >= enough {
            self.find_usual_pace();
        }
    }

    fn look_at_all(&mut self, now: Timestamp) {
        self.steps += self.serving.len();
        self.next_turn = after(now, TURN);
        let look = |(member, upstream): &(Arc<Member>, Arc<str>)| {
            member.candidate(upstream, &self.model, self.endpoint, now)
        };
        self.candidates = self.serving.iter().map(look).collect();
        let changes = self.serving.iter().zip(&self.candidates).enumerate();
        let due = changes.filter_map(|(index, ((member, _), one))| {
            Some(Reverse((member.changes_at(one.standing, now)?, index)))
        });
        self.due = due.collect();
        self.shares = None;
        self.paces_known = self.candidates.iter().filter(|one| one.pace.is_some()).count();
        self.find_usual_pace();
    }

    fn look_at(&mut self, index: usize, now: Timestamp) {
        self.steps += 1;
        let Some((member, upstream)) = self.serving.get(index) else { return };
        let Some(known) = self.candidates.get_mut(index) else { return };
        let found = member.candidate(upstream, &self.model, self.endpoint, now);
        let before = std::mem::replace(known, found);
        if before.standing != found.standing {
            self.due.extend(member.changes_at(found.standing, now).map(|at| Reverse((at, index))));
        }
        if before.pace.is_some() != found.pace.is_some() {
            self.paces_known =
                self.paces_known.saturating_add_signed(if found.pace.is_some() { 1 } else { -1 });
            // The first that are known move the usual one far, and the hundredth a little.
            let all = self.serving.len();
            self.paces_changed += if self.paces_known <= FEW { all } else { all / self.paces_known };
        } else if before.pace != found.pace {
            self.paces_changed += 1;
        }
        let usual = self.usual;
        let counts = |one: &Candidate| {
            let pace = select::octave(one.pace.unwrap_or(usual)).to_bits();
            (one.standing == Standing::Ready, one.tier, one.weight, pace)
        };
        // Each first answer to a key tells whose it is: of many accounts not every one is worth new shares at once.
        let few = if self.serving.len() <= FEW { 0 } else { self.serving.len() / IN_TURN };
        self.limits_changed += usize::from(before.limit != found.limit);
        if counts(&before) != counts(&found) || self.limits_changed > few {
            self.shares = None;
        }
    }

    fn find_usual_pace(&mut self) {
        self.steps += self.candidates.len();
        let usual = select::usual_pace(&self.candidates);
        if select::octave(usual).to_bits() != select::octave(self.usual).to_bits() {
            self.shares = None;
        }
        (self.usual, self.paces_changed) = (usual, 0);
    }

    /// Chooses. `in_flight` are the requests that use any account.
    pub(super) fn choose(
        &mut self,
        asked: &Asked<'_>,
        strategy: Strategy,
        key: Option<AffinityKey>,
        in_flight: &AtomicU32,
    ) -> Choice {
        match key {
            Some(key) if asked.tried.is_empty() && strategy != Strategy::FillFirst => {
                self.draw(strategy, key, in_flight)
            }
            _ => None,
        }
        .unwrap_or_else(|| self.among_all(asked, strategy, key))
    }

    /// Among copies of all of them.
    fn among_all(&mut self, asked: &Asked<'_>, strategy: Strategy, key: Option<AffinityKey>) -> Choice {
        let now = |(candidate, (member, _)): (&Candidate, &(Arc<Member>, Arc<str>))| Candidate {
            standing: if asked.tried.contains(&member.account.id) {
                Standing::Out
            } else {
                candidate.standing
            },
            pace: Some(candidate.pace.unwrap_or(self.usual)),
            load: member.in_flight(),
            credit: member.live.credit.load(Ordering::Relaxed),
            ..*candidate
        };
        self.steps += self.serving.len();
        let mut candidates: Vec<_> = self.candidates.iter().zip(&self.serving).map(now).collect();
        let choice = select::select(&mut candidates, strategy, key);
        for (candidate, (member, _)) in candidates.iter().zip(&self.serving) {
            member.live.credit.store(candidate.credit, Ordering::Relaxed);
        }
        choice
    }

    /// A conversation's account; `None` where that is to be looked for among all.
    fn draw(&mut self, strategy: Strategy, key: AffinityKey, in_flight: &AtomicU32) -> Option<Choice> {
        if self.shares.as_ref().is_none_or(|shares| shares.strategy != strategy) {
            self.steps += self.candidates.len();
            self.limits_changed = 0;
            self.shares = Some(Shares::of(&self.candidates, self.usual, strategy)?);
        }
        let shares = self.shares.as_mut()?;
        if let Some(only) = shares.only {
            return Some(Choice::Use(only, Why::OnlyReady));
        }
        let load = |index: usize| self.serving.get(index).map_or(0, |(member, _)| member.in_flight());
        let carried = if shares.of.len() <= FEW {
            shares.of.iter().map(|(index, _)| load(*index)).sum()
        } else {
            let apart = shares.apart.iter().map(|index| load(*index)).sum();
            in_flight.load(Ordering::Relaxed).saturating_sub(apart)
        };
        let (all, mut why) = (shares.all, Why::Conversation);
        for (index, share) in shares.first(key) {
            if select::has_room(f64::from(load(*index)), f64::from(carried), share / all) {
                return Some(Choice::Use(*index, why));
            }
            why = Why::Overflow;
        }
        None
    }
}

impl Shares {
    /// `None` where nobody is ready.
    fn of(candidates: &[Candidate], usual: f64, strategy: Strategy) -> Option<Self> {
        let ready = |one: &&Candidate| one.standing == Standing::Ready;
        let tier = candidates.iter().filter(ready).map(|one| one.tier).max()?;
        let takes_part = |one: &Candidate| one.standing == Standing::Ready && one.tier == tier;
        let assumed = |one: &Candidate| Candidate { pace: Some(one.pace.unwrap_or(usual)), ..*one };
        let candidates: Vec<_> = candidates.iter().map(assumed).collect();
        let of = select::shares(&candidates, strategy, takes_part);
        let only = match of.as_slice() {
            [(index, _)] if candidates.iter().filter(|one| takes_part(one)).count() == 1 => Some(*index),
            _ => None,
        };
        let mut classes: HashMap<u64, (f64, Vec<(u64, usize)>)> = HashMap::new();
        let mut apart: Vec<bool> = vec![true; candidates.len()];
        for (index, share) in &of {
            let number = candidates.get(*index).map_or(0, |one| one.number);
            classes.entry(share.to_bits()).or_insert_with(|| (*share, Vec::new())).1.push((number, *index));
            if let Some(apart) = apart.get_mut(*index) {
                *apart = false;
            }
        }
        Some(Self {
            strategy,
            only,
            all: of.iter().map(|(_, share)| share).sum(),
            of,
            classes: classes.into_values().collect(),
            apart: (0..).zip(apart).filter_map(|(index, apart)| apart.then_some(index)).collect(),
            draws: HashMap::new(),
        })
    }

    /// The first of a conversation's draw.
    fn first(&mut self, key: AffinityKey) -> &[(usize, f64)] {
        if self.draws.len() >= MOST_DRAWS && !self.draws.contains_key(&key) {
            self.draws.clear();
        }
        let classes = &self.classes;
        self.draws.entry(key).or_insert_with(|| {
            let mut all: Vec<_> = classes.iter().flat_map(|class| luckiest(key, class)).collect();
            all.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
            all.into_iter().take(MOST_RANKED).map(|(_, index, share)| (index, share)).collect()
        })
    }
}

/// Those of one share that may be among the first of a draw: each with its draw, its index and its share.
fn luckiest(key: AffinityKey, (share, class): &(f64, Vec<(u64, usize)>)) -> Vec<(f64, usize, f64)> {
    let mut first: Vec<(u64, u64, usize)> = Vec::with_capacity(MOST_RANKED + 1);
    for (number, index) in class {
        let luck = key.luck(*number);
        let is_full = first.len() >= MOST_RANKED;
        if is_full && first.last().is_some_and(|(least, ..)| luck <= *least) {
            continue;
        }
        let place = first.partition_point(|(other, ..)| *other >= luck);
        first.insert(place, (luck, *number, *index));
        first.truncate(MOST_RANKED);
    }
    first.into_iter().map(|(_, number, index)| (key.draw(number, *share), index, *share)).collect()
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
