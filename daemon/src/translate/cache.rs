//! Where a prompt is marked to be cached, for clients that know no such markers.
//!
//! A marker says up to where upstream may keep what it has read; it is no part of the prompt, and no answer depends on it.
//! Up to four: the last tool, the last system block, and the last blocks of the last two user turns. The last turn's
//! marker is where the next request of the conversation reads from; the one before it is where this request does, also
//! when a long loop of tools lies between them. All of it follows from the conversation alone.
//!
//! A client that sets a marker of its own has thought about its prompt: then nothing is added. Upstream ignores markers of
//! prompts below some 1,000 tokens (more on some models), so short bodies get none.

use serde_json::value::RawValue;

use super::draft::below;
use crate::wire::chat::{CacheBreakpoint, CacheOptions};
use crate::wire::messages::{Block, Request, Role, Tool};

/// A body with fewer bytes holds no prompt that upstream would cache.
const SHORT: usize = 2_048;

/// The turns whose ends are marked.
const TURNS: usize = 2;

/// The marker: for five minutes since the last use.
fn marker() -> Option<&'static RawValue> {
    serde_json::from_str(r#"{"type":"ephemeral"}"#).ok()
}

/// A part's own marker, in Anthropic's words or in `OpenAI`'s. `at` is where the part stands.
pub(super) fn own<'a>(
    cache_control: Option<&'a RawValue>,
    breakpoint: Option<CacheBreakpoint<'a>>,
    (at, dropped): (&str, &mut Vec<String>),
) -> Option<&'a RawValue> {
    let breakpoint = breakpoint.and_then(|breakpoint| {
        below(dropped, &format!("{at}.prompt_cache_breakpoint"), breakpoint.unread);
        marker()
    });
    cache_control.or(breakpoint)
}

/// Whether the client says that it sets every marker itself.
pub(super) fn is_explicit(options: Option<CacheOptions<'_>>, dropped: &mut Vec<String>) -> bool {
    options.is_some_and(|options| {
        below(dropped, "prompt_cache_options", options.unread);
        options.mode.as_deref() == Some("explicit")
    })
}

/// Marks a request that has no markers. `size` is the length of the client's body.
pub(super) fn mark(request: &mut Request<'_>, size: usize) {
    if size < SHORT {
        return;
    }
    if let Some(Tool::Client { cache_control, .. }) = request.tools.last_mut() {
        *cache_control = marker();
    }
    if let Some(place) = request.system.iter_mut().rev().find_map(Block::cache_control) {
        *place = marker();
    }
    let users = request.messages.iter_mut().rev().filter(|turn| turn.role == Role::User);
    for turn in users.take(TURNS) {
        if let Some(place) = turn.content.iter_mut().rev().find_map(Block::cache_control) {
            *place = marker();
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
