//! The Chat Completions request, borrowed from its body.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::wire::error::ApiError;
use crate::wire::json::{FieldError, Kind, Object, Str, TextOrList, text_or_list};
use crate::wire::open::{Says, open_structs};
use crate::wire::text::{Text, TextOrParts};

/// A request with every field that has a meaning here; the others are in `unread`.
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
    pub prompt_cache_options: Option<CacheOptions<'a>>,
    /// Names of the fields that nobody reads and that say something.
    pub unread: Vec<String>,
}

impl<'a> Request<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        Object::read_body(body, "messages", Self::of)
    }

    fn of(mut fields: Object<'a>) -> Result<Self, ApiError> {
        let stream_options = StreamOptions::take_from(&mut fields)?;
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
            include_usage: stream_options.include_usage,
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
            prompt_cache_options: fields.read("prompt_cache_options")?,
            unread: fields.rest().map(str::to_owned).chain(stream_options.unread).collect(),
        })
    }
}

/// `stream_options`, which the older completions have, too.
#[derive(Debug, Default)]
pub struct StreamOptions {
    pub include_usage: bool,
    /// Names, with `stream_options` in front, of what nobody reads.
    pub unread: Vec<String>,
}

impl StreamOptions {
    pub(in crate::wire) fn take_from(fields: &mut Object<'_>) -> Result<Self, FieldError> {
        const NAME: &str = "stream_options";
        let mut options: Object<'_> = fields.read(NAME)?.unwrap_or_default();
        let include_usage = options.read("include_usage").map_err(|error| error.below(NAME))?;
        let unread = options.rest().map(|name| format!("{NAME}.{name}")).collect();
        Ok(Self { include_usage: include_usage.unwrap_or(false), unread })
    }
}

open_structs! {
    /// One message of the conversation so far.
    pub struct HistoryMessage<'a> {
        pub role: Str<'a>,
        pub content: Option<Content<'a>>,
        pub name: Option<Str<'a>>,
        pub refusal: Option<Str<'a>>,
        pub tool_calls: Option<Vec<HistoryCall<'a>>>,
        pub function_call: Option<CallFunction<'a>>,
        pub tool_call_id: Option<Str<'a>>,
        /// Thinking as text, under its two names; unsigned, so that only its presence matters.
        pub reasoning_content: Says,
        pub reasoning: Says,
        pub thinking_blocks: Option<Vec<HistoryThinking<'a>>>,
        /// The same in the form of another gateway.
        pub reasoning_details: Option<Vec<HistoryThinking<'a>>>,
        pub cache_control: Option<&'a RawValue>,
    }
}

/// The content of a message.
pub type Content<'a> = TextOrParts<'a, Part<'a>>;

open_structs! {
    /// A content part. Which fields it has depends on `kind`; those of other kinds are `None`.
    pub struct Part<'a> {
        pub kind = "type": Str<'a>,
        pub text: Option<Text<'a>>,
        pub refusal: Option<Str<'a>>,
        pub image_url: Option<ImageUrl<'a>>,
        pub file: Option<File<'a>>,
        pub cache_control: Option<&'a RawValue>,
        pub prompt_cache_breakpoint: Option<CacheBreakpoint<'a>>,
    }

    pub struct ImageUrl<'a> {
        pub url: Str<'a>,
        pub detail: Option<Str<'a>>,
    }

    pub struct File<'a> {
        pub file_data: Option<Str<'a>>,
        pub file_id: Option<Str<'a>>,
        pub filename: Option<Str<'a>>,
    }

    pub struct HistoryCall<'a> {
        /// Told by which of the two is there.
        pub kind = "type": Says,
        pub id: Option<Str<'a>>,
        pub function: Option<CallFunction<'a>>,
        pub custom: Option<CallCustom<'a>>,
    }

    pub struct CallFunction<'a> {
        pub name: Str<'a>,
        pub arguments: Option<Str<'a>>,
    }

    pub struct CallCustom<'a> {
        pub name: Str<'a>,
        pub input: Option<Str<'a>>,
    }

    /// A thinking block a client carries through; only signed or redacted ones can be sent back.
    pub struct HistoryThinking<'a> {
        pub kind = "type": Str<'a>,
        pub thinking: Option<Str<'a>>,
        /// The thinking in `reasoning_details`.
        pub text: Option<Str<'a>>,
        pub signature: Option<Str<'a>>,
        pub data: Option<Str<'a>>,
        /// Whose it is, in `reasoning_details`.
        pub format: Option<Str<'a>>,
    }
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

open_structs! {
    pub struct ToolEntry<'a> {
        pub kind = "type": Str<'a>,
        pub function: Option<Function<'a>>,
        pub custom: Option<Function<'a>>,
        pub cache_control: Option<&'a RawValue>,
    }

    /// The definition of a function, or of a custom tool (which has no parameters).
    pub struct Function<'a> {
        pub name: Str<'a>,
        pub description: Option<Str<'a>>,
        pub parameters: Option<&'a RawValue>,
        pub strict: Option<bool>,
        pub format: Option<CustomFormat<'a>>,
        pub cache_control: Option<&'a RawValue>,
    }

    /// The form a custom tool's input must have: free text, or text by a grammar.
    pub struct CustomFormat<'a> {
        pub grammar: Option<Grammar<'a>>,
    }

    pub struct Grammar<'a> {
        pub definition: Str<'a>,
        pub syntax: Option<Str<'a>>,
    }
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
#[serde(expecting = "a string or an object that names a tool")]
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
#[serde(expecting = "an object with a mode and tools")]
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
#[serde(expecting = "an object with a name")]
struct NameField<'a> {
    #[serde(borrow)]
    name: Str<'a>,
}

open_structs! {
    pub struct ResponseFormat<'a> {
        pub kind = "type": Str<'a>,
        pub json_schema: Option<JsonSchema<'a>>,
    }

    pub struct JsonSchema<'a> {
        pub name: Option<Str<'a>>,
        pub description: Option<Str<'a>>,
        pub schema: Option<&'a RawValue>,
    }

    pub struct WebSearchOptions<'a> {
        pub user_location: Option<SearchLocation<'a>>,
    }

    pub struct SearchLocation<'a> {
        pub approximate: Option<Place<'a>>,
    }

    pub struct Place<'a> {
        pub city: Option<Str<'a>>,
        pub region: Option<Str<'a>>,
        pub country: Option<Str<'a>>,
        pub timezone: Option<Str<'a>>,
    }

    /// How a prompt is cached, in `OpenAI`'s words.
    pub struct CacheOptions<'a> {
        pub mode: Option<Str<'a>>,
    }

    /// The end of a part of the prompt that a client wants cached.
    pub struct CacheBreakpoint<'a> {
        pub mode: Option<Str<'a>>,
    }
}
