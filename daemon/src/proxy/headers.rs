//! Which headers cross from one side to the other. What belongs to a connection, to the caller's own
//! credentials or to a browser stays on its side; everything else passes, known or not. Pure.

use http::header::{self, HeaderMap, HeaderName};

/// Names the exchange in every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-proxyd-request-id");
pub(super) const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
pub(super) const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Hop-by-hop (RFC 9110, section 7.6.1, and what is hop-by-hop by custom).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The caller's, for us alone: credentials, cookies, framing, and what tells where it came from.
const CALLERS_OWN: [&str; 19] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "client-ip",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "origin",
    "referer",
    "true-client-ip",
    "via",
    "x-api-key",
    "x-auth-token",
    "x-client-ip",
    "x-goog-api-key",
    "x-real-ip",
];
const CALLERS_OWN_PREFIXES: [&str; 5] = ["x-forwarded", "x-original-", "sec-fetch-", "cf-", "x-proxyd-"];

/// Upstream's, for its connection with us.
const UPSTREAMS_OWN: [&str; 4] = ["alt-svc", "set-cookie", "set-cookie2", "strict-transport-security"];

/// What of a client's headers goes upstream.
pub(super) fn for_upstream(headers: &HeaderMap) -> HeaderMap {
    filter(headers, |name| {
        CALLERS_OWN.contains(&name) || CALLERS_OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// What of upstream's headers goes to the client.
pub(super) fn for_downstream(headers: HeaderMap) -> HeaderMap {
    let is_own = |name: &str| UPSTREAMS_OWN.contains(&name);
    // Most answers hold nothing that is to stay here.
    let crosses = crossing(&headers, is_own);
    if headers.keys().all(crosses) { headers } else { filter(&headers, is_own) }
}

fn filter(headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> HeaderMap {
    let crosses = crossing(headers, is_own);
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| crosses(name)) {
        kept.append(name.clone(), value.clone());
    }
    kept
}

/// Tells which of these crosses.
fn crossing(headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> impl Fn(&HeaderName) -> bool {
    let lines = headers.get_all(header::CONNECTION).iter().filter_map(|line| line.to_str().ok());
    let options = lines.flat_map(|line| line.split(',')).map(|option| option.trim().to_ascii_lowercase());
    let named: Vec<String> = options.collect();
    move |name| {
        let name = name.as_str();
        !HOP_BY_HOP.contains(&name) && !is_own(name) && !named.iter().any(|named| named == name)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_is_the_callers_own_stays_here_and_the_rest_passes() {
        let sent = headers(&[
            ("anthropic-beta", "x"),
            ("anthropic-beta", "y"),
            ("anthropic-version", "2023-06-01"),
            ("authorization", "Bearer theirs"),
            ("connection", "close, X-Custom-Hop"),
            ("x-custom-hop", "1"),
            ("cookie", "a=b"),
            ("host", "localhost"),
            ("user-agent", "their-client/1"),
            ("x-api-key", "theirs"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded", "for=10.0.0.1"),
            ("x-original-forwarded-for", "10.0.0.1"),
            ("api-key", "theirs"),
            ("x-auth-token", "theirs"),
            ("client-ip", "10.0.0.1"),
            ("via", "1.1 inside.example"),
            ("x-something-new", "kept"),
        ]);
        let passed = for_upstream(&sent);
        let mut names: Vec<_> = passed.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let expected =
            ["anthropic-beta", "anthropic-beta", "anthropic-version", "user-agent", "x-something-new"];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_answer_passes_as_it_is_or_without_what_its_connection_names() {
        let sent = headers(&[("b", "1"), ("request-id", "req_1"), ("b", "2"), ("a", "3")]);
        let lines = |headers: &HeaderMap| {
            let lines = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            lines.collect::<Vec<_>>()
        };
        let before = lines(&sent);
        assert_eq!(lines(&for_downstream(sent.clone())), before);
        let mut named = sent;
        named.insert(header::CONNECTION, HeaderValue::from_static("close, A"));
        let passed = lines(&for_downstream(named));
        assert_eq!(passed, before.into_iter().filter(|line| !line.starts_with("a:")).collect::<Vec<_>>());
    }

    #[test]
    fn upstreams_cookies_do_not_reach_the_client() {
        let sent = headers(&[
            ("set-cookie", "a=b"),
            ("request-id", "req_1"),
            ("retry-after", "3"),
            ("transfer-encoding", "chunked"),
        ]);
        let passed = for_downstream(sent);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["request-id", "retry-after"]);
    }
}
