//! The line that the log gets of each request once it is over, whichever way it ends: exactly one, when the last byte of its
//! answer went down or when nobody waits for it any longer. No prompt, header, query or e-mail is in it.
//!
//! Requests that are refused at the door have lines of their own, and no more of them in a second than a reader can bear.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body::SizeHint;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::throttle::Source;
use crate::id::RequestId;
use crate::proxy::{Broken, Noted, Notes};
use crate::wire::Dialect;

/// Refusals that are told in a second.
const MOST_REFUSALS: u32 = 10;

/// What is written of a request when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    id: RequestId,
    dialect: Dialect,
    endpoint: &'static str,
    came: Instant,
    pub(super) noted: Noted,
    pub(super) client_key: Option<String>,
    /// Cancelled when the grace period of a stop is over.
    cut: CancellationToken,
    status: Option<u16>,
    streamed: bool,
    first_byte: Option<Duration>,
    /// Bytes of the body that are still to come, where that is known.
    left: Option<u64>,
    ended: bool,
}

/// A question of a machine: whether we live, and how we do.
const WATCHING: &[&str] = &["hello", "healthz", "readyz", "metrics"];

impl Line {
    /// Of a request that has come to this canonical path.
    pub(super) fn new((dialect, id): (Dialect, RequestId), path: &str, cut: &CancellationToken) -> Self {
        Self {
            id,
            dialect,
            endpoint: endpoint(path),
            came: Instant::now(),
            noted: Noted::default(),
            client_key: None,
            cut: cut.clone(),
            status: None,
            streamed: false,
            first_byte: None,
            left: None,
            ended: false,
        }
    }

    /// The head of its answer goes down.
    pub(super) fn answers(&mut self, status: u16, streamed: bool, body: &SizeHint) {
        self.status = Some(status);
        self.streamed = streamed;
        self.left = body.exact();
        self.ended = self.left == Some(0);
    }

    /// So many bytes of its body go down.
    pub(super) fn sends(&mut self, bytes: usize) {
        self.first_byte.get_or_insert_with(|| self.came.elapsed());
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes as u64);
            self.ended |= *left == 0;
        }
    }

    /// Its body came to an end.
    pub(super) fn ends(&mut self) {
        self.ended = true;
    }

    /// How it ended, in one word.
    fn outcome(&self, notes: &Notes) -> &'static str {
        match &notes.end {
            Some(Broken::Stopped) => "stopped",
            // Where there was time for a status, that is the answer.
            Some(Broken::Failed { .. }) if self.ended && self.status.is_some_and(|status| status >= 400) => {
                "answered"
            }
            Some(Broken::Failed { .. }) => "broken_off",
            None if self.ended => "answered",
            None if self.cut.is_cancelled() => "stopped",
            None => "client_gone",
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let notes = self.noted.notes();
        let (code, why) = match &notes.end {
            Some(Broken::Failed { code, why }) => (Some(code.as_str()), why.as_deref()),
            Some(Broken::Stopped) | None => (None, None),
        };
        let usage = notes.usage.as_ref();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request.id = %self.id,
                    account.id = notes.account.as_ref().map(tracing::field::display),
                    client_key = self.client_key,
                    dialect = self.dialect.name(),
                    endpoint = self.endpoint,
                    model = notes.model,
                    status = self.status,
                    streamed = self.streamed,
                    attempts = notes.attempts,
                    first_byte_ms = self.first_byte.map(milliseconds),
                    duration_ms = milliseconds(self.came.elapsed()),
                    tokens.input = usage.map(crate::wire::messages::Usage::input),
                    tokens.cache_read = usage.map(crate::wire::messages::Usage::cache_read),
                    tokens.cache_creation = usage.map(crate::wire::messages::Usage::cache_write),
                    tokens.output = usage.map(crate::wire::messages::Usage::output),
                    ended = self.outcome(&notes),
                    error.code = code,
                    error = why,
                    "request"
                )
            };
        }
        if WATCHING.contains(&self.endpoint) {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

/// Of a path, what is the daemon's own word for it: what follows could be anything.
fn endpoint(path: &str) -> &'static str {
    const KNOWN: &[(&str, &str)] = &[
        ("/v1/messages/count_tokens", "count_tokens"),
        ("/v1/messages/batches", "batches"),
        ("/v1/messages", "messages"),
        ("/v1/files", "files"),
        ("/v1/chat/completions", "chat_completions"),
        ("/v1/completions", "completions"),
        ("/v1/responses/input_tokens", "input_tokens"),
        ("/v1/responses", "responses"),
        ("/v1/models", "models"),
        ("/api/hello", "hello"),
        ("/healthz", "healthz"),
        ("/readyz", "readyz"),
        ("/metrics", "metrics"),
    ];
    if path == "/" {
        return "hello";
    }
    let is =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    KNOWN.iter().find(|(prefix, _)| is(prefix)).map_or("other", |(_, name)| name)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counts refusals, so that a crowd of them does not fill the log; clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<Spate>>);

