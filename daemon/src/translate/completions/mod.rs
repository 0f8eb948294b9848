//! The older completions to Messages and back.
//!
//! Claude chats: the prompt is one user turn that it answers, and no text that it goes on with. What programs that still
//! use this API ask for (a commit message, a title, a summary) comes out right; filling in the middle of code does not, and
//! is refused.

mod request;
mod response;
mod stream;

pub use request::to_messages;
pub use response::from_messages;
pub use stream::Encoder;

use crate::wire::messages::StopReason;

/// What the answer to a translated request needs to know of the request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The prompt, where it stands in front of the answer.
    pub(super) echo: Option<String>,
    /// The last chunk carries the token counts.
    pub(super) include_usage: bool,
}

/// The id of a completion, told from upstream's message id.
fn completion_id(message_id: &str) -> String {
    format!("cmpl-{}", message_id.strip_prefix("msg_").unwrap_or(message_id))
}

const fn finish_reason(stop: Option<StopReason>) -> &'static str {
    match stop {
        Some(StopReason::Length) => "length",
        Some(StopReason::Refusal) => "content_filter",
        Some(StopReason::ToolUse | StopReason::Ended) | None => "stop",
    }
}
