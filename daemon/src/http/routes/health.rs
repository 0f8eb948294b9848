//! Liveness and readiness, and the probes clients send before their first request. No account data here.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::super::State;

/// Claude Code probes `HEAD /` and `HEAD /api/hello`.
pub(super) async fn hello() -> Response {
    Json(json!({ "service": "proxyd", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// The process lives.
pub(super) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// It can serve: at least one account is usable, and it is not stopping.
pub(super) async fn readyz(Extract(state): Extract<State>) -> Response {
    let now = state.clock.now();
    let reason = if state.tasks.is_stopping() {
        Some("proxyd is stopping")
    } else if !state.pool.snapshot().members.iter().any(|member| member.is_usable(now)) {
        Some("no account is usable: see `proxyctl accounts list`")
    } else {
        None
    };
    match reason {
        None => Json(json!({ "ready": true })).into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reason": reason })))
            .into_response(),
    }
}
