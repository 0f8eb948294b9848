//! Responses to Messages and back, without storage: each request brings its whole history.

mod assembly;
mod carrier;
mod frames;
mod history;
mod items;
mod request;
mod response;
mod stream;

use std::sync::Arc;

pub use request::to_messages;
pub use response::from_messages;
pub use stream::Encoder;

use super::tools::Names;
use crate::wire::responses::Echo;

/// What the answer to a translated request needs to know of the request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The model asked for, for answers that never began.
    pub(super) model: String,
    pub(super) names: Names,
    /// The client asked for a summary, so it sees the thinking.
    pub(super) show_thinking: bool,
    /// The tool whose input is the answer's text.
    pub(super) answer_tool: Option<String>,
    /// Shared, because it holds the client's whole tool list.
    pub(super) echo: Arc<Echo>,
}

/// The part of upstream's message id that all ids of the response have in common.
fn base_id(message_id: &str) -> &str {
    message_id.strip_prefix("msg_").unwrap_or(message_id)
}
