//! The pool: which accounts there are, and which one a request gets. Readers take a snapshot and hold no
//! lock; a change makes a new snapshot. An account's health outlives a change of its file.
//!
//! The pool knows no files and no network: it is told what is so, and asked.

mod health;
mod lease;
mod news;
mod select;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

pub use health::{Health, Signal};
pub use lease::Lease;

use crate::account::{Account, FileName, NeedsLogin};
use crate::clock::{Clock, Timestamp};
use crate::events::Events;
use crate::id::AccountId;
use select::{Choice, Standing};

/// All accounts and who is next.
#[derive(Debug)]
pub struct Pool {
    current: ArcSwap<Snapshot>,
    /// Serializes changes; readers never take it.
    changing: Mutex<()>,
    cursor: AtomicUsize,
    clock: Clock,
    events: Events,
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
    /// Every account is disabled, waits for a login, or has a setting that cannot be used.
    AllOut { disabled: usize, needs_login: usize, invalid: usize },
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
        Self {
            current: ArcSwap::default(),
            changing: Mutex::default(),
            cursor: AtomicUsize::new(0),
            clock,
            events: Events::new(),
        }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Where everything that happens to the accounts is told.
    pub fn events(&self) -> &Events {
        &self.events
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
            let next = Arc::new(next);
            self.current.store(Arc::clone(&next));
            self.tell(&current, &next, news::Tokens::AreNews);
        }
        Ok(changes)
    }

    /// Chooses an account for a request for `model` that has `tried` some already. Requests rotate over the
    /// usable ones; one that we only guess to be in trouble comes after those, never instead of nobody.
    pub fn acquire(&self, model: &str, tried: &[AccountId]) -> Result<Lease, NoAccount> {
        let now = self.clock.now();
        let snapshot = self.current.load();
        let standing = |member: &Arc<Member>| {
            if tried.contains(&member.account.id) { Standing::Out } else { member.standing(model, now) }
        };
        let standings = || snapshot.members.iter().map(standing);
        loop {
            let cursor = self.cursor.load(Ordering::Relaxed);
            let index = match select::select(standings(), snapshot.members.len(), cursor) {
                Choice::Use(index) => index,
                Choice::Until(_) | Choice::Nobody if !tried.is_empty() => return Err(NoAccount::Exhausted),
                Choice::Until(until) => return Err(NoAccount::Cooling { until }),
                Choice::Nobody => return Err(snapshot.why_nobody(now)),
            };
            let claimed =
                self.cursor.compare_exchange(cursor, index + 1, Ordering::Relaxed, Ordering::Relaxed);
            if let (Ok(_), Some(member)) = (claimed, snapshot.members.get(index)) {
                return Ok(Lease::new(Arc::clone(member), model, self.clock.clone(), self.events.clone()));
            }
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
        let next = Arc::new(next);
        self.current.store(Arc::clone(&next));
        self.tell(&current, &next, news::Tokens::AreToldElsewhere);
    }

    fn tell(&self, old: &Snapshot, new: &Snapshot, tokens: news::Tokens) {
        if !self.events.is_heard() {
            return;
        }
        for event in news::between(old, new, tokens, self.clock.now()) {
            self.events.tell(|| event);
        }
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

    fn why_nobody(&self, now: Timestamp) -> NoAccount {
        let count = |wanted: fn(&State) -> bool| {
            self.members.iter().filter(|member| wanted(&member.state(now))).count()
        };
        match self.members.len() {
            0 => NoAccount::Empty,
            _ => NoAccount::AllOut {
                disabled: count(|state| matches!(state, State::Disabled)),
                needs_login: count(|state| matches!(state, State::NeedsLogin(_))),
                invalid: count(|state| matches!(state, State::Invalid { .. })),
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
            Self::AllOut { disabled, needs_login, invalid } => {
                f.write_str("no account is usable: ")?;
                let parts = [
                    (needs_login, "need a new login (`proxyctl login claude`)"),
                    (disabled, "are disabled (`proxyctl accounts enable ACCOUNT`)"),
                    (invalid, "have a setting that cannot be used (`proxyctl accounts list`)"),
                ];
                let parts = parts.iter().filter(|(count, _)| **count > 0);
                let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
                f.write_str(&parts.join(", "))
            }
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
