//! The events of a streamed reply, read from their data lines.
//!
//! Events, blocks and deltas of unknown types are `Other` and never an error: upstream may add more at any
//! time.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};

use super::reply::{Citation, ReplyBlock, StopDetails, StopReason, Usage};
use crate::wire::error::{ApiError, from_event};
use crate::wire::json::Str;
use crate::wire::sse;
use crate::wire::tagged::{Tagged, tagged};

#[derive(Debug)]
pub enum StreamEvent<'a> {
    Start(Start<'a>),
    BlockStart {
        index: u64,
        block: ReplyBlock<'a>,
    },
    Delta {
        index: u64,
        delta: Delta<'a>,
    },
    BlockStop {
        index: u64,
    },
    MessageDelta {
        stop_reason: Option<StopReason>,
        stop_details: Option<StopDetails<'a>>,
        usage: Usage,
    },
    Stop,
    Error(ApiError),
    /// Upstream lives and has nothing to say.
    Ping,
    Other,
}

/// The reply's head, as `message_start` gives it.
#[derive(Debug, Deserialize)]
pub struct Start<'a> {
    #[serde(borrow)]
    pub id: Str<'a>,
    #[serde(borrow)]
    pub model: Str<'a>,
    #[serde(default)]
    pub usage: Usage,
}

#[derive(Debug)]
pub enum Delta<'a> {
    Text(Str<'a>),
    Thinking(Str<'a>),
    Signature(Str<'a>),
    Json(Str<'a>),
    Citation(Citation<'a>),
    Other,
}

#[derive(Deserialize)]
struct MessageStart<'a> {
    #[serde(borrow)]
    message: Start<'a>,
}

#[derive(Deserialize)]
struct BlockStart<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    content_block: ReplyBlock<'a>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct BlockStop {
    #[serde(default)]
    index: u64,
}

#[derive(Deserialize)]
struct MessageEnd<'a> {
    #[serde(borrow, default)]
    delta: Option<MessageDelta<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct DeltaFields<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Str<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Str<'a>>,
    #[serde(borrow, default)]
    signature: Option<Str<'a>>,
    #[serde(borrow, default)]
    citation: Option<Citation<'a>>,
}

#[derive(Default, Deserialize)]
struct MessageDelta<'a> {
    #[serde(default)]
    stop_reason: Option<StopReason>,
    #[serde(borrow, default)]
    stop_details: Option<StopDetails<'a>>,
}

impl<'a> StreamEvent<'a> {
    /// Reads one event. An error means that an event we know holds what it must not hold.
    pub fn parse(event: &'a sse::Event) -> serde_json::Result<Self> {
        if !matches!(
            &*event.event,
            "message"
                | "message_start"
                | "content_block_start"
                | "content_block_delta"
                | "content_block_stop"
                | "message_delta"
                | "message_stop"
                | "error"
                | "ping"
        ) {
            return Ok(Self::Other);
        }
        if let Some(error) = from_event(event) {
            return Ok(Self::Error(error));
        }
        match as_usual(&event.data) {
            Some((index, delta)) => Ok(Self::Delta { index, delta }),
            None => serde_json::from_str(&event.data),
        }
    }
}

/// A piece of text, thought or input in the form in which the provider writes it, which nearly all of a stream consists of: it is read
/// without looking for its fields. `None` for whatever else there is, and for what cannot be read.
fn as_usual(data: &str) -> Option<(u64, Delta<'_>)> {
    let rest = data.strip_prefix(r#"{"type":"content_block_delta","index":"#)?;
    let (index, rest) = rest.split_at_checked(rest.bytes().position(|byte| byte == b',')?)?;
    let rest = rest.strip_prefix(r#","delta":{"type":""#)?;
    let (kind, text) = if let Some(text) = rest.strip_prefix(r#"text_delta","text":"#) {
        (Delta::Text as fn(_) -> _, text)
    } else if let Some(json) = rest.strip_prefix(r#"input_json_delta","partial_json":"#) {
        (Delta::Json as fn(_) -> _, json)
    } else {
        (Delta::Thinking as fn(_) -> _, rest.strip_prefix(r#"thinking_delta","thinking":"#)?)
    };
    // It fills its events up with spaces before the last bracket.
    let text = text.strip_suffix('}')?.trim_end_matches(' ').strip_suffix('}')?;
    let plain = text.strip_prefix('"')?.strip_suffix('"')?;
    // With everything in it that must not stand in a text as it is, only a reader of JSON knows what it says.
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    let plain = plain.as_bytes().iter().fold(true, |all, byte| all & is_plain(byte)).then_some(plain);
    let text = plain.map(Str::borrowed).or_else(|| serde_json::from_str(text).ok())?;
    let is_number =
        index.bytes().all(|byte| byte.is_ascii_digit()) && (index == "0" || !index.starts_with('0'));
    Some((index.parse().ok().filter(|_| is_number)?, kind(text)))
}

impl<'de: 'a, 'a> Deserialize<'de> for StreamEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer)
    }
}

impl<'de: 'a, 'a> Tagged<'de> for StreamEvent<'a> {
    fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
        Ok(match &*kind.ok_or_else(|| D::Error::missing_field("type"))? {
            "message_start" => Self::Start(MessageStart::deserialize(fields)?.message),
            "content_block_start" => {
                let BlockStart { index, content_block } = BlockStart::deserialize(fields)?;
                Self::BlockStart { index, block: content_block }
            }
            "content_block_delta" => {
                let BlockDelta { index, delta } = BlockDelta::deserialize(fields)?;
                Self::Delta { index, delta }
            }
            "content_block_stop" => Self::BlockStop { index: BlockStop::deserialize(fields)?.index },
            "message_delta" => {
                let MessageEnd { delta, usage } = MessageEnd::deserialize(fields)?;
                let MessageDelta { stop_reason, stop_details } = delta.unwrap_or_default();
                Self::MessageDelta { stop_reason, stop_details, usage: usage.unwrap_or_default() }
            }
            other => {
                IgnoredAny::deserialize(fields)?;
                match other {
                    "message_stop" => Self::Stop,
                    "ping" => Self::Ping,
                    _ => Self::Other,
                }
            }
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Delta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer)
    }
}

