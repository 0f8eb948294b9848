//! What `events` prints.

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::text;
use crate::clock;

/// `events`: one thing that happened to an account, one line each.
#[derive(Debug, Serialize)]
pub struct Event {
    pub at: Option<Timestamp>,
    /// `added`, `changed`, `removed`, `invalid`, `refreshed`, `refresh_failed`, `cooling`, `recovered`, `needs_login`,
    /// `unsaved`, `saved`, `ends_soon`, `quota_low`, or `missed`: events that were lost because they were read too slowly.
    pub event: &'static str,
    /// The account's id; null where it is about a file or about the stream.
    pub account: Option<String>,
    /// The account as a person calls it, or the name of the file.
    pub name: Option<String>,
    /// What happened, in words; null where the kind says it all.
    pub detail: Option<String>,
}

impl From<v1::WatchEventsResponse> for Event {
    fn from(event: v1::WatchEventsResponse) -> Self {
        Self {
            event: kind(event.kind()),
            at: event.at.and_then(clock::from_proto),
            account: text(event.account),
            name: text(event.name),
            detail: text(event.detail),
        }
    }
}

fn kind(kind: v1::EventKind) -> &'static str {
    match kind {
        v1::EventKind::Added => "added",
        v1::EventKind::Changed => "changed",
        v1::EventKind::Removed => "removed",
        v1::EventKind::Invalid => "invalid",
        v1::EventKind::Refreshed => "refreshed",
        v1::EventKind::RefreshFailed => "refresh_failed",
        v1::EventKind::Cooling => "cooling",
        v1::EventKind::Recovered => "recovered",
        v1::EventKind::QuotaLow => "quota_low",
        v1::EventKind::NeedsLogin => "needs_login",
        v1::EventKind::Unsaved => "unsaved",
        v1::EventKind::Saved => "saved",
        v1::EventKind::EndsSoon => "ends_soon",
        v1::EventKind::Missed => "missed",
        v1::EventKind::Unspecified => "unknown",
    }
}
