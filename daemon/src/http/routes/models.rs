//! `GET /v1/models` and `GET /v1/models/{id}`, in the shape of whoever asks.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;

use super::super::{State, paths};
use super::answer;
use crate::id::RequestId;
use crate::proxy::ModelsRequest;
use crate::wire::Dialect;
use crate::wire::error::ApiError;
use crate::wire::models::ListQuery;

pub(super) async fn list(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    Query(query): Query<Vec<(String, String)>>,
    head: Parts,
) -> Response {
    let dialect = dialect(&head.headers);
    let result = match list_query(query, dialect) {
        Ok(query) => state.proxy.models(id, ModelsRequest::List(query), dialect, &head).await,
        Err(error) => Err(error.into()),
    };
    answer(result, dialect, id, state.clock.now())
}

pub(super) async fn one(
    Extract(state): Extract<State>,
    Extension(id): Extension<RequestId>,
    model: Result<Path<String>, PathRejection>,
    head: Parts,
) -> Response {
    let dialect = dialect(&head.headers);
    let result = match model {
        Ok(Path(model)) if !paths::stays_below(&model) => Err(ApiError::model_not_found(&model).into()),
        Ok(Path(model)) => state.proxy.models(id, ModelsRequest::One(model), dialect, &head).await,
        Err(_) => Err(ApiError::invalid_request("the model's name in the path is not UTF-8").into()),
    };
    answer(result, dialect, id, state.clock.now())
}

/// Only Anthropic's clients send these.
fn dialect(headers: &HeaderMap) -> Dialect {
    let anthropic = headers.contains_key("anthropic-version") || headers.contains_key("x-api-key");
    if anthropic { Dialect::Messages } else { Dialect::Chat }
}

/// Paging belongs to the Anthropic list; the OpenAI list is whole and takes no parameters.
fn list_query(pairs: Vec<(String, String)>, dialect: Dialect) -> Result<ListQuery, ApiError> {
    let mut query = ListQuery::default();
    if dialect != Dialect::Messages {
        return Ok(query);
    }
    for (name, value) in pairs {
        match name.as_str() {
            "limit" => {
                let limit = value
                    .parse()
                    .map_err(|_| ApiError::invalid_param("limit", "limit: must be a whole number"))?;
                query.limit = Some(limit);
            }
            "after_id" => query.after_id = Some(value),
            "before_id" => query.before_id = Some(value),
            _ => {}
        }
    }
    Ok(query)
}
