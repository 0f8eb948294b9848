//! What an account's answers say about it. Pure: it is told the time.
//!
//! Two kinds of cooldown never mix. A *limit* was told by upstream (`retry-after`, a window's reset, a spend limit)
//! and makes the account unusable until it ends. A *doubt* is ours (5xx, 529, a dead connection, a refusal, a 429 without
//! a time): it grows with each failure, is forgotten on success, and only orders the accounts.
//!
//! Each is about the whole account, or about one model at one endpoint, as far as the answer told:
//!
//! | answer | about | kind |
//! |---|---|---|
//! | 429 with a time, of a window of the whole account | the account | limit until then |
//! | 429 with a time | model and endpoint | limit until then |
//! | 429 without one | model and endpoint | doubt, 1 s to 60 s |
//! | 429 of a spend limit | the account | limit of a day, unless the account is changed before |
//! | 5xx, 529 | model and endpoint | doubt, 1 s to 30 s |
//! | no answer | the account | doubt, 1 s to 30 s |
//! | 401 after a refresh, 402, 403 | the account | doubt, 30 s to 10 min |
//! | the model is not there for this account | model and endpoint | doubt, 10 min to an hour |
//! | 400, 413, 422, what the client broke off, count_tokens | nothing | |
//!
//! A limit of one model is a doubt about the account's other models: they come last, are asked all the same, and answer
//! for themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::asked::{Endpoint, LONGEST_MODEL};
use super::select::Standing;
use crate::clock::{SignedDuration, Timestamp, after};

/// What one answer says about the account it came by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signal {
    /// It answered as it should.
    Served,
    /// It took the credential, and the fault was the client's.
    ClientFault,
    /// 429. `until` is the time upstream named, where it did.
    RateLimited { until: Option<Timestamp>, reach: Reach },
    /// 429 because the account's money or plan is used up: no time is named, and asking again does not help.
    SpendLimit,
    /// 5xx or 529.
    Overloaded,
    /// No answer came.
    Unreachable,
    /// 401 after a refresh, 402 or 403, with upstream's words.
    Refused { status: u16, words: String },
    /// The account does not have the model.
    NoSuchModel,
}

/// How far a limit reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    Account,
    /// The model, at the endpoint, that the request was for.
    Model,
}

/// What a cooldown is about, where it is not the whole account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Scope {
    pub model: String,
    pub endpoint: Endpoint,
}

/// A cooldown, for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cooldown<'a> {
    /// `None` for the whole account.
    pub scope: Option<&'a Scope>,
    pub until: Timestamp,
    pub cause: &'a Cause,
}

/// Why an account is left alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    RateLimit,
    SpendLimit,
    Overload,
    NoAnswer,
    Refused { status: u16, words: String },
    NoSuchModel,
}

/// Models whose cooldowns are remembered at once.
const MOST_SCOPES: usize = 32;
/// What is kept of upstream's words.
const MOST_WORDS: usize = 200;
/// How long an account whose money is used up is left alone.
const SPEND_LIMIT: SignedDuration = SignedDuration::from_hours(24);

/// A clock that was put back by less is taken to be the same.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// No guess is about more than this, and the tolerance.
const LONGEST_DOUBT: SignedDuration = SignedDuration::from_mins(61);

/// The account's cooldowns.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    account: Condition,
    /// Few, since what has passed is dropped.
    scopes: Vec<(Scope, Condition)>,
    /// When upstream last took its credential.
    served_at: Option<Timestamp>,
}

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Condition {
    limit: Option<Limit>,
    doubt: Option<Doubt>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Limit {
    /// When it was told: one from a time that is still to come was told while the clock was wrong.
    #[serde(default)]
    since: Timestamp,
    until: Timestamp,
    cause: Cause,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Doubt {
    until: Timestamp,
    strikes: u32,
    cause: Cause,
}

impl Signal {
    /// What would be told as the reason of a cooldown.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Served | Self::ClientFault => None,
            Self::RateLimited { .. } => Some(Cause::RateLimit),
            Self::SpendLimit => Some(Cause::SpendLimit),
            Self::Overloaded => Some(Cause::Overload),
            Self::Unreachable => Some(Cause::NoAnswer),
            Self::Refused { status, words } => {
                Some(Cause::Refused { status: *status, words: words.chars().take(MOST_WORDS).collect() })
            }
            Self::NoSuchModel => Some(Cause::NoSuchModel),
        }
    }
}

