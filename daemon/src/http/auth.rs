//! Who a request is for: a trusted user's program, or whoever presents a client key. Keys come as `Authorization: Bearer`,
//! `x-api-key` or `x-proxyd-key`, and never in a URL, which ends up in logs and histories.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use tokio::time::Instant;

use super::throttle::{Source, Throttle};
use crate::keys::{Key, Keys, PREFIX, Refusal};
use crate::wire::error::ApiError;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// For a client key beside a credential of the caller's own.
const X_PROXYD_KEY: HeaderName = HeaderName::from_static("x-proxyd-key");

/// `http.auth`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    /// Programs of trusted users need no key, everybody else does.
    PeerOrKey,
    /// Everybody needs one.
    Key,
    /// Nobody does: whoever reaches the address is served.
    Nobody,
}

/// Decides who is served.
#[derive(Clone, Debug)]
pub(super) struct Authenticator {
    pub(super) auth: Auth,
    pub(super) keys: Keys,
    pub(super) throttle: Throttle,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Its connection belongs to a user who needs no key.
    pub(super) trusted: bool,
    pub(super) source: Source,
}

/// Why a request is not served.
#[derive(Debug)]
pub(super) enum Refused {
    Api(ApiError),
    /// Its source presents too many wrong keys.
    Throttled(Duration),
}

/// The client keys of a request: what begins as one, and what stands where nothing else may.
enum Presented<'a> {
    None,
    /// Something is there, and it is no client key: any word will do where none is needed.
    Foreign,
    One(&'a str),
    Several,
}

impl Authenticator {
    /// The key that a request is made with; `None` where it is made with none and needs none.
    pub(super) fn authenticate(
        &self,
        origin: Origin,
        uri: &Uri,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Option<Arc<Key>>, Refused> {
        if uri.query().is_some_and(|query| query.contains(PREFIX)) {
            return Err(Refused::Api(ApiError::invalid_request(
                "a client key in a URL is not accepted, since URLs end up in logs: send it as a header, and revoke this one with \
                 `proxyctl keys revoke`",
            )));
        }
        let is_free = match self.auth {
            Auth::PeerOrKey => origin.trusted,
            Auth::Key => false,
            Auth::Nobody => true,
        };
        match presented(headers) {
            Presented::One(key) => match self.keys.verify(key) {
                Ok(key) => Ok(Some(key)),
                Err(refusal) => Err(self.wrong(origin.source, &told(&refusal), now)),
            },
            Presented::Several => {
                Err(self.wrong(origin.source, "the request brings several client keys: send one", now))
            }
            Presented::None | Presented::Foreign if is_free => Ok(None),
            // Where there are no keys, nobody need look for one.
            _ if self.auth == Auth::PeerOrKey && self.keys.is_empty() => {
                Err(Refused::Api(ApiError::permission(
                    "proxyd serves the programs of the user it runs as, and of root; this connection belongs to another user, or the \
                     system does not tell whose it is. Others need a client key: `proxyctl keys create NAME` makes one",
                )))
            }
            Presented::None => Err(Refused::Api(needed(
                "proxyd needs a client key here: send it as Authorization: Bearer, x-api-key or x-proxyd-key; `proxyctl keys create NAME` \
                 makes one",
            ))),
            Presented::Foreign => Err(self.wrong(
                origin.source,
                "the key that was sent is none of proxyd's: `proxyctl keys create NAME` makes one",
                now,
            )),
        }
    }

    fn wrong(&self, source: Source, why: &str, now: Instant) -> Refused {
        match self.throttle.wrong(source, now) {
            Ok(()) => Refused::Api(needed(why)),
            Err(wait) => Refused::Throttled(wait),
        }
    }
}

fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Unknown => {
            "the client key is not known: it is mistyped or was revoked (see `proxyctl keys list`)".to_owned()
        }
        Refusal::Expired { .. } => format!("{refusal}: `proxyctl keys create NAME` makes a new one"),
    }
}

/// A client key is needed, and a good one.
pub(super) fn needed(message: &str) -> ApiError {
    ApiError::invalid_client_key(message).with_status(StatusCode::UNAUTHORIZED.as_u16())
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    let ours = headers.get_all(X_PROXYD_KEY).iter().map(|value| (word(value), true));
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let word = word(value);
        let token = word.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        (token.map_or(word, |(_, token)| token.trim()), false)
    });
    let api_key = headers.get_all(X_API_KEY).iter().map(|value| (word(value), false));
    let mut found = Presented::None;
    for (word, is_ours) in ours.chain(bearer).chain(api_key) {
        found = match found {
            Presented::None | Presented::Foreign if is_ours || word.starts_with(PREFIX) => {
                Presented::One(word)
            }
            Presented::None => Presented::Foreign,
            // The same key twice is one: some programs send it both ways.
            Presented::One(key) if key != word && (is_ours || word.starts_with(PREFIX)) => Presented::Several,
            found => found,
        };
    }
    found
}

fn word(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default().trim()
}

impl FromStr for Auth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "peer-or-key" => Ok(Self::PeerOrKey),
            "key" => Ok(Self::Key),
            "none-i-know" => Ok(Self::Nobody),
            _ => Err(format!("{text:?} must be peer-or-key, key or none-i-know")),
        }
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
