//! The input items of a Responses request, told to a [`History`] one by one.

use serde_json::value::RawValue;

use super::{Recalled, carrier};
use crate::translate::cache;
use crate::translate::call::{custom_input, input_object};
use crate::translate::draft::below;
use crate::translate::history::{History, is_blank, mark_last};
use crate::translate::media;
use crate::translate::models::{Capabilities, ThinkingStyle};
use crate::translate::tools::Names;
use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::Block;
use crate::wire::responses::{CallOutput, Content, Input, InputItem, Message, Part, ReasoningItem, ToolCall};

/// An item of the conversation, and where it stands.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) item: InputItem<'a>,
    /// Its place in the request's input; `None` in what the request goes on from.
    place: Option<usize>,
}

impl<'a> Placed<'a> {
    /// What the request goes on from, and then its own input, with what is referred to in place of each reference.
    pub(super) fn all(recalled: &'a Recalled, input: Input<'a>) -> Result<Vec<Self>, ApiError> {
        let stored = |error| ApiError::api(format!("a stored response cannot be read: {error}"));
        let mut all = Vec::new();
        for items in &recalled.conversation {
            let items: Vec<InputItem<'a>> = serde_json::from_str(items.get()).map_err(stored)?;
            all.extend(items.into_iter().map(|item| Self { item, place: None }));
        }
        let own = match input {
            Input::Text(text) => vec![InputItem::Message(Message::user(text.into()))],
            Input::Items(items) => items,
        };
        for (place, item) in own.into_iter().enumerate() {
            let item = match &item {
                InputItem::Reference { id } => match recalled.items.get(&**id) {
                    Some(found) => serde_json::from_str(found.get()).map_err(stored)?,
                    None => item,
                },
                _ => item,
            };
            all.push(Self { item, place: Some(place) });
        }
        Ok(all)
    }

    /// For errors.
    pub(super) fn at(&self) -> String {
        self.place.map_or_else(|| "previous_response_id".to_owned(), |place| format!("input[{place}]"))
    }
}

/// Reads instructions and items. What the request itself has and cannot be sent is named in `dropped`.
pub(super) fn read_history<'a>(
    instructions: Option<Str<'a>>,
    items: Vec<Placed<'a>>,
    capabilities: &Capabilities,
    names: &Names,
    dropped: &mut Vec<String>,
) -> Result<History<'a>, ApiError> {
    let mut history = History::new(capabilities);
    if let Some(instructions) = instructions {
        history.system(Block::text(instructions));
    }
    let thinks = capabilities.thinking != ThinkingStyle::None;
    // It was declared when it was dropped first.
    let mut declared = Vec::new();
    let mut reader = Reader { history, names, thinks, dropped: &mut declared };
    let mut items = items.into_iter().peekable();
    while let Some(placed) = items.next_if(|placed| placed.place.is_none()) {
        let at = placed.at();
        reader.item(placed.item, &at)?;
    }
    let mut reader = Reader { history: reader.history, names, thinks, dropped };
    for placed in items {
        let at = placed.at();
        reader.item(placed.item, &at)?;
    }
    Ok(reader.history)
}

struct Reader<'a, 'n> {
    history: History<'a>,
    names: &'n Names,
    /// The model takes thinking blocks back.
    thinks: bool,
    dropped: &'n mut Vec<String>,
}

