//! What an answer means: for the request, and for the account it came by. Pure.
//!
//! Most of it stands in the head. Where the same status can mean different things, the error's words decide: a 429 without
//! a time may be a spend limit, and a 400, 403 or 404 may be about a model that this one account does not have.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};

use super::ratelimit;
use crate::clock::Timestamp;
use crate::pool::{Reach, Signal};
use crate::wire::error::{self, ErrorKind};

/// How one attempt ended, before the first byte of its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// 2xx.
    Success,
    /// 400, 404, 409, 413, 422 and the like: the client's own.
    ClientFault,
    /// 401: the token is not taken (any more).
    Unauthorized,
    /// 402 or 403: the account may not do this.
    Forbidden { status: u16, words: String },
    /// 429, with the time upstream named, if it did.
    RateLimited { until: Option<Timestamp>, reach: Reach },
    /// 429 because the account's money is used up: waiting for a moment does not help.
    SpendLimit,
    /// The account does not have the model.
    NoSuchModel,
    /// 5xx or 529.
    Overloaded,
    /// 3xx: never followed, since it would carry the credential elsewhere.
    Redirected,
}

/// What to do with the request next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The client gets this answer.
    Done,
    /// Another account may do better; without one the client gets this answer.
    NextAccount,
    /// Refresh this account's token once and replay; then as `NextAccount`.
    RefreshOnce,
    /// No other account can do better.
    GiveUp,
}

/// Reads an answer's head.
pub fn classify(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Success,
        300..=399 => Outcome::Redirected,
        401 => Outcome::Unauthorized,
        status @ (402 | 403) => Outcome::Forbidden { status, words: String::new() },
        429 => Outcome::RateLimited {
            until: ratelimit::named_reset(headers, now),
            reach: ratelimit::reach(headers),
        },
        500..=599 => Outcome::Overloaded,
        _ => Outcome::ClientFault,
    }
}

impl Outcome {
    /// Whether the error's words may say more than its head.
    pub fn depends_on_words(&self, status: StatusCode) -> bool {
        match self {
            Self::ClientFault => matches!(status.as_u16(), 400 | 404),
            Self::Forbidden { .. } | Self::RateLimited { until: None, .. } => true,
            _ => false,
        }
    }

    /// What the answer to a request for `model` means, given the error's body.
    #[must_use]
    pub fn in_words(self, status: StatusCode, body: &[u8], model: &str) -> Self {
        let Some(error) = error::in_its_own_words(status.as_u16(), body) else { return self };
        let words = error.message.to_ascii_lowercase();
        match self {
            Self::RateLimited { until: None, .. } if is_spend_limit(&words) => Self::SpendLimit,
            Self::ClientFault | Self::Forbidden { .. } if is_about_model(error.kind, &words, model) => {
                Self::NoSuchModel
            }
            Self::Forbidden { status, .. } => Self::Forbidden { status, words: error.message },
            outcome => outcome,
        }
    }

    /// In words, for the person who asks what became of a request.
    pub fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::Success => "answered".into(),
            Self::ClientFault => "the request was refused: the client's own fault".into(),
            Self::Unauthorized => "the token was not taken (401)".into(),
            Self::RateLimited { until: Some(until), .. } => format!("limited until {until:.0} (429)").into(),
            Self::RateLimited { until: None, .. } => "limited, no time named (429)".into(),
            Self::Redirected => "redirected, which is never followed".into(),
            Self::Forbidden { .. } | Self::SpendLimit | Self::NoSuchModel | Self::Overloaded => {
                self.signal().cause().map_or("".into(), |cause| cause.to_string().into())
            }
        }
    }

    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Success | Self::ClientFault => Verdict::Done,
            Self::Unauthorized => Verdict::RefreshOnce,
            Self::Forbidden { .. }
            | Self::RateLimited { .. }
            | Self::SpendLimit
            | Self::NoSuchModel
            | Self::Overloaded => Verdict::NextAccount,
            Self::Redirected => Verdict::GiveUp,
        }
    }

    /// What the account's health learns.
    pub fn signal(&self) -> Signal {
        match self {
            Self::Success => Signal::Served,
            Self::ClientFault => Signal::ClientFault,
            Self::Unauthorized => Signal::Refused { status: 401, words: String::new() },
            Self::Forbidden { status, words } => Signal::Refused { status: *status, words: words.clone() },
            Self::RateLimited { until, reach } => Signal::RateLimited { until: *until, reach: *reach },
            Self::SpendLimit => Signal::SpendLimit,
            Self::NoSuchModel => Signal::NoSuchModel,
            Self::Overloaded | Self::Redirected => Signal::Overloaded,
        }
    }
}

