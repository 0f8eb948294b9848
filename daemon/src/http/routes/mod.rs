//! The routes, thin: take apart, call, answer. The gatekeeper named each request already.

mod health;
mod messages;
mod metrics;
mod models;
mod openai;
mod owned;
mod stored;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use http::header::ALLOW;

use super::{State, error};
use crate::clock::Timestamp;
use crate::id::RequestId;
use crate::proxy::{Answer, ProxyError};
use crate::wire::Dialect;
use crate::wire::error::{ApiError, ErrorKind};

/// Paths arrive canonical: see [`super::paths`].
pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/v1/messages", post(messages::create))
        .route("/v1/messages/count_tokens", post(messages::count_tokens))
        .route("/v1/messages/batches", any(owned::batches))
        .route("/v1/messages/batches/{*rest}", any(owned::batches))
        .route("/v1/files", any(owned::files))
        .route("/v1/files/{*rest}", any(owned::files))
        .route("/v1/chat/completions", post(openai::chat_completions))
        .route("/v1/completions", post(openai::completions))
        .route("/v1/responses", post(openai::responses))
        .route("/v1/responses/input_tokens", post(openai::input_tokens))
        .route("/v1/responses/{id}", get(stored::one).delete(stored::delete))
        .route("/v1/responses/{id}/input_items", get(stored::input_items))
        .route("/v1/responses/{id}/cancel", post(stored::cancel))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/", get(health::hello))
        .route("/api/hello", get(health::hello))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::scrape))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

/// Those of an address that serves metrics alone.
pub(super) fn of_metrics(state: State) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics::scrape))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

async fn not_found(Extension(id): Extension<RequestId>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let path = head.uri.path();
    let refusal = ApiError::not_found(format!("there is no {} {path} here", head.method));
    error::refuse(&refusal, error::dialect(path, &head.headers), id)
}

async fn method_not_allowed(Extension(id): Extension<RequestId>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let path = head.uri.path();
    let allowed = allowed_on(path);
    let message = format!("{} is not allowed on {path}: use {allowed}", head.method);
    let refusal = ApiError::new(ErrorKind::InvalidRequest, message).with_status(405);
    let response = error::refuse(&refusal, error::dialect(path, &head.headers), id);
    ([(ALLOW, allowed)], response).into_response()
}

fn allowed_on(path: &str) -> &'static str {
    match path.strip_prefix("/v1/") {
        None => "GET, HEAD",
        Some(below) if below.starts_with("models") => "GET, HEAD",
        Some(below) => match below.strip_prefix("responses/") {
            Some(stored) if stored.ends_with("/input_items") => "GET, HEAD",
            Some(stored) if stored != "input_tokens" && !stored.ends_with("/cancel") => "GET, HEAD, DELETE",
            _ => "POST",
        },
    }
}

/// The end of every handler that asks upstream.
fn answer(result: Result<Answer, ProxyError>, dialect: Dialect, id: RequestId, now: Timestamp) -> Response {
    match result {
        Ok(answer) => answer.map(axum::body::Body::new),
        Err(error) => error::render(&error, dialect, id, now),
    }
}
