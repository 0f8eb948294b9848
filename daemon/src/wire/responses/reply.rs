//! The response object, its output items, and the fields of the stream's events.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::json::{Object, raw_of};
use crate::wire::messages::Usage;

/// The fields of a request that its response repeats, as they were written.
#[derive(Debug, Default)]
pub struct Echo {
    pub instructions: Option<Box<RawValue>>,
    pub max_output_tokens: Option<Box<RawValue>>,
    pub metadata: Option<Box<RawValue>>,
    pub parallel_tool_calls: Option<Box<RawValue>>,
    pub previous_response_id: Option<Box<RawValue>>,
    pub prompt_cache_key: Option<Box<RawValue>>,
    pub reasoning: Option<Box<RawValue>>,
    pub safety_identifier: Option<Box<RawValue>>,
    pub temperature: Option<Box<RawValue>>,
    pub text: Option<Box<RawValue>>,
    pub tool_choice: Option<Box<RawValue>>,
    pub tools: Option<Box<RawValue>>,
    pub top_p: Option<Box<RawValue>>,
    pub truncation: Option<Box<RawValue>>,
    pub user: Option<Box<RawValue>>,
    /// Whether the response is stored, which the request only asks for.
    pub store: bool,
}

impl Echo {
    pub fn of(fields: &Object<'_>) -> Self {
        let given = |name: &str| fields.get(name).map(ToOwned::to_owned);
        Self {
            instructions: given("instructions"),
            max_output_tokens: given("max_output_tokens"),
            metadata: given("metadata"),
            parallel_tool_calls: given("parallel_tool_calls"),
            previous_response_id: given("previous_response_id"),
            prompt_cache_key: given("prompt_cache_key"),
            reasoning: given("reasoning"),
            safety_identifier: given("safety_identifier"),
            temperature: given("temperature"),
            text: given("text"),
            tool_choice: given("tool_choice"),
            tools: given("tools"),
            top_p: given("top_p"),
            truncation: given("truncation"),
            user: given("user"),
            store: false,
        }
    }

    /// Puts the API's defaults where the object may not be null.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        let default = |field: &mut Option<Box<RawValue>>, value: serde_json::Value| {
            field.get_or_insert_with(|| raw_of(&value));
        };
        default(&mut self.metadata, serde_json::json!({}));
        default(&mut self.parallel_tool_calls, true.into());
        default(&mut self.reasoning, serde_json::json!({"effort": null, "summary": null}));
        default(&mut self.text, serde_json::json!({"format": {"type": "text"}}));
        default(&mut self.tool_choice, "auto".into());
        default(&mut self.tools, serde_json::json!([]));
        default(&mut self.truncation, "disabled".into());
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Incomplete {
    pub reason: &'static str,
}

/// Why a response failed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Failure<'a> {
    pub code: &'static str,
    pub message: &'a str,
}

#[derive(Debug, Serialize)]
pub struct Response<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub created_at: i64,
    pub status: Status,
    pub background: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<i64>,
    pub error: Option<Failure<'a>>,
    pub incomplete_details: Option<Incomplete>,
    pub instructions: Option<&'a RawValue>,
    pub max_output_tokens: Option<&'a RawValue>,
    pub model: &'a str,
    pub output: &'a [Item],
    pub parallel_tool_calls: Option<&'a RawValue>,
    pub previous_response_id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<&'a RawValue>,
    pub reasoning: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<&'a RawValue>,
    pub store: bool,
    pub temperature: Option<&'a RawValue>,
    pub text: Option<&'a RawValue>,
    pub tool_choice: Option<&'a RawValue>,
    pub tools: Option<&'a RawValue>,
    pub top_p: Option<&'a RawValue>,
    pub truncation: Option<&'a RawValue>,
    pub usage: Option<ResponseUsage>,
    pub user: Option<&'a RawValue>,
    pub metadata: Option<&'a RawValue>,
}

impl<'a> Response<'a> {
    /// A response that has just begun.
    pub fn begun(id: &'a str, created_at: i64, model: &'a str, echo: &'a Echo) -> Self {
        Self {
            id,
            object: "response",
            created_at,
            status: Status::InProgress,
            background: false,
            completed_at: None,
            error: None,
            incomplete_details: None,
            instructions: echo.instructions.as_deref(),
            max_output_tokens: echo.max_output_tokens.as_deref(),
            model,
            output: &[],
            parallel_tool_calls: echo.parallel_tool_calls.as_deref(),
            previous_response_id: echo.previous_response_id.as_deref(),
            prompt_cache_key: echo.prompt_cache_key.as_deref(),
            reasoning: echo.reasoning.as_deref(),
            safety_identifier: echo.safety_identifier.as_deref(),
            store: echo.store,
            temperature: echo.temperature.as_deref(),
            text: echo.text.as_deref(),
            tool_choice: echo.tool_choice.as_deref(),
            tools: echo.tools.as_deref(),
            top_p: echo.top_p.as_deref(),
            truncation: echo.truncation.as_deref(),
            usage: None,
            user: echo.user.as_deref(),
            metadata: echo.metadata.as_deref(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    InProgress,
    Completed,
    Incomplete,
}

/// One item of the output.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    Reasoning {
        id: String,
        summary: Vec<SummaryPart>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
        status: ItemStatus,
    },
    Message {
        id: String,
        role: &'static str,
        status: ItemStatus,
        content: Vec<ContentPart>,
    },
    FunctionCall {
        id: String,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        arguments: String,
        status: ItemStatus,
    },
    CustomToolCall {
        id: String,
        call_id: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        input: String,
        status: ItemStatus,
    },
    WebSearchCall {
        id: String,
        status: ItemStatus,
        action: Action,
    },
}

#[derive(Clone, Debug, Serialize)]
pub struct Action {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub query: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SummaryPart {
    SummaryText { text: String },
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    OutputText { text: String, annotations: Vec<Annotation>, logprobs: [(); 0] },
    Refusal { refusal: String },
}

/// A cited source; its place in the text counts characters.
#[derive(Clone, Debug, Serialize)]
pub struct Annotation {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub url: String,
    pub title: String,
    pub start_index: usize,
    pub end_index: usize,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct ResponseUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<&Usage> for ResponseUsage {
    fn from(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.prompt(),
            input_tokens_details: InputDetails {
                cached_tokens: usage.cache_read(),
                cache_write_tokens: usage.cache_write(),
            },
            output_tokens: usage.output(),
            output_tokens_details: OutputDetails { reasoning_tokens: usage.thinking() },
            total_tokens: usage.prompt().saturating_add(usage.output()),
        }
    }
}

/// The fields of an event about an item, beside its type and number. Each event has some of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct EventFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<&'a str>,
    pub output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation: Option<&'a Annotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<&'a ContentPart>,
    #[serde(rename = "part", skip_serializing_if = "Option::is_none")]
    pub summary_part: Option<&'a SummaryPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<&'a Item>,
}
