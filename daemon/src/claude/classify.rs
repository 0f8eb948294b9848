//! What an answer means: for the request, and for the account it came by. Pure.

use http::{HeaderMap, StatusCode};

use super::ratelimit;
use crate::clock::Timestamp;
use crate::pool::Signal;

/// How one attempt ended, before the first byte of its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// 2xx.
    Success,
    /// 400, 404, 409, 413, 422 and the like: the client's own.
    ClientFault,
    /// 401: the token is not taken (any more).
    Unauthorized,
    /// 402 or 403: the account may not do this.
    Forbidden,
    /// 429, with the time upstream named, if it did.
    RateLimited { until: Option<Timestamp> },
    /// 5xx or 529.
    Overloaded,
    /// 3xx: never followed, since it would carry the credential elsewhere.
    Redirected,
    /// No answer: not connected, or cut before the headers.
    Unreachable,
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
        402 | 403 => Outcome::Forbidden,
        429 => Outcome::RateLimited { until: ratelimit::named_reset(headers, now) },
        500..=599 => Outcome::Overloaded,
        _ => Outcome::ClientFault,
    }
}

impl Outcome {
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Success | Self::ClientFault => Verdict::Done,
            Self::Unauthorized => Verdict::RefreshOnce,
            Self::Forbidden | Self::RateLimited { .. } | Self::Overloaded | Self::Unreachable => {
                Verdict::NextAccount
            }
            Self::Redirected => Verdict::GiveUp,
        }
    }

    /// What the account's health learns.
    pub fn signal(self) -> Signal {
        match self {
            Self::Success | Self::ClientFault => Signal::Served,
            Self::Unauthorized | Self::Forbidden => Signal::Refused,
            Self::RateLimited { until } => Signal::RateLimited { until },
            Self::Overloaded | Self::Redirected => Signal::Overloaded,
            Self::Unreachable => Signal::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let outcome =
                classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), Timestamp::UNIX_EPOCH);
            assert_eq!(outcome.verdict(), verdict, "{status}");
        }
    }

    #[test]
    fn a_clients_own_fault_never_harms_the_account() {
        for status in [400, 404, 409, 413, 422] {
            let outcome =
                classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), Timestamp::UNIX_EPOCH);
            assert_eq!(outcome.signal(), Signal::Served, "{status}");
        }
    }
}
