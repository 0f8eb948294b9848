//! What tests show on a screen.

use jiff::{SignedDuration, Timestamp};
use proxy_proto::v1;

use super::super::model::Model;
use crate::clock::to_proto;
use crate::json::{Account, Activity, Event, Status};

pub(in super::super) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// Some seconds from then.
pub(super) fn at(seconds: i64) -> prost_types::Timestamp {
    to_proto(now() + SignedDuration::from_secs(seconds))
}

pub(in super::super) fn status() -> Status {
    Status::from(v1::GetStatusResponse {
        version: "0.1.0".to_owned(),
        started_at: Some(at(-11_550)),
        http_listen: vec!["127.0.0.1:8080".to_owned()],
        ..v1::GetStatusResponse::default()
    })
}

pub(in super::super) fn model() -> Model {
    Model::new(status(), now())
}

pub(in super::super) fn account(id: &str) -> Account {
    Account::from(v1::Account {
        id: id.to_owned(),
        state: v1::AccountState::Ready.into(),
        ..v1::Account::default()
    })
}

pub(super) fn window(name: &str, used_percent: f64, resets: i64) -> v1::QuotaWindow {
    v1::QuotaWindow {
        name: name.to_owned(),
        used_percent,
        resets_at: Some(at(resets)),
        ..v1::QuotaWindow::default()
    }
}

pub(super) fn request(id: &str, phase: v1::RequestPhase) -> v1::ActiveRequest {
    v1::ActiveRequest {
        request_id: id.to_owned(),
        since: Some(at(-12)),
        dialect: "messages".to_owned(),
        endpoint: "messages".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        account: "3f2a9c0d71be".to_owned(),
        account_name: "ada@example.com".to_owned(),
        attempt: 1,
        streaming: true,
        phase: phase.into(),
        bytes: 4096,
        tokens: Some(v1::TokenCounts { input: 812, output: 128, cache_read: 15_300, cache_write: 0 }),
        ..v1::ActiveRequest::default()
    }
}

pub(in super::super) fn ended(id: &str, status: Option<u32>) -> v1::EndedRequest {
    v1::EndedRequest {
        request: Some(request(id, v1::RequestPhase::Answering)),
        at: Some(at(-1)),
        status,
        outcome: "answered with status 200 OK".to_owned(),
        took_ms: 3456,
    }
}

pub(in super::super) fn activity(running: Vec<v1::ActiveRequest>, ended: Vec<v1::EndedRequest>) -> Activity {
    activity_at(0, running, ended)
}

/// Some seconds from then, with totals that grow by the second.
pub(super) fn activity_at(
    seconds: i64,
    running: Vec<v1::ActiveRequest>,
    ended: Vec<v1::EndedRequest>,
) -> Activity {
    let grown = u64::try_from(100 + seconds).unwrap();
    Activity::from(v1::WatchActivityResponse {
        at: Some(at(seconds)),
        running_total: u32::try_from(running.len()).unwrap(),
        running,
        ended,
        ended_missed: 0,
        totals: Some(v1::ActivityTotals {
            requests: 2 * grown,
            failed: 3,
            tokens: Some(v1::TokenCounts {
                input: 50 * grown,
                output: 42 * grown,
                cache_read: 950 * grown,
                cache_write: 0,
            }),
            output_under_way: 0,
        }),
        waiting: 0,
        connections: 3,
    })
}

pub(in super::super) fn event(kind: v1::EventKind, name: &str, detail: &str) -> Event {
    Event::from(v1::WatchEventsResponse {
        at: Some(at(-60)),
        kind: kind.into(),
        account: String::new(),
        name: name.to_owned(),
        detail: detail.to_owned(),
    })
}
