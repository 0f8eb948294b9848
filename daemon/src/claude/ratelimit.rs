//! What upstream says of an account's limits: how much of each window is used, and when the account may be used again.
//! Pure.
//!
//! The headers are undocumented in part and may change, so they are read by prefix and none is depended on.

use http::HeaderMap;

use crate::clock::{SignedDuration, Timestamp, after};
use crate::pool::Reach;
use crate::pool::quota::{Reading, WindowKind, family};

/// A time further ahead than the longest window there is (seven days) is a mistake.
const FURTHEST: SignedDuration = SignedDuration::from_hours(8 * 24);

const PREFIX: &str = "anthropic-ratelimit-";
/// The windows of a plan.
const UNIFIED: &str = "anthropic-ratelimit-unified-";
/// Windows that are read from one answer: there are a handful.
const MOST_READINGS: usize = 16;
/// A share this large is a percentage.
const PERCENT_FROM: f64 = 2.5;

/// What an answer's head says about each window, both of plans and of API keys.
pub fn readings(headers: &HeaderMap) -> Vec<Reading> {
    let text = |name: String| headers.get(name)?.to_str().ok();
    let number = |name: String| text(name)?.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let reset = |of: &str| time(text(format!("{of}-reset"))?);
    let readings = headers.keys().filter_map(|header| {
        let header = header.as_str();
        if let Some(name) = header.strip_prefix(UNIFIED).and_then(|rest| rest.strip_suffix("-utilization")) {
            let share = number(header.to_owned())?;
            let share = if share >= PERCENT_FROM { share / 100.0 } else { share };
            let of = format!("{UNIFIED}{name}");
            let is_out = text(format!("{of}-status")) == Some("rejected");
            let used = if is_out { share.max(1.0) } else { share };
            return Some(Reading {
                name: name.to_owned(),
                kind: WindowKind::Plan,
                used,
                resets_at: reset(&of),
            });
        }
        let name = header.strip_prefix(PREFIX)?.strip_suffix("-remaining")?;
        let of = format!("{PREFIX}{name}");
        let limit = number(format!("{of}-limit")).filter(|limit| *limit > 0.0)?;
        let used = 1.0 - number(header.to_owned())? / limit;
        Some(Reading { name: name.to_owned(), kind: WindowKind::Bucket, used, resets_at: reset(&of) })
    });
    readings.take(MOST_READINGS).collect()
}

/// How far a 429 reaches: the account where a window of all its models is used up, else the model it was for. Where upstream
/// does not say, it is no more than that.
pub(super) fn reach(headers: &HeaderMap) -> Reach {
    let is_out = |value: &http::HeaderValue| value.as_bytes() == b"rejected";
    let windows = headers.iter().filter(|(_, value)| is_out(value)).filter_map(|(name, _)| {
        let name = name.as_str().strip_prefix(UNIFIED)?.strip_suffix("-status")?;
        Some(name)
    });
    // A name without a length is none that we know.
    let all_models = |name: &str| name.starts_with(|c: char| c.is_ascii_digit()) && family(name).is_none();
    if windows.into_iter().any(all_models) { Reach::Account } else { Reach::Model }
}

/// The time a 429 names: `retry-after`, else the reset of the windows that are used up. One that is not ahead names
/// nothing: the account would be asked again at once, and for ever.
pub(super) fn named_reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let is_ahead = |named: &Timestamp| *named > now;
    let waits = || retry_after(headers, now).filter(is_ahead);
    let named = waits().or_else(|| window_reset(headers).filter(is_ahead))?;
    Some(named.min(after(now, FURTHEST)))
}

/// `retry-after` in seconds or as a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let wait = SignedDuration::try_from_secs_f64(seconds.max(0.0)).ok()?;
        return Some(after(now, wait.min(FURTHEST)));
    }
    let date = http_date(text)?;
    Some(date.min(after(now, FURTHEST)))
}

/// A date as a header writes it (RFC 9110, 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
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
    fn both_families_of_headers_are_read_by_prefix() {
        let read = readings(&headers(&[
            ("anthropic-ratelimit-unified-status", "allowed_warning"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.25"),
            ("anthropic-ratelimit-unified-5h-reset", "500"),
            ("anthropic-ratelimit-unified-7d_opus-utilization", "97"),
            ("anthropic-ratelimit-unified-7d-utilization", "0.9"),
            ("anthropic-ratelimit-unified-7d-status", "rejected"),
            ("anthropic-ratelimit-unified-30d-utilization", "much"),
            ("anthropic-ratelimit-tokens-limit", "1000"),
            ("anthropic-ratelimit-tokens-remaining", "250"),
            ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:40Z"),
            ("anthropic-ratelimit-requests-remaining", "250"),
        ]));
        let find = |name: &str| read.iter().find(|reading| reading.name == name).unwrap();
        assert_eq!(read.len(), 4, "{read:?}");
        let end = |name| find(name).resets_at.map(Timestamp::as_second);
        assert_eq!((find("5h").used, end("5h"), find("5h").kind), (0.25, Some(500), WindowKind::Plan));
        assert_eq!((find("7d_opus").used, end("7d_opus")), (0.97, None));
        assert_eq!((find("7d").used, find("tokens").used), (1.0, 0.75));
        assert_eq!((end("tokens"), find("tokens").kind), (Some(40), WindowKind::Bucket));
    }

    #[test]
    fn a_limit_reaches_as_far_as_the_window_that_is_used_up() {
        let cases: [(Pairs, Reach); 5] = [
            (&[("anthropic-ratelimit-unified-5h-status", "rejected")], Reach::Account),
            (&[("anthropic-ratelimit-unified-7d_opus-status", "rejected")], Reach::Model),
            (&[("anthropic-ratelimit-unified-status", "rejected")], Reach::Model),
            (&[("anthropic-ratelimit-unified-5h-status", "allowed"), ("retry-after", "9")], Reach::Model),
            (
                &[
                    ("anthropic-ratelimit-unified-7d_opus-status", "rejected"),
                    ("anthropic-ratelimit-unified-7d-status", "rejected"),
                ],
                Reach::Account,
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(reach(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_named_time_is_found_in_each_of_its_places() {
        let cases: [(Pairs, Option<i64>); 12] = [
            (&[("retry-after", "30")], Some(30)),
            (&[("retry-after", "1.5")], Some(1)),
            (&[("retry-after", "-3")], None),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "Wed, 31 Dec 1969 23:59:00 GMT")], None),
            (
                &[
                    ("retry-after", "0"),
                    ("anthropic-ratelimit-unified-status", "rejected"),
                    ("anthropic-ratelimit-unified-reset", "500"),
                ],
                Some(500),
            ),
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
