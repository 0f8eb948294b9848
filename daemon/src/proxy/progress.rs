//! How far one request is: what it is, by its entry, and counters that are touched while it runs. Reading them holds up nobody.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::history::{By, Entry, Story, Words};
use crate::clock::{SignedDuration, Timestamp};
use crate::id::{AccountId, RequestId};
use crate::keys::Key;
use crate::pool::Endpoint;
use crate::wire::Dialect;
use crate::wire::messages::Usage;

/// Streamed text takes about so many bytes a token.
pub(super) const BYTES_PER_TOKEN: u64 = 32;

/// One request, and how far it is.
#[derive(Debug)]
pub struct Progress {
    pub(super) id: RequestId,
    since: Timestamp,
    dialect: Dialect,
    key: Option<Arc<Key>>,
    /// Once an account is looked for.
    told: OnceLock<(Arc<Entry>, Streams)>,
    is_answering: AtomicBool,
    /// 0 as long as there is none.
    status: AtomicU16,
    /// That went down.
    bytes: AtomicU64,
    /// Of a stream, that came from upstream.
    streamed: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    cache_read: AtomicU64,
    cache_write: AtomicU64,
}

/// Whether the client asked for a stream.
type Streams = bool;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

/// One request as it is seen.
#[derive(Debug)]
pub struct Seen {
    pub id: RequestId,
    pub since: Timestamp,
    pub dialect: Dialect,
    /// `None` as long as its body is read.
    pub endpoint: Option<Endpoint>,
    /// As the client named it; empty where it is about none.
    pub model: String,
    /// The name of the client key that it came with.
    pub key: Option<String>,
    /// Of the last attempt.
    pub by: Option<Asked>,
    pub attempts: usize,
    pub streams: bool,
    pub phase: Phase,
    pub bytes: u64,
    pub tokens: Tokens,
}

/// Whom upstream was asked by.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Account { id: AccountId, name: String },
    OwnCredential,
}

/// One that has ended.
#[derive(Debug)]
pub struct Gone {
    pub request: Seen,
    pub at: Timestamp,
    pub took: SignedDuration,
    /// `None` where its client went before it got one.
    pub status: Option<u16>,
    /// In words; empty where no account was looked for.
    pub outcome: Words,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Receiving,
    /// For an account.
    Waiting,
    Asking,
    Answering,
}

impl Progress {
    pub(super) fn new(id: RequestId, since: Timestamp, dialect: Dialect, key: Option<Arc<Key>>) -> Self {
        Self {
            id,
            since,
            dialect,
            key,
            told: OnceLock::new(),
            is_answering: AtomicBool::new(false),
            status: AtomicU16::new(0),
            bytes: AtomicU64::new(0),
            streamed: AtomicU64::new(0),
            input: AtomicU64::new(0),
            output: AtomicU64::new(0),
            cache_read: AtomicU64::new(0),
            cache_write: AtomicU64::new(0),
        }
    }

    /// The client gets an answer of this status.
    pub fn status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// So much of the answer goes down.
    pub fn went_down(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn entry(&self) -> Option<Arc<Entry>> {
        self.told.get().map(|(entry, _)| Arc::clone(entry))
    }

    /// Accounts are looked for.
    pub(super) fn looks_for_accounts(&self, entry: &Arc<Entry>, streams: Streams) {
        // One that is sent a second time is told already.
        let _told = self.told.set((Arc::clone(entry), streams));
        self.is_answering.store(false, Ordering::Relaxed);
    }

    /// Upstream has answered, and this is the answer that the client gets.
    pub(super) fn has_answer(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
    }

    /// So much of the stream has come so far.
    pub(super) fn streamed(&self, bytes: u64) {
        self.streamed.store(bytes, Ordering::Relaxed);
    }

    /// Upstream has told so many tokens so far.
    pub(super) fn used(&self, usage: &Usage) {
        self.input.store(usage.input(), Ordering::Relaxed);
        self.output.store(usage.output(), Ordering::Relaxed);
        self.cache_read.store(usage.cache_read(), Ordering::Relaxed);
        self.cache_write.store(usage.cache_write(), Ordering::Relaxed);
    }

    pub(super) fn is_success(&self) -> bool {
        (200..400).contains(&self.status.load(Ordering::Relaxed))
    }

    pub(super) fn told_tokens(&self) -> Tokens {
        Tokens {
            input: self.input.load(Ordering::Relaxed),
            output: self.output.load(Ordering::Relaxed),
            cache_read: self.cache_read.load(Ordering::Relaxed),
            cache_write: self.cache_write.load(Ordering::Relaxed),
        }
    }

    /// With the output guessed as far as a stream's length lets guess more than was told: its first event tells of a token or two.
    pub(super) fn tokens(&self) -> Tokens {
        let told = self.told_tokens();
        let streams = self.told.get().is_some_and(|(_, streams)| *streams);
        let guess =
            if streams { self.streamed.load(Ordering::Relaxed) / BYTES_PER_TOKEN } else { told.output };
        Tokens { output: told.output.max(guess), ..told }
    }

    /// How it is now, and what is told of it.
    pub(super) fn seen(&self) -> (Seen, Story) {
        let told = self.told.get();
        let story = told.map(|(entry, _)| entry.story()).unwrap_or_default();
        let has_status = self.status.load(Ordering::Relaxed) != 0;
        let phase = match (told, story.attempts.last()) {
            _ if self.is_answering.load(Ordering::Relaxed) => Phase::Answering,
            (None, _) if has_status => Phase::Answering,
            (None, _) => Phase::Receiving,
            (Some(_), Some(last)) if last.took.is_none() => Phase::Asking,
            (Some(_), _) => Phase::Waiting,
        };
        let by = story.attempts.last().map(|last| match &last.by {
            By::Account { id, name, .. } => Asked::Account { id: id.clone(), name: name.clone() },
            By::OwnCredential => Asked::OwnCredential,
        });
        let seen = Seen {
            id: self.id,
            since: self.since,
            dialect: told.map_or(self.dialect, |(entry, _)| entry.dialect),
            endpoint: told.map(|(entry, _)| entry.endpoint),
            model: told.map(|(entry, _)| entry.model.clone()).unwrap_or_default(),
            key: self.key.as_ref().map(|key| key.name.clone()),
            by,
            attempts: story.attempts.len(),
            streams: told.is_some_and(|(_, streams)| *streams),
            phase,
            bytes: self.bytes.load(Ordering::Relaxed),
            tokens: self.tokens(),
        };
        (seen, story)
    }

    pub(super) fn gone(&self, at: Timestamp) -> Gone {
        let (seen, story) = self.seen();
        let status = Some(self.status.load(Ordering::Relaxed)).filter(|status| *status != 0);
        let outcome = story.end.map(|(_, how)| how).unwrap_or_default();
        let request = Seen { tokens: self.told_tokens(), ..seen };
        Gone { request, at, took: at.duration_since(self.since), status, outcome }
    }
}

impl Tokens {
    pub(super) fn add(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
    }
}
