//! What became of the last requests: which accounts each went to, why, and how each attempt ended. In memory, bounded, for
//! the person who asks by a request's id. Nothing of a request's or an answer's content is in it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::clock::{Clock, SignedDuration, Timestamp};
use crate::id::{AccountId, RequestId};
use crate::pool::{Endpoint, LONGEST_MODEL, Lease, Why};
use crate::wire::Dialect;

use super::Exchange;

/// Requests that are remembered.
pub const MOST_REMEMBERED: usize = 2000;
/// Attempts of one request that are: more than there ever are accounts to a person.
const MOST_ATTEMPTS: usize = 50;

/// The last requests, oldest first.
#[derive(Debug)]
pub struct History {
    clock: Clock,
    entries: Mutex<VecDeque<Arc<Entry>>>,
}

/// One request.
#[derive(Debug)]
pub struct Entry {
    pub id: RequestId,
    pub at: Timestamp,
    pub dialect: Dialect,
    pub endpoint: Endpoint,
    /// As the client named it.
    pub model: String,
    /// The name of the client key that it came with.
    pub key: Option<String>,
    /// What held it to its conversation, in words.
    pub conversation: Option<&'static str>,
    clock: Clock,
    story: Mutex<Story>,
}

/// What is told of a request. Thousands are remembered, of nearly all of them the same.
pub type Words = Cow<'static, str>;

/// What became of a request so far.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub attempts: Vec<Try>,
    /// When and how it ended, in words; `None` while it goes on.
    pub end: Option<(Timestamp, Words)>,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Try {
    pub by: By,
    /// The model as upstream is asked for it.
    pub model: Arc<str>,
    pub at: Timestamp,
    /// Until the answer's head came, or the failure.
    pub took: Option<SignedDuration>,
    /// The answer's status, if one came.
    pub status: Option<u16>,
    /// How it ended, in words; empty while nobody knows.
    pub outcome: Words,
}

/// By what an attempt was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// `name` is the account as a person calls it.
    Account { id: AccountId, name: String, why: Why },
    /// What the caller brought.
    OwnCredential,
}

impl History {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    /// The request of this id, if it is remembered.
    pub fn find(&self, id: &str) -> Option<Arc<Entry>> {
        self.lock().iter().rev().find(|entry| entry.id.to_string() == id).cloned()
    }

    /// The entry of a request that has none yet.
    pub(super) fn entry(&self, exchange: &Exchange) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            id: exchange.id,
            at: self.clock.now(),
            dialect: exchange.dialect,
            endpoint: exchange.endpoint,
            model: beginning(&exchange.model, LONGEST_MODEL).to_owned(),
            key: exchange.caller.key().map(|key| key.name.clone()),
            conversation: exchange.conversation.map(|(_, told_by)| told_by),
            clock: self.clock.clone(),
            story: Mutex::default(),
        });
        let mut entries = self.lock();
        let oldest = if entries.len() >= MOST_REMEMBERED { entries.pop_front() } else { None };
        entries.push_back(Arc::clone(&entry));
        drop(entries);
        // Others need not wait until it is taken apart.
        drop(oldest);
        entry
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No more characters of a text than these.
fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    text.char_indices().nth(most).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// Tells how a request ends, once. Dropped before that, it tells that nobody waited for it.
#[derive(Debug)]
pub(super) struct Telling {
    entry: Arc<Entry>,
    /// What is told already, and goes before the rest.
    so_far: Words,
    is_over: bool,
}

impl Telling {
    /// Of a request that begins.
    pub(super) fn of(entry: &Arc<Entry>) -> Self {
        Self { entry: Arc::clone(entry), so_far: Words::default(), is_over: false }
    }

    /// Of one that seemed to have ended, and whose answer's body is still on its way.
    pub(super) fn goes_on(entry: &Arc<Entry>) -> Self {
        let so_far = entry.lock().end.take().map(|(_, how)| how).unwrap_or_default();
        Self { entry: Arc::clone(entry), so_far, is_over: false }
    }

    /// The request's.
    pub(super) fn id(&self) -> RequestId {
        self.entry.id
    }

    pub(super) fn end(&mut self, how: impl Into<Words>) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.entry.end(std::mem::take(&mut self.so_far) + how.into());
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let separator = if self.so_far.is_empty() { "" } else { ", but " };
        if !self.is_over {
            self.end(format!("{separator}given up: nobody waited for it any longer"));
        }
    }
}

/// How a request ends that has an answer.
pub(super) fn answered_with(status: StatusCode) -> Words {
    if status == StatusCode::OK {
        return "answered with status 200 OK".into();
    }
    format!("answered with status {status}").into()
}

impl Entry {
    pub fn story(&self) -> Story {
        self.lock().clone()
    }

    /// Whether an account was asked already.
    pub(super) fn has_begun(&self) -> bool {
        !self.lock().attempts.is_empty()
    }

    /// An attempt begins.
    pub(super) fn begin(&self, lease: &Lease) {
        let (id, name) = (lease.account().id.clone(), lease.account().called().to_owned());
        self.begin_by(By::Account { id, name, why: lease.why() }, lease.shared_model());
    }

    /// An attempt by the caller's own credential begins.
    pub(super) fn begin_own(&self, model: &str) {
        self.begin_by(By::OwnCredential, model.into());
    }

    fn begin_by(&self, by: By, model: Arc<str>) {
        let mut story = self.lock();
        story.end = None;
        if story.attempts.len() < MOST_ATTEMPTS {
            // Nearly every request has one.
            story.attempts.reserve_exact(1);
            story.attempts.push(Try {
                by,
                model,
                at: self.clock.now(),
                took: None,
                status: None,
                outcome: Words::default(),
            });
        }
    }

    /// The last attempt has an answer, or failed.
    pub(super) fn answered(&self, status: Option<u16>, outcome: impl Into<Words>) {
        let now = self.clock.now();
        if let Some(last) = self.lock().attempts.last_mut() {
            last.took.get_or_insert(now.duration_since(last.at));
            last.status = status;
            last.outcome = outcome.into();
        }
    }

    /// The request has ended.
    fn end(&self, how: Words) {
        self.lock().end = Some((self.clock.now(), how));
    }

    fn lock(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
