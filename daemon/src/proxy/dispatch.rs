//! Which accounts one request goes to, one after another, until an answer is worth giving to the client.
//!
//! After a failure that is an account's own (a limit, a refusal, a dead gateway) another one is asked. After one that the
//! others are likely to share (529, 5xx, no connection) another is asked too, but only as often as the [`Budget`] lets
//! all requests together: more would multiply a storm.
//!
//! [`Budget`]: super::budget::Budget

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderValue, RETRY_AFTER};

use super::attempt::{Attempt, Road, is_better, is_dead_connection, not_redirected, was_sent};
use super::headers::SHOULD_RETRY;
use super::history::{Entry, Telling, answered_with};
use super::{Exchange, Inner, ProxyError};
use crate::claude::{Outcome, Verdict};
use crate::clock::{SignedDuration, Timestamp, after};
use crate::id::AccountId;
use crate::pool::{Asked, Lease, NoAccount, Why};
use crate::telemetry::metrics::{Awaited, Refusal};

/// Attempts of one request that end in trouble that other accounts are likely to share.
const MOST_TROUBLED: usize = 3;
/// Accounts that are asked for a model that the first ones do not have: its name may just be wrong.
const MOST_WITHOUT_MODEL: usize = 3;
/// How often one request waits for an account to come back.
const MOST_WAITS: u8 = 3;
/// How often a request that waits looks whether its time has come: clocks jump.
const LOOK: Duration = Duration::from_millis(250);

/// One request on its way from account to account.
struct Journey<'a> {
    inner: &'a Inner,
    exchange: &'a Exchange,
    entry: &'a Arc<Entry>,
    tried: Vec<AccountId>,
    /// Of the failures so far the one that the client should get.
    best: Option<Result<Attempt, ProxyError>>,
    troubled: usize,
    without_model: usize,
    /// Upstream was called for it.
    was_sent: bool,
    /// The last attempt met trouble that the next one is likely to share.
    is_shared: bool,
    /// The only account may be asked over another connection, once.
    may_reconnect: bool,
    /// Until when it may wait for an account to come back.
    patience: Timestamp,
    /// How often it may do so still: an account that comes back only to be limited again is not asked for ever.
    waits: u8,
}

impl Inner {
    /// Sends until there is an answer for the client: the first good one, else the one that says most.
    pub(super) async fn dispatch(&self, exchange: &Exchange) -> Result<Attempt, ProxyError> {
        exchange.caller.observed.asks(&exchange.model);
        exchange.caller.check(exchange).inspect_err(|_| self.metrics.refused(Refusal::KeyRules))?;
        if let Some(credential) = &exchange.caller.credential {
            return self.by_own_credential(exchange, credential).await;
        }
        let entry = self.entry(exchange);
        let now = self.clock.now();
        // One that is sent a second time, since its answer broke off before it began, is still one request.
        if !entry.has_begun() {
            self.budget.lock().unwrap_or_else(PoisonError::into_inner).request(now);
        }
        let mut telling = Telling::of(&entry);
        let journey = Journey {
            inner: self,
            exchange,
            entry: &entry,
            tried: Vec::new(),
            best: None,
            troubled: 0,
            without_model: 0,
            was_sent: false,
            is_shared: false,
            may_reconnect: true,
            patience: after(now, self.config.load().wait),
            waits: MOST_WAITS,
        };
        let result = journey.go().await;
        match &result {
            Ok(attempt) => {
                telling.end(answered_with(attempt.response.status()));
                exchange.caller.observed.has_answer();
            }
            Err(error) => {
                self.count(error);
                telling.end(format!("not answered: {error}"));
            }
        }
        result
    }

    /// Counts what a request is refused for, and what is wrong with an answer. Calls that have none are counted one by one.
    pub(super) fn count(&self, error: &ProxyError) {
        match error {
            ProxyError::NoAccount(nobody) => match nobody {
                NoAccount::Cooling { .. } => self.metrics.refused(Refusal::AccountsLimited),
                NoAccount::Withheld { .. } | NoAccount::OwnerWithheld => {
                    self.metrics.refused(Refusal::KeyRules);
                }
                NoAccount::Empty
                | NoAccount::AllOut { .. }
                | NoAccount::OwnerOut { .. }
                | NoAccount::Excluded { .. }
                | NoAccount::Exhausted => self.metrics.refused(Refusal::NoAccount),
            },
            ProxyError::Body(fault) => {
                if let Some(code) = fault.told().code {
                    self.metrics.upstream_error(&code);
                }
            }
            ProxyError::Api(_)
            | ProxyError::NotAllowed(_)
            | ProxyError::Refresh(_)
            | ProxyError::Send(_)
            | ProxyError::Redirected(_)
            | ProxyError::BadAnswer
            | ProxyError::Stopping => {}
        }
    }

    /// The request's entry, from now on shown to whoever watches.
    pub(super) fn entry(&self, exchange: &Exchange) -> Arc<Entry> {
        let observed = &exchange.caller.observed;
        let entry = observed.entry().unwrap_or_else(|| self.history.entry(exchange));
        observed.looks_for_accounts(&entry, exchange.streams);
        entry
    }

    /// Whether one more call than clients asked for may be made now.
    pub(super) fn may_ask_again(&self) -> bool {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).try_extra(self.clock.now())
    }
}

