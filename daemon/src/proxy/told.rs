//! What a client is told when its request has no answer from upstream: the one place where a [`ProxyError`] becomes
//! words, for an answer of its own and for a stream that has begun already. Statuses are chosen by what clients do with
//! them: a pool without accounts must not be retried for minutes in silence, and a limit names its end.

use super::attempt::REDIRECT;
use super::{NotAllowed, ProxyError};
use crate::chain::ErrorChain;
use crate::claude::api::SendError;
use crate::clock::Timestamp;
use crate::pool::NoAccount;
use crate::refresh::RefreshError;
use crate::wire::error::ApiError;

/// What a client is told.
#[derive(Debug)]
pub struct Told {
    pub error: ApiError,
    /// When it may try again.
    pub retry_at: Option<Timestamp>,
    /// Whether trying again by itself can help.
    pub retry: bool,
}

impl ProxyError {
    /// What the client is told.
    pub fn told(&self) -> Told {
        let passing = |error| Told { error, retry_at: None, retry: true };
        let lasting = |error| Told { error, retry_at: None, retry: false };
        match self {
            Self::Api(error) => passing(error.clone()),
            Self::NotAllowed(refusal) => lasting(not_allowed(refusal)),
            Self::NoAccount(nobody) => match nobody {
                NoAccount::Withheld { .. } | NoAccount::OwnerWithheld => {
                    lasting(withheld(nobody.to_string()))
                }
                NoAccount::Empty | NoAccount::AllOut { .. } | NoAccount::OwnerOut { .. } => {
                    lasting(no_account(nobody.to_string()))
                }
                NoAccount::Excluded { .. } => lasting(
                    ApiError::not_found(nobody.to_string()).with_param("model").with_code("model_not_found"),
                ),
                NoAccount::Cooling { until, .. } => Told {
                    error: ApiError::rate_limit(nobody.to_string()),
                    retry_at: Some(*until),
                    retry: true,
                },
                NoAccount::Exhausted => passing(ApiError::bad_gateway(
                    "the account left the pool meanwhile; send the request again",
                )),
            },
            Self::Refresh(cause) => match &**cause {
                RefreshError::NeedsLogin { .. } | RefreshError::NotRenewable | RefreshError::Closed(_) => {
                    lasting(no_account(cause.to_string()))
                }
                RefreshError::TooSoon { retry_at } => Told {
                    error: ApiError::rate_limit(format!("no fresh token yet: {}", ErrorChain(&**cause))),
                    retry_at: Some(*retry_at),
                    retry: true,
                },
                RefreshError::Gone
                | RefreshError::CannotSave(_)
                | RefreshError::Unsaved
                | RefreshError::Unusable(_)
                | RefreshError::Issuer(_)
                | RefreshError::Stopping
                | RefreshError::Aborted => {
                    passing(ApiError::bad_gateway(format!("no fresh token: {}", ErrorChain(&**cause))))
                }
            },
            Self::Send(cause) => {
                // The chain of causes is a library's words, and stays in the log.
                let gateway = |code| passing(ApiError::bad_gateway(cause.to_string()).with_code(code));
                let late = |code| passing(ApiError::timeout(cause.to_string()).with_code(code));
                match cause {
                    SendError::Connect(_) => gateway("upstream_unreachable"),
                    SendError::Proxy(_) => gateway("upstream_proxy_unreachable"),
                    SendError::HungUp(_) => gateway("upstream_hung_up"),
                    SendError::Reset(_) => gateway("upstream_reset"),
                    SendError::LargeHead(_) => gateway("upstream_head_too_large"),
                    SendError::NotHttp(_) => gateway("upstream_not_http"),
                    SendError::ConnectTimeout { .. } => late("upstream_connect_timeout"),
                    SendError::Timeout(_) => late("upstream_head_timeout"),
                    SendError::Upload(error) => passing(error.clone()),
                    SendError::Credential(_) | SendError::Closed(_) | SendError::NoWay(_) => {
                        lasting(no_account(cause.to_string()))
                    }
                }
            }
            Self::Stopping => passing(ApiError::overloaded(self.to_string())),
            Self::Redirected(_) => passing(ApiError::bad_gateway(self.to_string()).with_code(REDIRECT)),
            Self::Body(fault) => passing(fault.told()),
            Self::BadAnswer => {
                passing(ApiError::bad_gateway(self.to_string()).with_code("upstream_unreadable"))
            }
        }
    }
}

/// What a client's key does not allow, it will not allow a moment later.
fn not_allowed(refusal: &NotAllowed) -> ApiError {
    let error = withheld(refusal.to_string());
    match refusal {
        NotAllowed::Model { .. } => error.with_param("model"),
        NotAllowed::Batches { .. } => error,
    }
}

fn withheld(message: String) -> ApiError {
    ApiError::permission(message).with_code("not_allowed_for_key")
}

/// 403: clients show its text at once, where a 401 would be retried for minutes and a 503 for ever.
fn no_account(message: String) -> ApiError {
    ApiError::permission(message).with_code("no_usable_account")
}
