//! The wire formats the daemon reads and writes: Anthropic Messages, OpenAI Chat Completions and Responses,
//! their errors, their model lists, and server-sent events.
//!
//! Types and bytes only. Nothing here knows a socket, a file or a clock, and nothing here turns one dialect
//! into another: that is `translate`, which `wire` never uses.

pub mod chat;
pub mod completions;
pub mod described;
pub mod error;
pub mod json;
pub mod messages;
pub mod models;
pub mod open;
pub mod pieces;
pub mod responses;
pub mod skim;
pub mod splice;
pub mod sse;
mod tagged;
pub mod text;

/// Which API a downstream client speaks. It decides the shape of answers and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic Messages (`/v1/messages*`), passed through.
    Messages,
    /// OpenAI Chat Completions (`/v1/chat/completions`), translated.
    Chat,
    /// OpenAI Responses (`/v1/responses`), translated.
    Responses,
    /// OpenAI's older completions (`/v1/completions`), translated.
    Completions,
}

impl Dialect {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Completions => "completions",
        }
    }
}
