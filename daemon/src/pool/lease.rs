//! The right to send one request by one account. While it lives the account counts the request; what came of
//! it settles the account's health and quota.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::asked::Endpoint;
use super::quota::{Reading, WindowKind};
use super::select::Why;
use super::{Member, Shared, Signal};
use crate::account::Account;
use crate::events::Kind;

/// Handed out by [`super::Pool::acquire`]. Dropped unsettled (the client went away), it says nothing about
/// the account.
#[derive(Debug)]
pub struct Lease {
    member: Arc<Member>,
    /// By its name upstream, so that an alias and what it stands for share a limit.
    model: Arc<str>,
    endpoint: Endpoint,
    why: Why,
    shared: Arc<Shared>,
}

impl Lease {
    pub(super) fn new(
        member: Arc<Member>,
        model: impl Into<Arc<str>>,
        endpoint: Endpoint,
        why: Why,
        shared: Arc<Shared>,
    ) -> Self {
        member.live.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { member, model: model.into(), endpoint, why, shared }
    }

    pub fn account(&self) -> &Account {
        &self.member.account
    }

    /// The model under the name by which this account asks for it upstream; empty for a request about none.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Why it is this account.
    pub fn why(&self) -> Why {
        self.why
    }

    /// The same lease on the account as it is now, after a refresh.
    #[must_use]
    pub fn renewed(&self, member: Arc<Member>) -> Self {
        Self::new(member, Arc::clone(&self.model), self.endpoint, self.why, Arc::clone(&self.shared))
    }

    /// Says what the answer told about the account. A limit of an API key is one of its whole organization.
    pub fn settle(&self, signal: &Signal) {
        let now = self.shared.clock.now();
        {
            let mut vitals = self.member.vitals();
            vitals.health.apply(signal, &self.model, self.endpoint, now);
            vitals.counters.count(signal);
        }
        if matches!(signal, Signal::RateLimited { until: Some(_), .. }) {
            self.for_peers(|peer| peer.vitals().health.apply(signal, &self.model, self.endpoint, now));
        }
        let until = match signal {
            Signal::RateLimited { until: Some(until), .. } => Some(*until),
            Signal::SpendLimit => self.member.vitals().health.limits(now).map(|limit| limit.until).max(),
            _ => None,
        };
        if let Some(until) = until {
            let detail = || match signal {
                Signal::SpendLimit => format!("its spend limit is reached; next look at {until:.0}"),
                _ if self.model.is_empty() => format!("until {until:.0}"),
                _ => format!("for {} until {until:.0}", self.model),
            };
            self.shared.events.tell(|| self.member.event(Kind::Cooling, detail(), now));
        }
        self.shared.changed();
    }

    /// Takes over what the answer's head says about the account's quota, and whose it is.
    pub fn observe(&self, readings: &[Reading], organization: Option<&str>) {
        if readings.is_empty() && organization.is_none() {
            return;
        }
        let (now, warn_at) = (self.shared.clock.now(), self.shared.config.warn_at);
        let low = {
            let mut vitals = self.member.vitals();
            if let Some(organization) = organization
                && vitals.organization.as_deref() != Some(organization)
            {
                vitals.organization = Some(organization.to_owned());
            }
            let low = vitals.quota.running_low(readings, &self.model, warn_at, now);
            vitals.quota.observe(readings, &self.model, now);
            low
        };
        if readings.iter().any(|reading| reading.kind == WindowKind::Bucket) {
            self.for_peers(|peer| peer.vitals().quota.observe(readings, &self.model, now));
        }
        for detail in low {
            self.shared.events.tell(|| self.member.event(Kind::QuotaLow, detail, now));
        }
        self.shared.changed();
    }

    /// The other accounts with the same limits.
    fn for_peers(&self, act: impl Fn(&Member)) {
        let snapshot = self.shared.current.load();
        let peers = snapshot.members.iter().filter(|other| other.account.id != self.member.account.id);
        let limit = self.member.limit();
        peers.filter(|other| other.limit() == limit).for_each(|peer| act(peer));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.live.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl super::Counters {
    fn count(&mut self, signal: &Signal) {
        let counter = match signal {
            Signal::Served => &mut self.served,
            Signal::ClientFault => &mut self.client_faults,
            Signal::RateLimited { .. } | Signal::SpendLimit => &mut self.limited,
            Signal::Refused { .. } | Signal::NoSuchModel => &mut self.refused,
            Signal::Overloaded | Signal::Unreachable => &mut self.failed,
        };
        *counter = counter.saturating_add(1);
    }
}
