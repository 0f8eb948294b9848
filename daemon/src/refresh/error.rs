//! Why an account has no fresher token.

use crate::claude::Closed;
use crate::claude::oauth::TokenError;
use crate::clock::Timestamp;
use crate::store::{StoreError, Unusable};
use crate::telemetry::metrics::Refresh as Counted;

/// By what the caller does next: try another account, tell a person, or wait.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error("the account is gone")]
    Gone,
    #[error("the account holds no refresh token: log in again before it ends")]
    NotRenewable,
    #[error("the account needs a new login ({reason}): run `proxyctl login claude`")]
    NeedsLogin { reason: String },
    /// Nothing was asked of the issuer, since the account sends nothing at all.
    #[error(transparent)]
    Closed(Closed),
    /// Nothing was asked of the issuer, since its answer could not have been saved.
    #[error("no refresh while its result cannot be saved")]
    CannotSave(#[source] StoreError),
    /// Spending a token whose successor is not on disk could lose the account.
    #[error("its newest token is in memory only; it is refreshed again once that is saved")]
    Unsaved,
    #[error("the account's file cannot be used")]
    Unusable(#[source] Unusable),
    #[error("the token could not be refreshed")]
    Issuer(#[source] TokenError),
    #[error("the provider was asked less than a minute ago; the next refresh may start at {retry_at:.0}")]
    TooSoon { retry_at: Timestamp },
    /// It had not begun.
    #[error("no refresh begins while proxyd stops")]
    Stopping,
    #[error("the refresh ended without a result")]
    Aborted,
}

impl RefreshError {
    /// The time the issuer named before which not to try again.
    pub(super) fn named_wait(&self) -> Option<Timestamp> {
        match self {
            Self::Issuer(TokenError::RateLimited { retry_at }) => *retry_at,
            _ => None,
        }
    }
}

/// How a flight with this error, or without one, is counted.
pub(super) fn counted_as(error: Option<&RefreshError>) -> Counted {
    let Some(error) = error else { return Counted::Refreshed };
    match error {
        RefreshError::NeedsLogin { .. } => Counted::NeedsLogin,
        RefreshError::Issuer(_) => Counted::Issuer,
        RefreshError::CannotSave(_) | RefreshError::Unsaved => Counted::NotSaved,
        RefreshError::Gone
        | RefreshError::NotRenewable
        | RefreshError::Closed(_)
        | RefreshError::Unusable(_)
        | RefreshError::TooSoon { .. }
        | RefreshError::Stopping => Counted::NotAsked,
        RefreshError::Aborted => Counted::Aborted,
    }
}