impl<'de: 'a, 'a> Tagged<'de> for Delta<'a> {
    fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
        let kind = kind.ok_or_else(|| D::Error::missing_field("type"))?;
        let known =
            ["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta"];
        if !known.contains(&&*kind) {
            // One of a type that we do not know may hold anything under these names.
            IgnoredAny::deserialize(fields)?;
            return Ok(Self::Other);
        }
        let DeltaFields { text, partial_json, thinking, signature, citation } =
            DeltaFields::deserialize(fields)?;
        Ok(match (&*kind, text, partial_json, thinking, signature, citation) {
            ("text_delta", Some(text), ..) => Self::Text(text),
            ("input_json_delta", _, Some(json), ..) => Self::Json(json),
            ("thinking_delta", _, _, Some(thinking), ..) => Self::Thinking(thinking),
            ("signature_delta", _, _, _, Some(signature), _) => Self::Signature(signature),
            ("citations_delta", .., Some(citation)) => Self::Citation(citation),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_its_fields(data: &str) -> String {
        match serde_json::from_str(data) {
            Ok(StreamEvent::Delta { index, delta }) => format!("{index} {delta:?}"),
            other => format!("{other:?}"),
        }
    }

    fn event(kind: &str, index: u64, text: &str, spaces: usize) -> String {
        let [of, field] = match kind {
            "text" => ["text_delta", "text"],
            "json" => ["input_json_delta", "partial_json"],
            _ => ["thinking_delta", "thinking"],
        };
        let fill = " ".repeat(spaces);
        format!(
            r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"{of}","{field}":{text}}}{fill}}}"#
        )
    }

    proptest! {
        #[test]
        fn a_delta_as_usual_is_read_as_any_other(
            kind in prop_oneof![Just("text"), Just("json"), Just("thinking")],
            index in prop_oneof![Just(0), 1..20_u64, any::<u64>()],
            text: String,
            spaces in 0..3_usize,
        ) {
            let data = event(kind, index, &serde_json::to_string(&text).unwrap(), spaces);
            let (index, delta) = as_usual(&data).unwrap();
            prop_assert_eq!(format!("{index} {delta:?}"), by_its_fields(&data));
        }

        #[test]
        fn what_cannot_be_read_is_not_read_as_usual(text in r#"[a"\\\n}{, u0]{0,8}"#) {
            let data = event("text", 0, &format!("\"{text}\""), 0);
            if let Some((index, delta)) = as_usual(&data) {
                prop_assert_eq!(format!("{index} {delta:?}"), by_its_fields(&data));
            }
        }
    }

    #[test]
    fn only_what_has_the_usual_form_is_read_as_usual() {
        let usual = event("text", 3, r#""a""#, 2);
        assert_eq!(format!("{:?}", as_usual(&usual)), r#"Some((3, Text("a")))"#);
        for (part, other) in [
            ("\"index\":3", "\"index\":-3"),
            ("\"index\":3", "\"index\":03"),
            ("\"index\":3", "\"index\":3,\"more\":{}"),
            ("\"index\":3,", ""),
            ("text_delta", "signature_delta"),
            ("\"text\":", "\"text\": "),
            ("\"a\"", "\"a\",\"text\":\"b\""),
            ("\"a\"", "null"),
            ("\"a\"", "\"a\\\""),
            ("  }", ",\"more\":1}"),
            ("  }", "  }}"),
        ] {
            let data = usual.replacen(part, other, 1);
            assert!(data != usual && as_usual(&data).is_none(), "{data}");
        }
    }
}
