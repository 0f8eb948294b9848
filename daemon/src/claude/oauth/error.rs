//! Why the OAuth endpoints gave nothing, and what that leaves of the token that was sent.

use reqwest::StatusCode;

use crate::claude::refusal::{self, Grounds};
use crate::claude::transport::TransportError;
use crate::clock::Timestamp;

/// Why the token endpoint issued nothing, by what is to be done next.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The code or the refresh token is not valid (any more): trying again cannot help.
    #[error("the provider refused it: {}", describe("invalid_grant", description.as_deref()))]
    InvalidGrant { description: Option<String> },
    /// Any other refusal of the request.
    #[error("the provider refused the request with status {status}: {}", describe(error, description.as_deref()))]
    Refused { status: StatusCode, error: String, description: Option<String> },
    #[error("the provider limits logins and refreshes right now (429){}", wait(*retry_at))]
    RateLimited { retry_at: Option<Timestamp> },
    #[error("the provider has trouble (status {status})")]
    Server { status: StatusCode },
    #[error("the provider cannot be reached")]
    Transport(#[source] Unreached),
    #[error("the provider's reply cannot be read: {problem}")]
    Malformed { problem: &'static str },
}

/// What became of the refresh token in a call that brought no new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The call certainly did not get to the issuer.
    Unsent,
    /// The issuer answered, and not by tokens: it is as good as it was.
    Unused,
    /// The call was sent, and its answer is lost: the token may be spent.
    Unknown,
    /// It is of no use any more.
    Refused,
}

impl TokenError {
    /// What became of the refresh token.
    ///
    /// A 5xx or 429 counts as [`Fate::Unused`], although a gateway may say so (504) while the issuer behind it
    /// rotates the token. Were it [`Fate::Unknown`], an issuer that has trouble for some minutes would cost every
    /// account its login. To ask again costs little: where the token was rotated all the same, the account was lost
    /// with the answer, and what the second use may still end is the rest of an access token's life.
    pub fn fate(&self) -> Fate {
        match self {
            Self::InvalidGrant { .. } => Fate::Refused,
            Self::Refused { .. } | Self::RateLimited { .. } | Self::Server { .. } => Fate::Unused,
            Self::Transport(unreached) if unreached.is_certain() => Fate::Unsent,
            Self::Transport(_) | Self::Malformed { .. } => Fate::Unknown,
        }
    }

    /// What a refusal is about; `None` where the issuer refused nothing.
    pub fn grounds(&self) -> Option<Grounds> {
        match self {
            Self::InvalidGrant { description } => {
                Some(refusal::grounds("invalid_grant", description.as_deref()))
            }
            Self::Refused { error, description, .. } => Some(refusal::grounds(error, description.as_deref())),
            Self::RateLimited { .. } | Self::Server { .. } | Self::Transport(_) | Self::Malformed { .. } => {
                None
            }
        }
    }
}

/// Why a revocation is not certain.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error("the provider answered with status {0}")]
    Refused(StatusCode),
    #[error("the provider cannot be reached")]
    Transport(#[source] Unreached),
}

/// Why a call did not get there. Nothing of a proxy's URL is in its words.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    #[error(transparent)]
    Direct(reqwest::Error),
    #[error("it was to go through the account's proxy")]
    Proxied(#[source] reqwest::Error),
    #[error("the proxy wants a user name and password, or others (407)")]
    ProxyRefuses,
    #[error("the account's proxy cannot be used")]
    NoWay(#[source] TransportError),
}

impl Unreached {
    /// Whether nothing of the request can have got to the provider: there was no connection to send it by. Each call
    /// has a connection of its own (`transport::oauth_client`), so one that was closed while it lay idle is
    /// none of the others.
    fn is_certain(&self) -> bool {
        match self {
            Self::Direct(error) | Self::Proxied(error) => error.is_connect() || error.is_builder(),
            Self::ProxyRefuses | Self::NoWay(_) => true,
        }
    }
}

fn describe(error: &str, description: Option<&str>) -> String {
    description.map_or_else(|| error.to_owned(), |description| format!("{error} ({description})"))
}

fn wait(retry_at: Option<Timestamp>) -> String {
    retry_at.map(|at| format!("; it may be tried again at {at:.0}")).unwrap_or_default()
}
