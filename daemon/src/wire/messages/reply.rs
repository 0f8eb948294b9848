//! What upstream answers. Blocks of unknown types are read as [`ReplyBlock::Other`], whatever they hold.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::value::RawValue;

use crate::wire::json::Str;
use crate::wire::skim;
use crate::wire::tagged::{Tagged, tagged};

#[derive(Debug, Deserialize)]
pub struct Reply<'a> {
    #[serde(borrow)]
    pub id: Str<'a>,
    #[serde(borrow)]
    pub model: Str<'a>,
    #[serde(borrow)]
    pub content: Vec<ReplyBlock<'a>>,
    #[serde(default)]
    pub stop_reason: Option<StopReason>,
    #[serde(borrow, default)]
    pub stop_details: Option<StopDetails<'a>>,
    #[serde(default)]
    pub usage: Usage,
}

/// Why the model stopped, as far as the other dialects tell reasons apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// `end_turn`, `stop_sequence`, `pause_turn` and reasons not known yet.
    Ended,
    /// `max_tokens`, `model_context_window_exceeded`, `compaction`.
    Length,
    ToolUse,
    Refusal,
}

impl<'de> Deserialize<'de> for StopReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match &*Str::deserialize(deserializer)? {
            "max_tokens" | "model_context_window_exceeded" | "compaction" => Self::Length,
            "tool_use" => Self::ToolUse,
            "refusal" => Self::Refusal,
            _ => Self::Ended,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct StopDetails<'a> {
    #[serde(borrow, default)]
    pub explanation: Option<Str<'a>>,
}

/// Token counts. In a stream they are cumulative and later ones win; see [`Usage::merge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl Usage {
    /// Takes the counts of a later event; absent and null ones keep their value.
    pub fn merge(&mut self, later: &Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    /// Tokens of the prompt that have nothing to do with a cache.
    pub fn input(&self) -> u64 {
        self.input_tokens.unwrap_or(0)
    }

    /// All tokens of the prompt, cached or not.
    pub fn prompt(&self) -> u64 {
        self.input_tokens.unwrap_or(0).saturating_add(self.cache_read()).saturating_add(self.cache_write())
    }

    pub fn cache_read(&self) -> u64 {
        self.cache_read_input_tokens.unwrap_or(0)
    }

    pub fn cache_write(&self) -> u64 {
        self.cache_creation_input_tokens.unwrap_or(0)
    }

    pub fn output(&self) -> u64 {
        self.output_tokens.unwrap_or(0)
    }

    pub fn thinking(&self) -> u64 {
        self.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0)
    }
}

/// What a reply, or an event of a stream, tells of its tokens.
pub fn usage_in(json: &[u8]) -> Option<Usage> {
    // Nearly all of it is the answer itself, which says nothing of tokens.
    let in_it =
        |object| serde_json::from_slice::<Option<Usage>>(skim::member(object, "usage")?).ok().flatten();
    in_it(json).or_else(|| in_it(skim::member(json, "message")?))
}

#[derive(Debug)]
pub enum ReplyBlock<'a> {
    Text { text: Str<'a>, citations: Vec<Citation<'a>> },
    Thinking { thinking: Str<'a>, signature: Str<'a> },
    RedactedThinking { data: Str<'a> },
    ToolUse { id: Str<'a>, name: Str<'a>, input: Option<&'a RawValue> },
    ServerToolUse { id: Str<'a>, name: Str<'a>, input: Option<&'a RawValue> },
    Other,
}

/// A source the model named for a text. Only those with a URL have a counterpart elsewhere.
#[derive(Clone, Debug, Deserialize)]
pub struct Citation<'a> {
    #[serde(borrow, default)]
    pub url: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub title: Option<Str<'a>>,
}

impl Citation<'_> {
    /// The same citation, outliving the event it came in.
    pub fn into_owned(self) -> Citation<'static> {
        let owned = |text: Option<Str<'_>>| text.map(|text| Str::owned(text.0.into_owned()));
        Citation { url: owned(self.url), title: owned(self.title) }
    }
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    text: Str<'a>,
    #[serde(borrow, default)]
    citations: Option<Vec<Citation<'a>>>,
}

#[derive(Deserialize)]
struct Thought<'a> {
    #[serde(borrow, default)]
    thinking: Str<'a>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct Redacted<'a> {
    #[serde(borrow)]
    data: Str<'a>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ReplyBlock<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer)
    }
}

impl<'de: 'a, 'a> Tagged<'de> for ReplyBlock<'a> {
    fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
        Ok(match &*kind.ok_or_else(|| D::Error::missing_field("type"))? {
            "text" => {
                let Text { text, citations } = Text::deserialize(fields)?;
                Self::Text { text, citations: citations.unwrap_or_default() }
            }
            "thinking" => {
                let Thought { thinking, signature } = Thought::deserialize(fields)?;
                Self::Thinking { thinking, signature: signature.unwrap_or_default() }
            }
            "redacted_thinking" => {
                let Redacted { data } = Redacted::deserialize(fields)?;
                Self::RedactedThinking { data }
            }
            "tool_use" => {
                let Call { id, name, input } = Call::deserialize(fields)?;
                Self::ToolUse { id, name, input }
            }
            "server_tool_use" => {
                let Call { id, name, input } = Call::deserialize(fields)?;
                Self::ServerToolUse { id, name, input }
            }
            _ => {
                IgnoredAny::deserialize(fields)?;
                Self::Other
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::usage_in;

    #[test]
    fn the_tokens_of_a_message_count_where_the_event_names_none() {
        for text in [
            r#"{"usage":{"output_tokens":7}}"#,
            r#"{"message":{"usage":{"output_tokens":7}}}"#,
            r#"{"usage":null,"message":{"usage":{"output_tokens":7}}}"#,
        ] {
            assert_eq!(usage_in(text.as_bytes()).unwrap().output_tokens, Some(7), "{text}");
        }
        assert!(usage_in(br#"{"usage":null}"#).is_none());
    }
}
