//! What a key's limits allow, and when. Pure: the time is an argument.
//!
//! Requests and tokens have a bucket each, which holds a minute's worth and fills evenly: after a minute without any, a whole
//! minute's requests may come at once, and in no minute more than these and as many again. A bucket is kept as the time at which it is full
//! again (GCRA), in whole nanoseconds and rounded to the key's disadvantage, so that every time that is told is true to the nanosecond.
//! Tokens are known when they are spent: a request is admitted while there is one, and what it took more is paid off by waiting.
//!
//! Where requests may wait they stand in one line, first come, first served. Only the first of it is ever admitted.

use std::collections::VecDeque;
use std::fmt;

use crate::clock::{SignedDuration, SinceBoot};

/// No more than these wait for one key.
pub(super) const LONGEST_LINE: usize = 100;

const MINUTE_NANOS: u64 = 60 * NANOS;
const NANOS: u64 = 1_000_000_000;

/// Which limit holds a request back. Reads after "the limit of".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    Requests(u32),
    Tokens(u64),
    Concurrency(u32),
    /// None of them: the key was revoked or has expired since it was verified.
    Ended,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(1) => f.write_str("1 request per minute"),
            Self::Requests(number) => write!(f, "{number} requests per minute"),
            Self::Tokens(1) => f.write_str("1 token per minute"),
            Self::Tokens(number) => write!(f, "{number} tokens per minute"),
            Self::Concurrency(1) => f.write_str("1 request at a time"),
            Self::Concurrency(number) => write!(f, "{number} requests at a time"),
            Self::Ended => f.write_str("its life"),
        }
    }
}

/// What holds a request back, and until when; `None`: until another one ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Blocked {
    pub(super) limit: Limit,
    pub(super) until: Option<SinceBoot>,
}

/// A place in the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(u64);

/// What becomes of a request that has just come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    Admitted,
    Waits(Ticket),
    Refused(Blocked),
}

/// What becomes of one that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    Admitted,
    /// It is the first, and this holds it back.
    Blocked(Blocked),
    /// Others are before it.
    NotYet,
}

/// Units that come back evenly.
#[derive(Clone, Debug)]
struct Bucket {
    /// The time in which one unit comes back, rounded up.
    one: u64,
    /// What it holds when it is full.
    most: u64,
    full_at: SinceBoot,
}

impl Bucket {
    fn full(per_minute: u64, now: SinceBoot) -> Self {
        let most = per_minute.max(1);
        Self { one: MINUTE_NANOS.div_ceil(most), most, full_at: now }
    }

    /// When it holds this many units, if nothing is taken until then: now or earlier where it does already.
    fn holds_at(&self, units: u64, now: SinceBoot) -> SinceBoot {
        let missing = self.full_at.max(now).after(self.worth(units));
        missing.after(-self.worth(self.most))
    }

    /// Takes units, whether it holds them or not.
    fn take(&mut self, units: u64, now: SinceBoot) {
        self.full_at = self.full_at.max(now).after(self.worth(units));
    }

    /// The time in which so many units come back.
    fn worth(&self, units: u64) -> SignedDuration {
        let nanos = u128::from(self.one) * u128::from(units);
        let seconds = i64::try_from(nanos / u128::from(NANOS)).unwrap_or(i64::MAX);
        let rest = i32::try_from(nanos % u128::from(NANOS)).unwrap_or(0);
        SignedDuration::new(seconds, rest)
    }
}

/// How much one key may do.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Limits {
    pub(super) requests: Option<u32>,
    pub(super) tokens: Option<u64>,
    pub(super) concurrency: Option<u32>,
    /// How long a request may wait; zero: not at all.
    pub(super) wait: SignedDuration,
}

/// One key's buckets, places and line. Each that waits has left a `B`, by which it is called.
#[derive(Debug)]
pub(super) struct Limiter<B> {
    limits: Limits,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    running: u32,
    line: VecDeque<(Ticket, B)>,
    last_ticket: u64,
}

impl<B> Limiter<B> {
    pub(super) fn new(limits: Limits, now: SinceBoot) -> Self {
        Self {
            limits,
            requests: limits.requests.map(|most| Bucket::full(most.into(), now)),
            tokens: limits.tokens.map(|most| Bucket::full(most, now)),
            running: 0,
            line: VecDeque::new(),
            last_ticket: 0,
        }
    }

