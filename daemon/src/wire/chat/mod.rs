//! `OpenAI` Chat Completions: the request a client sends, and the completion and chunks it gets back.
//!
//! Reading checks types only; what a field means for Claude is `translate`'s to say.

mod reply;
mod request;

pub use reply::{
    Annotation, Call, ChatUsage, Choice, ChunkCall, CitedUrl, Completion, CompletionDetails, CustomCall,
    Delta, FunctionCall, Message, PromptDetails, ThinkingBlock,
};
pub use request::{
    CacheBreakpoint, CacheOptions, CallCustom, CallFunction, Content, CustomFormat, File, Function, Grammar,
    HistoryCall, HistoryMessage, HistoryThinking, ImageUrl, JsonSchema, Part, Place, Request, ResponseFormat,
    SearchLocation, Stop, StreamOptions, ToolEntry, ToolSelection, WebSearchOptions,
};
