//! Who a request is for, and what of it that caller may use. `http` says who it is, and puts it into the request's
//! extensions; a request without one is the daemon's own user's, who may use everything.

use std::sync::Arc;

use http::{Extensions, Method, StatusCode};

use super::{Exchange, Observed};
use crate::claude::OwnCredential;
use crate::claude::api::Call;
use crate::id::AccountId;
use crate::keys::{Key, Permit};
use crate::pool::Endpoint;
use crate::stored::Holder;
use crate::wire::error::{self, ApiError};
use crate::wire::{Dialect, messages};

/// Who a request is for.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Of the client key that the request came with. It is held as long as the request's answer goes on.
    pub permit: Option<Arc<Permit>>,
    /// What the request brought to go upstream with, instead of an account of the pool.
    pub credential: Option<OwnCredential>,
    /// The request, as it is observed.
    pub observed: Observed,
}

/// What a client key does not allow.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAllowed {
    #[error(
        "model: the client key {key:?} may not use the model {model:?}; see `proxyctl keys list` for those that it may use"
    )]
    Model { key: String, model: String },
    /// The requests of a batch name models of their own, in a body that is not looked through.
    #[error(
        "the client key {key:?} may use certain models only, so it may look at, cancel and delete batches, and make none"
    )]
    Batches { key: String },
}

impl Caller {
    /// Whom `http` says that a request is for.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The client key, where the request came with one.
    pub(super) fn key(&self) -> Option<&Key> {
        self.permit.as_deref().map(|permit| &**permit.key())
    }

    /// The accounts that may serve it; empty: all.
    pub(super) fn accounts(&self) -> &[AccountId] {
        self.key().map_or(&[], |key| &key.rules.accounts)
    }

    /// Whether it may use this model, as clients name it.
    pub(super) fn may_use(&self, model: &str) -> bool {
        self.key().is_none_or(|key| key.may_use(model))
    }

    /// Whether it may use every model there is.
    pub(super) fn may_use_all(&self) -> bool {
        self.key().is_none_or(|key| key.rules.models.is_empty())
    }

    /// Whose the responses are that are stored for it: its key's, else its own credential's.
    pub(super) fn holder(&self) -> Option<Holder> {
        match (self.key(), &self.credential) {
            (Some(key), _) => Some(Holder::key(key.id.as_str())),
            (None, Some(own)) => Some(Holder::credential(&own.fingerprint())),
            (None, None) => None,
        }
    }

    /// Upstream's error in words for this caller: what is said of an account's credential is not its concern, what is said
    /// of its own is.
    pub(super) fn told(&self, status: StatusCode, body: &[u8]) -> ApiError {
        match &self.credential {
            Some(_) => error::from_upstream_to_its_own(status.as_u16(), body),
            None => error::from_upstream(status.as_u16(), body),
        }
    }

    /// Whether this exchange may be carried out for it.
    pub(super) fn check(&self, exchange: &Exchange) -> Result<(), NotAllowed> {
        let Some(key) = self.key().filter(|key| !key.rules.models.is_empty()) else { return Ok(()) };
        let refused = |model: &str| NotAllowed::Model { key: key.name.clone(), model: model.to_owned() };
        match exchange.endpoint {
            Endpoint::Batches if makes_something(&exchange.call) => {
                Err(NotAllowed::Batches { key: key.name.clone() })
            }
            Endpoint::Batches | Endpoint::Files => Ok(()),
            Endpoint::Messages | Endpoint::CountTokens | Endpoint::Models => {
                // A translated body names one model, and that as upstream does. The list of models is about none: what the key
                // may use is chosen from it.
                let is_native = exchange.dialect == Dialect::Messages;
                let native = is_native.then(|| exchange.call.body.whole()).flatten();
                let named = native.map(|body| messages::models_named(&body)).unwrap_or_default();
                let mut named = std::iter::once(&exchange.model).chain(&named);
                named.find(|model| !key.may_use(model)).map_or(Ok(()), |model| Err(refused(model)))
            }
        }
    }
}

/// Whether a call about batches is more than to look at one, to cancel it or to delete it. What is not known counts.
fn makes_something(call: &Call) -> bool {
    match call.method {
        Method::GET | Method::HEAD | Method::DELETE => false,
        Method::POST => !call.path.path().ends_with("/cancel"),
        _ => true,
    }
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod tests;
