//! The Responses request, borrowed from its body.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::value::RawValue;

use super::reply::Echo;
use super::tools::{ToolEntry, ToolSelection};
use crate::wire::chat::{CacheBreakpoint, CacheOptions, StreamOptions};
use crate::wire::error::ApiError;
use crate::wire::json::{Kind, Object, Str};
use crate::wire::open::{Says, open_structs};
use crate::wire::tagged::{Tagged, tagged};
use crate::wire::text::{Text, TextOrParts};

/// A request with every field that has a meaning here; the others are in `ignored`.
#[derive(Debug)]
pub struct Request<'a> {
    pub model: Str<'a>,
    pub input: Input<'a>,
    pub instructions: Option<Str<'a>>,
    pub max_output_tokens: Option<f64>,
    pub reasoning: Reasoning<'a>,
    pub format: Option<Format<'a>>,
    pub tools: Vec<ToolEntry<'a>>,
    pub tool_choice: Option<ToolSelection<'a>>,
    pub parallel_tool_calls: Option<bool>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stream: bool,
    /// Whether the answer is to be stored; as the API has it, it is unless said otherwise.
    pub store: Option<bool>,
    pub previous_response_id: Option<Str<'a>>,
    pub background: bool,
    pub conversation: bool,
    pub prompt: bool,
    pub user: Option<Str<'a>>,
    pub safety_identifier: Option<Str<'a>>,
    pub prompt_cache_key: Option<Str<'a>>,
    pub service_tier: Option<Str<'a>>,
    pub truncation: Option<Str<'a>>,
    pub prompt_cache_options: Option<CacheOptions<'a>>,
    /// Names of fields that are given and have no counterpart.
    pub ignored: Vec<String>,
    /// What the response object repeats.
    pub echo: Echo,
}

open_structs! {
    #[derive(Default)]
    struct TextConfig<'a> {
        pub format: Option<Format<'a>>,
    }
}

impl<'a> Request<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        Object::read_body(body, "input", Self::of)
    }

    fn of(mut fields: Object<'a>) -> Result<Self, ApiError> {
        let echo = Echo::of(&fields);
        let model = fields.model()?;
        let text: TextConfig<'a> = fields.read("text")?.unwrap_or_default();
        // What an answer includes does not depend on asking.
        let include: Vec<Str<'a>> = fields.read("include")?.unwrap_or_default();
        let stream_options = StreamOptions::take_from(&mut fields)?;
        fields.take("metadata");
        let request = Self {
            model,
            input: match fields.kind("input") {
                // What it goes on from is enough.
                None if fields.get("previous_response_id").is_some() => Input::Items(Vec::new()),
                None => return Err(ApiError::invalid_param("input", "input: field required")),
                Some(Kind::Array) => Input::Items(fields.read_list("input")?.unwrap_or_default()),
                Some(_) => Input::Text(fields.read("input")?.unwrap_or_default()),
            },
            instructions: fields.read("instructions")?,
            max_output_tokens: fields.read("max_output_tokens")?,
            reasoning: fields.read("reasoning")?.unwrap_or_default(),
            format: text.format,
            tools: fields.read_list("tools")?.unwrap_or_default(),
            tool_choice: fields.read("tool_choice")?,
            parallel_tool_calls: fields.read("parallel_tool_calls")?,
            temperature: fields.read("temperature")?,
            top_p: fields.read("top_p")?,
            stream: fields.read("stream")?.unwrap_or(false),
            store: fields.read("store")?,
            previous_response_id: fields.read("previous_response_id")?,
            background: fields.read("background")?.unwrap_or(false),
            conversation: fields.take("conversation").is_some(),
            prompt: fields.take("prompt").is_some(),
            user: fields.read("user")?,
            safety_identifier: fields.read("safety_identifier")?,
            prompt_cache_key: fields.read("prompt_cache_key")?,
            service_tier: fields.read("service_tier")?,
            truncation: fields.read("truncation")?,
            prompt_cache_options: fields.read("prompt_cache_options")?,
            ignored: Vec::new(),
            echo,
        };
        let mut ignored: Vec<String> = fields.rest().map(str::to_owned).collect();
        let extras = include.iter().enumerate();
        let extras = extras.filter(|(_, name)| &***name != "reasoning.encrypted_content");
        ignored.extend(extras.map(|(index, name)| format!("include[{index}] ({})", &**name)));
        ignored.extend(stream_options.unread);
        ignored.extend(text.unread.iter().map(|name| format!("text.{name}")));
        Ok(Self { ignored, ..request })
    }
}

#[derive(Debug)]
pub enum Input<'a> {
    Text(Str<'a>),
    Items(Vec<InputItem<'a>>),
}

impl Input<'_> {
    /// The ids of the items that stand elsewhere.
    pub fn references(&self) -> Vec<&str> {
        let items = match self {
            Self::Text(_) => &[],
            Self::Items(items) => items.as_slice(),
        };
        let ids = items.iter().filter_map(|item| match item {
            InputItem::Reference { id } => Some(&**id),
            _ => None,
        });
        ids.collect()
    }
}

open_structs! {
    #[derive(Default)]
    pub struct Reasoning<'a> {
        pub effort: Option<Str<'a>>,
        pub summary: Option<Str<'a>>,
        /// The older name of `summary`.
        pub generate_summary: Option<Str<'a>>,
    }
}

open_structs! {
    pub struct Format<'a> {
        pub kind = "type": Str<'a>,
        pub name: Option<Str<'a>>,
        pub description: Option<Str<'a>>,
        pub schema: Option<&'a RawValue>,
    }
}

