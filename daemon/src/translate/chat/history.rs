//! The messages of a Chat Completions request, told to a [`History`] one by one.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::translate::cache;
use crate::translate::call::{custom_input, input_object};
use crate::translate::draft::below;
use crate::translate::history::{History, carried_thinking, is_blank, mark_last};
use crate::translate::media;
use crate::translate::models::{Capabilities, ThinkingStyle};
use crate::translate::tools::Names;
use crate::wire::chat::{Content, HistoryCall, HistoryMessage, Part};
use crate::wire::error::ApiError;
use crate::wire::messages::Block;

/// Reads the messages. What cannot be sent is named in `dropped`.
pub(super) fn read_history<'a>(
    messages: Vec<HistoryMessage<'a>>,
    capabilities: &Capabilities,
    names: &Names,
    dropped: &mut Vec<String>,
) -> Result<History<'a>, ApiError> {
    let mut reader = Reader {
        history: History::new(capabilities),
        names,
        dropped,
        thinks: capabilities.thinking != ThinkingStyle::None,
        functions: HashMap::new(),
        function_calls: 0,
    };
    for (index, message) in messages.into_iter().enumerate() {
        reader.message(message, &format!("messages[{index}]"))?;
    }
    Ok(reader.history)
}

struct Reader<'a, 'n> {
    history: History<'a>,
    names: &'n Names,
    dropped: &'n mut Vec<String>,
    /// The model takes thinking blocks back.
    thinks: bool,
    /// The latest legacy call of each function, by its place among all of them, which is its id.
    functions: HashMap<String, usize>,
    function_calls: usize,
}

impl<'a> Reader<'a, '_> {
    fn message(&mut self, mut message: HistoryMessage<'a>, at: &str) -> Result<(), ApiError> {
        below(self.dropped, at, std::mem::take(&mut message.unread));
        // A result's name is the called tool's, which its call has told already.
        let named = !matches!(&*message.role, "function" | "tool");
        if named && message.name.as_ref().is_some_and(|name| !name.is_empty()) {
            self.dropped.push(format!("{at}.name"));
        }
        match &*message.role {
            "system" | "developer" => {
                let mut blocks = self.blocks(message.content.take(), Allowed::Text, at)?;
                mark_last(&mut blocks, message.cache_control);
                for block in blocks {
                    self.history.system(block);
                }
                Ok(())
            }
            "user" => {
                self.history.user_spoke();
                let mut blocks = self.blocks(message.content.take(), Allowed::Media, at)?;
                mark_last(&mut blocks, message.cache_control);
                for block in blocks {
                    self.history.user(block);
                }
                Ok(())
            }
            "assistant" => self.assistant(message, at),
            "tool" => {
                let Some(id) = message.tool_call_id.take() else {
                    let param = format!("{at}.tool_call_id");
                    let text = format!("{param}: field required in a message with role tool");
                    return Err(ApiError::invalid_param(param, text));
                };
                self.result(&id, message, at, "tool_call_id")
            }
            "function" => {
                let name = message.name.take().unwrap_or_default();
                match self.functions.get(&*name).copied() {
                    Some(place) => self.result(&function_id(place), message, at, "name"),
                    None => Err(orphan(&format!("{at}.name"), &name)),
                }
            }
            other => {
                let param = format!("{at}.role");
                let text = format!(
                    "{param}: unknown role {other:?}: use system, developer, user, assistant, tool or function"
                );
                Err(ApiError::invalid_param(param, text))
            }
        }
    }

    fn assistant(&mut self, mut message: HistoryMessage<'a>, at: &str) -> Result<(), ApiError> {
        self.thinking(&mut message, at);
        let mut said = self.blocks(message.content, Allowed::Text, at)?;
        said.extend(message.refusal.map(Block::text).filter(|block| !is_blank(block)));
        let calls = message.tool_calls.unwrap_or_default();
        let mut marker = message.cache_control;
        if calls.is_empty() && message.function_call.is_none() {
            mark_last(&mut said, marker.take());
        }
        for block in said {
            self.history.assistant(block);
        }
        let last = calls.len().saturating_sub(1);
        for (index, call) in calls.into_iter().enumerate() {
            let marker = if index == last { marker.take() } else { None };
            self.call(call, marker, &format!("{at}.tool_calls[{index}]"))?;
        }
        if let Some(call) = message.function_call {
            below(self.dropped, &format!("{at}.function_call"), call.unread);
            let id = function_id(self.function_calls);
            let name = self.names.upstream(None, &call.name);
            let input = input_object(call.arguments.as_deref().unwrap_or_default());
            self.history.tool_use(&id, name, input, marker);
            self.functions.insert(call.name.to_string(), self.function_calls);
            self.function_calls += 1;
        }
        Ok(())
    }

    /// The message's thinking, as far as upstream signed it: in the form it was given in, else as other gateways give it.
    fn thinking(&mut self, message: &mut HistoryMessage<'a>, at: &str) {
        let mut carried = false;
        for (field, blocks) in [
            ("thinking_blocks", message.thinking_blocks.take()),
            ("reasoning_details", message.reasoning_details.take()),
        ] {
            // The second is a copy of the first where there are both.
            if carried {
                break;
            }
            for (index, block) in blocks.into_iter().flatten().enumerate() {
                let at = format!("{at}.{field}[{index}]");
                let thinking = block.thinking.or(block.text);
                let foreign = block.format.is_some_and(|format| !format.starts_with("anthropic"));
                match carried_thinking(&block.kind, thinking, block.signature, block.data) {
                    Some(signed) if self.thinks && !foreign => {
                        self.history.assistant(signed);
                        below(self.dropped, &at, block.unread);
                        carried = true;
                    }
                    _ => self.dropped.push(at),
                }
            }
        }
        // Beside signed blocks the text is a copy.
        let texts = [("reasoning_content", message.reasoning_content), ("reasoning", message.reasoning)];
        let lost = texts.into_iter().filter(|(_, text)| text.0 && !carried);
        self.dropped.extend(lost.map(|(field, _)| format!("{at}.{field}")));
    }

    fn call(
        &mut self,
        call: HistoryCall<'a>,
        marker: Option<&'a RawValue>,
        at: &str,
    ) -> Result<(), ApiError> {
        let Some(id) = call.id else {
            return Err(ApiError::invalid_param(format!("{at}.id"), format!("{at}.id: field required")));
        };
        below(self.dropped, at, call.unread);
        let (name, input) = match (call.function, call.custom) {
            (Some(function), _) => {
                below(self.dropped, &format!("{at}.function"), function.unread);
                (function.name, input_object(function.arguments.as_deref().unwrap_or_default()))
            }
            (None, Some(custom)) => {
                below(self.dropped, &format!("{at}.custom"), custom.unread);
                (custom.name, custom_input(custom.input.as_deref().unwrap_or_default()))
            }
            (None, None) => {
                let param = format!("{at}.function");
                let text = format!("{param}: field required");
                return Err(ApiError::invalid_param(param, text));
            }
        };
        self.history.tool_use(&id, self.names.upstream(None, &name), input, marker);
        Ok(())
    }

    fn result(
        &mut self,
        id: &str,
        message: HistoryMessage<'a>,
        at: &str,
        field: &str,
    ) -> Result<(), ApiError> {
        let content = self.blocks(message.content, Allowed::Media, at)?;
        if self.history.tool_result(id, content, message.cache_control) {
            return Ok(());
        }
        Err(orphan(&format!("{at}.{field}"), id))
    }

    /// The blocks of a message's content, without the empty ones.
    fn blocks(
        &mut self,
        content: Option<Content<'a>>,
        allowed: Allowed,
        at: &str,
    ) -> Result<Vec<Block<'a>>, ApiError> {
        let mut blocks = Vec::new();
        match content {
            None => {}
            Some(Content::Text(text)) => blocks.push(Block::text(text)),
            Some(Content::Parts(parts)) => {
                for (index, mut part) in parts.into_iter().enumerate() {
                    let at = format!("{at}.content[{index}]");
                    let (own, breakpoint) = (part.cache_control.take(), part.prompt_cache_breakpoint.take());
                    let marker = cache::own(own, breakpoint, (&at, self.dropped));
                    self.note_unread(&mut part, &at);
                    // The marker of a part that is left out says as much of the one before it.
                    blocks.extend(Some(block(part, allowed, &at)?).filter(|block| !is_blank(block)));
                    mark_last(&mut blocks, marker);
                }
            }
        }
        blocks.retain(|block| !is_blank(block));
        Ok(blocks)
    }

    fn note_unread(&mut self, part: &mut Part<'a>, at: &str) {
        below(self.dropped, at, std::mem::take(&mut part.unread));
        if let Some(image) = &mut part.image_url {
            let at = format!("{at}.image_url");
            below(self.dropped, &at, std::mem::take(&mut image.unread));
            if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
                self.dropped.push(format!("{at}.detail"));
            }
        }
        if let Some(file) = &mut part.file {
            below(self.dropped, &format!("{at}.file"), std::mem::take(&mut file.unread));
        }
    }
}