#[derive(Debug, Default)]
struct Spate {
    began: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// Whether one more is told that may be, and then how many before it were not.
    pub(super) fn tell(&self, now: Instant, may_be: bool) -> Option<u64> {
        let mut spate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spate.began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            (spate.began, spate.told) = (Some(now), 0);
        }
        if !may_be || spate.told >= MOST_REFUSALS {
            spate.untold += 1;
            return None;
        }
        spate.told += 1;
        Some(std::mem::take(&mut spate.untold))
    }
}

/// What kind of peer a request came from; whose it is says no more than a number.
pub(super) fn peer(source: Source) -> (&'static str, Option<u32>) {
    match source {
        Source::User(uid) => ("user", Some(uid)),
        Source::Address(_) => ("network", None),
        Source::Other => ("unknown", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error::ApiError;

    fn line() -> Line {
        Line::new((Dialect::Chat, RequestId::new()), "/v1/chat/completions", &CancellationToken::new())
    }

    #[test]
    fn a_request_ends_in_one_of_these_ways() {
        let mut of_known_length = line();
        of_known_length.answers(200, false, &SizeHint::with_exact(10));
        of_known_length.sends(4);
        assert_eq!(of_known_length.outcome(&Notes::default()), "client_gone");
        of_known_length.sends(6);
        assert_eq!(of_known_length.outcome(&Notes::default()), "answered");

        let mut stream = line();
        stream.answers(200, true, &SizeHint::default());
        stream.sends(100);
        assert_eq!(stream.outcome(&Notes::default()), "client_gone");
        stream.cut.cancel();
        assert_eq!(stream.outcome(&Notes::default()), "stopped");
        stream.ends();
        assert_eq!(stream.outcome(&Notes::default()), "answered");
        stream.noted.failed(&ApiError::internal(), None);
        assert_eq!(stream.outcome(&stream.noted.notes()), "broken_off");

        let mut refused = line();
        refused.noted.failed(&ApiError::internal(), None);
        refused.answers(500, false, &SizeHint::with_exact(0));
        assert_eq!(refused.outcome(&refused.noted.notes()), "answered");
    }

    #[test]
    fn an_endpoint_is_a_word_of_ours() {
        for (path, expected) in [
            ("/", "hello"),
            ("/healthz", "healthz"),
            ("/v1/messages", "messages"),
            ("/v1/messages/count_tokens", "count_tokens"),
            ("/v1/messages/batches/b_1/results", "batches"),
            ("/v1/messagesx", "other"),
            ("/v1/responses/resp_1", "responses"),
            ("/v1/models/secret@example.com", "models"),
            ("/secret@example.com", "other"),
        ] {
            assert_eq!(endpoint(path), expected, "{path}");
        }
    }

    #[test]
    fn so_many_refusals_are_told_in_a_second_and_then_how_many_were_not() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for _ in 0..MOST_REFUSALS {
            assert_eq!(refusals.tell(start, true), Some(0));
        }
        for _ in 0..500 {
            assert_eq!(refusals.tell(start + Duration::from_millis(999), true), None);
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(refusals.tell(later, false), None);
        assert_eq!(refusals.tell(later, true), Some(501));
        assert_eq!(refusals.tell(later, true), Some(0));
    }
}
