//! The one edge where an error becomes a response, in the caller's own dialect. What it says, [`ProxyError::told`]
//! knows.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::chain::ErrorChain;
use crate::clock::Timestamp;
use crate::id::RequestId;
use crate::proxy::{LONG_WAIT, ProxyError, REQUEST_ID};
use crate::wire::Dialect;
use crate::wire::error::ApiError;

/// Why a request failed, in words for the log: more than its client is told.
#[derive(Clone, Debug)]
pub(super) struct Why(pub(super) String);

/// An error of ours as the client's answer.
pub(super) fn render(error: &ProxyError, dialect: Dialect, id: RequestId, now: Timestamp) -> Response {
    let told = error.told();
    tracing::debug!(request.id = %id, status = told.error.http_status(dialect), error = %ErrorChain(error), "request failed");
    let mut response = refuse(&told.error, dialect, id);
    response.extensions_mut().insert(Why(ErrorChain(error).to_string()));
    let headers = response.headers_mut();
    let wait = told.retry_at.map(|at| at.duration_since(now).as_secs_f64().ceil().max(1.0));
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest integer there is")]
    let seconds = wait.map(|wait| wait as i64);
    if let Some(seconds) = seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if !told.retry || seconds.is_some_and(|seconds| seconds > LONG_WAIT.as_secs()) {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    response
}

/// An API error as a response, which holds it for the log, too.
pub(super) fn refuse(error: &ApiError, dialect: Dialect, id: RequestId) -> Response {
    let id = id.to_string();
    let mut response = Response::new(Body::from(error.body(dialect, Some(&id))));
    *response.status_mut() =
        StatusCode::from_u16(error.http_status(dialect)).unwrap_or(StatusCode::BAD_GATEWAY);
    response.extensions_mut().insert(error.clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Which shape an error has where no route decided it: by the path, else by the header that only one API's
/// clients send.
pub(super) fn dialect(path: &str, headers: &HeaderMap) -> Dialect {
    if ["/v1/messages", "/v1/files"].iter().any(|api| path.starts_with(api))
        || headers.contains_key("anthropic-version")
    {
        Dialect::Messages
    } else if path.starts_with("/v1/responses") {
        Dialect::Responses
    } else if path.starts_with("/v1/completions") {
        Dialect::Completions
    } else {
        Dialect::Chat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::NoAccount;
    use crate::proxy::NotAllowed;

    fn rendered(error: &ProxyError, dialect: Dialect) -> (u16, Option<String>, Option<String>) {
        let response = render(error, dialect, RequestId::new(), Timestamp::UNIX_EPOCH);
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), header("retry-after"), header("x-should-retry"))
    }

    #[test]
    fn a_limit_names_its_end_and_a_long_one_is_not_retried() {
        let cooling = |seconds| {
            let until = Timestamp::from_second(seconds).unwrap();
            ProxyError::NoAccount(NoAccount::Cooling { until, accounts: vec!["work 429".to_owned()] })
        };
        assert_eq!(rendered(&cooling(30), Dialect::Messages), (429, Some("30".into()), None));
        assert_eq!(rendered(&cooling(3600), Dialect::Chat), (429, Some("3600".into()), Some("false".into())));
    }

    #[test]
    fn an_excluded_model_is_not_found_and_never_retried() {
        let excluded = ProxyError::NoAccount(NoAccount::Excluded { model: "opus".to_owned() });
        for dialect in [Dialect::Messages, Dialect::Chat, Dialect::Responses, Dialect::Completions] {
            assert_eq!(rendered(&excluded, dialect), (404, None, Some("false".into())));
        }
    }

    #[test]
    fn what_a_key_does_not_allow_is_never_retried() {
        let (key, model) = ("ci".to_owned(), "opus".to_owned());
        for error in [
            ProxyError::NotAllowed(NotAllowed::Model { key: key.clone(), model: model.clone() }),
            ProxyError::NotAllowed(NotAllowed::Batches { key }),
            ProxyError::NoAccount(NoAccount::Withheld { model }),
            ProxyError::NoAccount(NoAccount::OwnerWithheld),
        ] {
            for dialect in [Dialect::Messages, Dialect::Chat, Dialect::Responses, Dialect::Completions] {
                assert_eq!(rendered(&error, dialect), (403, None, Some("false".into())), "{error}");
            }
        }
    }

    #[test]
    fn an_empty_pool_is_told_at_once_and_never_as_503() {
        for dialect in [Dialect::Messages, Dialect::Chat, Dialect::Responses, Dialect::Completions] {
            assert_eq!(
                rendered(&ProxyError::NoAccount(NoAccount::Empty), dialect),
                (403, None, Some("false".into()))
            );
        }
    }
}
