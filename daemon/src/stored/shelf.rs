//! What is stored, and the newest of it in memory: which responses there are, how large and how lately used, and which
//! have to go. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::record::Record;
use crate::clock::{SignedDuration, Timestamp, after};
use crate::wire::responses::ResponseId;

/// Responses there may be, however small.
const MOST: usize = 10_000;
/// Records in memory may take this much: those that are not written yet, and those that a conversation goes on from.
const MOST_IN_MEMORY: u64 = 16 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
struct Known {
    bytes: u64,
    used: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    known: HashMap<ResponseId, Known>,
    bytes: u64,
    /// Each with its place in the order of use.
    recent: HashMap<ResponseId, (u64, Arc<Record>)>,
    /// The last one was used last.
    order: BTreeMap<u64, ResponseId>,
    /// The next place in it.
    uses: u64,
    recent_bytes: u64,
}

impl Shelf {
    /// One that lies on disk.
    pub(super) fn found(&mut self, id: ResponseId, bytes: u64, used: Timestamp) {
        if let Some(old) = self.known.insert(id, Known { bytes, used }) {
            self.bytes = self.bytes.saturating_sub(old.bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn put(&mut self, record: Arc<Record>, now: Timestamp) {
        self.found(record.id.clone(), record.size(), now);
        self.recall(record);
    }

    /// Keeps a record in memory for a while.
    pub(super) fn recall(&mut self, record: Arc<Record>) {
        self.forget(&record.id);
        self.recent_bytes = self.recent_bytes.saturating_add(record.size());
        self.order.insert(self.uses, record.id.clone());
        self.recent.insert(record.id.clone(), (self.uses, record));
        self.uses += 1;
        while self.recent_bytes > MOST_IN_MEMORY && self.recent.len() > 1 {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = oldest.clone();
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, id: &ResponseId) {
        if let Some((place, record)) = self.recent.remove(id) {
            self.order.remove(&place);
            self.recent_bytes = self.recent_bytes.saturating_sub(record.size());
        }
    }

    /// Marks one as used. False where there is none, or where its time is over.
    pub(super) fn touch(&mut self, id: &ResponseId, now: Timestamp, ttl: SignedDuration) -> bool {
        match self.known.get_mut(id) {
            Some(known) if is_live(known, now, ttl) => {
                known.used = now;
                true
            }
            _ => false,
        }
    }

    /// The record, if it is in memory.
    pub(super) fn recent(&mut self, id: &ResponseId) -> Option<Arc<Record>> {
        let record = Arc::clone(&self.recent.get(id)?.1);
        self.recall(Arc::clone(&record));
        Some(record)
    }

    pub(super) fn contains(&self, id: &ResponseId) -> bool {
        self.known.contains_key(id)
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, id: &ResponseId) -> bool {
        self.forget(id);
        let removed = self.known.remove(id);
        self.bytes = self.bytes.saturating_sub(removed.map_or(0, |known| known.bytes));
        removed.is_some()
    }

    /// Takes out what has to go: what was not used for `ttl`, and the longest unused of what is too much.
    pub(super) fn sweep(&mut self, now: Timestamp, ttl: SignedDuration, most_bytes: u64) -> Vec<ResponseId> {
        let over = |shelf: &Self| shelf.bytes > most_bytes || shelf.known.len() > MOST;
        let mut by_age: Vec<(Timestamp, ResponseId)> = if over(self) {
            self.known.iter().map(|(id, known)| (known.used, id.clone())).collect()
        } else {
            let ended = self.known.iter().filter(|(_, known)| !is_live(known, now, ttl));
            ended.map(|(id, known)| (known.used, id.clone())).collect()
        };
        by_age.sort_unstable();
        // Some room is made, so that not every new one has to make its own.
        let enough = |shelf: &Self| {
            shelf.bytes <= most_bytes - most_bytes / 10 && shelf.known.len() <= MOST - MOST / 10
        };
        let must_make_room = over(self);
        let mut gone = Vec::new();
        for (_, id) in by_age {
            let ended = self.known.get(&id).is_some_and(|known| !is_live(known, now, ttl));
            if ended || (must_make_room && !enough(self)) {
                self.remove(&id);
                gone.push(id);
            }
        }
        gone
    }
}

/// A clock that was put back makes nothing immortal: what seems to be used in the future is as old as it is far away.
fn is_live(known: &Known, now: Timestamp, ttl: SignedDuration) -> bool {
    now < after(known.used, ttl) && known.used < after(now, ttl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::raw_of;

    const TTL: SignedDuration = SignedDuration::from_secs(100);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(name: &str) -> ResponseId {
        ResponseId::parse(&format!("resp_{name}")).unwrap()
    }

    fn record(name: &str, bytes: usize) -> Arc<Record> {
        let input = raw_of(&"x".repeat(bytes));
        Arc::new(Record::new(id(name), None, input, raw_of(&serde_json::json!({"output": []}))))
    }

    #[test]
    fn what_is_not_used_for_a_while_goes() {
        let mut shelf = Shelf::default();
        shelf.found(id("old"), 1, at(0));
        shelf.found(id("used"), 1, at(0));
        assert!(shelf.touch(&id("used"), at(99), TTL));
        assert_eq!(shelf.sweep(at(100), TTL, 1000), [id("old")]);
        assert!(!shelf.touch(&id("old"), at(100), TTL));
        assert!(!shelf.touch(&id("used"), at(199), TTL), "its time is over before it is swept");
        assert!(!shelf.touch(&id("used"), at(-1), TTL), "nor does a clock put back keep it");
    }

    #[test]
    fn the_longest_unused_make_room_for_new_ones() {
        let mut shelf = Shelf::default();
        for (name, used) in [("b", 2), ("a", 1), ("c", 3)] {
            shelf.found(id(name), 40, at(used));
        }
        assert_eq!(shelf.sweep(at(5), TTL, 120), [], "it is full, and no more than that");
        shelf.found(id("d"), 10, at(4));
        assert_eq!(shelf.sweep(at(5), TTL, 120), [id("a")]);
        assert_eq!(shelf.sweep(at(5), TTL, 50), [id("b"), id("c")]);
        assert!(shelf.contains(&id("d")));
    }

    #[test]
    fn a_newer_record_of_the_same_response_counts_once() {
        let mut shelf = Shelf::default();
        shelf.put(record("a", 10), at(0));
        shelf.put(record("a", 10), at(0));
        assert_eq!(shelf.bytes, record("a", 10).size());
        assert_eq!(
            (shelf.recent.len(), shelf.order.len(), shelf.recent_bytes),
            (1, 1, record("a", 10).size())
        );
        assert!(shelf.remove(&id("a")) && !shelf.remove(&id("a")));
        assert_eq!((shelf.bytes, shelf.recent_bytes), (0, 0));
    }

    #[test]
    fn memory_holds_the_last_used() {
        let mut shelf = Shelf::default();
        let third = usize::try_from(MOST_IN_MEMORY / 3).unwrap();
        for name in ["a", "b"] {
            shelf.put(record(name, third), at(0));
        }
        assert!(shelf.recent(&id("a")).is_some());
        shelf.put(record("c", third), at(0));
        assert!(shelf.recent(&id("b")).is_none() && shelf.recent(&id("a")).is_some());
        assert!(shelf.contains(&id("b")), "it lies on disk");
        assert_eq!((shelf.recent.len(), shelf.order.len()), (2, 2));
    }
}
