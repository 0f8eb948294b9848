//! `POST /v1/chat/completions`, `/v1/completions` and `/v1/responses`, and what counts the tokens of the latter: translated.

use axum::Extension;
use axum::extract::{Request, State as Extract};
use axum::response::Response;

use super::super::{State, body};
use super::answer;
use crate::id::RequestId;
use crate::proxy::{Answer, ProxyError};
use crate::wire::Dialect;

pub(super) async fn chat_completions(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Dialect::Chat, request).await
}

pub(super) async fn completions(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Dialect::Completions, request).await
}

pub(super) async fn responses(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Dialect::Responses, request).await
}

pub(super) async fn input_tokens(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    let (head, incoming) = request.into_parts();
    let result = match body::read(&state.tasks, &head, incoming).await {
        Ok(bytes) => Box::pin(state.proxy.input_tokens(id, &head, &bytes)).await,
        Err(error) => Err(error.into()),
    };
    answer(result, Dialect::Responses, id, state.clock.now())
}

async fn serve(state: State, id: RequestId, dialect: Dialect, request: Request) -> Response {
    let result = translate(&state, id, dialect, request).await;
    answer(result, dialect, id, state.clock.now())
}

async fn translate(
    state: &State,
    id: RequestId,
    dialect: Dialect,
    request: Request,
) -> Result<Answer, ProxyError> {
    let (head, incoming) = request.into_parts();
    let bytes = body::read(&state.tasks, &head, incoming).await?;
    match dialect {
        Dialect::Responses => state.proxy.responses(id, &head, &bytes).await,
        Dialect::Completions => state.proxy.completions(id, &head, &bytes).await,
        Dialect::Chat | Dialect::Messages => state.proxy.chat(id, &head, &bytes).await,
    }
}
