//! The Responses request, borrowed from its body.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::value::RawValue;

use super::reply::Echo;
use super::tools::{ToolEntry, ToolSelection};
use crate::wire::error::ApiError;
use crate::wire::json::{Kind, Object, Str, TextOrList, text_or_list};
use crate::wire::tagged::{Tagged, tagged};

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
    /// Names of fields that are given and have no counterpart.
    pub ignored: Vec<String>,
    /// What the response object repeats.
    pub echo: Echo,
}

#[derive(Default, Deserialize)]
struct TextConfig<'a> {
    #[serde(borrow, default)]
    format: Option<Format<'a>>,
    #[serde(borrow, default)]
    verbosity: Option<Str<'a>>,
}

impl<'a> Request<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Object::parse(body)?;
        let echo = Echo::of(&fields);
        let model = fields.model()?;
        let text: TextConfig<'a> = fields.read("text")?.unwrap_or_default();
        // What an answer includes does not depend on asking.
        let include: Vec<Str<'a>> = fields.read("include")?.unwrap_or_default();
        fields.take("stream_options");
        fields.take("metadata");
        let request = Self {
            model,
            input: match fields.get("input") {
                None => return Err(ApiError::invalid_param("input", "input: field required")),
                Some(raw) if Kind::of(raw) == Kind::Array => {
                    Input::Items(fields.read_list("input")?.unwrap_or_default())
                }
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
            ignored: Vec::new(),
            echo,
        };
        let mut ignored: Vec<String> = fields.rest().map(str::to_owned).collect();
        let extras = include.iter().filter(|name| &***name != "reasoning.encrypted_content");
        ignored.extend(extras.map(|name| format!("include.{}", &**name)));
        ignored.extend(text.verbosity.map(|_| "text.verbosity".to_owned()));
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

#[derive(Debug, Default, Deserialize)]
pub struct Reasoning<'a> {
    #[serde(borrow, default)]
    pub effort: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub summary: Option<Str<'a>>,
    /// The older name of `summary`.
    #[serde(borrow, default)]
    pub generate_summary: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Format<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
}

/// One item of the conversation so far.
#[derive(Debug)]
pub enum InputItem<'a> {
    Message(Message<'a>),
    FunctionCall(ToolCall<'a>),
    CustomToolCall(ToolCall<'a>),
    /// The result of a function or custom tool call.
    CallOutput(CallOutput<'a>),
    Reasoning {
        encrypted_content: Option<Str<'a>>,
    },
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

/// An item that does not say its type: a message, or a pointer when it has an id and no role.
#[derive(Deserialize)]
struct Untyped<'a> {
    #[serde(borrow, default)]
    role: Option<Str<'a>>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    pub role: Str<'a>,
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
}

impl<'a> Message<'a> {
    /// What `input` is when it is a text.
    pub const fn user(text: Str<'a>) -> Self {
        Self { role: Str::borrowed("user"), content: Some(Content::Text(text)) }
    }
}

#[derive(Debug, Deserialize)]
pub struct ToolCall<'a> {
    #[serde(borrow)]
    pub call_id: Str<'a>,
    #[serde(borrow)]
    pub name: Str<'a>,
    #[serde(borrow, default)]
    pub namespace: Option<Str<'a>>,
    /// JSON text of a function call, free text of a custom tool call.
    #[serde(borrow, default, alias = "arguments")]
    pub input: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct CallOutput<'a> {
    #[serde(borrow)]
    pub call_id: Str<'a>,
    #[serde(borrow, default)]
    pub output: Option<Content<'a>>,
}

#[derive(Deserialize)]
struct ReasoningItem<'a> {
    #[serde(borrow, default)]
    encrypted_content: Option<Str<'a>>,
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
            let Untyped { role, content, id } = Untyped::deserialize(fields)?;
            return match (role, id) {
                (Some(role), _) => Ok(Self::Message(Message { role, content })),
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
            "reasoning" => {
                let ReasoningItem { encrypted_content } = ReasoningItem::deserialize(fields)?;
                Self::Reasoning { encrypted_content }
            }
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
#[derive(Debug)]
pub enum Content<'a> {
    Text(Str<'a>),
    Parts(Vec<Part<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match text_or_list(deserializer, "a string or an array of parts")? {
            TextOrList::Text(text) => Self::Text(text),
            TextOrList::List(parts) => Self::Parts(parts),
        })
    }
}

/// A content part. Which fields it has depends on `kind`; those of other kinds are `None`.
#[derive(Debug, Deserialize)]
pub struct Part<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    #[serde(borrow, default)]
    pub text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub refusal: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub image_url: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub file_data: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub file_url: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub file_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub filename: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub cache_control: Option<&'a RawValue>,
}