impl Health {
    /// Takes over what an answer to a request for `model` at `endpoint` says.
    pub fn apply(&mut self, signal: &Signal, model: &str, endpoint: Endpoint, now: Timestamp) {
        let scope = || Scope { model: model.to_owned(), endpoint };
        match signal {
            Signal::Served => {
                self.account.doubt = None;
                if let Some(condition) = self.about_mut(model, endpoint) {
                    condition.doubt = None;
                }
                self.served_at = Some(now);
            }
            Signal::ClientFault => self.served_at = Some(now),
            Signal::RateLimited { until: Some(until), reach: Reach::Account } => {
                self.account.limit(now, *until, Cause::RateLimit);
            }
            Signal::RateLimited { until: Some(until), reach: Reach::Model } => {
                self.change(scope(), now, |condition| condition.limit(now, *until, Cause::RateLimit));
            }
            Signal::RateLimited { until: None, .. } => {
                self.change(scope(), now, |condition| condition.strike(now, 1, 60, Cause::RateLimit));
            }
            Signal::SpendLimit => self.account.limit(now, after(now, SPEND_LIMIT), Cause::SpendLimit),
            Signal::Overloaded => {
                self.change(scope(), now, |condition| condition.strike(now, 1, 30, Cause::Overload));
            }
            Signal::Unreachable => self.account.strike(now, 1, 30, Cause::NoAnswer),
            Signal::Refused { .. } => {
                if let Some(cause) = signal.cause() {
                    self.account.strike(now, 30, 600, cause);
                }
            }
            Signal::NoSuchModel => {
                self.change(scope(), now, |condition| condition.strike(now, 600, 3600, Cause::NoSuchModel));
            }
        }
    }

    /// The account was changed by a person: what only such a change could mend may be mended.
    pub fn changed(&mut self) {
        if self.account.limit.as_ref().is_some_and(|limit| limit.cause == Cause::SpendLimit) {
            self.account.limit = None;
        }
        if self.account.doubt.as_ref().is_some_and(|doubt| matches!(doubt.cause, Cause::Refused { .. })) {
            self.account.doubt = None;
        }
    }

