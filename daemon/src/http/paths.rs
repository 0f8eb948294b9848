//! Base URLs as people write them: with and without `/v1`, with it twice, with doubled or trailing slashes.
//! All of them are served; none is redirected, since clients lose bodies and headers on the way. Pure.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

/// What stands below `/v1`.
const API: [&str; 6] = ["messages", "chat", "completions", "responses", "models", "files"];

/// The one spelling of a path that the routes know.
pub(super) fn canonical(path: &str) -> Cow<'_, str> {
    if is_canonical(path) {
        return Cow::Borrowed(path);
    }
    let segments = || path.split('/').filter(|segment| !segment.is_empty());
    let below_v1 = || segments().skip_while(|segment| *segment == "v1");
    let is_api = below_v1().next().is_some_and(|first| API.contains(&first));
    let wanted = if is_api {
        format!("/v1/{}", below_v1().collect::<Vec<_>>().join("/"))
    } else {
        format!("/{}", segments().collect::<Vec<_>>().join("/"))
    };
    if wanted == path { Cow::Borrowed(path) } else { Cow::Owned(wanted) }
}

/// Whether it is plainly as the routes know it, as nearly every path is.
fn is_canonical(path: &str) -> bool {
    let Some(below) = path.strip_prefix("/v1/") else { return false };
    let first = below.split_once('/').map_or(below, |(first, _)| first);
    API.contains(&first) && !below.ends_with('/') && !below.contains("//")
}

/// Puts the canonical path in place of the one that was sent; the query stays as it is.
pub(super) fn canonicalize(uri: &mut Uri) {
    let Cow::Owned(path) = canonical(uri.path()) else { return };
    let whole = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = std::mem::take(uri).into_parts();
    if let Ok(path) = PathAndQuery::try_from(whole) {
        parts.path_and_query = Some(path);
    }
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Whether no segment leads upwards, as upstream might read it: also not one that is written in percent signs.
pub(super) fn stays_below(path: &str) -> bool {
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).all(|segment| segment != "." && segment != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_leads_upwards_is_seen_however_it_is_written() {
        for path in
            ["/v1/files", "/v1/files/file_1/content", "/v1/files/..x", "/v1/files/a.b", "/v1/files/%2e%2ex"]
        {
            assert!(stays_below(path), "{path}");
        }
        for path in [
            "/v1/files/..",
            "/v1/files/./a",
            "/v1/files/%2E%2e/models",
            "/v1/files/a%2F..%2fb",
            "/v1/files/a%5c..",
            "/v1/files/.%2e",
        ] {
            assert!(!stays_below(path), "{path}");
        }
    }

    #[test]
    fn every_spelling_leads_to_the_same_route() {
        let cases = [
            ("/v1/messages", "/v1/messages"),
            ("/messages", "/v1/messages"),
            ("/v1/v1/messages", "/v1/messages"),
            ("//v1//messages/", "/v1/messages"),
            ("/v1/messages/count_tokens/", "/v1/messages/count_tokens"),
            ("/chat/completions", "/v1/chat/completions"),
            ("/v1/chat/completions/", "/v1/chat/completions"),
            ("/completions", "/v1/completions"),
            ("/responses", "/v1/responses"),
            ("/models", "/v1/models"),
            ("/files/", "/v1/files"),
            ("/v1/v1/files//file_1/content", "/v1/files/file_1/content"),
            ("/messages/batches/", "/v1/messages/batches"),
            ("/models/prefix/some-model", "/v1/models/prefix/some-model"),
            ("/", "/"),
            ("//", "/"),
            ("/healthz/", "/healthz"),
            ("/v1/unknown", "/v1/unknown"),
        ];
        for (sent, expected) in cases {
            assert_eq!(canonical(sent), expected, "{sent}");
        }
    }

    #[test]
    fn the_query_stays_as_it_is() {
        let mut uri: Uri = "/messages/?beta=true&x=%2F%2F".parse().unwrap();
        canonicalize(&mut uri);
        assert_eq!(uri.to_string(), "/v1/messages?beta=true&x=%2F%2F");
    }
}
