//! Whose state is whose: files, batches, containers, threads and bound thoughts live with the account that made them,
//! and a request that refers to one goes there. Learned from answers, looked up for requests, and remembered on disk.
//!
//! Nothing of a name is kept but a hash, and nothing here fails a request: what cannot be written is known until the
//! next start.

mod journal;
mod mark;
mod record;
mod scan;
mod witness;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use mark::Kind;
pub use witness::{Teaches, Witness};

use crate::chain::ErrorChain;
use crate::clock::{Clock, SignedDuration, Timestamp, after};
use crate::id::AccountId;
use crate::pool::{Bond, Owner, Pool};
use crate::store::{Durable, Store, StoreError};
use crate::tasks::Tasks;
use mark::Mark;
use record::{Entry, Record};
use scan::{Key, Scanner, Sight};

/// An account that is gone may be logged in again, and then its files are its own as before. After this time it will
/// not.
const MAY_COME_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Lines that are too many by less than this are not worth writing anew.
const FEW: usize = 1000;

/// The record; clones share it.
#[derive(Clone, Debug)]
pub struct Owners(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    pool: Arc<Pool>,
    clock: Clock,
    tasks: Tasks,
    /// How many entries there are, so that nothing is looked through where nothing can be found.
    known: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    record: Record,
    /// Learned and not written yet.
    pending: Vec<(Mark, Entry)>,
    /// A task writes, and will look for more before it ends.
    writing: bool,
    lines: usize,
    /// The file lacks something: it is written anew next time.
    incomplete: bool,
}

/// What a request refers to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Referred {
    /// Whose state it carries, where that is known.
    pub owner: Option<Owner>,
    /// It runs code in a container, or may.
    pub runs_code: bool,
    /// A later request may go on from its answer.
    pub threads: bool,
}

impl Owners {
    /// Reads what was remembered. Of what cannot be read nothing is known. The pool holds its accounts by now.
    pub async fn load(store: Store, pool: Arc<Pool>, clock: Clock, tasks: Tasks) -> Self {
        let inner = Inner {
            store,
            pool,
            clock,
            tasks: tasks.clone(),
            known: AtomicUsize::new(0),
            state: Mutex::default(),
        };
        let this = Self(Arc::new(inner));
        let loading = this.clone();
        if tasks.spawn_blocking(move || loading.read_file()).await.is_err() {
            tracing::error!("the record of owners could not be read: it starts empty");
        }
        this
    }

