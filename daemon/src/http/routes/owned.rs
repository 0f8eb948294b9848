//! `/v1/files` and `/v1/messages/batches`: what lives with the account it was sent to. Passed through, whatever stands
//! below them and whatever the method: upstream says what there is. Uploads go up while they come.

use axum::Extension;
use axum::extract::{Request, State as Extract};
use axum::response::Response;

use super::super::{State, body, paths};
use super::answer;
use crate::claude::CallBody;
use crate::id::RequestId;
use crate::pool::Endpoint;
use crate::proxy::{self, Answer, Exchange, ProxyError};
use crate::wire::Dialect;
use crate::wire::error::ApiError;

/// What the provider itself takes.
const MOST_OF_A_FILE: usize = 500 * body::MIB;
const MOST_OF_A_BATCH: usize = 256 * body::MIB;

pub(super) async fn files(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Endpoint::Files, MOST_OF_A_FILE, request).await
}

pub(super) async fn batches(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    serve(state, id, Endpoint::Batches, MOST_OF_A_BATCH, request).await
}

async fn serve(state: State, id: RequestId, endpoint: Endpoint, limit: usize, request: Request) -> Response {
    let result = pass(&state, id, endpoint, limit, request).await;
    answer(result, Dialect::Messages, id, state.clock.now())
}

async fn pass(
    state: &State,
    id: RequestId,
    endpoint: Endpoint,
    limit: usize,
    request: Request,
) -> Result<Answer, ProxyError> {
    let (head, incoming) = request.into_parts();
    if !paths::stays_below(head.uri.path()) {
        return Err(ApiError::not_found("a path with \".\" or \"..\" in it leads nowhere").into());
    }
    let body = body::take(&state.tasks, &head, incoming, limit).await?;
    tracing::debug!(request.id = %id, endpoint = ?endpoint, "passed through");
    let exchange = Exchange::unnamed(id, endpoint, &head, body.clone());
    let result = state.proxy.pass_through(exchange).await;
    match (result, body) {
        (Ok(answer), CallBody::Upload(upload)) if !answer.status().is_success() => {
            // It may have come before the upload ended. First all of it, since its connection ends with the upload.
            let answer = proxy::held(answer).await;
            body::drain(upload.rest()).await;
            answer
        }
        (Err(error), CallBody::Upload(upload)) => {
            body::drain(upload.rest()).await;
            Err(error)
        }
        (result, _) => result,
    }
}
