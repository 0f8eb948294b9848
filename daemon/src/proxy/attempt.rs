//! One account asked: a fresh token, the call, and what its answer says; and of several failures the one that the client
//! should get.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use http::{HeaderName, Response, StatusCode};
use tracing::debug;

use super::history::Entry;
use super::{Exchange, Inner, ProxyError};
use crate::account::Account;
use crate::chain::ErrorChain;
use crate::claude::api::SendError;
use crate::claude::{Outcome, UpstreamBody, classify, readings};
use crate::clock::Timestamp;
use crate::pool::{Lease, NoAccount, Signal};
use crate::telemetry::metrics::{self, Called};

/// An error's words stand in this many bytes of its body.
const MOST_WORDS: usize = 64 * 1024;
/// And come within this time, or are not waited for.
const WORDS_TIMEOUT: Duration = Duration::from_secs(5);
/// The code of a redirect.
pub(super) const REDIRECT: &str = "upstream_redirect";
/// Whose limits an API key shares.
static ORGANIZATION: HeaderName = HeaderName::from_static("anthropic-organization-id");

/// An answer's head and open body, and what it came by.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) response: Response<UpstreamBody>,
    /// `None` where it came by the caller's own credential.
    pub(super) lease: Option<Lease>,
    pub(super) outcome: Outcome,
    pub(super) entry: Arc<Entry>,
}

impl Inner {
    /// One account: a fresh token, the call, and after a 401 one refresh and one replay.
    pub(super) async fn attempt(
        &self,
        exchange: &Exchange,
        entry: &Arc<Entry>,
        lease: Lease,
    ) -> Result<Attempt, ProxyError> {
        exchange.caller.observed.tries(Some(&lease.account().id));
        entry.begin(&lease);
        let result = self.ask(exchange, entry, lease).await;
        match &result {
            Ok(attempt) => {
                let status = attempt.response.status();
                entry.answered(Some(status.as_u16()), attempt.outcome.describe());
            }
            Err(error) => entry.answered(None, ErrorChain(error).to_string()),
        }
        result
    }

    async fn ask(
        &self,
        exchange: &Exchange,
        entry: &Arc<Entry>,
        mut lease: Lease,
    ) -> Result<Attempt, ProxyError> {
        if self.refresher.is_stale(lease.account()) {
            lease = self.renew(lease).await?;
        }
        let mut attempt = self.send(exchange, entry, lease).await?;
        let again = !exchange.call.body.is_spent() && attempt.outcome == Outcome::Unauthorized;
        if let Some(lease) =
            attempt.lease.as_ref().filter(|lease| again && lease.account().renewable().is_some())
        {
            match self.renewed(lease).await {
                Ok(lease) => attempt = self.send(exchange, entry, lease).await?,
                Err(error) => debug!(error = %error, "no refresh after a 401"),
            }
        }
        if let Some(lease) = &attempt.lease {
            lease.settle(&attempt.outcome.signal());
        }
        Ok(attempt)
    }

    async fn send(
        &self,
        exchange: &Exchange,
        entry: &Arc<Entry>,
        lease: Lease,
    ) -> Result<Attempt, ProxyError> {
        let account = lease.account().id.clone();
        let called = || Called {
            account: Some(account.clone()),
            model: lease.model().to_owned(),
            server: self.api.server(lease.account()),
        };
        let mut measured = metrics::Attempt::new(&self.metrics, &exchange.caller.observed.measured, called);
        match self.api.send(exchange.call_by(&lease), &lease).await {
            Ok(mut response) => {
                measured.head_came();
                let (status, headers) = (response.status(), response.headers());
                debug!(request.id = %exchange.id, account.id = %account, status = status.as_u16(), "attempt");
                let organization = headers.get(&ORGANIZATION).and_then(|value| value.to_str().ok());
                lease.observe(&readings(headers), organization);
                let mut outcome = classify(status, headers, self.clock.now());
                let is_plain = !headers.contains_key(CONTENT_ENCODING);
                if is_plain && outcome.depends_on_words(status) {
                    // What came in time says what it says.
                    let looked = response.body_mut().look(MOST_WORDS);
                    if let Ok(words) = tokio::time::timeout(WORDS_TIMEOUT, looked).await {
                        outcome = outcome.in_words(status, words, lease.model());
                    }
                }
                measured.ended(counted_as(&outcome), Some(status.as_u16()));
                if outcome == Outcome::Redirected {
                    self.metrics.upstream_error(REDIRECT);
                }
                Ok(Attempt { response, lease: Some(lease), outcome, entry: Arc::clone(entry) })
            }
            Err(error) => {
                measured.ended(metrics::Outcome::Failed, None);
                debug!(request.id = %exchange.id, account.id = %account, error = %ErrorChain(&error), "attempt failed");
                let its_own = matches!(error, SendError::Upload(_));
                if !its_own {
                    lease.settle(&Signal::Unreachable);
                }
                Err(self.not_sent(error))
            }
        }
    }

    /// A call without an answer, counted.
    pub(super) fn not_sent(&self, error: SendError) -> ProxyError {
        let error = ProxyError::Send(error);
        if let Some(code) = error.told().error.code {
            self.metrics.upstream_error(&code);
        }
        error
    }

