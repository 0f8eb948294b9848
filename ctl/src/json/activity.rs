//! What `top --json` prints.

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::text;
use crate::clock;

/// `top`: what is going on, one line each time the interval is over.
#[derive(Debug, Serialize)]
pub struct Activity {
    pub at: Option<Timestamp>,
    /// Oldest first. Of very many only the oldest.
    pub running: Vec<ActiveRequest>,
    /// All that run, also those that are not told.
    pub running_total: u32,
    /// Those that ended since the line before, in that order; on the first line the last few.
    pub ended: Vec<EndedRequest>,
    /// So many more ended and are not told.
    pub ended_missed: u64,
    /// Requests that wait to be let in.
    pub waiting: u32,
    /// Of clients, that are open.
    pub connections: u32,
    pub totals: Totals,
}

/// Since the daemon was started.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Totals {
    pub requests: u64,
    /// Answered with an error, or not at all.
    pub failed: u64,
    /// Of the requests that ended.
    pub tokens: Tokens,
    /// Of output so far of those that run.
    pub output_under_way: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Of the prompt, beside those that have to do with a cache.
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

/// A request, and how far it is.
#[derive(Debug, Clone, Serialize)]
pub struct ActiveRequest {
    pub request_id: String,
    pub since: Option<Timestamp>,
    /// The name of the client key that it came with.
    pub client_key: Option<String>,
    /// `messages`, `chat`, `responses` or `completions`.
    pub dialect: String,
    /// `messages`, `count_tokens`, `models`, `files` or `batches`; null as long as its body is read.
    pub endpoint: Option<String>,
    /// As the client named it; null where it is about none.
    pub model: Option<String>,
    /// The account that was asked last.
    pub account: Option<String>,
    /// As a person calls it.
    pub account_name: Option<String>,
    /// 0 as long as there was none.
    pub attempt: u32,
    /// The client asked for a stream.
    pub streaming: bool,
    /// `receiving`, `waiting` (for an account), `asking` or `answering`.
    pub phase: &'static str,
    /// Of the answer that went down.
    pub bytes: u64,
    /// As far as upstream has told; of a stream the output is guessed until then.
    pub tokens: Tokens,
}

/// A request that has ended.
#[derive(Debug, Clone, Serialize)]
pub struct EndedRequest {
    #[serde(flatten)]
    pub request: ActiveRequest,
    pub ended_at: Option<Timestamp>,
    /// That its client got; null where the client went before it.
    pub status: Option<u32>,
    /// In words; null where no account was looked for.
    pub outcome: Option<String>,
    pub took_ms: u64,
}

impl From<v1::WatchActivityResponse> for Activity {
    fn from(told: v1::WatchActivityResponse) -> Self {
        Self {
            at: told.at.and_then(clock::from_proto),
            running: told.running.into_iter().map(ActiveRequest::from).collect(),
            running_total: told.running_total,
            ended: told.ended.into_iter().map(EndedRequest::from).collect(),
            ended_missed: told.ended_missed,
            waiting: told.waiting,
            connections: told.connections,
            totals: told.totals.map(Totals::from).unwrap_or_default(),
        }
    }
}

impl From<v1::ActivityTotals> for Totals {
    fn from(totals: v1::ActivityTotals) -> Self {
        let v1::ActivityTotals { requests, failed, tokens, output_under_way } = totals;
        Self { requests, failed, tokens: tokens.map(Tokens::from).unwrap_or_default(), output_under_way }
    }
}

impl From<v1::TokenCounts> for Tokens {
    fn from(v1::TokenCounts { input, output, cache_read, cache_write }: v1::TokenCounts) -> Self {
        Self { input, output, cache_read, cache_write }
    }
}

impl From<v1::ActiveRequest> for ActiveRequest {
    fn from(request: v1::ActiveRequest) -> Self {
        Self {
            phase: phase(request.phase()),
            request_id: request.request_id,
            since: request.since.and_then(clock::from_proto),
            client_key: text(request.client_key),
            dialect: request.dialect,
            endpoint: text(request.endpoint),
            model: text(request.model),
            account: text(request.account),
            account_name: text(request.account_name),
            attempt: request.attempt,
            streaming: request.streaming,
            bytes: request.bytes,
            tokens: request.tokens.map(Tokens::from).unwrap_or_default(),
        }
    }
}

impl From<v1::EndedRequest> for EndedRequest {
    fn from(ended: v1::EndedRequest) -> Self {
        let v1::EndedRequest { request, at, status, outcome, took_ms } = ended;
        Self {
            request: request.unwrap_or_default().into(),
            ended_at: at.and_then(clock::from_proto),
            status,
            outcome: text(outcome),
            took_ms,
        }
    }
}

fn phase(phase: v1::RequestPhase) -> &'static str {
    match phase {
        v1::RequestPhase::Receiving => "receiving",
        v1::RequestPhase::Waiting => "waiting",
        v1::RequestPhase::Asking => "asking",
        v1::RequestPhase::Answering => "answering",
        v1::RequestPhase::Unspecified => "unknown",
    }
}
