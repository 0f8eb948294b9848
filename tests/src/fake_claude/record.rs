//! What the fake saw: every request with what became of it, and everything that should not have come at all.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::issued::Caller;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Counts from 1 in the order of arrival.
    pub number: u64,
    /// Which of the fake's connections it came on, counted from 1.
    pub connection: u64,
    pub method: Method,
    pub path: String,
    /// Without the question mark; empty if there was none.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whose credential it carried; `None` for none or an unknown one.
    pub caller: Option<Caller>,
    pub progress: Progress,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its answer is not complete yet.
    Running,
    /// The answer was handed over whole, or ended as its script says.
    Answered,
    /// The client hung up before the answer was complete.
    Abandoned,
}

impl Recorded {
    /// The header's value if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The body as JSON, or null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Each member of the comma-separated header, from all its lines.
    pub fn header_members(&self, name: &str) -> Vec<String> {
        members(&self.headers, name)
    }
}

/// Each member of a comma-separated header, from all its lines, in order.
pub(super) fn members(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|l| l.split(',')).map(|m| m.trim().to_owned()).filter(|m| !m.is_empty()).collect()
}

/// Something no correct client does. A test that provokes one takes it with
/// [`take_surprises`](super::FakeClaude::take_surprises); any other fails the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surprise {
    /// A method and path the real service does not have.
    UnknownCall { method: String, path: String },
    /// A refresh token that was rotated away came again.
    RefreshTokenReused { account: Option<Caller> },
    /// A request carried an `x-api-key` and an `Authorization` header.
    TwoCredentials { path: String },
    /// A header that belongs to the client's own connection came through.
    LeakedHeader { path: String, header: &'static str },
    /// A body of the token or revoke endpoint was not the JSON these endpoints take.
    MalformedOauthCall { path: String, why: String },
    /// An answer was scripted and never asked for.
    UnusedScript { path: String, count: usize },
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCall { method, path } => write!(f, "unexpected call {method} {path}"),
            Self::RefreshTokenReused { account } => {
                write!(f, "a spent refresh token was used again by {account:?}")
            }
            Self::TwoCredentials { path } => write!(f, "{path} carried both x-api-key and Authorization"),
            Self::LeakedHeader { path, header } => {
                write!(f, "{path} carried the client's own header {header}")
            }
            Self::MalformedOauthCall { path, why } => write!(f, "{path}: {why}"),
            Self::UnusedScript { path, count } => {
                write!(f, "{count} scripted answer(s) for {path} were never asked for")
            }
        }
    }
}
