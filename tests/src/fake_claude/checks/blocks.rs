//! Content blocks: their shapes, whose they may be, and what must not be empty.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::fake_claude::message::is_signature_of;

use super::tools::is_name;
use super::{Complaint, Request, blank, content, list, only, text};

/// Type, the roles that may use it, and its fields.
const BLOCKS: &[(&str, &[&str], &[&str])] = &[
    (
        "text",
        &["user", "assistant", "system", "tool_result"],
        &["type", "text", "cache_control", "citations"],
    ),
    ("image", &["user", "tool_result"], &["type", "source", "cache_control"]),
    (
        "document",
        &["user", "assistant", "tool_result"],
        &["type", "source", "title", "context", "citations", "cache_control"],
    ),
    (
        "search_result",
        &["user", "tool_result"],
        &["type", "source", "title", "content", "citations", "cache_control"],
    ),
    ("tool_use", &["assistant"], &["type", "id", "name", "input", "cache_control", "caller"]),
    ("tool_result", &["user"], &["type", "tool_use_id", "content", "is_error", "cache_control"]),
    ("thinking", &["assistant"], &["type", "thinking", "signature"]),
    ("redacted_thinking", &["assistant"], &["type", "data"]),
    ("server_tool_use", &["assistant"], &["type", "id", "name", "input", "cache_control", "caller"]),
    (
        "web_search_tool_result",
        &["assistant"],
        &["type", "tool_use_id", "content", "cache_control", "caller"],
    ),
];

pub(super) fn contents_are_not_empty_and_well_formed(r: &Request<'_>) -> Result<(), Complaint> {
    for (n, message) in r.messages().iter().enumerate() {
        let (at, role) = (format!("messages.{n}"), text(message, "role"));
        match message.get("content") {
            Some(Value::String(s)) if blank(s) => {
                return Err(format!("{at}: all messages must have non-empty content"));
            }
            Some(Value::String(_)) => {}
            Some(Value::Array(blocks)) if blocks.is_empty() => {
                return Err(format!("{at}: all messages must have non-empty content"));
            }
            Some(Value::Array(blocks)) => {
                for (b, block) in blocks.iter().enumerate() {
                    one_block(&format!("{at}.content.{b}"), block, role, r)?;
                }
            }
            _ => return Err(format!("{at}.content: Input should be a valid string or list")),
        }
    }
    Ok(())
}

fn one_block(at: &str, block: &Value, role: &str, r: &Request<'_>) -> Result<(), Complaint> {
    let kind = text(block, "type");
    let Some((_, roles, fields)) = BLOCKS.iter().find(|(name, ..)| *name == kind) else {
        return if r.beta && !kind.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
            ))
        };
    };
    if !roles.contains(&role) {
        return Err(format!("{at}: `{kind}` blocks are not allowed in {role} content"));
    }
    if !r.beta {
        only(at, block, fields)?;
    }
    match kind {
        "text" => {
            let Some(words) = block.get("text").and_then(Value::as_str) else {
                return Err(format!("{at}.text.text: Field required"));
            };
            if words.is_empty() {
                return Err(format!("{at}: text content blocks must be non-empty"));
            }
            if blank(words) {
                return Err(format!("{at}: text content blocks must contain non-whitespace text"));
            }
            let cited = !list(block.get("citations")).is_empty();
            if cited && role == "user" && r.version == "2026-10-21" {
                return Err(format!("{at}.citations: not permitted in user content"));
            }
            Ok(())
        }
        "image" => image(at, block),
        "document" if role == "assistant" && r.version == "2026-10-21" => {
            Err(format!("{at}: `document` blocks are not allowed in assistant content"))
        }
        "document" => document(at, block),
        "tool_use" | "server_tool_use" => tool_use(at, block),
        "tool_result" => tool_result(at, block, r),
        "thinking" => thinking(at, block),
        "redacted_thinking" if text(block, "data").is_empty() => {
            Err(format!("{at}.redacted_thinking.data: Field required"))
        }
        _ => Ok(()),
    }
}

fn tool_use(at: &str, block: &Value) -> Result<(), Complaint> {
    let id = text(block, "id");
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(format!("{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    if !is_name(text(block, "name")) {
        return Err(format!("{at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"));
    }
    if !block.get("input").is_some_and(Value::is_object) {
        return Err(format!("{at}.tool_use.input: Input should be a valid dictionary"));
    }
    Ok(())
}

fn tool_result(at: &str, block: &Value, r: &Request<'_>) -> Result<(), Complaint> {
    if text(block, "tool_use_id").is_empty() {
        return Err(format!("{at}.tool_result.tool_use_id: Field required"));
    }
    match block.get("content") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => {
            for (n, part) in parts.iter().enumerate() {
                one_block(&format!("{at}.tool_result.content.{n}"), part, "tool_result", r)?;
            }
            Ok(())
        }
        Some(_) => Err(format!("{at}.tool_result.content: Input should be a valid string or list")),
    }
}

