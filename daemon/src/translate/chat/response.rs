//! A whole Messages reply becomes a chat completion.

use serde_json::value::RawValue;

use super::{Reply, completion_id};
use crate::translate::call::unwrap_custom_input;
use crate::wire::chat::{
    Annotation, Call, Choice, CitedUrl, Completion, CustomCall, FunctionCall, Message, ThinkingBlock,
};
use crate::wire::error::ApiError;
use crate::wire::json::{Str, compact};
use crate::wire::messages::{self, Citation, ReplyBlock, StopReason};

/// Translates a reply body. `created` is in Unix seconds.
///
/// # Errors
/// A 502 when the body is not a Messages reply.
pub fn from_messages(body: &[u8], reply: &Reply, created: i64) -> Result<Vec<u8>, ApiError> {
    let unreadable = |_| ApiError::bad_gateway("upstream's answer is not a valid Messages reply");
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::bad_gateway("upstream's answer is not valid UTF-8"))?;
    let message: messages::Reply<'_> = serde_json::from_str(text).map_err(unreadable)?;
    let id = completion_id(&message.id);
    let finish_reason = finish_reason(message.stop_reason, reply, has_client_calls(&message.content, reply));

    let mut answer = Answer::default();
    for block in &message.content {
        answer.block(block, reply);
    }
    let refused = message.stop_reason == Some(StopReason::Refusal) && answer.text.is_empty();
    let refusal = message.stop_details.and_then(|details| details.explanation).filter(|_| refused);
    let has_calls = !answer.calls.is_empty() || answer.function.is_some();
    let completion = Completion {
        id: &id,
        object: "chat.completion",
        created,
        model: &message.model,
        choices: [Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content: (!(answer.text.is_empty() && (has_calls || refusal.is_some())))
                    .then_some(answer.text),
                refusal,
                reasoning_content: (!answer.thoughts.is_empty()).then_some(answer.thoughts),
                thinking_blocks: answer.thinking_blocks,
                annotations: answer.annotations,
                tool_calls: answer.calls,
                function_call: answer.function,
            },
            logprobs: None,
            finish_reason,
        }],
        usage: (&message.usage).into(),
        system_fingerprint: None,
    };
    serde_json::to_vec(&completion)
        .map_err(|error| ApiError::api(format!("the translated answer cannot be written: {error}")))
}

/// The parts of an answer, put together block by block.
#[derive(Default)]
struct Answer<'a> {
    text: String,
    thoughts: String,
    thinking_blocks: Vec<ThinkingBlock<'a>>,
    annotations: Vec<Annotation<'a>>,
    calls: Vec<Call<'a>>,
    function: Option<FunctionCall<'a>>,
}

impl<'a> Answer<'a> {
    fn block(&mut self, block: &'a ReplyBlock<'a>, reply: &'a Reply) {
        match block {
            ReplyBlock::Text { text, citations } => {
                let start = self.text.chars().count();
                self.text.push_str(text);
                self.annotations.extend(annotations(citations, start, start + text.chars().count()));
            }
            ReplyBlock::Thinking { thinking, signature } => {
                self.thoughts.push_str(thinking);
                self.thinking_blocks.extend(thinking_block(thinking, signature));
            }
            ReplyBlock::RedactedThinking { data } => {
                self.thinking_blocks.push(ThinkingBlock::RedactedThinking { data });
            }
            ReplyBlock::ToolUse { id, name, input } => self.call(id, name, arguments(*input), reply),
            ReplyBlock::ServerToolUse { .. } | ReplyBlock::Other => {}
        }
    }

    fn call(&mut self, id: &'a str, name: &'a str, arguments: Str<'a>, reply: &'a Reply) {
        if is_answer(name, reply) {
            self.text.push_str(&arguments);
            return;
        }
        let tool = reply.names.client(name);
        let client_name = Some(tool.map_or(name, |tool| tool.name.as_str()));
        if reply.legacy_functions {
            self.function.get_or_insert(FunctionCall { name: client_name, arguments });
        } else if tool.is_some_and(|tool| tool.custom) {
            let custom = CustomCall { name: client_name, input: unwrap_custom_input(&arguments).into() };
            self.calls.push(Call::Custom { id, custom });
        } else {
            self.calls.push(Call::Function { id, function: FunctionCall { name: client_name, arguments } });
        }
    }
}

/// A signed block in the form in which it can be sent back.
pub(super) fn thinking_block<'a>(thinking: &'a str, signature: &'a str) -> Option<ThinkingBlock<'a>> {
    (!signature.is_empty()).then_some(ThinkingBlock::Thinking { thinking, signature })
}

/// The sources with an address, cited for the text between two character positions.
pub(super) fn annotations<'a>(
    citations: &[Citation<'a>],
    start_index: usize,
    end_index: usize,
) -> Vec<Annotation<'a>> {
    let cited = citations.iter().filter_map(|citation| {
        let url_citation = CitedUrl {
            url: citation.url.clone()?,
            title: citation.title.clone().unwrap_or_default(),
            start_index,
            end_index,
        };
        Some(Annotation { kind: "url_citation", url_citation })
    });
    cited.collect()
}

/// A call's input as the compact text clients parse.
pub(super) fn arguments(input: Option<&RawValue>) -> Str<'_> {
    input.map_or(Str::borrowed("{}"), |input| Str(compact(input.get())))
}

pub(super) fn is_answer(name: &str, reply: &Reply) -> bool {
    reply.answer_tool.as_deref() == Some(name)
}

fn has_client_calls(content: &[ReplyBlock<'_>], reply: &Reply) -> bool {
    content.iter().any(|block| matches!(block, ReplyBlock::ToolUse { name, .. } if !is_answer(name, reply)))
}

/// `finish_reason`. A turn whose only call was the answer itself has simply ended.
pub(super) fn finish_reason(stop: Option<StopReason>, reply: &Reply, has_client_calls: bool) -> &'static str {
    match stop {
        Some(StopReason::Length) => "length",
        Some(StopReason::Refusal) => "content_filter",
        Some(StopReason::ToolUse) if reply.answer_tool.is_some() && !has_client_calls => "stop",
        Some(StopReason::ToolUse) if reply.legacy_functions => "function_call",
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::Ended) | None => "stop",
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
