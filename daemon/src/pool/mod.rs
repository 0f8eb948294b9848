//! The pool: which accounts there are, and which one a request gets. Readers take a snapshot and hold no
//! lock; a change makes a new snapshot. An account's health outlives a change of its file.
//!
//! The pool knows no files and no network: it is told what is so, and asked.

mod acquire;
mod affinity;
mod asked;
mod board;
mod common;
mod health;
mod heard;
mod lease;
mod member;
mod memory;
mod news;
mod outlook;
pub mod quota;
pub mod route;
mod select;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use futures_util::task::AtomicWaker;

pub use acquire::NoAccount;
pub use affinity::{AffinityKey, Gist};
pub(crate) use asked::LONGEST_MODEL;
pub use asked::{Asked, Bond, Endpoint, Owner, may_use};
pub use health::{Cause, Cooldown, Health, Reach, Scope, Signal};
pub use lease::Lease;
pub use member::{Counters, Member, State, Trouble, Vitals};
pub use memory::Memory;
pub use outlook::Outlook;
pub use select::{Strategy, Why};

use crate::account::{Account, FileName, Settings};
use crate::clock::Clock;
use crate::events::Events;
use crate::id::AccountId;
use board::Boards;
use common::Commons;
use heard::Heard;
use memory::Departed;

/// How the pool chooses.
#[derive(Clone, Debug)]
pub struct Config {
    pub strategy: Strategy,
    /// Whether a conversation stays with an account.
    pub affinity: bool,
    /// The used share of a plan's window from which on it is worth a warning.
    pub warn_at: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { strategy: Strategy::Quota, affinity: true, warn_at: 0.9 }
    }
}

/// All accounts and who is next.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    /// Serializes changes; readers never take it.
    changing: Mutex<Departed>,
    /// Serializes turns: who is next depends on who was. Held for the choice alone.
    choosing: Mutex<Boards>,
    /// In use now: at first the configured one.
    strategy: Mutex<Strategy>,
}

/// What leases need of the pool that they came from.
#[derive(Debug)]
struct Shared {
    config: ArcSwap<Config>,
    current: ArcSwap<Snapshot>,
    clock: Clock,
    events: Events,
    /// Grows with everything that is worth remembering.
    revision: AtomicU64,
    /// Who waits for that.
    keeper: AtomicWaker,
    /// Requests that use any account right now.
    in_flight: AtomicU32,
    /// Accounts of whom something was heard.
    heard: Mutex<Heard>,
    commons: Commons,
}

impl Shared {
    /// An answer told something about an account.
    fn heard(&self, member: &Member) {
        let number = member.live.number(&member.account.id);
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.changed();
    }

    fn changed(&self) {
        self.revision.fetch_add(1, Ordering::Release);
        self.keeper.wake();
    }
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
    pub fn new(config: Config, clock: Clock) -> Self {
        let strategy = Mutex::new(config.strategy);
        let shared = Shared {
            config: ArcSwap::from_pointee(config),
            current: ArcSwap::default(),
            clock,
            events: Events::new(),
            revision: AtomicU64::new(0),
            keeper: AtomicWaker::new(),
            in_flight: AtomicU32::new(0),
            heard: Mutex::default(),
            commons: Commons::default(),
        };
        Self { shared: Arc::new(shared), changing: Mutex::default(), choosing: Mutex::default(), strategy }
    }

    /// How accounts are chosen now.
    pub fn strategy(&self) -> Strategy {
        *self.strategy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses as this says from now on. The strategy that a person chose since stays, where the configured one is the same
    /// as before.
    pub fn configure(&self, config: Config) {
        let strategy = config.strategy;
        let before = self.shared.config.swap(Arc::new(config));
        if before.strategy != strategy {
            self.set_strategy(strategy);
        }
    }

    /// Chooses another way from now on, until the next start or another configured strategy.
    pub fn set_strategy(&self, strategy: Strategy) {
        *self.strategy.lock().unwrap_or_else(PoisonError::into_inner) = strategy;
    }

    /// Whether conversations stay with an account.
    pub fn has_affinity(&self) -> bool {
        self.shared.config.load().affinity
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Where everything that happens to the accounts is told.
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// The member as it is now.
    pub fn get(&self, id: &AccountId) -> Option<Arc<Member>> {
        self.shared.current.load().get(id).cloned()
    }

    /// Puts an account in, or in place of what it was. Its health stays.
    pub fn publish(&self, account: Account) {
        self.change(|snapshot, departed| {
            snapshot.invalid.retain(|invalid| invalid.file != account.file);
            let member = match snapshot.get(&account.id) {
                Some(old) => {
                    // A login, or another word of its owner: what only that could mend may be mended.
                    old.vitals().health.changed();
                    old.with(account, self.shared.clock.moment())
                }
                None => departed.back(account, self.shared.clock.moment()),
            };
            snapshot.put(member);
        });
    }

    /// Puts an account in place of what it was; one that left the pool meanwhile, or has another file by now,
    /// stays as it is.
    pub fn replace(&self, account: Account) {
        self.change(|snapshot, _| {
            let same = snapshot.get(&account.id).filter(|old| old.account.file == account.file);
            if let Some(member) = same.map(|old| old.with(account, self.shared.clock.moment())) {
                snapshot.put(member);
            }
        });
    }

    pub fn remove(&self, id: &AccountId) {
        self.change(|snapshot, _| snapshot.members.retain(|member| member.account.id != *id));
    }

    /// Takes an account out if it still stands for `file`: a login may have put a newer file in its place.
    pub fn remove_file(&self, id: &AccountId, file: &FileName) {
        self.change(|snapshot, _| {
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
        let mut departed = self.lock();
        let current = self.shared.current.load_full();
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
                    Arc::new(old.with(account, self.shared.clock.moment()))
                }
                None => {
                    changes.added.push(account.id.clone());
                    Arc::new(departed.back(account, self.shared.clock.moment()))
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
            self.put_in_place(&current, next, &mut departed, news::Tokens::AreNews);
        }
        Ok(changes)
    }

    fn change(&self, edit: impl FnOnce(&mut Snapshot, &mut Departed)) {
        let mut departed = self.lock();
        let current = self.shared.current.load_full();
        let mut next = Snapshot {
            generation: current.generation + 1,
            members: current.members.clone(),
            invalid: current.invalid.clone(),
        };
        edit(&mut next, &mut departed);
        self.put_in_place(&current, next, &mut departed, news::Tokens::AreToldElsewhere);
    }

    fn put_in_place(
        &self,
        current: &Snapshot,
        next: Snapshot,
        departed: &mut Departed,
        tokens: news::Tokens,
    ) {
        for gone in current.members.iter().filter(|member| next.get(&member.account.id).is_none()) {
            departed.keep(gone);
        }
        let next = Arc::new(next);
        self.shared.current.store(Arc::clone(&next));
        self.shared.changed();
        self.tell(current, &next, tokens);
    }

    fn tell(&self, old: &Snapshot, new: &Snapshot, tokens: news::Tokens) {
        if !self.shared.events.is_heard() {
            return;
        }
        for event in news::between(old, new, tokens, self.shared.clock.now()) {
            self.shared.events.tell(|| event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Departed> {
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

#[cfg(test)]
mod tests;
