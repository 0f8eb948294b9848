//! Who owns what, in memory: bounded, with an end for each entry. Pure.

use std::collections::HashMap;

use super::mark::{Kind, Mark};
use crate::clock::{Timestamp, after};
use crate::id::AccountId;
use crate::pool::Bond;

/// Entries of one bond, the oldest out: thoughts come by the thousand and must not push out the files.
pub(super) const MOST: usize = 20_000;
/// As many go at once, so that it is not done for each new one.
const DROPPED: usize = MOST / 8;
/// A use is noted when the last note has aged by this part of its time.
const RENEWED: i32 = 16;

/// Whose something is, and when that was last seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) account: AccountId,
    pub(super) seen: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    /// Files, batches, containers.
    only: HashMap<Mark, Entry>,
    /// Messages and thoughts.
    preferred: HashMap<Mark, Entry>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.only.len() + self.preferred.len()
    }

    /// Whose it is, if that is still known at `now`.
    pub(super) fn get(&self, mark: Mark, now: Timestamp) -> Option<&Entry> {
        self.of(mark.kind).get(&mark).filter(|entry| is_kept(mark, entry, now))
    }

    /// Whether this tells more than is known at `entry.seen`.
    pub(super) fn is_news(&self, mark: Mark, entry: &Entry) -> bool {
        self.get(mark, entry.seen).is_none_or(|known| {
            known.account != entry.account || after(known.seen, mark.kind.kept_for() / RENEWED) < entry.seen
        })
    }

    pub(super) fn put(&mut self, mark: Mark, entry: Entry) {
        let map = self.of_mut(mark.kind);
        map.insert(mark, entry);
        if map.len() > MOST {
            let mut ages: Vec<Timestamp> = map.values().map(|entry| entry.seen).collect();
            let (_, oldest_kept, _) = ages.select_nth_unstable(DROPPED);
            let oldest_kept = *oldest_kept;
            map.retain(|_, entry| entry.seen >= oldest_kept);
            // All of one age: any will do, but for the newest.
            let mut surplus = map.len().saturating_sub(MOST);
            map.retain(|other, _| {
                let goes = surplus > 0 && *other != mark;
                surplus -= usize::from(goes);
                !goes
            });
        }
    }

    /// Drops what has ended, and what `stays` does not hold.
    pub(super) fn clear(&mut self, now: Timestamp, stays: impl Fn(&Entry) -> bool) {
        for map in [&mut self.only, &mut self.preferred] {
            map.retain(|mark, entry| is_kept(*mark, entry, now) && stays(entry));
        }
    }

    /// All of it, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Mark, &Entry)> {
        self.only.iter().chain(&self.preferred).map(|(mark, entry)| (*mark, entry))
    }

    fn of(&self, kind: Kind) -> &HashMap<Mark, Entry> {
        match kind.bond() {
            Bond::Only => &self.only,
            Bond::Preferred => &self.preferred,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut HashMap<Mark, Entry> {
        match kind.bond() {
            Bond::Only => &mut self.only,
            Bond::Preferred => &mut self.preferred,
        }
    }
}

/// A time that is yet to come is that of a clock which went back: no reason to forget.
fn is_kept(mark: Mark, entry: &Entry, now: Timestamp) -> bool {
    now < after(entry.seen, mark.kind.kept_for())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SignedDuration;

    fn mark(prefix: &str, n: usize) -> Mark {
        Mark::of_id(format!("{prefix}{n:012}").as_bytes()).unwrap()
    }

    fn entry(account: &str, second: i64) -> Entry {
        Entry { account: AccountId::derive("test", &[account]), seen: at(second) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_kind_is_forgotten_after_its_time() {
        for (prefix, days) in [("file_", 365), ("msgbatch_", 32), ("container_", 30), ("msg_", 7)] {
            let mut record = Record::default();
            record.put(mark(prefix, 1), entry("a", 0));
            let end = days * 24 * 3600;
            assert!(record.get(mark(prefix, 1), at(end - 1)).is_some(), "{prefix}");
            assert!(record.get(mark(prefix, 1), at(end)).is_none(), "{prefix}");
            record.clear(at(end), |_| true);
            assert_eq!(record.len(), 0);
        }
    }

    #[test]
    fn a_clock_that_went_back_makes_nothing_forgotten() {
        let mut record = Record::default();
        record.put(mark("file_", 1), entry("a", 1_000_000));
        assert!(record.get(mark("file_", 1), at(0)).is_some());
    }

    #[test]
    fn the_oldest_go_first_and_messages_never_push_out_a_file() {
        let mut record = Record::default();
        record.put(mark("file_", 1), entry("a", 0));
        for n in 0..=MOST {
            record.put(mark("msg_", n), entry("a", 1 + i64::try_from(n).unwrap()));
        }
        assert!(record.len() <= MOST);
        let now = at(100_000);
        assert!(record.get(mark("file_", 1), now).is_some());
        assert!(record.get(mark("msg_", 0), now).is_none());
        assert!(record.get(mark("msg_", MOST), now).is_some());
    }

    #[test]
    fn it_is_bounded_also_where_all_are_of_one_age() {
        let mut record = Record::default();
        for n in 0..MOST + 10 {
            record.put(mark("msg_", n), entry("a", 5));
            assert!(record.get(mark("msg_", n), at(5)).is_some(), "the newest is there");
        }
        assert_eq!(record.len(), MOST);
    }

    #[test]
    fn another_owner_is_news_and_a_use_now_and_then() {
        let mut record = Record::default();
        let file = mark("file_", 1);
        assert!(record.is_news(file, &entry("a", 0)));
        record.put(file, entry("a", 0));
        assert!(!record.is_news(file, &entry("a", 60)));
        assert!(record.is_news(file, &entry("b", 60)));
        let day = SignedDuration::from_hours(24 * 30).as_secs();
        assert!(record.is_news(file, &entry("a", day)));
    }

    #[test]
    fn what_does_not_stay_goes() {
        let mut record = Record::default();
        record.put(mark("file_", 1), entry("a", 0));
        record.put(mark("file_", 2), entry("b", 0));
        let gone = entry("a", 0).account;
        record.clear(at(1), |entry| entry.account != gone);
        assert_eq!(record.entries().map(|(mark, _)| mark).collect::<Vec<_>>(), [mark("file_", 2)]);
    }
}