    /// The limits that are not over: of the whole account first.
    pub fn limits(&self, now: Timestamp) -> impl Iterator<Item = Cooldown<'_>> {
        self.conditions().filter_map(move |(scope, condition)| {
            let limit = condition.limit.as_ref().filter(|limit| limit.holds(now))?;
            Some(Cooldown { scope, until: limit.until, cause: &limit.cause })
        })
    }

    /// The doubts that are not over: about the whole account first.
    pub fn doubts(&self, now: Timestamp) -> impl Iterator<Item = Cooldown<'_>> {
        self.conditions().filter_map(move |(scope, condition)| {
            let doubt = condition.doubt.as_ref().filter(|doubt| doubt.holds(now))?;
            Some(Cooldown { scope, until: doubt.until, cause: &doubt.cause })
        })
    }

    /// When upstream last took its credential.
    pub fn served_at(&self) -> Option<Timestamp> {
        self.served_at
    }

    pub(super) fn standing(&self, model: &str, endpoint: Endpoint, now: Timestamp) -> Standing {
        let is_about = |scope: Option<&Scope>| scope.is_none_or(|scope| scope.is(model, endpoint));
        let limits = || self.limits(now).filter(|limit| is_about(limit.scope)).map(|limit| limit.until);
        if let Some(until) = limits().max() {
            return Standing::Named(until);
        }
        let doubts = self.doubts(now).filter(|doubt| is_about(doubt.scope));
        // A limit of another model at the same endpoint may be one of this model, too.
        let others = self.limits(now).filter(|limit| limit.scope.is_some_and(|s| s.endpoint == endpoint));
        doubts.chain(others).map(|doubt| doubt.until).max().map_or(Standing::Ready, Standing::Guessed)
    }

    fn conditions(&self) -> impl Iterator<Item = (Option<&Scope>, &Condition)> {
        let scopes = self.scopes.iter().map(|(scope, condition)| (Some(scope), condition));
        std::iter::once((None, &self.account)).chain(scopes)
    }

    fn about_mut(&mut self, model: &str, endpoint: Endpoint) -> Option<&mut Condition> {
        let found = self.scopes.iter_mut().find(|(scope, _)| scope.is(model, endpoint));
        found.map(|(_, condition)| condition)
    }

    fn change(&mut self, scope: Scope, now: Timestamp, change: impl FnOnce(&mut Condition)) {
        if let Some(condition) = self.about_mut(&scope.model, scope.endpoint) {
            return change(condition);
        }
        if scope.model.len() > LONGEST_MODEL {
            return;
        }
        self.scopes.retain(|(_, condition)| !condition.is_over(now));
        let mut condition = Condition::default();
        change(&mut condition);
        if self.scopes.len() >= MOST_SCOPES && !self.make_room(&condition) {
            return;
        }
        self.scopes.push((scope, condition));
    }

    /// Where a client makes up model names without end, what we guess of them makes way for a limit that was named.
    fn make_room(&mut self, new: &Condition) -> bool {
        let guesses = self.scopes.iter().enumerate().filter(|(_, (_, known))| known.limit.is_none());
        let first = guesses.min_by_key(|(_, (_, known))| known.doubt.as_ref().map(|doubt| doubt.until));
        match first.map(|(index, _)| index).filter(|_| new.limit.is_some()) {
            Some(index) => {
                self.scopes.swap_remove(index);
                true
            }
            None => false,
        }
    }
}

impl Condition {
    fn limit(&mut self, now: Timestamp, until: Timestamp, cause: Cause) {
        if self.limit.as_ref().is_none_or(|known| !known.holds(now) || known.until < until) {
            self.limit = Some(Limit { since: now, until, cause });
        }
    }

    /// Doubles from `first` seconds up to `most`.
    fn strike(&mut self, now: Timestamp, first: i64, most: i64, cause: Cause) {
        let strikes = self.doubt.as_ref().map_or(0, |doubt| doubt.strikes);
        let seconds = first.saturating_mul(1 << strikes.min(16)).min(most);
        let until = after(now, SignedDuration::from_secs(seconds));
        self.doubt = Some(Doubt { until, strikes: strikes.saturating_add(1), cause });
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let holds = self.limit.as_ref().is_some_and(|limit| limit.holds(now));
        !holds && !self.doubt.as_ref().is_some_and(|doubt| doubt.holds(now))
    }
}

impl Limit {
    /// After a clock was put back nobody knows when it ends, and to ask once more is what it costs to find out. Clocks that
    /// are put right a little are no reason to.
    fn holds(&self, now: Timestamp) -> bool {
        self.until > now && self.since <= after(now, CLOCK_TOLERANCE)
    }
}

impl Doubt {
    /// One that would last longer than any does comes from a clock that was put back.
    fn holds(&self, now: Timestamp) -> bool {
        self.until > now && self.until <= after(now, LONGEST_DOUBT)
    }
}

impl Scope {
    fn is(&self, model: &str, endpoint: Endpoint) -> bool {
        self.endpoint == endpoint && self.model == model
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.model.as_str(), self.endpoint) {
            ("", endpoint) => write!(f, "{endpoint}"),
            (model, Endpoint::Messages) => f.write_str(model),
            (model, endpoint) => write!(f, "{model} at {endpoint}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimit => f.write_str("upstream limits it (429)"),
            Self::SpendLimit => f.write_str("its spend limit is reached (429)"),
            Self::Overload => f.write_str("upstream has trouble (5xx)"),
            Self::NoAnswer => f.write_str("no answer came"),
            Self::Refused { status, words } if words.is_empty() => {
                write!(f, "upstream refuses it ({status})")
            }
            Self::Refused { status, words } => write!(f, "upstream refuses it ({status}): {words}"),
            Self::NoSuchModel => f.write_str("upstream does not have the model for it"),
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
