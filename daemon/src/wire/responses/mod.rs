//! `OpenAI` Responses: the request a client sends, and the response object, its items and the stream's
//! events.
//!
//! Reading checks types only; what a field means for Claude is `translate`'s to say.

mod id;
mod input;
mod reply;
mod request;
mod tools;

pub use id::ResponseId;
pub use input::{ItemsQuery, list_input, stored_input};
pub use reply::{
    Action, Annotation, ContentPart, Echo, EventFields, Failure, Incomplete, Item, ItemStatus, Response,
    ResponseUsage, Status, SummaryPart,
};
pub use request::{
    CallOutput, Content, Format, Input, InputItem, Message, Part, Reasoning, ReasoningItem, Request, ToolCall,
};
pub use tools::{
    CustomFormat, CustomTool, FunctionTool, Namespace, SelectedTool, ToolEntry, ToolSelection, WebSearch,
};
