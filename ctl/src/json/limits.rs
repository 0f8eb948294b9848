//! What an account's limits are, how its attempts ended, and what would become of a request.

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::text;
use crate::clock;

/// One window of an account's limits, as an answer's headers last told it.
#[derive(Debug, Serialize)]
pub struct QuotaWindow {
    /// As upstream calls it: `5h`, `7d`, `7d_opus`; `tokens`, `requests` and others.
    pub name: String,
    /// The model it is about; null where it is about all, or about those in its name.
    pub model: Option<String>,
    /// Percent; over 100 where upstream lets more be used.
    pub used_percent: f64,
    /// When it begins anew, or is full again.
    pub resets_at: Option<Timestamp>,
    pub seen_at: Option<Timestamp>,
}

/// Why an account is left alone, or comes last.
#[derive(Debug, Serialize)]
pub struct Cooldown {
    /// The model or the endpoint it is about; null for the whole account.
    pub about: Option<String>,
    pub until: Option<Timestamp>,
    /// In words.
    pub reason: Option<String>,
    /// Upstream named the time, and the account is not used before. Otherwise it is a guess of the daemon's, and the
    /// account only comes last.
    pub binding: bool,
}

/// An account's attempts so far, by how they ended; kept over restarts of the daemon.
#[derive(Debug, Serialize)]
pub struct AttemptCounts {
    pub served: u64,
    /// Refused for the client's own fault.
    pub client_faults: u64,
    pub limited: u64,
    /// The account was refused, or does not have the model.
    pub refused: u64,
    /// No answer, or upstream had trouble.
    pub failed: u64,
}

/// What would become of a request at an account.
#[derive(Debug, Serialize)]
pub struct Outlook {
    /// `chosen`, `passed` (it is ready, and another would be chosen), `behind` (it comes after others, or is out) or
    /// `not_serving` (it does not serve the model).
    pub kind: &'static str,
    /// Why, in words.
    pub reason: Option<String>,
}

impl From<v1::QuotaWindow> for QuotaWindow {
    fn from(window: v1::QuotaWindow) -> Self {
        Self {
            name: window.name,
            model: text(window.model),
            used_percent: window.used_percent,
            resets_at: window.resets_at.and_then(clock::from_proto),
            seen_at: window.seen_at.and_then(clock::from_proto),
        }
    }
}

impl From<v1::Cooldown> for Cooldown {
    fn from(cooldown: v1::Cooldown) -> Self {
        Self {
            about: text(cooldown.about),
            until: cooldown.until.and_then(clock::from_proto),
            reason: text(cooldown.reason),
            binding: cooldown.binding,
        }
    }
}

impl From<v1::AttemptCounts> for AttemptCounts {
    fn from(counts: v1::AttemptCounts) -> Self {
        let v1::AttemptCounts { served, client_faults, limited, refused, failed } = counts;
        Self { served, client_faults, limited, refused, failed }
    }
}

impl From<v1::Outlook> for Outlook {
    fn from(outlook: v1::Outlook) -> Self {
        let kind = match outlook.kind() {
            v1::OutlookKind::Chosen => "chosen",
            v1::OutlookKind::Passed => "passed",
            v1::OutlookKind::Behind => "behind",
            v1::OutlookKind::NotServing => "not_serving",
            v1::OutlookKind::Unspecified => "unknown",
        };
        Self { kind, reason: text(outlook.reason) }
    }
}
