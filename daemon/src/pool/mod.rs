//! The pool: which accounts there are, and which one a request gets. Readers take a snapshot and hold no
//! lock; a change makes a new snapshot. An account's health outlives a change of its file.
//!
//! The pool knows no files and no network: it is told what is so, and asked.

mod health;
mod lease;
pub mod route;
mod select;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

pub use health::{Health, Signal};
pub use lease::Lease;

use crate::account::{Account, FileName, NeedsLogin, Settings};
use crate::clock::{Clock, Timestamp};
use crate::id::AccountId;
use route::{Serving, Wanted};
use select::{Candidate, Choice, Standing, Tier};

/// All accounts and who is next.
#[derive(Debug)]
pub struct Pool {
    current: ArcSwap<Snapshot>,
    /// Serializes changes; readers never take it.
    changing: Mutex<()>,
    /// Serializes turns: who is next depends on who was. Held for the choice alone.
    choosing: Mutex<()>,
    clock: Clock,
}

/// The pool at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Grows with each change, so that a stale view of the directory cannot overwrite a newer one.
    generation: u64,
    /// In the order of ids, so that rotation does not depend on the order of arrival.
    pub members: Vec<Arc<Member>>,
    /// Files of the auth directory that are not used.
    pub invalid: Vec<InvalidFile>,
}

/// A file that is not used, and why, in words for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidFile {
    pub file: FileName,
    pub reason: String,
}

/// One account of the pool with what is known about it beyond its file.
#[derive(Debug)]
pub struct Member {
    pub account: Account,
    live: Arc<Live>,
}

/// What lives as long as the account is in the pool, whatever its file does.
#[derive(Debug, Default)]
struct Live {
    health: Mutex<Health>,
    in_flight: AtomicU32,
    trouble: Mutex<Trouble>,
    /// For its turns, see [`select`]. Read and written under `Pool::choosing`.
    credit: AtomicI64,
}

/// What went wrong with an account's upkeep.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The newest failure of a refresh or a save; forgotten on success.
    pub last_error: Option<String>,
    /// A received token is in memory only.
    pub unsaved: bool,
}

/// What an account is, for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    Ready,
    /// Not to be used before `until`: upstream said so.
    Cooling {
        until: Timestamp,
        reason: String,
    },
    NeedsLogin(NeedsLogin),
    Disabled,
    /// A setting that decides what is sent where cannot be used.
    Invalid {
        reason: String,
    },
}

/// Why there is no account for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoAccount {
    /// The pool is empty.
    Empty,
    /// Every account that serves the model is disabled, waits for a login, or has a setting that cannot be used.
    /// `others` do not serve it.
    AllOut { disabled: usize, needs_login: usize, invalid: usize, others: usize },
    /// Every account that the name is for excludes the model.
    Excluded { model: String },
    /// Every account that could serve is to be left alone until a time that upstream named.
    Cooling { until: Timestamp },
    /// Every account that could serve has been tried by this request.
    Exhausted,
}

/// The change came from a view that is no longer the newest; look again.
#[derive(Debug, PartialEq, Eq)]
pub struct StaleView;

/// What a reconcile changed, for the log.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Changes {
    pub added: Vec<AccountId>,
    pub changed: Vec<AccountId>,
    pub removed: Vec<AccountId>,
    /// Files that became unusable, or are so for another reason than before.
    pub invalid: Vec<InvalidFile>,
}

