//! What is going on: the requests that are served now, how far each is, and the last ones that ended. For people who watch; nothing of
//! a request's or an answer's content is in it.
//!
//! A request is put into the list when it begins and taken out when it ends. In between its own counters are all that is touched:
//! no lock is held, and nothing is allocated.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use super::progress::{Asked, Gone, Phase, Progress, Seen, Tokens};
use crate::clock::{Clock, Timestamp};
use crate::id::RequestId;
use crate::keys::Key;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Awaited;
use crate::wire::Dialect;

/// Requests that ended, as many as are remembered.
const MOST_ENDED: usize = 256;
/// And as many as who begins to look is told.
const FIRST_TOLD: usize = 32;
/// Running requests that are told at once.
pub const MOST_RUNNING_TOLD: usize = 256;

/// What is going on.
#[derive(Debug)]
pub struct Activity {
    clock: Clock,
    running: Mutex<Running>,
    ended: Mutex<Ended>,
    /// Count who waits and who is connected.
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Running {
    /// How many there ever were.
    begun: u64,
    /// Oldest first.
    all: BTreeMap<u64, Arc<Progress>>,
}

#[derive(Debug, Default)]
struct Ended {
    /// How many there ever were.
    total: u64,
    failed: u64,
    tokens: Tokens,
    last: VecDeque<(Timestamp, Arc<Progress>)>,
}

/// A request that is served. Dropped, it has ended.
#[derive(Debug)]
pub struct Served {
    activity: Arc<Activity>,
    number: u64,
    progress: Arc<Progress>,
}

/// How far somebody has looked.
#[derive(Debug, Default)]
pub struct Cursor(Option<u64>);

/// What is going on at one moment.
#[derive(Debug)]
pub struct Look {
    pub at: Timestamp,
    /// Oldest first, and no more than are told.
    pub running: Vec<Seen>,
    pub running_total: usize,
    /// In the order in which they ended.
    pub ended: Vec<Gone>,
    /// So many more ended meanwhile.
    pub missed: u64,
    pub totals: Totals,
    /// Requests that wait to be let in.
    pub waiting: u64,
    /// Connections of clients.
    pub connections: u64,
}

/// Since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub failed: u64,
    /// Of those that ended.
    pub tokens: Tokens,
    /// Of those that run.
    pub output_under_way: u64,
}

