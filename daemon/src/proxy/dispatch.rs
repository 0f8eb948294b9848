//! Attempts. One request gets one account after another until an answer is worth giving to the client; each
//! attempt settles what it says about its account.

use http::{Response, StatusCode};
use tracing::{debug, info};

use super::{Exchange, Inner, ProxyError};
use crate::account::Account;
use crate::claude::api::{SendError, UpstreamBody};
use crate::claude::{Outcome, Verdict, classify};
use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::pool::{Asked, Endpoint, Lease, NoAccount, Signal};

/// Attempts that end in trouble that other accounts are likely to share: more of them multiply a storm.
const MOST_TROUBLED: usize = 3;

/// An answer's head and open body, with the lease it came by.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) response: Response<UpstreamBody>,
    pub(super) lease: Lease,
    pub(super) outcome: Outcome,
}

impl Inner {
    /// Sends until there is an answer for the client: the first good one, else the one that says most.
    pub(super) async fn dispatch(&self, exchange: &Exchange) -> Result<Attempt, ProxyError> {
        let mut tried: Vec<AccountId> = Vec::new();
        let mut best: Option<Result<Attempt, ProxyError>> = None;
        let mut troubled = 0;
        let mut again = true;
        loop {
            let Exchange { model, endpoint, .. } = exchange;
            let asked = Asked { model, endpoint: *endpoint, owner: None, tried: &tried };
            let lease = match self.pool.acquire(&asked) {
                Ok(lease) => lease,
                Err(NoAccount::Exhausted) if again && is_dead_connection(best.as_ref()) => {
                    // Nobody else to ask, and nothing was said: the only account gets a second connection.
                    again = false;
                    tried.clear();
                    continue;
                }
                Err(nobody) => return best.unwrap_or(Err(ProxyError::NoAccount(nobody))),
            };
            tried.push(lease.account().id.clone());
            let road = Road::of(lease.account());
            let result = self.attempt(exchange, lease).await;
            let verdict = match &result {
                Ok(attempt) => attempt.outcome.verdict(),
                Err(_) => Verdict::NextAccount,
            };
            let result = not_redirected(result);
            if exchange.call.body.is_spent() {
                // An upload is sent once.
                return result;
            }
            match verdict {
                // The provider's redirect would meet the next account, too; a gateway's is its own.
                Verdict::GiveUp if road != Road::Gateway => return result,
                Verdict::Done => return result,
                Verdict::NextAccount | Verdict::RefreshOnce | Verdict::GiveUp => {
                    troubled += usize::from(road.shares_trouble(&result));
                    if best.as_ref().is_none_or(|best| is_better(&result, best)) {
                        best = Some(result);
                    }
                }
            }
            if troubled >= MOST_TROUBLED {
                return best.unwrap_or(Err(ProxyError::BadAnswer));
            }
        }
    }

    /// One account: a fresh token, the call, and after a 401 one refresh and one replay.
    async fn attempt(&self, exchange: &Exchange, mut lease: Lease) -> Result<Attempt, ProxyError> {
        if self.refresher.is_stale(lease.account()) {
            lease = self.renew(lease).await?;
        }
        let mut attempt = self.send(exchange, lease).await?;
        let again = !exchange.call.body.is_spent() && attempt.lease.account().renewable().is_some();
        if attempt.outcome == Outcome::Unauthorized && again {
            match self.renewed(&attempt.lease).await {
                Ok(lease) => attempt = self.send(exchange, lease).await?,
                Err(error) => debug!(error = %error, "no refresh after a 401"),
            }
        }
        if exchange.endpoint != Endpoint::CountTokens || attempt.outcome == Outcome::Unauthorized {
            attempt.lease.settle(&attempt.outcome.signal());
        }
        Ok(attempt)
    }

    async fn send(&self, exchange: &Exchange, lease: Lease) -> Result<Attempt, ProxyError> {
        let account = lease.account().id.clone();
        match self.api.send(exchange.call_by(&lease), &lease).await {
            Ok(response) => {
                let outcome = classify(response.status(), response.headers(), self.clock.now());
                info!(request.id = %exchange.id, account.id = %account, status = response.status().as_u16(), "attempt");
                Ok(Attempt { response, lease, outcome })
            }
            Err(error) => {
                info!(request.id = %exchange.id, account.id = %account, error = %crate::chain::ErrorChain(&error), "attempt failed");
                let its_own = matches!(error, SendError::Upload(_));
                if exchange.endpoint != Endpoint::CountTokens && !its_own {
                    lease.settle(&Signal::Unreachable);
                }
                Err(ProxyError::Send(error))
            }
        }
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

fn has_ended(lease: &Lease, now: Timestamp) -> bool {
    lease.account().oauth().and_then(|tokens| tokens.expires_at).is_some_and(|end| end <= now)
}

/// Whether the client should get this failure rather than that one.
fn is_better(this: &Result<Attempt, ProxyError>, that: &Result<Attempt, ProxyError>) -> bool {
    match (named_end(this), named_end(that)) {
        // Of two limits the one that ends first: then a request can be served again.
        (Some(this), Some(that)) => this < that,
        _ => rank(this) >= rank(that),
    }
}

fn named_end(result: &Result<Attempt, ProxyError>) -> Option<Timestamp> {
    match result.as_ref().ok()?.outcome {
        Outcome::RateLimited { until } => until,
        _ => None,
    }
}

fn not_redirected(result: Result<Attempt, ProxyError>) -> Result<Attempt, ProxyError> {
    match result {
        Ok(attempt) if attempt.outcome == Outcome::Redirected => {
            Err(ProxyError::Redirected(attempt.response.status()))
        }
        result => result,
    }
}

fn is_dead_connection(result: Option<&Result<Attempt, ProxyError>>) -> bool {
    let Some(Err(ProxyError::Send(error))) = result else { return false };
    matches!(error, SendError::Connect(_) | SendError::Proxy(_) | SendError::HungUp(_))
}

/// What an account's traffic has in common with that of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Road {
    /// The way there and the provider.
    Common,
    /// The provider.
    OwnProxy,
    /// Nothing.
    Gateway,
}

impl Road {
    fn of(account: &Account) -> Self {
        match (&account.settings.base_url, &account.settings.proxy) {
            (Some(_), _) => Self::Gateway,
            (None, Some(_)) => Self::OwnProxy,
            (None, None) => Self::Common,
        }
    }

    fn shares_trouble(self, result: &Result<Attempt, ProxyError>) -> bool {
        match (self, result) {
            (Self::Gateway, _) | (Self::OwnProxy, Err(_)) => false,
            (Self::Common, Err(error)) => matches!(error, ProxyError::Send(_)),
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
