//! The Chat Completions request, borrowed from its body.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::wire::error::ApiError;
use crate::wire::json::{Kind, Object, Str, TextOrList, text_or_list};

/// A request with every field that has a meaning here; the others are in `ignored`.
#[derive(Debug)]
pub struct Request<'a> {
    pub model: Str<'a>,
    pub messages: Vec<HistoryMessage<'a>>,
    pub max_completion_tokens: Option<f64>,
    pub max_tokens: Option<f64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stop: Option<Stop<'a>>,
    pub stream: bool,
    pub include_usage: bool,
    pub tools: Vec<ToolEntry<'a>>,
    pub tool_choice: Option<ToolSelection<'a>>,
    pub parallel_tool_calls: Option<bool>,
    pub functions: Vec<Function<'a>>,
    pub function_call: Option<ToolSelection<'a>>,
    pub response_format: Option<ResponseFormat<'a>>,
    pub reasoning_effort: Option<Str<'a>>,
    pub user: Option<Str<'a>>,
    pub safety_identifier: Option<Str<'a>>,
    pub prompt_cache_key: Option<Str<'a>>,
    pub service_tier: Option<Str<'a>>,
    pub web_search_options: Option<WebSearchOptions<'a>>,
    pub n: Option<f64>,
    pub modalities: Vec<Str<'a>>,
    pub audio: bool,
    pub thinking: Option<&'a RawValue>,
    pub cache_control: Option<&'a RawValue>,
    /// Names of fields that are given and have no counterpart.
    pub ignored: Vec<String>,
}

impl<'a> Request<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Object::parse(body)?;
        let stream_options: StreamOptions = fields.read("stream_options")?.unwrap_or_default();
        Ok(Self {
            model: fields.model()?,
            messages: fields
                .read_list("messages")?
                .ok_or_else(|| ApiError::invalid_param("messages", "messages: field required"))?,
            max_completion_tokens: fields.read("max_completion_tokens")?,
            max_tokens: fields.read("max_tokens")?,
            temperature: fields.read("temperature")?,
            top_p: fields.read("top_p")?,
            stop: fields.read("stop")?,
            stream: fields.read("stream")?.unwrap_or(false),
            include_usage: stream_options.include_usage.unwrap_or(false),
            tools: fields.read_list("tools")?.unwrap_or_default(),
            tool_choice: fields.read("tool_choice")?,
            parallel_tool_calls: fields.read("parallel_tool_calls")?,
            functions: fields.read_list("functions")?.unwrap_or_default(),
            function_call: fields.read("function_call")?,
            response_format: fields.read("response_format")?,
            reasoning_effort: fields.read("reasoning_effort")?,
            user: fields.read("user")?,
            safety_identifier: fields.read("safety_identifier")?,
            prompt_cache_key: fields.read("prompt_cache_key")?,
            service_tier: fields.read("service_tier")?,
            web_search_options: fields.read("web_search_options")?,
            n: fields.read("n")?,
            modalities: fields.read("modalities")?.unwrap_or_default(),
            audio: fields.take("audio").is_some(),
            thinking: fields.read_object("thinking")?,
            cache_control: fields.read_object("cache_control")?,
            ignored: fields.rest().map(str::to_owned).collect(),
        })
    }
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// One message of the conversation so far.
#[derive(Debug, Deserialize)]
pub struct HistoryMessage<'a> {
    #[serde(borrow)]
    pub role: Str<'a>,
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub refusal: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<HistoryCall<'a>>>,
    #[serde(borrow, default)]
    pub function_call: Option<CallFunction<'a>>,
    #[serde(borrow, default)]
    pub tool_call_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub thinking_blocks: Option<Vec<HistoryThinking<'a>>>,
    #[serde(borrow, default)]
    pub cache_control: Option<&'a RawValue>,
}

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
    pub image_url: Option<ImageUrl<'a>>,
    #[serde(borrow, default)]
    pub file: Option<File<'a>>,
    #[serde(borrow, default)]
    pub cache_control: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct ImageUrl<'a> {
    #[serde(borrow)]
    pub url: Str<'a>,
}