fn is_spend_limit(words: &str) -> bool {
    ["spend limit", "spending limit", "usage limits", "credit balance"]
        .iter()
        .any(|said| words.contains(said))
}

/// Whether the words, in lower case, say that the account does not have the model. They must name it: what is said of files and
/// tools is not about the account.
fn is_about_model(kind: ErrorKind, words: &str, model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    if model.is_empty() || !words.contains(&model) {
        return false;
    }
    let is_gone = words.starts_with("model:") || words.contains("model");
    let said =
        ["not available", "unavailable", "not have access", "no access", "does not exist", "not found"];
    (kind == ErrorKind::NotFound && is_gone) || said.iter().any(|said| words.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16) -> Outcome {
        classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn each_status_has_its_verdict() {
        let cases = [
            (200, Verdict::Done),
            (400, Verdict::Done),
            (401, Verdict::RefreshOnce),
            (403, Verdict::NextAccount),
            (404, Verdict::Done),
            (413, Verdict::Done),
            (422, Verdict::Done),
            (429, Verdict::NextAccount),
            (500, Verdict::NextAccount),
            (502, Verdict::NextAccount),
            (529, Verdict::NextAccount),
            (302, Verdict::GiveUp),
        ];
        for (status, verdict) in cases {
            assert_eq!(head(status).verdict(), verdict, "{status}");
        }
    }

    #[test]
    fn a_clients_own_fault_never_harms_the_account() {
        for status in [400, 404, 409, 413, 422] {
            assert_eq!(head(status).signal(), Signal::ClientFault, "{status}");
        }
    }

    #[test]
    fn the_words_decide_where_the_head_does_not() {
        let limited = || Outcome::RateLimited { until: None, reach: Reach::Model };
        let forbidden = |words: &str| Outcome::Forbidden { status: 403, words: words.to_owned() };
        for (status, kind, message, expected) in [
            (429, "rate_limit_error", "Your spend limit is reached", Outcome::SpendLimit),
            (429, "rate_limit_error", "Slow down", limited()),
            (404, "not_found_error", "model: opus-9", Outcome::NoSuchModel),
            (404, "not_found_error", "model: other", Outcome::ClientFault),
            (404, "not_found_error", "File not found: file_1", Outcome::ClientFault),
            (403, "permission_error", "Your plan has no access to opus-9", Outcome::NoSuchModel),
            (403, "permission_error", "No.", forbidden("No.")),
            (
                400,
                "invalid_request_error",
                "Opus-9 is not available for your organization",
                Outcome::NoSuchModel,
            ),
            (400, "invalid_request_error", "tools are not supported by opus-9", Outcome::ClientFault),
            (400, "invalid_request_error", "max_tokens: too many for the model opus-9", Outcome::ClientFault),
        ] {
            let body = serde_json::json!({"type": "error", "error": {"type": kind, "message": message}});
            let status = StatusCode::from_u16(status).unwrap();
            let outcome = head(status.as_u16());
            assert!(outcome.depends_on_words(status));
            assert_eq!(
                outcome.in_words(status, body.to_string().as_bytes(), "opus-9"),
                expected,
                "{message}"
            );
        }
        assert_eq!(head(403).in_words(StatusCode::FORBIDDEN, b"<html>", ""), forbidden(""));
    }
}
