//! Thoughts that are bound to the conversation before them: on some models a thinking block is worth something only
//! where system, tools and every block before it are what they were when it was made.
//!
//! Pure. Marks of the cache are no part of a conversation, and a text is the same as one text block.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::checks::{content, list, text};
use super::message::signature_of;

/// What a thought after these messages is bound to.
pub(super) fn mark_of(body: &Map<String, Value>, before: &[Value]) -> String {
    let part = |name: &str| body.get(name).map_or(Value::Null, plain);
    let messages: Vec<Value> = before.iter().map(plain).collect();
    let bound = json!([part("system"), part("tools"), messages]);
    STANDARD.encode(Sha256::digest(bound.to_string()))
}

/// Where the first thinking block stands that does not belong to what is before it.
pub(super) fn misplaced(body: &Map<String, Value>) -> Option<String> {
    let messages = list(body.get("messages"));
    messages.iter().enumerate().find_map(|(at, message)| {
        // The fake thinks before anything else it says.
        let first = content(message).first().filter(|block| text(block, "type") == "thinking")?;
        let before = messages.get(..at).unwrap_or_default();
        let signature = text(first, "signature");
        // Another model's may be bound to nothing.
        let bound = signature != signature_of(text(first, "thinking"));
        (bound && !signature.contains(&mark_of(body, before))).then(|| format!("messages.{at}.content.0"))
    })
}

/// Whether misplaced blocks are to be dropped instead of refused.
pub(super) fn drops(body: &Map<String, Value>) -> bool {
    let behavior = body.get("thinking").and_then(|t| t.get("block_binding")?.get("prefix_mismatch_behavior"));
    behavior.and_then(Value::as_str) == Some("drop_block")
}

/// The value without what does not change its meaning.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "cache_control")
            .map(|(name, value)| {
                let value = match value {
                    Value::String(words) if name == "content" => json!([{"type": "text", "text": words}]),
                    other => plain(other),
                };
                (name.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}