    /// What a request refers to, in its path and query and in as much of its body as is here. `names_state` says whether
    /// the body itself may name or make some, see [`Peek::names_state`].
    ///
    /// [`Peek::names_state`]: crate::wire::messages::Peek::names_state
    pub fn referred<'a>(
        &self,
        path: &str,
        body: impl Iterator<Item = &'a [u8]>,
        names_state: bool,
    ) -> Referred {
        let mut referred = Referred::default();
        let mut best: Option<Mark> = None;
        let knows_any = self.0.known.load(Ordering::Relaxed) > 0;
        if !knows_any && !names_state {
            return referred;
        }
        let mut consider = |mark: Mark| {
            // The first of what only its owner knows, else the last message, else the last thought.
            let better = |best: Mark| {
                best.kind.bond() == Bond::Preferred
                    && (mark.kind.bond() == Bond::Only
                        || best.kind == Kind::Thought
                        || mark.kind == Kind::Message)
            };
            if best.is_none_or(better) && self.find(mark).is_some() {
                best = Some(mark);
            }
        };
        let in_path = path.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'));
        in_path.filter_map(|part| Mark::of_id(part.as_bytes())).for_each(&mut consider);
        let mut see = |sight| match sight {
            Sight::Field(Key::Container) | Sight::CodeExecution => referred.runs_code = true,
            Sight::Field(Key::Thread | Key::Diagnostics) => referred.threads = true,
            Sight::Named(Key::Signature | Key::PreviousMessageId, mark) => consider(mark),
            Sight::Named(Key::Id | Key::FileId | Key::Container | Key::None, mark)
                if mark.kind != Kind::Message =>
            {
                consider(mark);
            }
            Sight::Named(..) | Sight::Field(_) => {}
        };
        let mut scanner = Scanner::default();
        body.for_each(|piece| scanner.push(piece, &mut see));
        referred.owner = best.and_then(|mark| {
            let account = self.find(mark)?;
            self.note(mark, account.clone());
            Some(Owner { account, bond: mark.kind.bond() })
        });
        referred
    }

    fn find(&self, mark: Mark) -> Option<AccountId> {
        let now = self.0.clock.now();
        self.lock().record.get(mark, now).map(|entry| entry.account.clone())
    }

    /// An answer mentions something: its account made it, unless another one of the pool is known to have.
    fn hear(&self, mark: Mark, account: &AccountId) {
        let known = self.find(mark).filter(|known| known != account);
        if known.is_none_or(|known| self.0.pool.get(&known).is_none()) {
            self.note(mark, account.clone());
        }
    }

    /// Something is this account's, for sure, and was used now.
    fn note(&self, mark: Mark, account: AccountId) {
        let entry = Entry { account, seen: self.0.clock.now() };
        let mut state = self.lock();
        if !state.record.is_news(mark, &entry) {
            return;
        }
        state.record.put(mark, entry.clone());
        self.0.known.store(state.record.len(), Ordering::Relaxed);
        if state.pending.len() < record::MOST {
            state.pending.push((mark, entry));
        } else {
            // The disk does not keep up: then all of it is written, once it can be.
            state.pending.clear();
            state.incomplete = true;
        }
        if !std::mem::replace(&mut state.writing, true) {
            drop(state);
            self.0.tasks.spawn(self.clone().write());
        }
    }

    /// Writes until nothing is left. A stop waits for it, as for every task.
    async fn write(self) {
        loop {
            let batch = {
                let mut state = self.lock();
                if state.pending.is_empty() {
                    state.writing = false;
                    return;
                }
                std::mem::take(&mut state.pending)
            };
            let this = self.clone();
            if self.0.tasks.spawn_blocking(move || this.save(batch)).await.is_err() {
                // It panicked, which said so; what it was to write is known until the next start.
                self.lock().incomplete = true;
            }
        }
    }

    fn save(&self, batch: Vec<(Mark, Entry)>) {
        let count = batch.len();
        let anew = {
            let state = self.lock();
            state.incomplete || state.lines + count > 2 * state.record.len() + FEW
        };
        if anew {
            self.save_all();
            return;
        }
        // What nobody else knows is worth a sync; a thought is not.
        let lasting = batch.iter().any(|(mark, _)| mark.kind.bond() == Bond::Only);
        let durable = if lasting { Durable::Yes } else { Durable::No };
        let saved = self.0.store.append_journal(&journal::write(batch), durable);
        self.saved(saved, |state| state.lines += count);
    }

    fn save_all(&self) {
        let (now, snapshot) = (self.0.clock.now(), self.0.pool.snapshot());
        let entries: Vec<(Mark, Entry)> = {
            let mut state = self.lock();
            state.record.clear(now, |entry| {
                snapshot.get(&entry.account).is_some() || now < after(entry.seen, MAY_COME_BACK)
            });
            self.0.known.store(state.record.len(), Ordering::Relaxed);
            state.record.entries().map(|(mark, entry)| (mark, entry.clone())).collect()
        };
        let count = entries.len();
        let saved = self.0.store.replace_journal(&journal::write(entries));
        self.saved(saved, |state| state.lines = count);
    }

    /// Tells of the first failure, and of the first success after it.
    fn saved(&self, saved: Result<(), StoreError>, count: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        match saved {
            Ok(()) => {
                count(&mut state);
                if std::mem::take(&mut state.incomplete) {
                    tracing::debug!("whose files and threads are whose is on disk, all of it");
                }
            }
            Err(error) if !std::mem::replace(&mut state.incomplete, true) => {
                tracing::warn!(error = %ErrorChain(&error), "cannot note whose files and threads are whose: what is new is known until proxyd stops");
            }
            Err(_) => {}
        }
    }

    fn read_file(&self) {
        let bytes = match self.0.store.read_journal() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(error = %error, "cannot read whose files and threads are whose: requests that refer to them may be refused");
                // Whatever stands there, nothing is to be added to it.
                self.lock().incomplete = true;
                return;
            }
        };
        let (record, lines) = journal::read(&bytes);
        let whole = bytes.is_empty() || bytes.ends_with(b"\n");
        let clean = {
            let mut state = self.lock();
            *state = State { record, lines, ..State::default() };
            self.0.known.store(state.record.len(), Ordering::Relaxed);
            whole && lines == state.record.len() && !has_ended(&state.record, self.0.clock.now())
        };
        if !clean {
            self.save_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_ended(record: &Record, now: Timestamp) -> bool {
    record.entries().any(|(mark, _)| record.get(mark, now).is_none())
}

#[cfg(test)]
mod tests;
