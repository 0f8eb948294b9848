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
            event.event.as_str(),
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
        serde_json::from_str(&event.data)
    }
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
