//! One request as it is observed, from its head to the last byte of its answer: by the line that the log gets of it, by the
//! metrics, and by whoever watches. What happens to it is told here once, and each of them takes of it what it is about.

use std::sync::Arc;

use super::history::Entry;
use super::noted::{Broken, Noted};
use super::progress::Progress;
use crate::id::AccountId;
use crate::telemetry::metrics::{self, Used};
use crate::wire::error::ApiError;
use crate::wire::messages::Usage;

/// A request; clones are the same one. The default is one that nobody observes.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What the log is to say of it.
    pub noted: Noted,
    pub measured: metrics::Request,
    /// Where it is shown how far it is; `None` as long as it is not served.
    pub progress: Option<Arc<Progress>>,
}

impl Observed {
    /// The head of its answer goes down.
    pub fn answers(&self, status: u16, streams: bool) {
        self.measured.answers(status, streams);
        if let Some(progress) = &self.progress {
            progress.status(status);
        }
    }

    /// So many bytes of its answer go down.
    pub fn sends(&self, bytes: usize) {
        self.measured.first_frame();
        if let Some(progress) = &self.progress {
            progress.went_down(bytes);
        }
    }

    /// Its answer began, and ends with this error of ours.
    pub fn breaks_off(&self, error: &ApiError, why: Option<String>) {
        self.measured.broke();
        self.noted.failed(error, why);
    }

    /// Its answer began, and ends with the daemon.
    pub(super) fn is_stopped(&self) {
        self.measured.broke();
        self.noted.broke(Broken::Stopped);
    }

    /// The request's entry, where accounts were looked for before. Who is not served has none.
    pub(super) fn entry(&self) -> Option<Arc<Entry>> {
        self.progress.as_ref()?.entry()
    }

    /// Accounts are looked for.
    pub(super) fn looks_for_accounts(&self, entry: &Arc<Entry>, streams: bool) {
        if let Some(progress) = &self.progress {
            progress.looks_for_accounts(entry, streams);
        }
    }

    /// Another attempt begins, by an account or by the caller's own credential.
    pub(super) fn tries(&self, account: Option<&AccountId>) {
        self.noted.tries(account);
    }

    /// A model is asked for.
    pub(super) fn asks(&self, model: &str) {
        // A call about no model takes none away.
        if !model.is_empty() {
            self.noted.asks(model);
            self.measured.asks(model);
        }
    }

    /// Upstream has answered, and this is the answer that the client gets.
    pub(super) fn has_answer(&self) {
        if let Some(progress) = &self.progress {
            progress.has_answer();
        }
    }

    /// Something of the answer's body is here.
    pub(super) fn first_byte(&self) {
        self.measured.first_byte();
    }

    /// So much of a stream has come so far.
    pub(super) fn streamed(&self, bytes: u64) {
        if let Some(progress) = &self.progress {
            progress.streamed(bytes);
        }
    }

    /// Upstream has told so many tokens so far.
    pub(super) fn tells(&self, usage: &Usage) {
        if let Some(progress) = &self.progress {
            progress.used(usage);
        }
    }

    /// So many it was in the end.
    pub(super) fn used(&self, usage: &Usage, used: Used) {
        self.noted.used(usage);
        self.measured.used(used);
    }
}
