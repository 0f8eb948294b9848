//! Chat Completions to Messages and back.

mod frames;
mod history;
mod request;
mod response;
mod stream;

pub use request::to_messages;
pub use response::from_messages;
pub use stream::Encoder;

use super::tools::Names;

/// What the answer to a translated request needs to know of the request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(super) names: Names,
    /// The last chunk carries the token counts.
    pub(super) include_usage: bool,
    /// The client knows `functions` instead of `tools`.
    pub(super) legacy_functions: bool,
    /// The tool whose input is the answer's text.
    pub(super) answer_tool: Option<String>,
}

/// The id of a completion, told from upstream's message id.
fn completion_id(message_id: &str) -> String {
    format!("chatcmpl-{}", message_id.strip_prefix("msg_").unwrap_or(message_id))
}