impl Pool {
    pub fn new(clock: Clock) -> Self {
        Self { current: ArcSwap::default(), changing: Mutex::default(), choosing: Mutex::default(), clock }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The member as it is now.
    pub fn get(&self, id: &AccountId) -> Option<Arc<Member>> {
        self.current.load().get(id).cloned()
    }

    /// Puts an account in, or in place of what it was. Its health stays.
    pub fn publish(&self, account: Account) {
        self.change(|snapshot| {
            let live = snapshot.get(&account.id).map(|old| Arc::clone(&old.live)).unwrap_or_default();
            snapshot.invalid.retain(|invalid| invalid.file != account.file);
            snapshot.put(Member { account, live });
        });
    }

    /// Puts an account in place of what it was; one that left the pool meanwhile, or has another file by now,
    /// stays as it is.
    pub fn replace(&self, account: Account) {
        self.change(|snapshot| {
            let same = snapshot.get(&account.id).filter(|old| old.account.file == account.file);
            if let Some(live) = same.map(|old| Arc::clone(&old.live)) {
                snapshot.put(Member { account, live });
            }
        });
    }

    pub fn remove(&self, id: &AccountId) {
        self.change(|snapshot| snapshot.members.retain(|member| member.account.id != *id));
    }

    /// Takes an account out if it still stands for `file`: a login may have put a newer file in its place.
    pub fn remove_file(&self, id: &AccountId, file: &FileName) {
        self.change(|snapshot| {
            snapshot.members.retain(|member| member.account.id != *id || member.account.file != *file);
        });
    }

    /// Makes the pool what the directory says. `seen` is the snapshot taken *before* the directory was read.
    pub fn reconcile(
        &self,
        seen: &Snapshot,
        accounts: Vec<Account>,
        invalid: Vec<InvalidFile>,
    ) -> Result<Changes, StaleView> {
        let _changing = self.lock();
        let current = self.current.load_full();
        if current.generation != seen.generation {
            return Err(StaleView);
        }
        let mut changes = Changes {
            invalid: invalid.iter().filter(|file| !current.invalid.contains(file)).cloned().collect(),
            ..Changes::default()
        };
        let mut next = Snapshot { generation: current.generation, members: Vec::new(), invalid };
        for account in accounts {
            let member = match current.get(&account.id) {
                Some(old) if old.account == account => Arc::clone(old),
                Some(old) => {
                    changes.changed.push(account.id.clone());
                    Arc::new(Member { account, live: Arc::clone(&old.live) })
                }
                None => {
                    changes.added.push(account.id.clone());
                    Arc::new(Member { account, live: Arc::default() })
                }
            };
            next.members.push(member);
        }
        next.members.sort_by(|a, b| a.account.id.cmp(&b.account.id));
        let gone =
            current.members.iter().map(|member| &member.account.id).filter(|id| next.get(id).is_none());
        changes.removed.extend(gone.cloned());
        if changes != Changes::default() || next.invalid != current.invalid {
            next.generation += 1;
            self.current.store(Arc::new(next));
        }
        Ok(changes)
    }

    /// Chooses an account for a request for `model`, as the client names it, that has `tried` some already: see
    /// [`route`] for who may serve it and [`select`] for whose turn it is. A request about no model (empty)
    /// prefers the accounts that go to the provider itself.
    pub fn acquire(&self, model: &str, tried: &[AccountId]) -> Result<Lease, NoAccount> {
        let now = self.clock.now();
        let snapshot = self.current.load();
        let wanted = Wanted::read(model, snapshot.settings());
        let serving: Vec<(&Arc<Member>, &str)> = snapshot
            .members
            .iter()
            .filter_map(|member| match wanted.by(&member.account.settings) {
                Serving::As(upstream) => Some((member, upstream)),
                Serving::Excluded | Serving::Not => None,
            })
            .collect();
        let candidate = |(member, upstream): &(&Arc<Member>, &str)| {
            let Settings { priority, weight, base_url, .. } = &member.account.settings;
            let preferred = !model.is_empty() || base_url.is_none();
            let tier = Tier { preferred, priority: *priority };
            let is_tried = tried.contains(&member.account.id);
            let standing = if is_tried { Standing::Out } else { member.standing(upstream, now) };
            Candidate { tier, weight: *weight, standing, credit: 0 }
        };
        let mut candidates: Vec<Candidate> = serving.iter().map(candidate).collect();
        match self.choose(&serving, &mut candidates).map(|index| serving.get(index)) {
            Ok(Some((member, upstream))) => Ok(Lease::new(Arc::clone(member), *upstream, self.clock.clone())),
            Ok(None) | Err(_) if !tried.is_empty() => Err(NoAccount::Exhausted),
            Err(Some(until)) => Err(NoAccount::Cooling { until }),
            Ok(None) | Err(None) => Err(snapshot.why_nobody(model, &serving, now)),
        }
    }

    /// The name under which `model` is asked for upstream, where an account serves it: that of the highest
    /// priority. Accounts may differ in it; the lease of each says its own.
    pub fn upstream_name(&self, model: &str) -> Option<String> {
        let snapshot = self.current.load();
        let wanted = Wanted::read(model, snapshot.settings());
        let named = snapshot.settings().filter_map(|settings| match wanted.by(settings) {
            Serving::As(upstream) => Some((std::cmp::Reverse(settings.priority), upstream)),
            Serving::Excluded | Serving::Not => None,
        });
        named.min_by_key(|(priority, _)| *priority).map(|(_, upstream)| upstream.to_owned())
    }

    /// The index of whose turn it is, else the time before which it is nobody's.
    fn choose(
        &self,
        serving: &[(&Arc<Member>, &str)],
        candidates: &mut [Candidate],
    ) -> Result<usize, Option<Timestamp>> {
        let credits = || serving.iter().map(|(member, _)| &member.live.credit);
        let _choosing = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        for (candidate, credit) in candidates.iter_mut().zip(credits()) {
            candidate.credit = credit.load(Ordering::Relaxed);
        }
        let choice = select::select(candidates);
        for (candidate, credit) in candidates.iter().zip(credits()) {
            credit.store(candidate.credit, Ordering::Relaxed);
        }
        match choice {
            Choice::Use(index) => Ok(index),
            Choice::Until(until) => Err(Some(until)),
            Choice::Nobody => Err(None),
        }
    }

    fn change(&self, edit: impl FnOnce(&mut Snapshot)) {
        let _changing = self.lock();
        let current = self.current.load_full();
        let mut next = Snapshot {
            generation: current.generation + 1,
            members: current.members.clone(),
            invalid: current.invalid.clone(),
        };
        edit(&mut next);
        self.current.store(Arc::new(next));
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// O(log n): the members are in the order of ids.
    pub fn get(&self, id: &AccountId) -> Option<&Arc<Member>> {
        let index = self.members.binary_search_by(|member| member.account.id.cmp(id)).ok()?;
        self.members.get(index)
    }

    fn put(&mut self, member: Member) {
        let member = Arc::new(member);
        match self.members.binary_search_by(|other| other.account.id.cmp(&member.account.id)) {
            Ok(index) => {
                if let Some(place) = self.members.get_mut(index) {
                    *place = member;
                }
            }
            Err(index) => self.members.insert(index, member),
        }
    }

    /// What every account is set to.
    pub fn settings(&self) -> impl Iterator<Item = &Settings> + Clone {
        self.members.iter().map(|member| &member.account.settings)
    }

    /// Tells one state of the pool from another: it grows with each change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn why_nobody(&self, model: &str, serving: &[(&Arc<Member>, &str)], now: Timestamp) -> NoAccount {
        let count = |wanted: fn(&State) -> bool| {
            serving.iter().filter(|(member, _)| wanted(&member.state(now))).count()
        };
        match (self.members.len(), serving.len()) {
            (0, _) => NoAccount::Empty,
            // A prefix or an alias has an owner, so the name is for somebody.
            (_, 0) => NoAccount::Excluded { model: model.to_owned() },
            (all, some) => NoAccount::AllOut {
                disabled: count(|state| matches!(state, State::Disabled)),
                needs_login: count(|state| matches!(state, State::NeedsLogin(_))),
                invalid: count(|state| matches!(state, State::Invalid { .. })),
                others: all - some,
            },
        }
    }
}

impl Member {
    /// What the account is, for a person and for [`State`]'s readers.
    pub fn state(&self, now: Timestamp) -> State {
        if self.account.disabled {
            return State::Disabled;
        }
        if let Some(reason) = self.account.closed_by() {
            return State::Invalid { reason };
        }
        if let Some(needs_login) = &self.account.needs_login {
            return State::NeedsLogin(needs_login.clone());
        }
        if let Some(since) = self.ended(now) {
            let reason = "its token ended and it holds no refresh token".to_owned();
            return State::NeedsLogin(NeedsLogin { since, reason });
        }
        match self.health().named(now) {
            Some((until, models)) => {
                let models = models.join(", ");
                State::Cooling { until, reason: format!("upstream limits it for {models} (429)") }
            }
            None => State::Ready,
        }
    }

