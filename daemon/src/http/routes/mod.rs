//! The routes, thin: take apart, call, answer.

mod health;
mod messages;
mod models;
mod openai;
mod owned;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::ALLOW;

use super::{State, body, error};
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
        .route("/v1/responses", post(openai::responses))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/", get(health::hello))
        .route("/api/hello", get(health::hello))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

async fn not_found(request: Request) -> Response {
    let (head, body) = request.into_parts();
    body::discard(&head.headers, body).await;
    let path = head.uri.path();
    let refusal = ApiError::not_found(format!("there is no {} {path} here", head.method));
    error::refuse(&refusal, error::dialect(path, &head.headers), RequestId::new())
}

async fn method_not_allowed(request: Request) -> Response {
    let (head, body) = request.into_parts();
    body::discard(&head.headers, body).await;
    let path = head.uri.path();
    let allowed =
        if path.starts_with("/v1/") && !path.starts_with("/v1/models") { "POST" } else { "GET, HEAD" };
    let message = format!("{} is not allowed on {path}: use {allowed}", head.method);
    let refusal = ApiError::new(ErrorKind::InvalidRequest, message).with_status(405);
    let response = error::refuse(&refusal, error::dialect(path, &head.headers), RequestId::new());
    ([(ALLOW, allowed)], response).into_response()
}

/// The end of every handler that asks upstream.
fn answer(result: Result<Answer, ProxyError>, dialect: Dialect, id: RequestId, now: Timestamp) -> Response {
    match result {
        Ok(answer) => answer.map(axum::body::Body::new),
        Err(error) => error::render(&error, dialect, id, now),
    }
}
