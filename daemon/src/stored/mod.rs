//! Stored responses: what `previous_response_id`, item references and `GET /v1/responses/{id}` find again. On disk, private,
//! bounded in number, size and age, and after a restart as before it. Each is somebody's, and not known to anybody else.
//!
//! Nothing here fails a request that could do without it: what cannot be written is known until it has left the memory.

mod recall;
mod record;
mod shelf;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use recall::RecallError;
pub use record::{Holder, Record};

use crate::chain::ErrorChain;
use crate::clock::{Clock, SignedDuration, Timestamp};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::wire::responses::ResponseId;
use shelf::Shelf;

/// What waits for the disk may take this much; more is not written, and known as long as it is in memory.
const MOST_UNWRITTEN: u64 = 64 * 1024 * 1024;
/// Jobs that may wait for the disk before those are left out that cost no more than a file that goes at another time.
const MOST_JOBS: usize = 10_000;
/// Between two looks for what is too old.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// How much is stored, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Whether anything is. What was stored before is kept for its time, and not served.
    pub enabled: bool,
    /// From its last use on.
    pub ttl: SignedDuration,
    pub most_bytes: u64,
}

/// The store of responses; clones share it.
#[derive(Clone, Debug)]
pub struct StoredResponses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ArcSwap<Config>,
    store: Store,
    clock: Clock,
    tasks: Tasks,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shelf: Shelf,
    /// What the disk has yet to be told, in order.
    jobs: VecDeque<Job>,
    /// What of it is records to write.
    unwritten: u64,
    /// The record that is being written.
    writing: Option<Arc<Record>>,
    /// A task works on them, and will look for more before it ends.
    working: bool,
    /// The last write failed, and that was said.
    failed: bool,
}

/// With the time of the use that is told.
#[derive(Debug)]
enum Job {
    Write(Arc<Record>, Timestamp),
    Touch(ResponseId, Timestamp),
    Remove(ResponseId),
}

impl Job {
    fn id(&self) -> &ResponseId {
        match self {
            Self::Write(record, _) => &record.id,
            Self::Touch(id, _) | Self::Remove(id) => id,
        }
    }
}

impl State {
    /// The record, if it is in memory.
    fn in_memory(&mut self, id: &ResponseId) -> Option<Arc<Record>> {
        let waiting = || {
            let records = self.jobs.iter().filter_map(|job| match job {
                Job::Write(record, _) => Some(record),
                Job::Touch(..) | Job::Remove(_) => None,
            });
            records.rev().chain(&self.writing).find(|record| record.id == *id).cloned()
        };
        self.shelf.recent(id).or_else(waiting)
    }
}

impl StoredResponses {
    /// Reads what there is.
    pub async fn load(config: Config, store: Store, clock: Clock, tasks: Tasks) -> Self {
        let config = ArcSwap::from_pointee(config);
        let inner = Inner { config, store, clock, tasks: tasks.clone(), state: Mutex::default() };
        let this = Self(Arc::new(inner));
        let loading = this.clone();
        if tasks.spawn_blocking(move || loading.read_directory()).await.is_err() {
            tracing::error!("the stored responses could not be listed: none is known");
        }
        this
    }