fn function_id(place: usize) -> String {
    format!("function_{place}")
}

fn orphan(param: &str, id: &str) -> ApiError {
    ApiError::invalid_param(
        param,
        format!("{param}: no earlier message holds a tool call {id:?} for this result"),
    )
}

/// What content a role may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Text,
    Media,
}

fn block<'a>(part: Part<'a>, allowed: Allowed, at: &str) -> Result<Block<'a>, ApiError> {
    let missing = |field: &str| {
        let param = format!("{at}.{field}");
        let text = format!("{param}: field required in a part of this type");
        ApiError::invalid_param(param, text)
    };
    match &*part.kind {
        "text" => part.text.map(Block::text).ok_or_else(|| missing("text")),
        "refusal" => part.refusal.map(Block::text).ok_or_else(|| missing("refusal")),
        "image_url" if allowed == Allowed::Media => {
            let image = part.image_url.ok_or_else(|| missing("image_url"))?;
            media::image(&image.url, &format!("{at}.image_url.url"))
        }
        "file" if allowed == Allowed::Media => {
            let file = part.file.ok_or_else(|| missing("file"))?;
            match (file.file_data, file.file_id) {
                (Some(data), _) => media::file(&data, file.filename, &format!("{at}.file.file_data")),
                (None, Some(_)) => Err(unsupported(
                    &format!("{at}.file.file_id"),
                    "stored files are not available; send the content as file_data",
                )),
                (None, None) => Err(missing("file.file_data")),
            }
        }
        "input_audio" => Err(unsupported(&format!("{at}.type"), "audio input is not supported")),
        kind @ ("image_url" | "file") => Err(unsupported(
            &format!("{at}.type"),
            &format!("a part of type {kind:?} cannot stand in this role"),
        )),
        other => Err(unsupported(
            &format!("{at}.type"),
            &format!("content parts of type {other:?} are not supported"),
        )),
    }
}

fn unsupported(param: &str, text: &str) -> ApiError {
    ApiError::invalid_param(param, format!("{param}: {text}")).with_code("unsupported_content")
}
