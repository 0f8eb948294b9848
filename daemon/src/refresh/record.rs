//! The books of one account's refreshes.

use std::sync::Arc;

use super::unsaved::{Latest, Unsaved};
use super::{BETWEEN_CALLS, Flight, RefreshError};
use crate::clock::{Moment, SignedDuration, SinceBoot};

/// What is known about an account's refreshes.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) flight: Option<Flight>,
    pub(super) strikes: u32,
    /// No refresh before then, after this failure.
    pub(super) failure: Option<(SinceBoot, Arc<RefreshError>)>,
    /// When the issuer was last asked.
    pub(super) asked_at: Option<SinceBoot>,
    /// When it last gave tokens.
    pub(super) refreshed_at: Option<SinceBoot>,
    /// Being revoked: no refresh starts any more.
    pub(super) closed: bool,
    /// Tokens that were issued and are in memory only. They outlive the account's place in the pool: its
    /// file may come back.
    pub(super) unsaved: Option<Arc<Unsaved>>,
    /// The tokens that were saved last: an older copy of the file may come in their place.
    pub(super) latest: Option<Latest>,
}

impl Record {
    /// How long no refresh may start by itself.
    pub(super) fn wait(&self, now: Moment) -> SignedDuration {
        let failure = self.failure.as_ref().map(|(retry_at, _)| *retry_at);
        failure
            .max(self.asked_at.map(|asked_at| asked_at.after(BETWEEN_CALLS)))
            .map_or(SignedDuration::MIN, |next| next.since(now.boot))
    }
}
