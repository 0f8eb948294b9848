//! `/v1/responses/{id}` and what stands below it: responses that were stored.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::response::Response;
use http::request::Parts;

use super::super::State;
use super::answer;
use crate::id::RequestId;
use crate::wire::Dialect;
use crate::wire::error::ApiError;
use crate::wire::responses::ItemsQuery;

/// The query as it was sent, in order.
type Pairs = Query<Vec<(String, String)>>;
/// The response's id, as far as it is text.
type Id = Result<Path<String>, PathRejection>;

pub(super) async fn one(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    head: Parts,
    response: Id,
    Query(pairs): Pairs,
) -> Response {
    let streams = pairs.iter().any(|(name, value)| name == "stream" && value != "false");
    let result = match text(response) {
        Ok(_) if streams => Err(ApiError::invalid_param(
            "stream",
            "stream: a stored response can be read whole only; leave stream away",
        )
        .into()),
        Ok(response) => state.proxy.stored_response(id, &head, &response).await,
        Err(error) => Err(error.into()),
    };
    answer(result, Dialect::Responses, id, state.clock.now())
}

pub(super) async fn delete(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    head: Parts,
    response: Id,
) -> Response {
    let result = match text(response) {
        Ok(response) => state.proxy.delete_response(id, &head, &response).await,
        Err(error) => Err(error.into()),
    };
    answer(result, Dialect::Responses, id, state.clock.now())
}

pub(super) async fn input_items(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    head: Parts,
    response: Id,
    Query(pairs): Pairs,
) -> Response {
    let result = match text(response).and_then(|response| Ok((response, items_query(pairs)?))) {
        Ok((response, query)) => state.proxy.input_items(id, &head, &response, &query).await,
        Err(error) => Err(error.into()),
    };
    answer(result, Dialect::Responses, id, state.clock.now())
}

pub(super) async fn cancel(Extract(state): Extract<State>, Extension(id): Extension<RequestId>) -> Response {
    let message = "only a response that runs in the background can be cancelled, and none does here; to stop one, close its connection";
    let refusal = ApiError::invalid_request(message).into();
    answer(Err(refusal), Dialect::Responses, id, state.clock.now())
}

fn text(response: Id) -> Result<String, ApiError> {
    let refusal = |_| ApiError::invalid_param("response_id", "response_id: the id in the path is not UTF-8");
    response.map(|Path(response)| response).map_err(refusal)
}

fn items_query(pairs: Vec<(String, String)>) -> Result<ItemsQuery, ApiError> {
    let mut query = ItemsQuery::default();
    for (name, value) in pairs {
        match (name.as_str(), value.as_str()) {
            ("limit", limit) => {
                let whole = |_| ApiError::invalid_param("limit", "limit: must be a whole number");
                query.limit = Some(limit.parse().map_err(whole)?);
            }
            ("after", _) => query.after = Some(value),
            ("order", "asc") => query.ascending = true,
            ("order", "desc") => query.ascending = false,
            ("order", _) => return Err(ApiError::invalid_param("order", "order: must be asc or desc")),
            _ => {}
        }
    }
    Ok(query)
}