fn thinking(at: &str, block: &Value) -> Result<(), Complaint> {
    let Some(thought) = block.get("thinking").and_then(Value::as_str) else {
        return Err(format!("{at}.thinking.thinking: Field required"));
    };
    let Some(signature) = block.get("signature").and_then(Value::as_str) else {
        return Err(format!("{at}.thinking.signature: Field required"));
    };
    if is_signature_of(signature, thought) {
        Ok(())
    } else {
        Err(format!("{at}: Invalid `signature` in `thinking` block"))
    }
}

fn image(at: &str, block: &Value) -> Result<(), Complaint> {
    let source = block.get("source").ok_or_else(|| format!("{at}.image.source: Field required"))?;
    let at = format!("{at}.image.source");
    match text(source, "type") {
        "base64" => {
            only(&at, source, &["type", "media_type", "data"])?;
            let media_type = text(source, "media_type");
            let data = STANDARD.decode(text(source, "data")).unwrap_or_default();
            let Some(found) = image_type(&data) else {
                return Err(format!("{at}.base64.data: Could not process image"));
            };
            if found == media_type {
                Ok(())
            } else {
                Err(format!("{at}: Image does not match the provided media type {media_type}"))
            }
        }
        "url" => https_url(&at, source),
        "file" => Ok(()),
        other => Err(format!(
            "{at}: Input tag '{other}' found using 'type' does not match any of the expected tags"
        )),
    }
}

/// By the first bytes, as the service does.
fn image_type(data: &[u8]) -> Option<&'static str> {
    match data {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn https_url(at: &str, source: &Value) -> Result<(), Complaint> {
    only(at, source, &["type", "url"])?;
    if text(source, "url").starts_with("https://") {
        Ok(())
    } else {
        Err(format!("{at}.url: Only HTTPS URLs are supported"))
    }
}

fn document(at: &str, block: &Value) -> Result<(), Complaint> {
    let source = block.get("source").ok_or_else(|| format!("{at}.document.source: Field required"))?;
    let at = format!("{at}.document.source");
    match text(source, "type") {
        "base64" => {
            only(&at, source, &["type", "media_type", "data"])?;
            if text(source, "media_type") != "application/pdf" {
                return Err(format!("{at}.base64.media_type: Input should be 'application/pdf'"));
            }
            match STANDARD.decode(text(source, "data")) {
                Ok(data) if data.starts_with(b"%PDF") => Ok(()),
                _ => Err(format!("{at}.base64.data: The PDF specified was not valid")),
            }
        }
        "text" => {
            only(&at, source, &["type", "media_type", "data"])?;
            if text(source, "media_type") != "text/plain" {
                return Err(format!("{at}.text.media_type: Input should be 'text/plain'"));
            }
            if blank(text(source, "data")) {
                Err(format!("{at}.text.data: must not be empty"))
            } else {
                Ok(())
            }
        }
        "url" => https_url(&at, source),
        "content" | "file" => Ok(()),
        other => Err(format!(
            "{at}: Input tag '{other}' found using 'type' does not match any of the expected tags"
        )),
    }
}

pub(super) fn system_is_text(r: &Request<'_>) -> Result<(), Complaint> {
    match r.field("system") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => {
            for (n, block) in blocks.iter().enumerate() {
                let at = format!("system.{n}");
                if text(block, "type") != "text" {
                    return Err(format!("{at}.type: Input should be 'text'"));
                }
                one_block(&at, block, "system", r)?;
            }
            Ok(())
        }
        Some(_) => Err("system: Input should be a valid string or list".to_owned()),
    }
}

pub(super) fn at_most_four_cache_breakpoints(r: &Request<'_>) -> Result<(), Complaint> {
    let blocks = r.messages().iter().flat_map(content);
    let results = r.messages().iter().flat_map(content).flat_map(content);
    let everywhere = blocks.chain(results).chain(list(r.field("system"))).chain(list(r.field("tools")));
    let marked = everywhere.filter(|b| b.get("cache_control").is_some_and(|c| !c.is_null())).count();
    if marked > 4 {
        return Err(format!("A maximum of 4 blocks with cache_control may be provided. Found {marked}."));
    }
    Ok(())
}