    /// A request comes. `bell` makes what it is called by, should it have to wait.
    pub(super) fn arrive(&mut self, now: SinceBoot, bell: impl FnOnce() -> B) -> Arrival {
        let ahead = self.line.len();
        let blocked = match self.blocked(ahead, now) {
            None if ahead == 0 => {
                self.admit(now);
                return Arrival::Admitted;
            }
            blocked => blocked,
        };
        let latest = now.after(self.limits.wait);
        let until = blocked.and_then(|blocked| blocked.until);
        let in_time = self.limits.wait.is_positive() && until.is_none_or(|until| until <= latest);
        if !in_time || ahead >= LONGEST_LINE {
            return Arrival::Refused(blocked.unwrap_or_else(|| self.crowded(now)));
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.line.push_back((ticket, bell()));
        Arrival::Waits(ticket)
    }

    /// Whether it is this one's turn; if it is, it has left the line.
    pub(super) fn turn(&mut self, ticket: Ticket, now: SinceBoot) -> Turn {
        if self.line.front().is_none_or(|(first, _)| *first != ticket) {
            return Turn::NotYet;
        }
        if let Some(blocked) = self.blocked(0, now) {
            return Turn::Blocked(blocked);
        }
        self.line.pop_front();
        self.admit(now);
        Turn::Admitted
    }

    /// What holds this one back that waits, were it told now.
    pub(super) fn held_by(&self, ticket: Ticket, now: SinceBoot) -> Blocked {
        let ahead = self.line.iter().position(|(waiting, _)| *waiting == ticket).unwrap_or(self.line.len());
        self.blocked(ahead, now).unwrap_or_else(|| self.crowded(now))
    }

    /// One that waits goes away.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.line.retain(|(waiting, _)| *waiting != ticket);
    }

    /// A request has ended.
    pub(super) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A request took so many tokens.
    pub(super) fn charge(&mut self, tokens: u64, now: SinceBoot) {
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens, now);
        }
    }

    /// By what the first of the line is called.
    pub(super) fn first(&self) -> Option<&B> {
        self.line.front().map(|(_, bell)| bell)
    }

    pub(super) fn waiting(&self) -> impl ExactSizeIterator<Item = &B> {
        self.line.iter().map(|(_, bell)| bell)
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// What holds back a request before which so many others go.
    fn blocked(&self, ahead: usize, now: SinceBoot) -> Option<Blocked> {
        let Limits { requests, tokens, concurrency, .. } = self.limits;
        // What those ahead will take of the tokens is not known.
        let of_requests = requests.zip(self.requests.as_ref()).map(|(most, bucket)| {
            (Limit::Requests(most), bucket.holds_at((ahead as u64).saturating_add(1), now))
        });
        let of_tokens = tokens
            .zip(self.tokens.as_ref())
            .map(|(most, bucket)| (Limit::Tokens(most), bucket.holds_at(1, now)));
        let last = [of_requests, of_tokens].into_iter().flatten().filter(|(_, at)| *at > now);
        if let Some((limit, at)) = last.max_by_key(|(_, at)| *at) {
            return Some(Blocked { limit, until: Some(at) });
        }
        let most = concurrency.filter(|most| self.running >= *most)?;
        Some(Blocked { limit: Limit::Concurrency(most), until: None })
    }

    /// Nothing but those before it holds a request back, for the moment.
    fn crowded(&self, now: SinceBoot) -> Blocked {
        let Limits { requests, tokens, concurrency, .. } = self.limits;
        if let Some(most) = concurrency {
            return Blocked { limit: Limit::Concurrency(most), until: None };
        }
        let limit = requests.map(Limit::Requests).or(tokens.map(Limit::Tokens)).unwrap_or(Limit::Ended);
        Blocked { limit, until: Some(now) }
    }

    fn admit(&mut self, now: SinceBoot) {
        self.running = self.running.saturating_add(1);
        if let Some(bucket) = &mut self.requests {
            bucket.take(1, now);
        }
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
