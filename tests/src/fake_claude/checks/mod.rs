//! What the Messages API refuses: a table of checks, each of which knows one rule.
//!
//! Pure. The point is that a mistake of a translation shows up as a 400 with the field's path in the text.
//! Where the real service is known to take something, so does the fake; it never repairs a request.

mod blocks;
mod conversation;
mod options;
mod schema;
mod tools;

use serde_json::{Map, Value};

use super::models::Model;

/// A request under check.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) body: &'a Map<String, Value>,
    pub(super) model: &'a Model,
    /// `anthropic-version`.
    pub(super) version: &'a str,
    /// The request asks for features beyond the table (`?beta=true` or a beta that is not about
    /// credentials), so that fields and blocks unknown here may well be right.
    pub(super) beta: bool,
    /// It came to `count_tokens`.
    pub(super) counting: bool,
}

/// The text of a 400.
pub(super) type Complaint = String;

type Check = fn(&Request<'_>) -> Result<(), Complaint>;

/// In the order in which the service complains: shape first, then content, then what excludes what.
const CHECKS: &[Check] = &[
    options::only_known_fields,
    options::max_tokens_is_given_and_within_the_model,
    conversation::messages_is_a_list_of_known_shape,
    conversation::first_message_is_the_users,
    conversation::system_messages_stand_where_they_may,
    blocks::contents_are_not_empty_and_well_formed,
    blocks::at_most_four_cache_breakpoints,
    conversation::every_tool_use_is_answered_at_once,
    conversation::tool_use_ids_are_unique,
    conversation::last_message_may_be_the_assistants,
    blocks::system_is_text,
    tools::tools_are_well_formed,
    tools::tool_names_are_unique,
    tools::tool_choice_fits_the_tools,
    options::sampling_is_allowed,
    options::stop_sequences_are_not_blank,
    options::metadata_holds_an_opaque_user_id,
    options::small_enums,
    options::thinking_is_one_the_model_takes,
    options::output_config_is_one_the_model_takes,
    schema::the_grammar_is_not_too_large,
    options::thinking_excludes_sampling_and_forced_tools,
    conversation::open_tool_loop_starts_with_thinking,
];

/// The first complaint, if there is any.
pub(super) fn check(request: &Request<'_>) -> Result<(), Complaint> {
    CHECKS.iter().try_for_each(|check| check(request))
}

impl<'a> Request<'a> {
    pub(super) fn field(&self, name: &str) -> Option<&'a Value> {
        self.body.get(name)
    }

    /// The messages; an empty slice if they are missing, which has its own check.
    pub(super) fn messages(&self) -> &'a [Value] {
        list(self.field("messages"))
    }

    pub(super) fn thinking_type(&self) -> Option<&'a str> {
        self.field("thinking")?.get("type")?.as_str()
    }

    fn thinks(&self) -> bool {
        self.model.thinks(self.thinking_type())
    }
}

/// A list's elements, or none.
pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A string field, or the empty string.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The content's blocks; a string is no blocks.
pub(super) fn content(message: &Value) -> &[Value] {
    list(message.get("content"))
}

fn only(at: &str, value: &Value, allowed: &[&str]) -> Result<(), Complaint> {
    let Some(fields) = value.as_object() else {
        return Err(format!("{at}: Input should be an object"));
    };
    match fields.keys().find(|k| !allowed.contains(&k.as_str())) {
        Some(extra) => Err(format!("{at}.{extra}: Extra inputs are not permitted")),
        None => Ok(()),
    }
}

fn blank(text: &str) -> bool {
    text.trim().is_empty()
}

#[cfg(test)]
mod tests;
