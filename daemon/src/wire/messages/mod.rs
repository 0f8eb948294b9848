//! Anthropic Messages: a look at a request that is passed through, the request that translation writes, and
//! the replies and stream events it reads.
//!
//! The types are open: what they do not know is skipped on reading and never invented on writing. The
//! pass-through path uses [`peek`] alone and sends the original bytes.

mod count;
mod event;
mod named;
mod peek;
mod reply;
mod request;

pub use count::{count, counted};
pub use event::{Delta, Start, StreamEvent};
pub use named::models_named;
pub use peek::{MOST_TOLD, Peek, PeekError, peek};
pub use reply::{Citation, Reply, ReplyBlock, StopDetails, StopReason, Usage, usage_in};
pub use request::{
    Binding, Block, Format, Metadata, OutputConfig, Request, Role, Source, Thinking, Tool, ToolChoice, Turn,
    UserLocation,
};