impl<'a> Reader<'a, '_> {
    fn item(&mut self, item: InputItem<'a>, at: &str) -> Result<(), ApiError> {
        match item {
            InputItem::Message(message) => self.message(message, at)?,
            InputItem::FunctionCall(mut call) => {
                below(self.dropped, at, std::mem::take(&mut call.unread));
                let input = input_object(call.arguments.as_deref().unwrap_or_default());
                self.call(&call, input);
            }
            InputItem::CustomToolCall(mut call) => {
                below(self.dropped, at, std::mem::take(&mut call.unread));
                let input = custom_input(call.input.as_deref().unwrap_or_default());
                self.call(&call, input);
            }
            InputItem::CallOutput(output) => self.output(output, at)?,
            InputItem::Reasoning(ReasoningItem { encrypted_content, summary, content, unread, .. }) => {
                below(self.dropped, at, unread);
                let carried = encrypted_content.filter(|text| !text.is_empty());
                let block = carried.as_deref().and_then(carrier::block).filter(|_| self.thinks);
                match (block, carried) {
                    (Some(block), _) => self.history.assistant(block),
                    (None, Some(_)) => self.dropped.push(format!("{at}.encrypted_content")),
                    // Beside what is encrypted the texts are copies.
                    (None, None) => {
                        let texts = [("summary", summary), ("content", content)].into_iter();
                        let lost = texts.filter(|(_, text)| text.0);
                        self.dropped.extend(lost.map(|(field, _)| format!("{at}.{field}")));
                    }
                }
            }
            // Its tools are in the list already.
            InputItem::AdditionalTools(_) => {}
            InputItem::Reference { id } => {
                let text = format!("{at}: item {:?} is not known", &*id);
                return Err(ApiError::invalid_param(at, text).with_code("item_not_found"));
            }
            InputItem::ServerTool { kind } => self.dropped.push(format!("{at} ({})", &*kind)),
            InputItem::Other { kind } => {
                let param = format!("{at}.type");
                let text = format!("{param}: items of type {:?} are not supported", &*kind);
                return Err(ApiError::invalid_param(param, text).with_code("unsupported_content"));
            }
        }
        Ok(())
    }

    fn message(&mut self, message: Message<'a>, at: &str) -> Result<(), ApiError> {
        below(self.dropped, at, message.unread);
        let add = match &*message.role {
            "user" => {
                self.history.user_spoke();
                History::user
            }
            "assistant" => History::assistant,
            "system" | "developer" => History::system,
            other => {
                let param = format!("{at}.role");
                let text =
                    format!("{param}: unknown role {other:?}: use user, assistant, system or developer");
                return Err(ApiError::invalid_param(param, text));
            }
        };
        let media = &*message.role == "user";
        for block in self.blocks(message.content, media, &format!("{at}.content"))? {
            add(&mut self.history, block);
        }
        Ok(())
    }

    fn call(&mut self, call: &ToolCall<'a>, input: Box<RawValue>) {
        let name = self.names.upstream(call.namespace.as_deref(), &call.name);
        self.history.tool_use(&call.call_id, name, input, None);
    }

    fn output(&mut self, output: CallOutput<'a>, at: &str) -> Result<(), ApiError> {
        below(self.dropped, at, output.unread);
        let content = self.blocks(output.output, true, &format!("{at}.output"))?;
        if self.history.tool_result(&output.call_id, content, None) {
            return Ok(());
        }
        let param = format!("{at}.call_id");
        let text = format!("{param}: no earlier item is a call {:?} for this output", &*output.call_id);
        Err(ApiError::invalid_param(param, text))
    }

    /// The blocks of a message or an output, without the empty ones.
    fn blocks(
        &mut self,
        content: Option<Content<'a>>,
        media: bool,
        at: &str,
    ) -> Result<Vec<Block<'a>>, ApiError> {
        let mut blocks = Vec::new();
        match content {
            None => {}
            Some(Content::Text(text)) => blocks.push(Block::text(text)),
            Some(Content::Parts(parts)) => {
                for (index, mut part) in parts.into_iter().enumerate() {
                    let at = format!("{at}[{index}]");
                    below(self.dropped, &at, std::mem::take(&mut part.unread));
                    if part.detail.as_deref().is_some_and(|detail| detail != "auto") {
                        self.dropped.push(format!("{at}.detail"));
                    }
                    let (own, breakpoint) = (part.cache_control.take(), part.prompt_cache_breakpoint.take());
                    let marker = cache::own(own, breakpoint, (&at, self.dropped));
                    // The marker of a part that is left out says as much of the one before it.
                    blocks.extend(Some(block(part, media, &at)?).filter(|block| !is_blank(block)));
                    mark_last(&mut blocks, marker);
                }
            }
        }
        blocks.retain(|block| !is_blank(block));
        Ok(blocks)
    }
}

/// Said of files a client uploaded elsewhere.
const STORED: &str = "stored files are not available; send the content itself";

fn block<'a>(part: Part<'a>, media: bool, at: &str) -> Result<Block<'a>, ApiError> {
    let unsupported = |param: String, text: &str| {
        Err(ApiError::invalid_param(&*param, format!("{param}: {text}")).with_code("unsupported_content"))
    };
    let missing = |field: &str| {
        let param = format!("{at}.{field}");
        let text = format!("{param}: field required in a part of this type");
        ApiError::invalid_param(param, text)
    };
    match &*part.kind {
        "input_text" | "output_text" | "text" => part.text.map(Block::text).ok_or_else(|| missing("text")),
        "refusal" => part.refusal.map(Block::text).ok_or_else(|| missing("refusal")),
        "input_image" if media => match (part.image_url, part.file_id) {
            (Some(url), _) => media::image(&url, &format!("{at}.image_url")),
            (None, Some(_)) => unsupported(format!("{at}.file_id"), STORED),
            (None, None) => Err(missing("image_url")),
        },
        "input_file" if media => match (part.file_data, part.file_url, part.file_id) {
            (Some(data), ..) => media::file(&data, part.filename, &format!("{at}.file_data")),
            (None, Some(url), _) => media::file_url(&url, part.filename, &format!("{at}.file_url")),
            (None, None, Some(_)) => unsupported(format!("{at}.file_id"), STORED),
            (None, None, None) => Err(missing("file_data")),
        },
        "input_audio" => unsupported(format!("{at}.type"), "audio input is not supported"),
        kind @ ("input_image" | "input_file") => {
            unsupported(format!("{at}.type"), &format!("a part of type {kind:?} cannot stand in this role"))
        }
        other => {
            unsupported(format!("{at}.type"), &format!("content parts of type {other:?} are not supported"))
        }
    }
}
