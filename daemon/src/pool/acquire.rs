//! Handing out leases: who may serve a request ([`super::route`]), whose turn it is ([`super::select`]), and why
//! nobody can.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::route::{Serving, Wanted};
use super::select::{self, Candidate, Choice, Standing, Tier};
use super::{Asked, Bond, Lease, Member, Owner, Pool, Snapshot, State};
use crate::account::Settings;
use crate::clock::Timestamp;
use crate::id::AccountId;

/// Why there is no account for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoAccount {
    /// The pool is empty.
    Empty,
    /// Every account that serves the model is disabled, waits for a login, or has a setting that cannot be used.
    /// `others` do not serve it.
    AllOut { disabled: usize, needs_login: usize, invalid: usize, others: usize },
    /// Every account that the name is for excludes the model.
    Excluded { model: String },
    /// Every account that could serve is to be left alone until a time that upstream named.
    Cooling { until: Timestamp },
    /// Every account that could serve has been tried by this request.
    Exhausted,
}

impl Pool {
    /// Chooses an account for a request: the owner of the state it carries, else see [`route`] for who may serve
    /// it and [`select`] for whose turn it is. A request about no model (empty) prefers the accounts that go to
    /// the provider itself.
    pub fn acquire(&self, asked: &Asked<'_>) -> Result<Lease, NoAccount> {
        let Asked { model, owner, tried, .. } = *asked;
        let now = self.clock.now();
        let snapshot = self.current.load();
        let wanted = Wanted::read(model, &snapshot.settings());
        let serving: Vec<(&Arc<Member>, &str)> = snapshot
            .members
            .iter()
            .filter_map(|member| match wanted.by(&member.account.settings) {
                Serving::As(upstream) => Some((member, upstream)),
                Serving::Excluded | Serving::Not => None,
            })
            .collect();
        if let Some(owner) = owner
            && let Some(result) = self.owner(owner, &serving, tried, now)
        {
            return result;
        }
        let candidate = |(member, upstream): &(&Arc<Member>, &str)| {
            let Settings { priority, weight, base_url, .. } = &member.account.settings;
            let preferred = !model.is_empty() || base_url.is_none();
            let tier = Tier { preferred, priority: *priority };
            let is_tried = tried.contains(&member.account.id);
            let standing = if is_tried { Standing::Out } else { member.standing(upstream, now) };
            Candidate { tier, weight: *weight, standing, credit: 0 }
        };
        let mut candidates: Vec<Candidate> = serving.iter().map(candidate).collect();
        match self.choose(&serving, &mut candidates).map(|index| serving.get(index)) {
            Ok(Some((member, upstream))) => Ok(self.lease(member, upstream)),
            Ok(None) | Err(_) if !tried.is_empty() => Err(NoAccount::Exhausted),
            Err(Some(until)) => Err(NoAccount::Cooling { until }),
            Ok(None) | Err(None) => Err(snapshot.why_nobody(model, &serving, now)),
        }
    }

    /// The owner of what a request carries, or why it cannot be had; `None` where any account is as good: the owner is
    /// gone, or has been tried.
    fn owner(
        &self,
        owner: &Owner,
        serving: &[(&Arc<Member>, &str)],
        tried: &[AccountId],
        now: Timestamp,
    ) -> Option<Result<Lease, NoAccount>> {
        let (member, upstream) = serving.iter().find(|(member, _)| member.account.id == owner.account)?;
        match member.standing(upstream, now) {
            _ if tried.contains(&owner.account) => None,
            Standing::Ready | Standing::Guessed(_) => Some(Ok(self.lease(member, upstream))),
            Standing::Named(until) if owner.bond == Bond::Only => Some(Err(NoAccount::Cooling { until })),
            Standing::Named(_) | Standing::Out => None,
        }
    }

    fn lease(&self, member: &Arc<Member>, upstream: &str) -> Lease {
        Lease::new(Arc::clone(member), upstream, self.clock.clone(), self.events.clone())
    }

    /// The name under which `model` is asked for upstream, where an account serves it: that of the highest
    /// priority. Accounts may differ in it; the lease of each says its own.
    pub fn upstream_name(&self, model: &str) -> Option<String> {
        let snapshot = self.current.load();
        let wanted = Wanted::read(model, &snapshot.settings());
        let named = snapshot.settings().filter_map(|settings| match wanted.by(settings) {
            Serving::As(upstream) => Some((std::cmp::Reverse(settings.priority), upstream)),
            Serving::Excluded | Serving::Not => None,
        });
        named.min_by_key(|(priority, _)| *priority).map(|(_, upstream)| upstream.to_owned())
    }

    /// The index of whose turn it is, else the time before which it is nobody's.
    fn choose(
        &self,
        serving: &[(&Arc<Member>, &str)],
        candidates: &mut [Candidate],
    ) -> Result<usize, Option<Timestamp>> {
        let credits = || serving.iter().map(|(member, _)| &member.live.credit);
        let _choosing = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        for (candidate, credit) in candidates.iter_mut().zip(credits()) {
            candidate.credit = credit.load(Ordering::Relaxed);
        }
        let choice = select::select(candidates);
        for (candidate, credit) in candidates.iter().zip(credits()) {
            credit.store(candidate.credit, Ordering::Relaxed);
        }
        match choice {
            Choice::Use(index) => Ok(index),
            Choice::Until(until) => Err(Some(until)),
            Choice::Nobody => Err(None),
        }
    }
}

impl Snapshot {
    fn why_nobody(&self, model: &str, serving: &[(&Arc<Member>, &str)], now: Timestamp) -> NoAccount {
        let count = |wanted: fn(&State) -> bool| {
            serving.iter().filter(|(member, _)| wanted(&member.state(now))).count()
        };
        match (self.members.len(), serving.len()) {
            (0, _) => NoAccount::Empty,
            // A prefix or an alias has an owner, so the name is for somebody.
            (_, 0) => NoAccount::Excluded { model: model.to_owned() },
            (all, some) => NoAccount::AllOut {
                disabled: count(|state| matches!(state, State::Disabled)),
                needs_login: count(|state| matches!(state, State::NeedsLogin(_))),
                invalid: count(|state| matches!(state, State::Invalid { .. })),
                others: all - some,
            },
        }
    }
}

impl fmt::Display for NoAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no Claude account yet: run `proxyctl login claude`"),
            Self::AllOut { disabled, needs_login, invalid, others } => {
                f.write_str("no account is usable: ")?;
                let parts = [
                    (needs_login, "need a new login (`proxyctl login claude`)"),
                    (disabled, "are disabled (`proxyctl accounts enable ACCOUNT`)"),
                    (invalid, "have a setting that cannot be used (`proxyctl accounts list`)"),
                    (others, "do not serve this model (`proxyctl accounts list --wide`)"),
                ];
                let parts = parts.iter().filter(|(count, _)| **count > 0);
                let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
                f.write_str(&parts.join(", "))
            }
            Self::Excluded { model } => write!(
                f,
                "model: {model} is not served here: every account that it could go to excludes it in its setting \
                 `excluded_models`"
            ),
            Self::Cooling { until } => {
                write!(
                    f,
                    "all accounts are at their limit for this model; the first may be used again at {until:.0}"
                )
            }
            Self::Exhausted => f.write_str("every usable account has been tried"),
        }
    }
}
