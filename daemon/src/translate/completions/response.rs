//! A whole Messages reply becomes a completion.

use super::{Reply, completion_id, finish_reason};
use crate::wire::completions::{Choice, Completion};
use crate::wire::error::ApiError;
use crate::wire::messages::{self, ReplyBlock, StopReason};

/// Translates a reply body. `created` is in Unix seconds.
///
/// # Errors
/// A 502 when the body is not a Messages reply.
pub fn from_messages(body: &[u8], reply: &Reply, created: i64) -> Result<Vec<u8>, ApiError> {
    let unreadable = |_| ApiError::bad_gateway("upstream's answer is not a valid Messages reply");
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::bad_gateway("upstream's answer is not valid UTF-8"))?;
    let message: messages::Reply<'_> = serde_json::from_str(text).map_err(unreadable)?;
    let mut answer = String::new();
    for block in &message.content {
        if let ReplyBlock::Text { text, .. } = block {
            answer.push_str(text);
        }
    }
    if answer.is_empty() && message.stop_reason == Some(StopReason::Refusal) {
        // There is no field for it here, and an empty text would say nothing.
        let explanation = message.stop_details.as_ref().and_then(|details| details.explanation.as_deref());
        answer.push_str(explanation.unwrap_or_default());
    }
    let text = reply.echo.iter().map(String::as_str).chain([answer.as_str()]).collect::<String>();
    let completion = Completion {
        id: &completion_id(&message.id),
        object: "text_completion",
        created,
        model: &message.model,
        choices: [Choice {
            text: &text,
            index: 0,
            logprobs: None,
            finish_reason: Some(finish_reason(message.stop_reason)),
        }],
        usage: (&message.usage).into(),
    };
    serde_json::to_vec(&completion)
        .map_err(|error| ApiError::api(format!("the translated answer cannot be written: {error}")))
}
