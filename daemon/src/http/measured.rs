//! How requests are measured: what each is for, by its path alone, so that no word of a client's becomes a label.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::{Method, Request};

use super::error;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{self, Endpoint};
use crate::wire::Dialect;

/// The trace that a client's request belongs to (W3C Trace Context).
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request that has just come; its path is canonical.
pub(super) fn request<B>(metrics: &Arc<Metrics>, request: &Request<B>) -> metrics::Request {
    let path = request.uri().path();
    let endpoint = endpoint(path);
    let dialect = dialect(endpoint, path, request.headers());
    let parent = request.headers().get(&TRACEPARENT).and_then(|value| value.to_str().ok());
    metrics::Request::new(metrics, endpoint, dialect, method(request.method()), parent)
}

/// What was none.
pub(super) fn unread(metrics: &Arc<Metrics>) -> metrics::Request {
    metrics::Request::new(metrics, Endpoint::Other, None, OTHER_METHOD, None)
}

/// Whether an answer streams.
pub(super) fn streams(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// By the path where that says it, whatever else a client sends.
fn dialect(endpoint: Endpoint, path: &str, headers: &HeaderMap) -> Option<Dialect> {
    match endpoint {
        Endpoint::Messages | Endpoint::CountTokens | Endpoint::Batches | Endpoint::Files => {
            Some(Dialect::Messages)
        }
        Endpoint::ChatCompletions => Some(Dialect::Chat),
        Endpoint::Completions => Some(Dialect::Completions),
        Endpoint::Responses | Endpoint::InputTokens | Endpoint::StoredResponses => Some(Dialect::Responses),
        Endpoint::Models => Some(error::dialect(path, headers)),
        Endpoint::Status | Endpoint::Metrics | Endpoint::Other => None,
    }
}

fn endpoint(path: &str) -> Endpoint {
    let below = |of: &str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match path {
        "/v1/messages" => Endpoint::Messages,
        "/v1/messages/count_tokens" => Endpoint::CountTokens,
        "/v1/chat/completions" => Endpoint::ChatCompletions,
        "/v1/completions" => Endpoint::Completions,
        "/v1/responses" => Endpoint::Responses,
        "/v1/responses/input_tokens" => Endpoint::InputTokens,
        "/" | "/api/hello" | "/healthz" | "/readyz" => Endpoint::Status,
        "/metrics" => Endpoint::Metrics,
        _ if below("/v1/messages/batches") => Endpoint::Batches,
        _ if below("/v1/files") => Endpoint::Files,
        _ if below("/v1/models") => Endpoint::Models,
        _ if below("/v1/responses") => Endpoint::StoredResponses,
        _ => Endpoint::Other,
    }
}

/// As OpenTelemetry calls a method that nobody knows.
const OTHER_METHOD: &str = "_OTHER";

fn method(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    known.iter().zip(names).find(|(known, _)| *known == method).map_or(OTHER_METHOD, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_is_for_follows_from_its_path() {
        let cases = [
            ("/v1/messages", Endpoint::Messages),
            ("/v1/messages/batches/msgbatch_1/results", Endpoint::Batches),
            ("/v1/files", Endpoint::Files),
            ("/v1/files/file_1/content", Endpoint::Files),
            ("/v1/filesystem", Endpoint::Other),
            ("/v1/models/claude-opus-5", Endpoint::Models),
            ("/v1/responses/resp_1/input_items", Endpoint::StoredResponses),
            ("/v1/responses/input_tokens", Endpoint::InputTokens),
            ("/healthz", Endpoint::Status),
            ("/v1/made-up-by-a-client", Endpoint::Other),
        ];
        for (path, expected) in cases {
            assert_eq!(endpoint(path), expected, "{path}");
        }
        assert_eq!([&Method::POST, &Method::TRACE].map(method), ["POST", OTHER_METHOD]);
    }
}
