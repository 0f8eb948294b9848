//! The one piece of shared state: the issuer's book, the scripts, the record, and who is watching for
//! changes.
//!
//! The lock is held for a few lines at a time and never across an await.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::authorize::Person;
use super::book::Book;
use super::gate::Gate;
use super::issued::Caller;
use super::prompt_cache::PromptCache;
use super::record::{Progress, Recorded, Surprise};
use super::script::Script;
use super::shelf::Shelf;

/// Where the fake's time comes from.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    now: Now,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) book: Book,
    pub(super) shelf: Shelf,
    pub(super) prompts: PromptCache,
    pub(super) person: Person,
    /// Uploads to a path are not read before their gate is open.
    pub(super) held_uploads: Vec<(String, Gate)>,
    /// Uploads to these are answered with a 413 before any of their body is read.
    pub(super) refused_uploads: Vec<String>,
    pub(super) requests: Vec<Recorded>,
    pub(super) surprises: Vec<Surprise>,
    /// Grows also when the record is emptied, so that numbers stay unique.
    pub(super) arrivals: u64,
    rules: Vec<Rule>,
}

/// When a script is used.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) path: String,
    pub(super) caller: Option<Caller>,
    pub(super) script: Script,
    pub(super) times: Times,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Always,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(book: Book, person: Person, now: Now) -> Self {
        let state = State {
            book,
            shelf: Shelf::default(),
            prompts: PromptCache::default(),
            person,
            held_uploads: Vec::new(),
            refused_uploads: Vec::new(),
            requests: Vec::new(),
            surprises: Vec::new(),
            arrivals: 0,
            rules: Vec::new(),
        };
        Self { state: Mutex::new(state), changed: watch::Sender::new(0), now }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Reads the state.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.look());
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn surprise(&self, surprise: Surprise) {
        self.change(|s| s.surprises.push(surprise));
    }

    /// Records a request and returns the guard that will say what became of it.
    pub(super) fn record(self: &Arc<Self>, request: Recorded) -> Watched {
        let number = request.number;
        self.change(|s| s.requests.push(request));
        Watched { shared: Arc::clone(self), number, done: false }
    }

    /// For an answer nobody follows.
    pub(super) fn unwatched(self: &Arc<Self>) -> Watched {
        Watched { shared: Arc::clone(self), number: 0, done: true }
    }

    fn settle(&self, number: u64, progress: Progress) {
        self.change(|s| {
            if let Some(request) = s.requests.iter_mut().rev().find(|r| r.number == number) {
                request.progress = progress;
            }
        });
    }
}

impl State {
    pub(super) fn next_number(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    pub(super) fn add_rule(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn clear_rules(&mut self) {
        self.rules.clear();
    }

    /// The script for this request, if there is one. Queued scripts come before standing ones, and among each
    /// the ones for this caller before the ones for anybody.
    pub(super) fn take_script(&mut self, path: &str, caller: Option<&Caller>) -> Option<Script> {
        for (times, own) in
            [(Times::Once, true), (Times::Once, false), (Times::Always, true), (Times::Always, false)]
        {
            let fits = |r: &Rule| {
                r.path == path
                    && r.times == times
                    && if own {
                        r.caller.is_some() && r.caller.as_ref() == caller
                    } else {
                        r.caller.is_none()
                    }
            };
            let Some(at) = self.rules.iter().position(fits) else {
                continue;
            };
            return match times {
                Times::Once => Some(self.rules.remove(at).script),
                Times::Always => self.rules.get(at).map(|r| r.script.clone()),
            };
        }
        None
    }

    /// Queued scripts nobody asked for, by path.
    pub(super) fn unused_scripts(&self) -> Vec<Surprise> {
        let mut unused: Vec<(&str, usize)> = Vec::new();
        for rule in self.rules.iter().filter(|r| r.times == Times::Once) {
            match unused.iter_mut().find(|(path, _)| *path == rule.path) {
                Some((_, count)) => *count += 1,
                None => unused.push((&rule.path, 1)),
            }
        }
        let surprise = |(path, count): (&str, usize)| Surprise::UnusedScript { path: path.to_owned(), count };
        unused.into_iter().map(surprise).collect()
    }
}

/// Follows one answer. Dropped before [`answered`](Self::answered) it means that the client hung up.
#[derive(Debug)]
pub(super) struct Watched {
    shared: Arc<Shared>,
    number: u64,
    done: bool,
}

impl Watched {
    pub(super) fn answered(&mut self) {
        if !self.done {
            self.done = true;
            self.shared.settle(self.number, Progress::Answered);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.done {
            self.shared.settle(self.number, Progress::Abandoned);
        }
    }
}
