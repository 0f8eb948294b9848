//! The Messages request that translation writes. Borrows from the client's body wherever it can.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::json::Str;
use crate::wire::text::Text;

/// A marker the client put on a block to cache the prompt up to it, passed on as it was written.
type CacheControl<'a> = Option<&'a RawValue>;

#[derive(Debug, Serialize)]
pub struct Request<'a> {
    pub model: &'a str,
    pub max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: CacheControl<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Last: what stands before it can be read without it.
    pub messages: Vec<Turn<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
    System,
}

#[derive(Debug, Serialize)]
pub struct Turn<'a> {
    pub role: Role,
    pub content: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block<'a> {
    Text {
        text: Text<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: CacheControl<'a>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: CacheControl<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Str<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: CacheControl<'a>,
    },
    Thinking {
        thinking: Str<'a>,
        signature: Str<'a>,
    },
    RedactedThinking {
        data: Str<'a>,
    },
    ToolUse {
        id: String,
        name: String,
        input: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: CacheControl<'a>,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: CacheControl<'a>,
    },
}

impl<'a> Block<'a> {
    pub fn text(text: impl Into<Text<'a>>) -> Self {
        Self::Text { text: text.into(), cache_control: None }
    }

    pub const fn is_thinking(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::RedactedThinking { .. })
    }

    /// Where the block's cache marker stands; thinking blocks take none.
    pub const fn cache_control(&mut self) -> Option<&mut CacheControl<'a>> {
        match self {
            Self::Text { cache_control, .. }
            | Self::Image { cache_control, .. }
            | Self::Document { cache_control, .. }
            | Self::ToolUse { cache_control, .. }
            | Self::ToolResult { cache_control, .. } => Some(cache_control),
            Self::Thinking { .. } | Self::RedactedThinking { .. } => None,
        }
    }
}

/// Where an image or document comes from.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source<'a> {
    Base64 { media_type: &'static str, data: Str<'a> },
    Url { url: Str<'a> },
    Text { media_type: &'static str, data: String },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Tool<'a> {
    Client {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<Str<'a>>,
        input_schema: Map<String, Value>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: CacheControl<'a>,
    },
    WebSearch {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        allowed_domains: Vec<Str<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_location: Option<UserLocation<'a>>,
    },
}

impl Tool<'_> {
    pub fn name(&self) -> &str {
        match self {
            Self::Client { name, .. } => name,
            Self::WebSearch { name, .. } => name,
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct UserLocation<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Str<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolChoice {
    Auto {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: String,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        disable_parallel_tool_use: bool,
    },
    None,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Thinking<'a> {
    /// What the client itself asked for, in Anthropic's own words.
    Given(&'a RawValue),
    Adaptive {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        block_binding: Option<Binding>,
    },
    Enabled {
        #[serde(rename = "type")]
        kind: &'static str,
        budget_tokens: u64,
    },
    /// `disabled` and `between_tools`, which have no further fields.
    Plain {
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

/// What upstream does with a returned thinking block whose conversation has changed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Binding {
    pub prefix_mismatch_behavior: &'static str,
}

#[derive(Debug, Serialize)]
pub struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

#[derive(Debug, Serialize)]
pub struct Format {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub schema: Map<String, Value>,
}

#[derive(Debug, Serialize)]
pub struct Metadata {
    pub user_id: String,
}