#[derive(Debug, Deserialize)]
pub struct File<'a> {
    #[serde(borrow, default)]
    pub file_data: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub file_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub filename: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct HistoryCall<'a> {
    #[serde(borrow, default)]
    pub id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub function: Option<CallFunction<'a>>,
    #[serde(borrow, default)]
    pub custom: Option<CallCustom<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct CallFunction<'a> {
    #[serde(borrow)]
    pub name: Str<'a>,
    #[serde(borrow, default)]
    pub arguments: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct CallCustom<'a> {
    #[serde(borrow)]
    pub name: Str<'a>,
    #[serde(borrow, default)]
    pub input: Option<Str<'a>>,
}

/// A thinking block a client carries through; only signed or redacted ones can be sent back.
#[derive(Debug, Deserialize)]
pub struct HistoryThinking<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    #[serde(borrow, default)]
    pub thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub data: Option<Str<'a>>,
}

#[derive(Debug)]
pub struct Stop<'a>(pub Vec<Str<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Stop<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match text_or_list(deserializer, "a string or an array of strings")? {
            TextOrList::Text(text) => vec![text],
            TextOrList::List(list) => list,
        }))
    }
}

#[derive(Debug, Deserialize)]
pub struct ToolEntry<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    #[serde(borrow, default)]
    pub function: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub custom: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub cache_control: Option<&'a RawValue>,
}

/// The definition of a function, or of a custom tool (which has no parameters).
#[derive(Debug, Deserialize)]
pub struct Function<'a> {
    #[serde(borrow)]
    pub name: Str<'a>,
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub parameters: Option<&'a RawValue>,
    #[serde(default)]
    pub strict: Option<bool>,
    #[serde(borrow, default)]
    pub format: Option<CustomFormat<'a>>,
    #[serde(borrow, default)]
    pub cache_control: Option<&'a RawValue>,
}

/// The form a custom tool's input must have: free text, or text by a grammar.
#[derive(Debug, Deserialize)]
pub struct CustomFormat<'a> {
    #[serde(borrow, default)]
    pub grammar: Option<Grammar<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Grammar<'a> {
    #[serde(borrow)]
    pub definition: Str<'a>,
    #[serde(borrow, default)]
    pub syntax: Option<Str<'a>>,
}

/// `tool_choice` and `function_call`.
#[derive(Debug)]
pub enum ToolSelection<'a> {
    Mode(Str<'a>),
    Named(Str<'a>),
    Allowed { mode: Str<'a>, names: Vec<Str<'a>> },
}

impl<'de: 'a, 'a> Deserialize<'de> for ToolSelection<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if Kind::of(raw) == Kind::String {
            return serde_json::from_str(raw.get()).map(Self::Mode).map_err(D::Error::custom);
        }
        let choice: ChoiceFields<'de> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        match choice {
            ChoiceFields { allowed_tools: Some(Allowed { mode, tools }), .. } => {
                let names = tools.into_iter().map(ChoiceFields::into_name).collect::<Option<Vec<_>>>();
                names.map(|names| Self::Allowed { mode, names })
            }
            other => other.into_name().map(Self::Named),
        }
        .ok_or_else(|| D::Error::custom("names no tool"))
    }
}

#[derive(Deserialize)]
struct ChoiceFields<'a> {
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    function: Option<NameField<'a>>,
    #[serde(borrow, default)]
    custom: Option<NameField<'a>>,
    #[serde(borrow, default)]
    allowed_tools: Option<Allowed<'a>>,
}

#[derive(Deserialize)]
struct Allowed<'a> {
    #[serde(borrow)]
    mode: Str<'a>,
    #[serde(borrow)]
    tools: Vec<ChoiceFields<'a>>,
}

impl<'a> ChoiceFields<'a> {
    fn into_name(self) -> Option<Str<'a>> {
        self.function.or(self.custom).map(|named| named.name).or(self.name)
    }
}

#[derive(Deserialize)]
struct NameField<'a> {
    #[serde(borrow)]
    name: Str<'a>,
}

#[derive(Debug, Deserialize)]
pub struct ResponseFormat<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    #[serde(borrow, default)]
    pub json_schema: Option<JsonSchema<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct JsonSchema<'a> {
    #[serde(borrow, default)]
    pub name: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub description: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct WebSearchOptions<'a> {
    #[serde(borrow, default)]
    pub user_location: Option<SearchLocation<'a>>,
    #[serde(borrow, default)]
    pub search_context_size: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct SearchLocation<'a> {
    #[serde(borrow, default)]
    pub approximate: Option<Place<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Place<'a> {
    #[serde(borrow, default)]
    pub city: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub region: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub country: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub timezone: Option<Str<'a>>,
}