/// One item of the conversation so far.
#[derive(Debug)]
pub enum InputItem<'a> {
    Message(Message<'a>),
    FunctionCall(ToolCall<'a>),
    CustomToolCall(ToolCall<'a>),
    /// The result of a function or custom tool call.
    CallOutput(CallOutput<'a>),
    Reasoning(ReasoningItem<'a>),
    AdditionalTools(Vec<ToolEntry<'a>>),
    /// A pointer to an item of an earlier response.
    Reference {
        id: Str<'a>,
    },
    /// What a server's own tool did; it has no place in a history of Claude's.
    ServerTool {
        kind: Str<'a>,
    },
    Other {
        kind: Str<'a>,
    },
}

open_structs! {
    /// An item that does not say its type: a message, or a pointer when it has an id and no role.
    struct Untyped<'a> {
        pub role: Option<Str<'a>>,
        pub content: Option<Content<'a>>,
        pub id: Option<&'a RawValue>,
    }
}

open_structs! {
    pub struct Message<'a> {
        /// What an earlier answer said of itself.
        pub id: Says,
        pub status: Says,
        pub role: Str<'a>,
        pub content: Option<Content<'a>>,
    }
}

impl<'a> Message<'a> {
    /// What `input` is when it is a text.
    pub const fn user(text: Text<'a>) -> Self {
        Self {
            id: Says(false),
            status: Says(false),
            role: Str::borrowed("user"),
            content: Some(Content::Text(text)),
            unread: Vec::new(),
        }
    }
}

open_structs! {
    pub struct ToolCall<'a> {
        /// What an earlier answer said of itself.
        pub id: Says,
        pub status: Says,
        pub call_id: Str<'a>,
        pub name: Str<'a>,
        pub namespace: Option<Str<'a>>,
        /// JSON text, of a function.
        pub arguments: Option<Str<'a>>,
        /// Free text, of a custom tool.
        pub input: Option<Str<'a>>,
    }
}

open_structs! {
    pub struct CallOutput<'a> {
        /// What an earlier answer said of itself.
        pub id: Says,
        pub status: Says,
        pub call_id: Str<'a>,
        pub output: Option<Content<'a>>,
        /// As in the call.
        pub name: Says,
        pub namespace: Says,
    }

    pub struct ReasoningItem<'a> {
        /// What an earlier answer said of itself.
        pub id: Says,
        pub status: Says,
        pub encrypted_content: Option<Str<'a>>,
        /// Thinking as text, in its two forms; unsigned, so that only its presence matters.
        pub summary: Says,
        pub content: Says,
    }
}

#[derive(Deserialize)]
struct AdditionalTools<'a> {
    #[serde(borrow)]
    tools: Vec<ToolEntry<'a>>,
}

#[derive(Deserialize)]
struct ReferenceItem<'a> {
    #[serde(borrow)]
    id: Str<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for InputItem<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer)
    }
}

impl<'de: 'a, 'a> Tagged<'de> for InputItem<'a> {
    fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
        let Some(kind) = kind else {
            let Untyped { role, content, id, unread } = Untyped::deserialize(fields)?;
            return match (role, id) {
                (Some(role), id) => {
                    let (id, status) = (Says(id.is_some()), Says(false));
                    Ok(Self::Message(Message { id, status, role, content, unread }))
                }
                (None, Some(id)) => {
                    let id = serde_json::from_str(id.get()).map_err(D::Error::custom)?;
                    Ok(Self::Reference { id })
                }
                (None, None) => Err(D::Error::missing_field("role")),
            };
        };
        Ok(match &*kind {
            "message" => Self::Message(Message::deserialize(fields)?),
            "function_call" => Self::FunctionCall(ToolCall::deserialize(fields)?),
            "custom_tool_call" => Self::CustomToolCall(ToolCall::deserialize(fields)?),
            "function_call_output" | "custom_tool_call_output" => {
                Self::CallOutput(CallOutput::deserialize(fields)?)
            }
            "reasoning" => Self::Reasoning(ReasoningItem::deserialize(fields)?),
            "additional_tools" => {
                let AdditionalTools { tools } = AdditionalTools::deserialize(fields)?;
                Self::AdditionalTools(tools)
            }
            "item_reference" => {
                let ReferenceItem { id } = ReferenceItem::deserialize(fields)?;
                Self::Reference { id }
            }
            "web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | "image_generation_call"
            | "mcp_list_tools"
            | "mcp_call"
            | "mcp_approval_request"
            | "mcp_approval_response" => {
                IgnoredAny::deserialize(fields)?;
                Self::ServerTool { kind }
            }
            _ => {
                IgnoredAny::deserialize(fields)?;
                Self::Other { kind }
            }
        })
    }
}

/// The content of a message or the output of a call.
pub type Content<'a> = TextOrParts<'a, Part<'a>>;

open_structs! {
    /// A content part. Which fields it has depends on `kind`; those of other kinds are `None`.
    pub struct Part<'a> {
        pub kind = "type": Str<'a>,
        pub text: Option<Text<'a>>,
        pub refusal: Option<Str<'a>>,
        pub image_url: Option<Str<'a>>,
        pub detail: Option<Str<'a>>,
        pub file_data: Option<Str<'a>>,
        pub file_url: Option<Str<'a>>,
        pub file_id: Option<Str<'a>>,
        pub filename: Option<Str<'a>>,
        pub cache_control: Option<&'a RawValue>,
        pub prompt_cache_breakpoint: Option<CacheBreakpoint<'a>>,
    }
}
