//! Responses to Messages and back. What a request goes on from is handed in: nothing is stored or looked up here.

mod assembly;
mod carrier;
mod frames;
mod history;
mod items;
mod request;
mod response;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

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

impl Reply {
    /// Whether the response is to be stored.
    pub fn is_stored(&self) -> bool {
        self.echo.store
    }
}

/// What a request goes on from, as it was stored.
#[derive(Debug, Default)]
pub struct Recalled {
    /// The conversation so far, as arrays of items, oldest first.
    pub conversation: Vec<Box<RawValue>>,
    /// What the request's references stand for, by their ids.
    pub items: BTreeMap<String, Box<RawValue>>,
    /// Answers are stored where nothing else is asked.
    pub keeps: bool,
}

/// The part of upstream's message id that all ids of the response have in common.
fn base_id(message_id: &str) -> &str {
    message_id.strip_prefix("msg_").unwrap_or(message_id)
}
