//! `GET /metrics`: what was counted, and what the pool knows at this moment.

use axum::extract::State as Extract;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};

use super::super::State;
use crate::clock::Timestamp;
use crate::pool::quota::{Quota, WindowKind};
use crate::pool::{Member, State as Standing};
use crate::telemetry::metrics::{Account, AccountState, Format, Live, Window};

pub(super) async fn scrape(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let text = state.metrics.render(&live(&state), format);
    ([(CONTENT_TYPE, format.content_type())], text).into_response()
}

fn live(state: &State) -> Live {
    let (now, snapshot) = (state.clock.now(), state.pool.snapshot());
    let accounts = snapshot.members.iter().map(|member| account(member, now)).collect();
    Live { accounts, invalid_files: snapshot.invalid.len() }
}

fn account(member: &Member, now: Timestamp) -> Account {
    let known = member.known();
    let counters = known.counters;
    Account {
        id: member.account.id.clone(),
        state: match member.state(now) {
            Standing::Ready => AccountState::Ready,
            Standing::Cooling { in_part: true, .. } => AccountState::Partial,
            Standing::Cooling { in_part: false, .. } => AccountState::Cooling,
            Standing::NeedsLogin(_) => AccountState::NeedsLogin,
            Standing::Disabled => AccountState::Disabled,
            Standing::Invalid { .. } => AccountState::Invalid,
        },
        usable: member.is_usable(now),
        in_flight: member.in_flight(),
        unsaved: member.trouble().unsaved,
        token_ends: member.account.oauth().and_then(|tokens| tokens.expires_at),
        attempts: [
            ("served", counters.served),
            ("client_fault", counters.client_faults),
            ("limited", counters.limited),
            ("refused", counters.refused),
            ("failed", counters.failed),
        ],
        windows: windows(&known.quota, now),
    }
}

/// Each window once: the buckets of an API key come for each model, and a model's name is no label.
fn windows(quota: &Quota, now: Timestamp) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for window in quota.windows() {
        let resets_at = window.resets_at;
        // One of a plan that began anew is unused until the next answer tells more.
        let is_over = window.kind == WindowKind::Plan && resets_at.is_some_and(|reset| reset <= now);
        let used = if is_over { 0.0 } else { window.used };
        match windows.iter_mut().find(|known| known.name == window.name) {
            Some(known) if known.used >= used => {}
            Some(known) => (known.used, known.resets_at) = (used, resets_at),
            None => windows.push(Window { name: window.name.clone(), used, resets_at }),
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::quota::Reading;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn buckets_of_several_models_are_one_window_and_a_window_that_began_anew_is_unused() {
        let mut quota = Quota::default();
        let reading = |name: &str, kind, used, reset| Reading {
            name: name.to_owned(),
            kind,
            used,
            resets_at: Some(at(reset)),
        };
        quota.observe(&[reading("5h", WindowKind::Plan, 0.5, 100)], "claude-opus-5", at(1));
        quota.observe(&[reading("tokens", WindowKind::Bucket, 0.2, 50)], "claude-opus-5", at(1));
        quota.observe(&[reading("tokens", WindowKind::Bucket, 0.7, 60)], "claude-haiku-5-5", at(1));
        let told = |now| {
            windows(&quota, at(now)).into_iter().map(|window| (window.name, window.used)).collect::<Vec<_>>()
        };
        assert_eq!(told(2), [("5h".to_owned(), 0.5), ("tokens".to_owned(), 0.7)]);
        assert_eq!(told(100)[0], ("5h".to_owned(), 0.0));
    }
}
