//! What web pages of the configured origins are told (the CORS protocol of the Fetch standard). Everybody else gets none of these
//! headers, and nobody ever `*`.

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");
/// What a page may read of an answer beside what every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "request-id, retry-after, x-proxyd-dropped-fields, x-proxyd-request-id, x-request-id",
);
/// How long a browser may remember, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const PRIVATE_NETWORK_ASKED: HeaderName = HeaderName::from_static("access-control-request-private-network");
const PRIVATE_NETWORK_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The answer to a preflight, if this is one, of a page whose origin is configured.
pub(super) fn preflight(method: &Method, headers: &HeaderMap, origin: &HeaderValue) -> Option<Response> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let told = answer.headers_mut();
    told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    told.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    // Whatever the page wants to send: the headers are an open list, and which of them count is decided later.
    if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    if headers.contains_key(PRIVATE_NETWORK_ASKED) {
        told.insert(PRIVATE_NETWORK_ALLOWED, HeaderValue::from_static("true"));
    }
    allow(told, origin);
    Some(answer)
}

/// Lets the page of this origin read the answer.
fn allow(answer: &mut HeaderMap, origin: &HeaderValue) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    answer.append(header::VARY, HeaderValue::from_static("origin"));
}

/// What an answer tells browsers: upstream has no say in who may read what is served here, and only a configured page is told
/// anything.
pub(super) fn settle(answer: &mut HeaderMap, page: Option<&HeaderValue>) {
    const UPSTREAMS: [HeaderName; 6] = [
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::ACCESS_CONTROL_MAX_AGE,
    ];
    for name in UPSTREAMS {
        answer.remove(name);
    }
    if let Some(origin) = page {
        allow(answer, origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: HeaderValue = HeaderValue::from_static("http://localhost:3000");

    #[test]
    fn a_preflight_is_answered_and_nothing_else_is_one() {
        let mut asked = HeaderMap::new();
        assert!(preflight(&Method::OPTIONS, &asked, &ORIGIN).is_none());
        asked.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        asked.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("content-type"));
        assert!(preflight(&Method::POST, &asked, &ORIGIN).is_none());
        let answer = preflight(&Method::OPTIONS, &asked, &ORIGIN).unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN);
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS], "content-type");
    }

    #[test]
    fn upstream_has_no_say() {
        let mut answer = HeaderMap::new();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        settle(&mut answer, None);
        assert!(answer.is_empty());
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        settle(&mut answer, Some(&ORIGIN));
        assert_eq!(answer[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN);
    }
}
