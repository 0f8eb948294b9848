//! One account of the pool: what its file says, and what is known about it beyond that.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::affinity::AffinityKey;
use super::asked::Endpoint;
use super::common::Common;
use super::health::{Cause, Health};
use super::quota::Quota;
use super::select::{Candidate, Standing, Tier};
use crate::account::{Account, Credential, NeedsLogin, Settings};
use crate::clock::{Moment, Timestamp};
use crate::id::AccountId;

/// One account of the pool with what is known about it beyond its file.
#[derive(Debug)]
pub struct Member {
    pub account: Account,
    /// When its access token was first here: how old it is, whatever the wall clock is set to meanwhile.
    pub seen: Moment,
    pub(super) live: Arc<Live>,
}

/// What lives as long as the account is known, whatever its file does.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) vitals: Mutex<Vitals>,
    /// What it shares with the other keys of its organization; else its own.
    pub(super) common: ArcSwap<Common>,
    pub(super) in_flight: AtomicU32,
    trouble: Mutex<Trouble>,
    /// Its number in draws.
    number: OnceLock<u64>,
    /// For its turns, see [`super::select`]. Read and written under `Pool::choosing`.
    pub(super) credit: AtomicI64,
}

/// What the account's answers told. Survives a restart.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Vitals {
    pub health: Health,
    pub quota: Quota,
    pub counters: Counters,
    /// Whose limits an API key shares, as its answers say.
    pub organization: Option<String>,
}

/// Attempts by this account, by how each ended.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    pub served: u64,
    /// The client's own faults.
    pub client_faults: u64,
    /// 429.
    pub limited: u64,
    /// 401, 402, 403, and models it does not have.
    pub refused: u64,
    /// 5xx, and no answer.
    pub failed: u64,
}

/// What went wrong with an account's upkeep.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The newest failure of a refresh or a save; forgotten on success.
    pub last_error: Option<String>,
    /// A received token is in memory only.
    pub unsaved: bool,
}

/// What an account is, for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    Ready,
    /// Not to be used before `until`, since upstream or a person said so.
    Cooling {
        until: Timestamp,
        reason: String,
        /// Other models or endpoints are served all the same.
        in_part: bool,
    },
    NeedsLogin(NeedsLogin),
    Disabled,
    /// A setting that decides what is sent where cannot be used.
    Invalid {
        reason: String,
    },
}

impl Member {
    /// What the account is, for a person and for [`State`]'s readers.
    pub fn state(&self, now: Timestamp) -> State {
        if self.account.disabled {
            return State::Disabled;
        }
        if let Some(reason) = self.account.closed_by() {
            return State::Invalid { reason };
        }
        if let Some(needs_login) = &self.account.needs_login {
            return State::NeedsLogin(needs_login.clone());
        }
        if let Some(since) = self.ended(now) {
            let reason = "its token ended and it holds no refresh token".to_owned();
            return State::NeedsLogin(NeedsLogin { since, reason, serving: false });
        }
        let vitals = self.vitals();
        // What is about the whole account comes first and says it all.
        if let Some(limit) = vitals.health.limits(now).find(|limit| limit.scope.is_none()) {
            return State::Cooling { until: limit.until, reason: limit.cause.to_string(), in_part: false };
        }
        if let Some((until, reason)) = self.kept_back(&vitals.quota, "", now) {
            return State::Cooling { until, reason, in_part: false };
        }
        let limits = || vitals.health.limits(now).filter(|limit| limit.scope.is_some());
        match limits().map(|limit| limit.until).max() {
            None => State::Ready,
            Some(until) => {
                let scopes: Vec<_> =
                    limits().filter_map(|limit| limit.scope).map(ToString::to_string).collect();
                let reason = format!("upstream limits it for {} (429)", scopes.join(", "));
                State::Cooling { until, reason, in_part: true }
            }
        }
    }

