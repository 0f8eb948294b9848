//! Why a request has no answer from upstream, and whose fault that is. Becomes words in one place only,
//! [`super::told`].

use std::sync::Arc;

use http::StatusCode;

use super::NotAllowed;
use super::fault::Fault;
use crate::claude::api::SendError;
use crate::pool::NoAccount;
use crate::refresh::RefreshError;
use crate::wire::error::ApiError;

/// By what the client is told.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The client's own fault, or an answer of upstream in words: what it gets is in the error. Only its kind
    /// is for a log, since its words may quote the request.
    #[error("the request is refused: {}", .0.kind.anthropic())]
    Api(ApiError),
    /// The key that it came with does not allow it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The pool has nobody for it.
    #[error("no account: {0}")]
    NoAccount(NoAccount),
    /// Every account that could serve failed to get a fresh token.
    #[error("no fresh token")]
    Refresh(#[source] Arc<RefreshError>),
    #[error("no answer from upstream")]
    Send(#[source] SendError),
    #[error("upstream answered with a redirect ({0}), which is never followed")]
    Redirected(StatusCode),
    /// The head of its answer came, and then not all of the rest.
    #[error(transparent)]
    Body(#[from] Fault),
    #[error("upstream's answer cannot be read")]
    BadAnswer,
    /// The daemon stops and its grace period is over.
    #[error("proxyd is stopping and the time it gives open requests is over: send the request again")]
    Stopping,
}

impl From<ApiError> for ProxyError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}
