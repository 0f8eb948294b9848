//! `POST /v1/messages` and `POST /v1/messages/count_tokens`: passed through as they come.

use axum::Extension;
use axum::extract::{Request, State as Extract};
use axum::response::Response;

use super::super::{State, body};
use super::answer;
use crate::id::RequestId;
use crate::pool::Endpoint;
use crate::proxy::{Answer, Exchange, ProxyError};
use crate::wire::Dialect;

pub(super) async fn create(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Endpoint::Messages, request).await
}

pub(super) async fn count_tokens(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Endpoint::CountTokens, request).await
}

async fn serve(state: State, id: RequestId, endpoint: Endpoint, request: Request) -> Response {
    let result = pass(&state, id, endpoint, request).await;
    answer(result, Dialect::Messages, id, state.clock.now())
}

async fn pass(
    state: &State,
    id: RequestId,
    endpoint: Endpoint,
    request: Request,
) -> Result<Answer, ProxyError> {
    let (head, incoming) = request.into_parts();
    let body = body::read_in_pieces(&state.tasks, &head, incoming).await?;
    state.proxy.pass_through(Exchange::native(id, endpoint, &head, body)?).await
}
