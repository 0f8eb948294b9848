//! The pool: which accounts there are, and which one a request gets. Readers take a snapshot and hold no
//! lock; a change makes a new snapshot. An account's health outlives a change of its file.
//!
//! The pool knows no files and no network: it is told what is so, and asked.

mod acquire;
mod asked;
mod health;
mod lease;
mod news;
pub mod route;
mod select;

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

pub use acquire::NoAccount;
pub use asked::{Asked, Bond, Endpoint, Owner};
pub use health::{Health, Signal};
pub use lease::Lease;

use crate::account::{Account, FileName, NeedsLogin, Settings};
use crate::clock::{Clock, Timestamp};
use crate::events::Events;
use crate::id::AccountId;
use select::Standing;

/// All accounts and who is next.
#[derive(Debug)]
pub struct Pool {
    current: ArcSwap<Snapshot>,
    /// Serializes changes; readers never take it.
    changing: Mutex<()>,
    /// Serializes turns: who is next depends on who was. Held for the choice alone.
    choosing: Mutex<()>,
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
            choosing: Mutex::default(),
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

    /// What every account is set to.
    pub fn settings(&self) -> impl Iterator<Item = &Settings> + Clone {
        self.members.iter().map(|member| &member.account.settings)
    }

    /// Tells one state of the pool from another: it grows with each change.
    pub fn generation(&self) -> u64 {
        self.generation
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

#[cfg(test)]
mod tests;