impl Journey<'_> {
    async fn go(mut self) -> Result<Attempt, ProxyError> {
        loop {
            let Some(lease) = self.next().await? else { return self.give_up() };
            let road = Road::of(lease.account());
            self.tried.push(lease.account().id.clone());
            let result = self.inner.attempt(self.exchange, self.entry, lease).await;
            let verdict = result.as_ref().map_or(Verdict::NextAccount, |attempt| attempt.outcome.verdict());
            let result = not_redirected(result);
            if self.exchange.call.body.is_spent() {
                // An upload is sent once.
                return result;
            }
            match verdict {
                // The provider's redirect would meet the next account, too; a gateway's is its own.
                Verdict::GiveUp if road != Road::Gateway => return result,
                Verdict::Done => return result,
                Verdict::NextAccount | Verdict::RefreshOnce | Verdict::GiveUp => self.note(result, road),
            }
        }
    }

    /// Takes a failure into account.
    fn note(&mut self, result: Result<Attempt, ProxyError>, road: Road) {
        self.was_sent |= was_sent(&result);
        self.is_shared = road.shares_trouble(&result);
        self.troubled += usize::from(self.is_shared);
        let lacks_model = result.as_ref().is_ok_and(|attempt| attempt.outcome == Outcome::NoSuchModel);
        self.without_model += usize::from(lacks_model);
        if self.best.as_ref().is_none_or(|best| is_better(&result, best)) {
            self.best = Some(result);
        }
    }

    /// The next account to ask; `None` where what there is so far is what the client gets.
    async fn next(&mut self) -> Result<Option<Lease>, ProxyError> {
        if self.troubled >= MOST_TROUBLED || self.without_model >= MOST_WITHOUT_MODEL {
            return Ok(None);
        }
        loop {
            match self.inner.pool.acquire(&self.asked()) {
                Ok(lease) => return Ok(Some(lease).filter(|lease| self.may_ask(lease.why()))),
                Err(NoAccount::Exhausted) if self.may_reconnect && is_dead_connection(self.best.as_ref()) => {
                    // Nobody else to ask, and nothing was said: the only account gets a second connection.
                    self.may_reconnect = false;
                    self.tried.clear();
                }
                Err(nobody) => {
                    let may_wait = self.waits > 0 && self.inner.pool.soonest_return(&self.asked()).is_some();
                    if may_wait && self.wait().await {
                        self.waits -= 1;
                        self.tried.clear();
                    } else if self.best.is_some() {
                        return Ok(None);
                    } else {
                        return Err(ProxyError::NoAccount(nobody));
                    }
                }
            }
        }
    }

    /// Whether one more attempt may be made. The first that comes to a call always may, and so may one by an account that is
    /// ready, after trouble that was another account's own.
    fn may_ask(&self, why: Why) -> bool {
        !self.was_sent || (!self.is_shared && why != Why::LeastDoubtful) || self.inner.may_ask_again()
    }

    fn asked(&self) -> Asked<'_> {
        let Exchange { model, endpoint, conversation, carried, caller, .. } = self.exchange;
        let affinity = conversation.map(|(key, _)| key);
        let (owner, accounts) = (carried.owner.as_ref(), caller.accounts());
        Asked { model, endpoint: *endpoint, affinity, owner, tried: &self.tried, accounts }
    }

    /// Waits in line until an account is back; `false` where that is not within the time there is, or the line is full.
    async fn wait(&self) -> bool {
        let asked = Asked { tried: &[], ..self.asked() };
        let _waiting = self.inner.metrics.wait(Awaited::Account);
        let mut place = None;
        loop {
            let now = self.inner.clock.now();
            let is_first = place.as_ref().is_none_or(super::queue::Place::is_first);
            match self.inner.pool.soonest_return(&asked) {
                Some(NoAccount::Cooling { until, .. }) if until > self.patience => return false,
                // Who may wait no longer is not refused while somebody could serve it.
                None if is_first || now >= self.patience => return true,
                Some(_) if now >= self.patience => return false,
                Some(_) | None => {}
            }
            if place.is_none() {
                place = self.inner.queue.join(&asked);
            }
            let Some(place) = &place else { return false };
            let left = Duration::try_from(self.patience.duration_since(now)).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK)) => {}
                () = place.moved() => {}
            }
        }
    }

    /// The failure that helps the client most. Where every account is out, that is when the first of them is back.
    fn give_up(mut self) -> Result<Attempt, ProxyError> {
        let best = self.best.take().unwrap_or(Err(ProxyError::BadAnswer));
        let limited_until = best.as_ref().ok().and_then(|attempt| match attempt.outcome {
            Outcome::RateLimited { until, .. } => Some(until.unwrap_or(Timestamp::MAX)),
            _ => None,
        });
        let sooner = |until: &Timestamp| limited_until.is_some_and(|limited| *until < limited - TOLERANCE);
        match (self.inner.pool.soonest_return(&self.asked()), best) {
            (Some(NoAccount::Cooling { until, accounts }), _) if sooner(&until) => {
                Err(ProxyError::NoAccount(NoAccount::Cooling { until, accounts }))
            }
            (Some(NoAccount::Cooling { until, .. }), Ok(mut attempt)) if limited_until.is_some() => {
                let wait = until.duration_since(self.inner.clock.now());
                name_the_end(attempt.response.headers_mut(), wait);
                Ok(attempt)
            }
            (_, best) => best,
        }
    }
}

/// Says when to try again where upstream named the time in another way than clients know.
fn name_the_end(headers: &mut HeaderMap, wait: SignedDuration) {
    if !headers.contains_key(RETRY_AFTER) {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if wait > LONG_WAIT {
        headers.entry(SHOULD_RETRY).or_insert(HeaderValue::from_static("false"));
    }
}

/// A wait longer than this is not worth a client's own retries.
pub const LONG_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// Times this near to each other are the same limit, told twice.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);