    /// Deletes what is too old, now and from now on.
    pub fn start(&self) {
        self.sweep();
        let this = self.clone();
        self.0.tasks.spawn_vital("stored responses", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(SWEEP_EVERY) => this.sweep(),
                    () = this.0.tasks.stopping() => return,
                }
            }
        });
    }

    /// Stores as this says from now on. What is too much or too old by it goes now.
    pub fn configure(&self, config: Config) {
        self.0.config.store(Arc::new(config));
        self.sweep();
    }

    pub fn is_enabled(&self) -> bool {
        self.0.config.load().enabled
    }

    /// Stores a response. It can be found at once, and is written while nobody waits.
    pub fn put(&self, record: Record) {
        if !self.0.config.load().enabled {
            return;
        }
        if record.size() > self.0.config.load().most_bytes {
            tracing::warn!(response.id = %record.id, "a response is larger than all that may be stored (responses.max_mib): it is not");
            return;
        }
        let (record, now) = (Arc::new(record), self.0.clock.now());
        self.lock().shelf.put(Arc::clone(&record), now);
        self.add(Job::Write(record, now));
        self.sweep();
    }

    /// A stored response, if it is the holder's. To look at it is to use it.
    pub async fn get(&self, id: &ResponseId, holder: Option<&Holder>) -> Option<Arc<Record>> {
        if !self.0.config.load().enabled {
            return None;
        }
        let record = self.find(id).await.filter(|record| record.holder.as_ref() == holder)?;
        let now = self.0.clock.now();
        if !self.lock().shelf.touch(id, now, self.0.config.load().ttl) {
            return None;
        }
        self.add_if_room(Job::Touch(id.clone(), now));
        Some(record)
    }

    /// The record, whosever it is, and without a use of it.
    async fn find(&self, id: &ResponseId) -> Option<Arc<Record>> {
        let recent = {
            let mut state = self.lock();
            if !state.shelf.contains(id) {
                return None;
            }
            state.in_memory(id)
        };
        match recent {
            Some(record) => Some(record),
            None => self.read(id).await,
        }
    }

    /// Deletes a response, if it is the holder's. Whether it was there.
    pub async fn delete(&self, id: &ResponseId, holder: Option<&Holder>) -> bool {
        let is_theirs = match self.find(id).await {
            Some(record) => record.holder.as_ref() == holder,
            // Nobody can tell any more whose a file is that cannot be read: it is the daemon's own user's to delete.
            None => holder.is_none(),
        };
        if !is_theirs {
            return false;
        }
        let (live, removed) = {
            let mut state = self.lock();
            let live = state.shelf.touch(id, self.0.clock.now(), self.0.config.load().ttl);
            (live, state.shelf.remove(id))
        };
        if removed {
            self.add(Job::Remove(id.clone()));
        } else {
            // There may be a file that cannot be read, of a response that is not known for that.
            self.add_if_room(Job::Remove(id.clone()));
        }
        live && removed && self.0.config.load().enabled
    }

    async fn read(&self, id: &ResponseId) -> Option<Arc<Record>> {
        let (this, wanted) = (self.clone(), id.clone());
        let read = move || match this.0.store.read_response(&wanted) {
            Ok(bytes) => Record::parse(&bytes, &wanted),
            Err(error) => {
                tracing::warn!(response.id = %wanted, error = %ErrorChain(&error), "a stored response cannot be read");
                None
            }
        };
        let record = self.0.tasks.spawn_blocking(read).await.ok().flatten();
        let mut state = self.lock();
        let Some(record) = record.map(Arc::new) else {
            // It will not be found the next time either.
            state.shelf.remove(id);
            return None;
        };
        state.shelf.recall(Arc::clone(&record));
        Some(record)
    }

    fn read_directory(&self) {
        match self.0.store.list_responses() {
            Ok(files) => {
                let mut state = self.lock();
                for file in files {
                    state.shelf.found(file.id, file.bytes, file.used);
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "the stored responses cannot be listed: none is known");
            }
        }
    }

    fn sweep(&self) {
        let Config { ttl, most_bytes, .. } = **self.0.config.load();
        let gone = self.lock().shelf.sweep(self.0.clock.now(), ttl, most_bytes);
        for id in gone {
            self.add(Job::Remove(id));
        }
    }

    fn add_if_room(&self, job: Job) {
        if self.lock().jobs.len() < MOST_JOBS {
            self.add(job);
        }
    }

    /// Removals are never left out: what a person deleted would be there again after a restart.
    fn add(&self, job: Job) {
        let mut state = self.lock();
        if let Job::Write(record, _) = &job {
            if state.unwritten.saturating_add(record.size()) > MOST_UNWRITTEN {
                drop(state);
                self.written(Err(std::io::Error::other("the disk does not keep up")));
                return;
            }
            state.unwritten += record.size();
        }
        state.jobs.push_back(job);
        if !std::mem::replace(&mut state.working, true) {
            drop(state);
            let this = self.clone();
            self.0.tasks.spawn_blocking(move || this.work());
        }
    }

    /// Works until nothing is left. A stop waits for it, as for every task.
    fn work(&self) {
        while let Some((job, is_stored)) = self.next_job() {
            match job {
                // A response that was deleted meanwhile is not written, and one that was stored again not deleted.
                Job::Write(record, used) if is_stored => {
                    self.written(self.0.store.write_response(&record.id, &record.to_bytes(), used));
                }
                Job::Remove(id) if !is_stored => {
                    if let Err(error) = self.0.store.remove_response(&id) {
                        tracing::warn!(response.id = %id, error = %error, "a stored response cannot be deleted");
                    }
                }
                Job::Touch(id, used) if is_stored => {
                    // At worst it is forgotten earlier.
                    let _best_effort = self.0.store.touch_response(&id, used);
                }
                Job::Write(..) | Job::Remove(_) | Job::Touch(..) => {}
            }
        }
    }

    /// The next job, and whether its response is stored now. After the last one nobody works.
    fn next_job(&self) -> Option<(Job, bool)> {
        let mut state = self.lock();
        state.writing = None;
        let Some(job) = state.jobs.pop_front() else {
            state.working = false;
            return None;
        };
        if let Job::Write(record, _) = &job {
            state.unwritten = state.unwritten.saturating_sub(record.size());
            state.writing = Some(Arc::clone(record));
        }
        let is_stored = state.shelf.contains(job.id());
        Some((job, is_stored))
    }

    /// Tells of the first failure only: a full disk stays full for a while.
    fn written(&self, written: std::io::Result<()>) {
        let mut state = self.lock();
        match written {
            Ok(()) => state.failed = false,
            Err(error) if !std::mem::replace(&mut state.failed, true) => {
                tracing::warn!(error = %error, "responses cannot be stored on disk: the newest are known until proxyd stops");
            }
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::wire::json::raw_of;

    #[tokio::test]
    async fn what_is_deleted_goes_from_the_disk_however_much_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let config = Config { enabled: true, ttl: SignedDuration::from_secs(1000), most_bytes: 1 << 20 };
        let clock = ManualClock::at(Timestamp::from_second(1000).unwrap()).clock();
        let stored = StoredResponses::load(config, store.clone(), clock, Tasks::new()).await;
        let id = ResponseId::parse("resp_a").unwrap();
        // Nobody works on what is added from here on.
        stored.lock().working = true;
        stored.put(Record::new(
            id.clone(),
            None,
            raw_of(&[0; 0]),
            raw_of(&serde_json::json!({"output": []})),
        ));
        stored.work();
        stored.lock().working = true;
        assert!(store.read_response(&id).is_ok());
        for _ in 0..=MOST_JOBS {
            assert!(stored.get(&id, None).await.is_some());
        }
        assert_eq!(stored.lock().jobs.len(), MOST_JOBS);
        assert!(stored.delete(&id, None).await && !stored.delete(&id, None).await);
        stored.work();
        assert!(store.read_response(&id).is_err());
    }

    #[tokio::test]
    async fn what_is_somebodys_does_not_exist_for_anybody_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let config = Config { enabled: true, ttl: SignedDuration::from_secs(1000), most_bytes: 1 << 20 };
        let clock = ManualClock::at(Timestamp::from_second(1000).unwrap());
        let tasks = Tasks::new();
        let load = || StoredResponses::load(config, store.clone(), clock.clock(), tasks.clone());
        let stored = load().await;
        let (id, unheld) = (ResponseId::parse("resp_a").unwrap(), ResponseId::parse("resp_b").unwrap());
        let one = Holder::key("one");
        let item = raw_of(&serde_json::json!({"output": [{"id": "msg_a_0"}]}));
        // Nobody else works on what is added: it is on disk when `work` is over.
        stored.lock().working = true;
        stored.put(Record::new(id.clone(), None, raw_of(&[0; 0]), item.clone()).held_by(Some(one.clone())));
        stored.put(Record::new(unheld.clone(), None, raw_of(&[0; 0]), item));
        stored.work();
        // In memory, and after a restart.
        for stored in [stored, load().await] {
            for stranger in [None, Some(Holder::key("two")), Some(Holder::credential("one"))] {
                let stranger = stranger.as_ref();
                assert!(stored.get(&id, stranger).await.is_none() && !stored.delete(&id, stranger).await);
                let never = stored.recall(Some("resp_never"), &[], stranger).await.unwrap_err().to_string();
                let theirs = stored.recall(Some("resp_a"), &[], stranger).await.unwrap_err().to_string();
                assert_eq!(theirs, never.replace("resp_never", "resp_a"));
                let item = stored.recall(None, &["msg_a_0"], stranger).await.unwrap_err();
                assert!(matches!(item, RecallError::UnknownItem { .. }), "{item}");
            }
            assert!(stored.get(&id, Some(&one)).await.is_some());
            assert!(stored.recall(Some("resp_a"), &["msg_a_0"], Some(&one)).await.is_ok());
            assert!(
                stored.get(&unheld, Some(&one)).await.is_none() && stored.get(&unheld, None).await.is_some()
            );
        }
        assert!(load().await.delete(&id, Some(&one)).await);
    }
}
