//! The order of messages: who speaks first and last, and which results follow which calls.

use serde_json::Value;

use super::{Complaint, Request, content, only, text};

pub(super) fn messages_is_a_list_of_known_shape(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(messages) = r.field("messages") else {
        return Err("messages: Field required".to_owned());
    };
    let Some(messages) = messages.as_array() else {
        return Err("messages: Input should be a valid list".to_owned());
    };
    if messages.is_empty() {
        return Err("messages: at least one message is required".to_owned());
    }
    for (n, message) in messages.iter().enumerate() {
        let at = format!("messages.{n}");
        let allowed: &[&str] = match text(message, "role") {
            "user" | "assistant" => &["role", "content"],
            "system" => &["role", "content", "output_config"],
            other => {
                return Err(format!("{at}.role: Input should be 'user' or 'assistant', not '{other}'"));
            }
        };
        if !r.beta {
            only(&at, message, allowed)?;
        }
    }
    Ok(())
}

pub(super) fn first_message_is_the_users(r: &Request<'_>) -> Result<(), Complaint> {
    match r.messages().first().map(|m| text(m, "role")) {
        Some("user") => Ok(()),
        _ => Err("messages: first message must use the \"user\" role".to_owned()),
    }
}

pub(super) fn system_messages_stand_where_they_may(r: &Request<'_>) -> Result<(), Complaint> {
    let mut before = "";
    for (n, message) in r.messages().iter().enumerate() {
        let role = text(message, "role");
        if role == "system" {
            if !r.model.late_system {
                return Err(format!("messages.{n}.role: 'system' is not supported by {}", r.model.id));
            }
            if !matches!(before, "user" | "system") {
                return Err(format!("messages.{n}: a system message must follow a user message"));
            }
        }
        before = role;
    }
    Ok(())
}

/// A turn is what the service sees: adjacent messages of one role are one turn, and system messages do not
/// part them.
struct Turn<'a> {
    at: usize,
    role: &'a str,
    blocks: Vec<&'a Value>,
}

fn turns<'a>(r: &Request<'a>) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::new();
    for (at, message) in r.messages().iter().enumerate() {
        let role = text(message, "role");
        // A plain string is one block that is neither a call nor a result; the message stands for it.
        let blocks = match message.get("content") {
            Some(Value::Array(blocks)) => blocks.iter().collect(),
            _ => vec![message],
        };
        match turns.last_mut() {
            _ if role == "system" => {}
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            _ => turns.push(Turn { at, role, blocks }),
        }
    }
    turns
}

fn ids<'a>(turn: &Turn<'a>, kind: &str, field: &str) -> Vec<&'a str> {
    turn.blocks.iter().filter(|b| text(b, "type") == kind).map(|b| text(b, field)).collect()
}

pub(super) fn every_tool_use_is_answered_at_once(r: &Request<'_>) -> Result<(), Complaint> {
    let turns = turns(r);
    let mut open: Vec<&str> = Vec::new();
    for turn in &turns {
        let results = ids(turn, "tool_result", "tool_use_id");
        let at = turn.at;
        if let Some(missing) = open.iter().find(|id| !results.contains(id)) {
            return Err(format!(
                "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {missing}. \
                 Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ));
        }
        let leading = turn.blocks.iter().take_while(|b| text(b, "type") == "tool_result").count();
        if leading < results.len() {
            return Err(format!("messages.{at}: `tool_result` blocks must come first in the user turn"));
        }
        for (n, id) in results.iter().enumerate() {
            if !open.contains(id) {
                return Err(format!(
                    "messages.{at}.content.{n}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                     `tool_result` block must have a corresponding `tool_use` block in the previous message."
                ));
            }
            if results.iter().filter(|other| *other == id).count() > 1 {
                return Err(format!(
                    "messages.{at}: each tool_use must have a single result. Found multiple for {id}"
                ));
            }
        }
        open = ids(turn, "tool_use", "id");
    }
    match open.first() {
        Some(id) => {
            Err(format!("messages: `tool_use` ids were found without `tool_result` blocks after: {id}"))
        }
        None => Ok(()),
    }
}

pub(super) fn tool_use_ids_are_unique(r: &Request<'_>) -> Result<(), Complaint> {
    let mut seen = Vec::new();
    for id in turns(r).iter().flat_map(|t| ids(t, "tool_use", "id")) {
        if seen.contains(&id) {
            return Err(format!("messages: `tool_use` ids must be unique, {id} is there twice"));
        }
        seen.push(id);
    }
    Ok(())
}

pub(super) fn last_message_may_be_the_assistants(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(last) = r.messages().last().filter(|m| text(m, "role") == "assistant") else {
        return Ok(());
    };
    if !r.model.prefill {
        return Err(format!(
            "{} does not support assistant message prefill. The conversation must end with a user message.",
            r.model.id
        ));
    }
    let words = match last.get("content") {
        Some(Value::String(s)) => s,
        _ => content(last).last().map(|b| text(b, "text")).unwrap_or_default(),
    };
    if words.trim_end() == words {
        Ok(())
    } else {
        Err("messages: final assistant content cannot end with trailing whitespace".to_owned())
    }
}

/// With thinking by budget, the assistant turn whose tool results come now must start with its signed block.
pub(super) fn open_tool_loop_starts_with_thinking(r: &Request<'_>) -> Result<(), Complaint> {
    if r.thinking_type() != Some("enabled") {
        return Ok(());
    }
    let turns = turns(r);
    let [.., asked, last] = turns.as_slice() else {
        return Ok(());
    };
    if ids(last, "tool_result", "tool_use_id").is_empty() {
        return Ok(());
    }
    let first = asked.blocks.first().map(|b| text(b, "type")).unwrap_or_default();
    if matches!(first, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    Err(format!(
        "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is \
         enabled, a final `assistant` message must start with a thinking block.",
        asked.at
    ))
}