    /// A lease whose token will outlive the call. Where none can be had, the old token serves for as long as
    /// it lasts.
    async fn renew(&self, lease: Lease) -> Result<Lease, ProxyError> {
        match self.renewed(&lease).await {
            Ok(renewed) => Ok(renewed),
            Err(_) if !has_ended(&lease, self.clock.now()) => Ok(lease),
            Err(error) => Err(error),
        }
    }

    async fn renewed(&self, lease: &Lease) -> Result<Lease, ProxyError> {
        let account = lease.account();
        if let Some(tokens) = account.oauth() {
            self.refresher.renew(&account.id, &tokens.access).await.map_err(ProxyError::Refresh)?;
        }
        match self.pool.get(&account.id) {
            Some(member) => Ok(lease.renewed(member)),
            None => Err(ProxyError::NoAccount(NoAccount::Exhausted)),
        }
    }
}

/// As what an attempt is counted.
pub(super) fn counted_as(outcome: &Outcome) -> metrics::Outcome {
    match outcome {
        Outcome::Success => metrics::Outcome::Answered,
        Outcome::ClientFault => metrics::Outcome::ClientFault,
        Outcome::Unauthorized => metrics::Outcome::Unauthorized,
        Outcome::Forbidden { .. } => metrics::Outcome::Forbidden,
        Outcome::RateLimited { .. } => metrics::Outcome::RateLimited,
        Outcome::SpendLimit => metrics::Outcome::SpendLimit,
        Outcome::NoSuchModel => metrics::Outcome::NoSuchModel,
        Outcome::Overloaded => metrics::Outcome::Overloaded,
        Outcome::Redirected => metrics::Outcome::Redirected,
    }
}

fn has_ended(lease: &Lease, now: Timestamp) -> bool {
    lease.account().oauth().and_then(|tokens| tokens.expires_at).is_some_and(|end| end <= now)
}

/// Whether the client should get this failure rather than that one.
pub(super) fn is_better(this: &Result<Attempt, ProxyError>, that: &Result<Attempt, ProxyError>) -> bool {
    match (named_end(this), named_end(that)) {
        // Of two limits the one that ends first: then a request can be served again.
        (Some(this), Some(that)) => this < that,
        _ => rank(this) >= rank(that),
    }
}

fn named_end(result: &Result<Attempt, ProxyError>) -> Option<Timestamp> {
    match result.as_ref().ok()?.outcome {
        Outcome::RateLimited { until, .. } => until,
        _ => None,
    }
}

pub(super) fn not_redirected(result: Result<Attempt, ProxyError>) -> Result<Attempt, ProxyError> {
    match result {
        Ok(attempt) if attempt.outcome == Outcome::Redirected => {
            Err(ProxyError::Redirected(attempt.response.status()))
        }
        result => result,
    }
}

/// Whether it came to a call: an account without a fresh token, or one that cannot be used, costs upstream nothing.
pub(super) fn was_sent(result: &Result<Attempt, ProxyError>) -> bool {
    let Err(error) = result else { return true };
    match error {
        ProxyError::Send(error) => {
            !matches!(error, SendError::Credential(_) | SendError::Closed(_) | SendError::NoWay(_))
        }
        ProxyError::Refresh(_) | ProxyError::NoAccount(_) | ProxyError::NotAllowed(_) => false,
        ProxyError::Api(_)
        | ProxyError::Redirected(_)
        | ProxyError::Body(_)
        | ProxyError::BadAnswer
        | ProxyError::Stopping => true,
    }
}

pub(super) fn is_dead_connection(result: Option<&Result<Attempt, ProxyError>>) -> bool {
    let Some(Err(ProxyError::Send(error))) = result else { return false };
    match error {
        SendError::Connect(_)
        | SendError::ConnectTimeout { .. }
        | SendError::Proxy(_)
        | SendError::HungUp(_)
        | SendError::Reset(_) => true,
        SendError::LargeHead(_)
        | SendError::NotHttp(_)
        | SendError::Timeout(_)
        | SendError::Upload(_)
        | SendError::Credential(_)
        | SendError::Closed(_)
        | SendError::NoWay(_) => false,
    }
}

/// What an account's traffic has in common with that of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Road {
    /// The way there and the provider.
    Common,
    /// The provider.
    OwnProxy,
    /// Nothing.
    Gateway,
}

impl Road {
    pub(super) fn of(account: &Account) -> Self {
        match (&account.settings.base_url, &account.settings.proxy) {
            (Some(_), _) => Self::Gateway,
            (None, Some(_)) => Self::OwnProxy,
            (None, None) => Self::Common,
        }
    }

    pub(super) fn shares_trouble(self, result: &Result<Attempt, ProxyError>) -> bool {
        match (self, result) {
            (Self::Gateway, _) | (Self::OwnProxy, Err(_)) => false,
            (Self::Common, Err(error)) => matches!(error, ProxyError::Send(_)) && was_sent(result),
            (Self::Common | Self::OwnProxy, Ok(attempt)) => attempt.outcome == Outcome::Overloaded,
        }
    }
}

/// Of several failures the client gets the one that helps it most: a limit or an overload, which pass, before
/// a refusal of one account, which is not the client's concern, before no answer at all.
fn rank(result: &Result<Attempt, ProxyError>) -> u8 {
    match result {
        Ok(attempt) if attempt.response.status() == StatusCode::TOO_MANY_REQUESTS => 4,
        Ok(attempt) if attempt.outcome == Outcome::Overloaded => 3,
        Ok(_) => 2,
        Err(_) => 1,
    }
}
