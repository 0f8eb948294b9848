//! A whole Messages reply becomes a response object.

use bytes::BytesMut;

use super::assembly::Assembly;
use super::frames::Frames;
use super::{Reply, base_id};
use crate::wire::error::ApiError;
use crate::wire::messages::{self, StopReason};
use crate::wire::responses::Response;

/// Translates a reply body. `created` is in Unix seconds.
///
/// # Errors
/// A 502 when the body is not a Messages reply.
pub fn from_messages(body: &[u8], reply: &Reply, created: i64) -> Result<Vec<u8>, ApiError> {
    let unreadable = |_| ApiError::bad_gateway("upstream's answer is not a valid Messages reply");
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::bad_gateway("upstream's answer is not valid UTF-8"))?;
    let message: messages::Reply<'_> = serde_json::from_str(text).map_err(unreadable)?;

    let mut unheard = BytesMut::new();
    let mut assembly = Assembly::new(reply.clone(), Frames::silent());
    assembly.begin(base_id(&message.id), &message.model);
    for block in message.content {
        assembly.start_block(block, &mut unheard);
    }
    let explanation = message.stop_details.and_then(|details| details.explanation);
    let stop = message.stop_reason.unwrap_or(StopReason::Ended);
    let (status, incomplete_details) = assembly.finish(stop, explanation.as_deref(), &mut unheard);
    let id = format!("resp_{}", base_id(&message.id));
    let response = Response {
        status,
        incomplete_details,
        completed_at: Some(created),
        output: &assembly.items,
        usage: Some((&message.usage).into()),
        ..Response::begun(&id, created, &message.model, &reply.echo)
    };
    serde_json::to_vec(&response)
        .map_err(|error| ApiError::api(format!("the translated answer cannot be written: {error}")))
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