impl Activity {
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { clock, running: Mutex::default(), ended: Mutex::default(), metrics }
    }

    /// A request was let in.
    pub fn begin(self: &Arc<Self>, id: RequestId, dialect: Dialect, key: Option<Arc<Key>>) -> Served {
        let progress = Arc::new(Progress::new(id, self.clock.now(), dialect, key));
        let mut running = lock(&self.running);
        let number = running.begun;
        running.begun += 1;
        running.all.insert(number, Arc::clone(&progress));
        drop(running);
        Served { activity: Arc::clone(self), number, progress }
    }

    /// What is going on, and what has ended since `cursor` was here last.
    pub fn look(&self, cursor: &mut Cursor) -> Look {
        let (running, requests) = {
            let running = lock(&self.running);
            (running.all.values().cloned().collect::<Vec<_>>(), running.begun)
        };
        let (ended, missed, totals) = {
            let ended = lock(&self.ended);
            let kept = ended.last.len();
            let new = match cursor.0.replace(ended.total) {
                Some(before) => usize::try_from(ended.total - before).unwrap_or(usize::MAX),
                None => kept.min(FIRST_TOLD),
            };
            let told = new.min(kept);
            let last: Vec<_> = ended.last.iter().skip(kept - told).cloned().collect();
            (last, (new - told) as u64, (ended.failed, ended.tokens))
        };
        let output_under_way = running.iter().map(|progress| progress.tokens().output).sum();
        Look {
            at: self.clock.now(),
            running: running.iter().take(MOST_RUNNING_TOLD).map(|progress| progress.seen().0).collect(),
            running_total: running.len(),
            ended: ended.into_iter().map(|(at, progress)| progress.gone(at)).collect(),
            missed,
            totals: Totals { requests, failed: totals.0, tokens: totals.1, output_under_way },
            waiting: self.metrics.waiting(Awaited::Place),
            connections: self.metrics.connections(),
        }
    }

    fn end(&self, number: u64, progress: Arc<Progress>) {
        lock(&self.running).all.remove(&number);
        let (at, tokens) = (self.clock.now(), progress.told_tokens());
        let mut ended = lock(&self.ended);
        ended.total += 1;
        ended.failed += u64::from(!progress.is_success());
        ended.tokens.add(tokens);
        if ended.last.len() >= MOST_ENDED {
            ended.last.pop_front();
        }
        ended.last.push_back((at, progress));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Served {
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.activity.end(self.number, Arc::clone(&self.progress));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SignedDuration};
    use crate::wire::messages::Usage;

    fn activity() -> (ManualClock, Arc<Activity>) {
        let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
        (clock.clone(), Arc::new(Activity::new(clock.clock(), Arc::default())))
    }

    fn begin(activity: &Arc<Activity>) -> Served {
        activity.begin(RequestId::new(), Dialect::Chat, None)
    }

    #[test]
    fn a_request_is_seen_while_it_runs_and_once_when_it_has_ended() {
        let (clock, activity) = activity();
        let mut cursor = Cursor::default();
        let served = begin(&activity);
        let look = activity.look(&mut cursor);
        assert_eq!((look.running_total, look.ended.len(), look.totals.requests), (1, 0, 1));
        assert_eq!(
            (look.running[0].phase, look.running[0].id, look.running[0].endpoint),
            (Phase::Receiving, served.progress().id, None)
        );
        served.progress().status(200);
        served.progress().went_down(7);
        served.progress().went_down(8);
        clock.advance(SignedDuration::from_millis(1500));
        let id = served.progress().id;
        drop(served);
        let look = activity.look(&mut cursor);
        assert_eq!((look.running_total, look.running.len(), look.totals.failed), (0, 0, 0));
        let [gone] = &look.ended[..] else { panic!("{look:?}") };
        assert_eq!((gone.request.id, gone.status, gone.request.bytes), (id, Some(200), 15));
        assert_eq!(gone.took, SignedDuration::from_millis(1500));
        assert!(activity.look(&mut cursor).ended.is_empty());
    }

    #[test]
    fn who_left_before_an_answer_and_who_got_an_error_count_as_failed() {
        let (_, activity) = activity();
        drop(begin(&activity));
        let refused = begin(&activity);
        refused.progress().status(529);
        drop(refused);
        let look = activity.look(&mut Cursor::default());
        assert_eq!((look.totals.failed, look.totals.requests), (2, 2));
        assert_eq!(look.ended.iter().map(|gone| gone.status).collect::<Vec<_>>(), [None, Some(529)]);
    }

    #[test]
    fn what_is_remembered_and_told_is_bounded_and_what_is_missed_is_counted() {
        let (_, activity) = activity();
        let (mut cursor, many) = (Cursor::default(), MOST_ENDED + 9);
        let running: Vec<_> = (0..MOST_RUNNING_TOLD + 5).map(|_| begin(&activity)).collect();
        let look = activity.look(&mut cursor);
        assert_eq!((look.running_total, look.running.len()), (running.len(), MOST_RUNNING_TOLD));
        assert_eq!(look.running[0].id, running[0].progress().id);
        for _ in 0..many {
            drop(begin(&activity));
        }
        let look = activity.look(&mut cursor);
        assert_eq!((look.ended.len(), look.missed), (MOST_ENDED, 9));
        assert_eq!(lock(&activity.ended).last.len(), MOST_ENDED);
        assert_eq!(activity.look(&mut Cursor::default()).ended.len(), FIRST_TOLD);
    }

    #[test]
    fn tokens_count_in_the_totals_when_their_request_has_ended() {
        let (_, activity) = activity();
        let usage: Usage = serde_json::from_str(
            r#"{"input_tokens":5,"output_tokens":6,"cache_read_input_tokens":7,"cache_creation_input_tokens":8}"#,
        )
        .unwrap();
        let served = begin(&activity);
        served.progress().used(&usage);
        let totals = activity.look(&mut Cursor::default()).totals;
        assert_eq!((totals.tokens, totals.output_under_way), (Tokens::default(), 6));
        drop(served);
        let totals = activity.look(&mut Cursor::default()).totals;
        let expected = Tokens { input: 5, output: 6, cache_read: 7, cache_write: 8 };
        assert_eq!((totals.tokens, totals.output_under_way), (expected, 0));
    }
}
