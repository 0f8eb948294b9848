//! When upstream says that an account may be used again. Pure.
//!
//! The headers are undocumented in part and may change, so they are read by prefix and none is depended on.

use http::HeaderMap;

use crate::clock::{SignedDuration, Timestamp, after};

/// A time further ahead than the longest window there is (seven days) is a mistake.
const FURTHEST: SignedDuration = SignedDuration::from_hours(8 * 24);

const PREFIX: &str = "anthropic-ratelimit-";

/// The time a 429 names: `retry-after`, else the reset of the windows that are used up.
pub(super) fn named_reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let named = retry_after(headers, now).or_else(|| window_reset(headers))?;
    Some(named.min(after(now, FURTHEST)))
}

/// `retry-after` in seconds or as a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let wait = SignedDuration::try_from_secs_f64(seconds.max(0.0)).ok()?;
        return Some(after(now, wait.min(FURTHEST)));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    Some(date.min(after(now, FURTHEST)))
}

/// Of subscriptions: the reset of the whole (`unified`) when its status is `rejected`. Of API keys: the last
/// reset among the limits with nothing remaining.
fn window_reset(headers: &HeaderMap) -> Option<Timestamp> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if text("anthropic-ratelimit-unified-status") == Some("rejected") {
        return time(text("anthropic-ratelimit-unified-reset")?);
    }
    let exhausted = headers.iter().filter_map(|(name, value)| {
        let limit = name.as_str().strip_prefix(PREFIX)?.strip_suffix("-remaining")?;
        (value.as_bytes() == b"0").then(|| time(text(&format!("{PREFIX}{limit}-reset"))?)).flatten()
    });
    exhausted.max()
}

/// RFC 3339, or seconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    type Pairs = &'static [(&'static str, &'static str)];

    fn headers(pairs: Pairs) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_named_time_is_found_in_each_of_its_places() {
        let cases: [(Pairs, Option<i64>); 9] = [
            (&[("retry-after", "30")], Some(30)),
            (&[("retry-after", "1.5")], Some(1)),
            (&[("retry-after", "-3")], Some(0)),
            (&[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")], Some(60)),
            (&[("retry-after", "99999999999")], Some(8 * 24 * 3600)),
            (
                &[
                    ("anthropic-ratelimit-unified-status", "rejected"),
                    ("anthropic-ratelimit-unified-reset", "500"),
                ],
                Some(500),
            ),
            (
                &[
                    ("anthropic-ratelimit-unified-status", "allowed"),
                    ("anthropic-ratelimit-unified-reset", "500"),
                ],
                None,
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:20Z"),
                    ("anthropic-ratelimit-tokens-remaining", "9"),
                    ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:40Z"),
                ],
                Some(20),
            ),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            let named = named_reset(&headers(pairs), Timestamp::UNIX_EPOCH);
            assert_eq!(named.map(Timestamp::as_second), expected, "{pairs:?}");
        }
    }
}
