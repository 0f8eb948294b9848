//! The events of a streamed reply, read from their data lines.
//!
//! Events, blocks and deltas of unknown types are `Other` and never an error: upstream may add more at any
//! time.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply::{Citation, ReplyBlock, StopDetails, StopReason, Usage};
use crate::wire::error::{ApiError, from_event};
use crate::wire::json::Str;
use crate::wire::sse;

#[derive(Debug)]
pub enum StreamEvent<'a> {
    Start(Start<'a>),
    BlockStart { index: u64, block: ReplyBlock<'a> },
    Delta { index: u64, delta: Delta<'a> },
    BlockStop { index: u64 },
    MessageDelta { stop_reason: Option<StopReason>, stop_details: Option<StopDetails<'a>>, usage: Usage },
    Stop,
    Error(ApiError),
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

/// The data of an event, every field raw or absent until its type says what it must be.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Str<'a>,
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct DeltaFields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Str<'a>,
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

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: Str<'a>,
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
        ) {
            return Ok(Self::Other);
        }
        if let Some(error) = from_event(event) {
            return Ok(Self::Error(error));
        }
        let Envelope { kind, index, message, content_block, delta, usage } =
            serde_json::from_str(&event.data)?;
        Ok(match &*kind {
            "message_start" => Self::Start(required(message, "message")?),
            "content_block_start" => {
                Self::BlockStart { index, block: required(content_block, "content_block")? }
            }
            "content_block_delta" => {
                let raw: &'a RawValue = delta.ok_or_else(|| missing("delta"))?;
                Self::Delta { index, delta: Delta::read(raw.get())? }
            }
            "content_block_stop" => Self::BlockStop { index },
            "message_delta" => {
                let MessageDelta { stop_reason, stop_details } = match delta {
                    Some(raw) => serde_json::from_str(raw.get())?,
                    None => MessageDelta::default(),
                };
                Self::MessageDelta { stop_reason, stop_details, usage: usage.unwrap_or_default() }
            }
            "message_stop" => Self::Stop,
            _ => Self::Other,
        })
    }
}

impl<'a> Delta<'a> {
    fn read(raw: &'a str) -> serde_json::Result<Self> {
        let DeltaFields { kind, text, partial_json, thinking, signature, citation } =
            match serde_json::from_str(raw) {
                Ok(fields) => fields,
                // A delta of a type we do not know may hold anything under these names.
                Err(error) => {
                    let tag: Tag<'_> = serde_json::from_str(raw)?;
                    let known = [
                        "text_delta",
                        "input_json_delta",
                        "thinking_delta",
                        "signature_delta",
                        "citations_delta",
                    ];
                    return if known.contains(&&*tag.kind) { Err(error) } else { Ok(Self::Other) };
                }
            };
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

fn required<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>, name: &'static str) -> serde_json::Result<T> {
    serde_json::from_str(raw.ok_or_else(|| missing(name))?.get())
}

fn missing(name: &'static str) -> serde_json::Error {
    serde::de::Error::missing_field(name)
}
