//! What `explain` prints.

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::text;
use crate::clock;

/// `explain`: what became of one request.
#[derive(Debug, Serialize)]
pub struct ExplainedRequest {
    /// As it stands in the header `x-proxyd-request-id` of the answer.
    pub request_id: String,
    /// When it was received.
    pub at: Option<Timestamp>,
    /// `messages`, `chat` or `responses`.
    pub dialect: Option<String>,
    /// `messages`, `count_tokens`, `models`, `files` or `batches`.
    pub endpoint: Option<String>,
    /// As the client named it.
    pub model: Option<String>,
    /// The name of the client key that it came with; null where it came with none.
    pub client_key: Option<String>,
    /// What told the conversation it belongs to, in words; null where it belongs to none.
    pub conversation: Option<String>,
    /// In their order.
    pub attempts: Vec<Attempt>,
    /// How it ended, in words; null while it goes on.
    pub end: Option<String>,
    pub ended_at: Option<Timestamp>,
}

/// One try at one account, or by the credential that the caller brought.
#[derive(Debug, Serialize)]
pub struct Attempt {
    /// The account's id; null where it was the caller's own credential.
    pub account: Option<String>,
    /// The account as a person calls it, or that it was the caller's own credential.
    pub name: Option<String>,
    /// The model as the account was asked for it.
    pub model: Option<String>,
    /// Why it was this account, in words.
    pub why: Option<String>,
    pub at: Option<Timestamp>,
    /// Milliseconds until the answer's head came, or the failure; null while it goes on.
    pub took_ms: Option<u64>,
    /// The answer's HTTP status; null where there was none.
    pub status: Option<u32>,
    /// How it ended, in words; null while it goes on.
    pub outcome: Option<String>,
}

impl From<v1::ExplainRequestResponse> for ExplainedRequest {
    fn from(request: v1::ExplainRequestResponse) -> Self {
        Self {
            request_id: request.request_id,
            at: request.at.and_then(clock::from_proto),
            dialect: text(request.dialect),
            endpoint: text(request.endpoint),
            model: text(request.model),
            client_key: text(request.client_key),
            conversation: text(request.conversation),
            attempts: request.attempts.into_iter().map(Attempt::from).collect(),
            end: text(request.end),
            ended_at: request.ended_at.and_then(clock::from_proto),
        }
    }
}

impl From<v1::Attempt> for Attempt {
    fn from(attempt: v1::Attempt) -> Self {
        Self {
            account: text(attempt.account),
            name: text(attempt.name),
            model: text(attempt.model),
            why: text(attempt.why),
            at: attempt.at.and_then(clock::from_proto),
            took_ms: attempt.took_ms,
            status: attempt.status,
            outcome: text(attempt.outcome),
        }
    }
}