    /// Whether some request could be served by it now.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        match self.state(now) {
            State::Ready => true,
            State::Cooling { in_part, .. } => in_part,
            State::NeedsLogin(_) => self.account.serves_on(now),
            State::Disabled | State::Invalid { .. } => false,
        }
    }

    /// Requests that use the account right now.
    pub fn in_flight(&self) -> u32 {
        self.live.in_flight.load(Ordering::Relaxed)
    }

    /// What went wrong with its upkeep.
    pub fn trouble(&self) -> Trouble {
        self.live.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        *self.live.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// When upstream last took its credential.
    pub fn served_at(&self) -> Option<Timestamp> {
        self.vitals().health.served_at()
    }

    /// Forgets cooldowns, as after a person switched the account on again.
    pub fn forgive(&self) {
        self.vitals().health = Health::default();
    }

    /// What its answers told so far.
    pub fn known(&self) -> Vitals {
        self.live.known()
    }

    pub(super) fn vitals(&self) -> MutexGuard<'_, Vitals> {
        self.live.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self, model: &str, endpoint: Endpoint, now: Timestamp) -> Standing {
        if self.is_out(now) {
            return Standing::Out;
        }
        self.standing_by(&self.vitals(), model, endpoint, now)
    }

    /// Whether it is of no use by what it is.
    fn is_out(&self, now: Timestamp) -> bool {
        let Account { disabled, needs_login, .. } = &self.account;
        let waits = needs_login.is_some() && !self.account.serves_on(now);
        *disabled || waits || self.account.is_closed() || self.ended(now).is_some()
    }

    fn standing_by(&self, vitals: &Vitals, model: &str, endpoint: Endpoint, now: Timestamp) -> Standing {
        let standing = vitals.health.standing(model, endpoint, now);
        match (standing, self.kept_back(&vitals.quota, model, now)) {
            (Standing::Named(limit), Some((kept, _))) => Standing::Named(limit.max(kept)),
            (_, Some((kept, _))) => Standing::Named(kept),
            (standing, None) => standing,
        }
    }

    /// As the choice sees it for a request for `asked`, which is `upstream` for it.
    pub(super) fn candidate(
        &self,
        upstream: &str,
        asked: &str,
        endpoint: Endpoint,
        now: Timestamp,
    ) -> Candidate {
        let Settings { priority, weight, base_url, .. } = &self.account.settings;
        let preferred = !asked.is_empty() || base_url.is_none();
        let pace = |quota: &Quota| quota.binding(upstream, now).map(|binding| binding.pace);
        let (own, standing, limit) = {
            let vitals = self.vitals();
            let standing = if self.is_out(now) {
                Standing::Out
            } else {
                self.standing_by(&vitals, upstream, endpoint, now)
            };
            (pace(&vitals.quota), standing, self.limit_by(&vitals))
        };
        let common = pace(&self.live.common.load().quota());
        Candidate {
            tier: Tier { preferred, priority: *priority },
            weight: *weight,
            standing,
            pace: own.into_iter().chain(common).reduce(f64::min),
            load: self.in_flight(),
            number: self.live.number(&self.account.id),
            limit,
            credit: 0,
        }
    }

    /// When its standing may be another one though nothing is heard of it: a cooldown ends, or a token does.
    pub(super) fn changes_at(&self, standing: Standing, now: Timestamp) -> Option<Timestamp> {
        match standing {
            Standing::Named(until) | Standing::Guessed(until) => Some(until),
            Standing::Ready | Standing::Out => {
                self.account.oauth().and_then(|tokens| tokens.expires_at).filter(|end| *end > now)
            }
        }
    }

    /// Why it is left alone for this request, for a person; `None` where it is not.
    pub(super) fn why_not(&self, model: &str, endpoint: Endpoint, now: Timestamp) -> Option<String> {
        match self.standing(model, endpoint, now) {
            Standing::Ready => None,
            Standing::Out => Some(match self.state(now) {
                State::Disabled => "disabled".to_owned(),
                State::NeedsLogin(needs) => format!("needs a new login: {}", needs.reason),
                State::Invalid { reason } => format!("has a setting that cannot be used: {reason}"),
                // Between two looks it came back.
                State::Ready | State::Cooling { .. } => "it was out a moment ago".to_owned(),
            }),
            Standing::Named(until) => {
                let vitals = self.vitals();
                let kept = self.kept_back(&vitals.quota, model, now);
                let said = vitals.health.limits(now).find(|limit| limit.until == until);
                let reason = match (said, kept) {
                    (Some(limit), _) => limit.cause.to_string(),
                    (None, Some((_, reason))) => reason,
                    (None, None) => Cause::RateLimit.to_string(),
                };
                Some(format!("not before {until:.0}: {reason}"))
            }
            Standing::Guessed(until) => {
                let vitals = self.vitals();
                let doubt = vitals.health.doubts(now).find(|doubt| doubt.until == until);
                let reason = doubt.map_or_else(
                    || "upstream limits it for another model".to_owned(),
                    |doubt| doubt.cause.to_string(),
                );
                Some(format!("comes last until {until:.0}: {reason}"))
            }
        }
    }

    /// The number of its limit upstream. Keys of one organization have one together, every other account has its own.
    pub(super) fn limit(&self) -> u64 {
        self.limit_by(&self.vitals())
    }

    fn limit_by(&self, vitals: &Vitals) -> u64 {
        let own = || self.live.number(&self.account.id);
        if !matches!(self.account.credential, Credential::ApiKey(_)) {
            return own();
        }
        let organization = vitals.organization.as_ref().or(self.account.identity.organization_uuid.as_ref());
        organization.map_or_else(own, |organization| {
            let mut hash = DefaultHasher::new();
            (organization, &self.account.settings.base_url).hash(&mut hash);
            hash.finish()
        })
    }

    /// It draws from these buckets. What it knew of them before it knew whose they are is not lost. Says whether that is new.
    pub(super) fn share(&self, common: &Arc<Common>) -> bool {
        if self.live.common.load().limit == common.limit {
            return false;
        }
        let before = self.live.common.swap(Arc::clone(common));
        if before.limit.is_none_or(|limit| limit == self.live.number(&self.account.id)) {
            let known = before.quota().clone();
            common.quota().join(&known);
        }
        true
    }

    /// Until when its reserve is all that is left, and why.
    fn kept_back(&self, quota: &Quota, model: &str, now: Timestamp) -> Option<(Timestamp, String)> {
        let percent = self.account.settings.reserve;
        let (until, window) = quota.reserved_until(model, f64::from(percent) / 100.0, now)?;
        Some((until, format!("its reserve of {percent} % is all that is left of its {} window", window.name)))
    }

    /// When a token that nothing can renew ended, if it did.
    fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        let tokens = self.account.oauth()?;
        tokens.expires_at.filter(|end| tokens.refresh.is_none() && *end <= now)
    }
}

impl Live {
    /// The account's number in draws: the same in every run.
    pub(super) fn number(&self, id: &AccountId) -> u64 {
        *self.number.get_or_init(|| AffinityKey::of("account", [id.as_str().as_bytes()]).number())
    }

    /// Of an account that was known before.
    pub(super) fn remembered(mut vitals: Vitals) -> Self {
        let common = ArcSwap::from_pointee(Common::of(vitals.quota.take_buckets()));
        Self { vitals: Mutex::new(vitals), common, ..Self::default() }
    }

    /// All that is known, with what it shares.
    pub(super) fn known(&self) -> Vitals {
        let mut vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        vitals.quota.join(&self.common.load().quota());
        vitals
    }
}
