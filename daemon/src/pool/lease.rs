//! The right to send one request by one account. While it lives the account counts the request; what came of
//! it settles the account's health and quota.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::asked::Endpoint;
use super::common::Common;
use super::quota::{Reading, WindowKind};
use super::select::Why;
use super::{Counters, Member, Shared, Signal};
use crate::account::{Account, Credential};
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
    /// Where the attempt is counted so far.
    counted: Mutex<Option<Counter>>,
}

/// One of an account's counters.
type Counter = fn(&mut Counters) -> &mut u64;

impl Lease {
    pub(super) fn new(
        member: Arc<Member>,
        model: impl Into<Arc<str>>,
        endpoint: Endpoint,
        why: Why,
        shared: Arc<Shared>,
    ) -> Self {
        member.live.in_flight.fetch_add(1, Ordering::Relaxed);
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { member, model: model.into(), endpoint, why, shared, counted: Mutex::default() }
    }

    pub fn account(&self) -> &Account {
        &self.member.account
    }

    /// The model under the name by which this account asks for it upstream; empty for a request about none.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The same name, for whoever keeps it.
    pub fn shared_model(&self) -> Arc<str> {
        Arc::clone(&self.model)
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

    /// Says what the answer told about the account. A limit of an API key is one of its whole organization. Of an attempt
    /// whose end was worse than its beginning, the end counts. The troubles of counting tokens say nothing, unless the
    /// credential itself is not taken.
    pub fn settle(&self, signal: &Signal) {
        if self.endpoint == Endpoint::CountTokens && !matches!(signal, Signal::Refused { status: 401, .. }) {
            return;
        }
        let now = self.shared.clock.now();
        let counted = self.counted().replace(Counters::of(signal));
        {
            let mut vitals = self.member.vitals();
            vitals.health.apply(signal, &self.model, self.endpoint, now);
            if let Some(counter) = counted {
                let counter = counter(&mut vitals.counters);
                *counter = counter.saturating_sub(1);
            }
            let counter = Counters::of(signal)(&mut vitals.counters);
            *counter = counter.saturating_add(1);
        }
        if matches!(signal, Signal::RateLimited { until: Some(_), .. }) {
            self.for_peers(|peer| {
                peer.vitals().health.apply(signal, &self.model, self.endpoint, now);
                true
            });
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
        self.shared.heard(&self.member);
    }

    /// Takes over what the answer's head says about the account's quota, and whose it is.
    pub fn observe(&self, readings: &[Reading], organization: Option<&str>) {
        if readings.is_empty() && organization.is_none() {
            return;
        }
        let (now, warn_at) = (self.shared.clock.now(), self.shared.config.load().warn_at);
        let mut is_other = false;
        let low = {
            let mut vitals = self.member.vitals();
            if let Some(organization) =
                organization.filter(|now| vitals.organization.as_deref() != Some(*now))
            {
                vitals.organization = Some(organization.to_owned());
                is_other = true;
            }
            let low = vitals.quota.running_low(readings, &self.model, warn_at, now);
            let plan = readings.iter().filter(|reading| reading.kind == WindowKind::Plan);
            vitals.quota.observe(plan, &self.model, now);
            low
        };
        let mut buckets = readings.iter().filter(|reading| reading.kind == WindowKind::Bucket).peekable();
        if is_other || buckets.peek().is_some() {
            self.common().quota().observe(buckets, &self.model, now);
        }
        for detail in low {
            self.shared.events.tell(|| self.member.event(Kind::QuotaLow, detail, now));
        }
        self.shared.heard(&self.member);
    }

    fn counted(&self) -> MutexGuard<'_, Option<Counter>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the account has in common with its peers. In each state of the pool it is given to them once.
    fn common(&self) -> Arc<Common> {
        let (limit, known) = (self.member.limit(), self.member.live.common.load_full());
        let common = if known.limit == Some(limit) { known } else { self.shared.commons.of(limit) };
        self.member.share(&common);
        if common.is_news(self.shared.current.load().generation) {
            self.for_peers(|peer| peer.share(&common));
        }
        common
    }

    /// The other accounts with the same limits. `tell` says whether one of them was told anything new.
    fn for_peers(&self, tell: impl Fn(&Member) -> bool) {
        // A login shares its limits with nobody: in a large pool, looking would take longer than all the rest.
        if !matches!(self.account().credential, Credential::ApiKey(_)) {
            return;
        }
        let snapshot = self.shared.current.load();
        let peers = snapshot.members.iter().filter(|other| other.account.id != self.member.account.id);
        let limit = self.member.limit();
        for peer in peers.filter(|other| other.limit() == limit && tell(other)) {
            self.shared.heard(peer);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// The counter that an answer counts in.
    fn of(signal: &Signal) -> Counter {
        match signal {
            Signal::Served => |counters| &mut counters.served,
            Signal::ClientFault => |counters| &mut counters.client_faults,
            Signal::RateLimited { .. } | Signal::SpendLimit => |counters| &mut counters.limited,
            Signal::Refused { .. } | Signal::NoSuchModel => |counters| &mut counters.refused,
            Signal::Overloaded | Signal::Unreachable => |counters| &mut counters.failed,
        }
    }
}
