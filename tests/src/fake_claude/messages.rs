//! The model traffic: who may call, what is refused, and the answer with its headers.

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::book::{Book, Standing, later};
use super::checks::{self, Request};
use super::error::ApiError;
use super::issued::{AccountNumber, Caller};
use super::models;
use super::record::members;
use super::reply;
use super::state::State;

/// The beta every bearer token needs.
pub const OAUTH_BETA: &str = "oauth-2025-04-20";

/// The largest body the service reads.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// The bearer's account, if its token is current.
pub(super) fn bearer(book: &Book, headers: &HeaderMap, now: Timestamp) -> Result<AccountNumber, ApiError> {
    let token =
        bearer_token(headers).ok_or_else(|| ApiError::authentication("OAuth authentication is required"))?;
    match book.standing(token, now) {
        Standing::Current(account) => Ok(account),
        Standing::Expired(_) => Err(ApiError::authentication(
            "OAuth token has expired. Please obtain a new token or refresh your existing token.",
        )),
        Standing::Revoked(_) => Err(ApiError::authentication("OAuth token has been revoked.")),
        Standing::Unknown => Err(ApiError::authentication("Invalid bearer token")),
    }
}

/// An API key in either header, or a current access token with its beta.
pub(super) fn authenticate(book: &Book, headers: &HeaderMap, now: Timestamp) -> Result<Caller, ApiError> {
    if let Some(key) = headers.get("x-api-key").and_then(|v| v.to_str().ok()) {
        return if book.knows_api_key(key) {
            Ok(Caller::ApiKey(key.to_owned()))
        } else {
            Err(ApiError::authentication("invalid x-api-key"))
        };
    }
    if let Some(key) = bearer_token(headers).filter(|t| book.knows_api_key(t)) {
        return Ok(Caller::ApiKey(key.to_owned()));
    }
    if bearer_token(headers).is_none() {
        return Err(ApiError::authentication("x-api-key header is required"));
    }
    let account = bearer(book, headers, now)?;
    needs_oauth_beta(headers)?;
    Ok(Caller::Account(account))
}

pub(super) fn needs_oauth_beta(headers: &HeaderMap) -> Result<(), ApiError> {
    if members(headers, "anthropic-beta").iter().any(|b| b == OAUTH_BETA) {
        Ok(())
    } else {
        Err(ApiError::authentication("OAuth authentication is currently not supported."))
    }
}

pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("authorization")?.to_str().ok()?;
    value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token)
}

pub(super) fn needs_version(headers: &HeaderMap) -> Result<&str, ApiError> {
    match headers.get("anthropic-version").and_then(|v| v.to_str().ok()) {
        None => Err(ApiError::invalid("anthropic-version: header is required")),
        Some(known @ ("2023-01-01" | "2023-06-01" | "2026-10-21")) => Ok(known),
        Some(other) => {
            Err(ApiError::invalid(format!("anthropic-version: \"{other}\" is not a valid version")))
        }
    }
}

/// `POST /v1/messages`.
pub(super) fn create(
    s: &mut State,
    caller: &Caller,
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let (body, model) = checked(headers, query, body, Endpoint::Messages)?;
    s.shelf.admit(caller, model, &body)?;
    let mut reply = reply::compose(&body, model, caller, &mut |prefix| s.book.mint(prefix));
    reply.usage.cached = s.prompts.pass(caller, &body);
    reply.made().for_each(|id| s.shelf.keep(caller, id));
    if body.get("stream") == Some(&Value::Bool(true)) {
        Ok(Answer::event_stream(reply.events()))
    } else {
        Ok(Answer::json(StatusCode::OK, &reply.whole()))
    }
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count_tokens(headers: &HeaderMap, query: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let (body, _) = checked(headers, query, body, Endpoint::CountTokens)?;
    Ok(Answer::json(StatusCode::OK, &json!({"input_tokens": reply::input_tokens(&body)})))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Messages,
    CountTokens,
}

fn checked(
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
    endpoint: Endpoint,
) -> Result<(Map<String, Value>, &'static models::Model), ApiError> {
    let version = needs_version(headers)?;
    if body.len() > MAX_BODY {
        return Err(ApiError::too_large());
    }
    let content_type = headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("application/json") {
        return Err(ApiError::invalid("content-type: must be application/json"));
    }
    let body: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|e| ApiError::invalid(format!("The request body is not valid JSON: {e}")))?;
    let name = body
        .get("model")
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::invalid("model: Field required"))?;
    let model = models::find(name).ok_or_else(|| ApiError::not_found(format!("model: {name}")))?;
    let beta =
        query.contains("beta=true") || members(headers, "anthropic-beta").iter().any(|b| b != OAUTH_BETA);
    let counting = endpoint == Endpoint::CountTokens;
    checks::check(&Request { body: &body, model, version, beta, counting }).map_err(ApiError::invalid)?;
    Ok((body, model))
}

/// The limits an answer of the model API tells: of the key, or of the subscription.
pub(super) fn add_limits(answer: &mut Answer, caller: &Caller, now: Timestamp) {
    let whole_second = |seconds: i64| {
        let at = later(now, seconds).as_second();
        (at, Timestamp::from_second(at).map(|t| t.to_string()).unwrap_or_default())
    };
    match caller {
        Caller::ApiKey(_) => {
            let (_, reset) = whole_second(60);
            for (limit, remaining, reset_name, amount, left) in API_LIMITS {
                answer.set(limit, amount);
                answer.set(remaining, left);
                answer.set(reset_name, &reset);
            }
        }
        Caller::Account(_) => {
            let (five_hours, seven_days) = (whole_second(5 * 3600).0, whole_second(7 * 24 * 3600).0);
            answer.set("anthropic-ratelimit-unified-status", "allowed");
            answer.set("anthropic-ratelimit-unified-reset", &five_hours.to_string());
            answer.set("anthropic-ratelimit-unified-representative-claim", "five_hour");
            answer.set("anthropic-ratelimit-unified-5h-status", "allowed");
            answer.set("anthropic-ratelimit-unified-5h-utilization", "0.06");
            answer.set("anthropic-ratelimit-unified-5h-reset", &five_hours.to_string());
            answer.set("anthropic-ratelimit-unified-7d-status", "allowed");
            answer.set("anthropic-ratelimit-unified-7d-utilization", "0.35");
            answer.set("anthropic-ratelimit-unified-7d-reset", &seven_days.to_string());
        }
    }
}

/// Names of limit, remaining and reset, then the limit and what remains of it.
const API_LIMITS: [(&str, &str, &str, &str, &str); 4] = [
    (
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "4000",
        "3999",
    ),
    (
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "480000",
        "479000",
    ),
    (
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
        "400000",
        "399000",
    ),
    (
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
        "80000",
        "80000",
    ),
];
