//! The right to send one request by one account. While it lives the account counts the request; what came of
//! it settles the account's health.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Member, Signal};
use crate::account::Account;
use crate::clock::Clock;
use crate::events::{Events, Kind};

/// Handed out by [`super::Pool::acquire`]. Dropped unsettled (the client went away), it says nothing about
/// the account.
#[derive(Debug)]
pub struct Lease {
    member: Arc<Member>,
    /// By its name upstream, so that an alias and what it stands for share a limit.
    model: Arc<str>,
    clock: Clock,
    events: Events,
}

impl Lease {
    pub(super) fn new(member: Arc<Member>, model: impl Into<Arc<str>>, clock: Clock, events: Events) -> Self {
        member.live.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { member, model: model.into(), clock, events }
    }

    pub fn account(&self) -> &Account {
        &self.member.account
    }

    /// The model under the name by which this account asks for it upstream; empty for a request about none.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The same lease on the account as it is now, after a refresh.
    #[must_use]
    pub fn renewed(&self, member: Arc<Member>) -> Self {
        Self::new(member, Arc::clone(&self.model), self.clock.clone(), self.events.clone())
    }

    /// Says what the answer told about the account.
    pub fn settle(&self, signal: &Signal) {
        let now = self.clock.now();
        self.member.health().apply(signal, &self.model, now);
        if let Signal::RateLimited { until: Some(until) } = signal {
            let detail = || format!("for {} until {until:.0}", self.model);
            self.events.tell(|| self.member.event(Kind::Cooling, detail(), now));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.live.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