    /// Whether a request could be served by it now.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        matches!(self.state(now), State::Ready)
    }

    /// Requests that use the account right now.
    pub fn in_flight(&self) -> u32 {
        self.live.in_flight.load(Ordering::Relaxed)
    }

    /// What went wrong with its upkeep.
    pub fn trouble(&self) -> Trouble {
        self.live.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        *self.live.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// When upstream last took its credential.
    pub fn served_at(&self) -> Option<Timestamp> {
        self.health().served_at()
    }

    /// Forgets cooldowns, as after a person switched the account on again.
    pub fn forgive(&self) {
        *self.health() = Health::default();
    }

    fn standing(&self, model: &str, now: Timestamp) -> Standing {
        let Account { disabled, needs_login, .. } = &self.account;
        if *disabled || needs_login.is_some() || self.account.is_closed() || self.ended(now).is_some() {
            return Standing::Out;
        }
        self.health().standing(model, now)
    }

    /// When a token that nothing can renew ended, if it did.
    fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        let tokens = self.account.oauth()?;
        tokens.expires_at.filter(|end| tokens.refresh.is_none() && *end <= now)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.live.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for NoAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no Claude account yet: run `proxyctl login claude`"),
            Self::AllOut { disabled, needs_login, invalid, others } => {
                f.write_str("no account is usable: ")?;
                let parts = [
                    (needs_login, "need a new login (`proxyctl login claude`)"),
                    (disabled, "are disabled (`proxyctl accounts enable ACCOUNT`)"),
                    (invalid, "have a setting that cannot be used (`proxyctl accounts list`)"),
                    (others, "do not serve this model (`proxyctl accounts list --wide`)"),
                ];
                let parts = parts.iter().filter(|(count, _)| **count > 0);
                let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
                f.write_str(&parts.join(", "))
            }
            Self::Excluded { model } => write!(
                f,
                "model: {model} is not served here: every account that it could go to excludes it in its setting \
                 `excluded_models`"
            ),
            Self::Cooling { until } => {
                write!(
                    f,
                    "all accounts are at their limit for this model; the first may be used again at {until:.0}"
                )
            }
            Self::Exhausted => f.write_str("every usable account has been tried"),
        }
    }
}

#[cfg(test)]
mod tests;
