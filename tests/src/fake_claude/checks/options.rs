//! The fields beside the conversation and the tools.

use serde_json::Value;

use super::{Complaint, Request, blank, list, only, schema, text};

const MESSAGE_FIELDS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "metadata",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

const COUNT_FIELDS: &[&str] = &[
    "model",
    "messages",
    "cache_control",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

pub(super) fn only_known_fields(r: &Request<'_>) -> Result<(), Complaint> {
    let allowed = if r.counting { COUNT_FIELDS } else { MESSAGE_FIELDS };
    for name in r.body.keys().map(String::as_str) {
        let never_here = r.counting && matches!(name, "max_tokens" | "stream");
        if never_here || (!r.beta && !allowed.contains(&name)) {
            return Err(format!("{name}: Extra inputs are not permitted"));
        }
    }
    Ok(())
}

pub(super) fn max_tokens_is_given_and_within_the_model(r: &Request<'_>) -> Result<(), Complaint> {
    if r.counting {
        return Ok(());
    }
    let Some(given) = r.field("max_tokens") else {
        return Err("max_tokens: Field required".to_owned());
    };
    match given.as_u64() {
        None => Err("max_tokens: Input should be a valid integer".to_owned()),
        Some(0) => Err("max_tokens: Input should be greater than or equal to 1".to_owned()),
        Some(n) if n > r.model.max_tokens => Err(format!(
            "max_tokens: {n} > {}, which is the maximum allowed number of output tokens for {}",
            r.model.max_tokens, r.model.id
        )),
        Some(_) => Ok(()),
    }
}

pub(super) fn sampling_is_allowed(r: &Request<'_>) -> Result<(), Complaint> {
    let given = |name: &str| r.field(name).is_some();
    for (name, highest) in [("temperature", 1.0), ("top_p", 1.0), ("top_k", f64::MAX)] {
        let Some(value) = r.field(name) else { continue };
        let Some(number) = value.as_f64() else {
            return Err(format!("{name}: Input should be a valid number"));
        };
        if number < 0.0 || number > highest {
            return Err(format!("{name}: range: 0..{highest}"));
        }
        if !r.model.sampling || r.version == "2026-10-21" {
            return Err(format!("{name}: is not supported for this model and API version"));
        }
    }
    if given("temperature") && given("top_p") && !r.model.both_sampling {
        return Err(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
                .to_owned(),
        );
    }
    Ok(())
}

pub(super) fn stop_sequences_are_not_blank(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(value) = r.field("stop_sequences") else {
        return Ok(());
    };
    let Some(sequences) = value.as_array() else {
        return Err("stop_sequences: Input should be a valid list".to_owned());
    };
    for (n, sequence) in sequences.iter().enumerate() {
        match sequence.as_str() {
            None => return Err(format!("stop_sequences.{n}: Input should be a valid string")),
            Some(s) if blank(s) => {
                return Err(format!("stop_sequences.{n}: each stop sequence must contain non-whitespace"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

pub(super) fn metadata_holds_an_opaque_user_id(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(metadata) = r.field("metadata") else {
        return Ok(());
    };
    only("metadata", metadata, &["user_id"])?;
    match metadata.get("user_id") {
        Some(Value::String(id)) if id.chars().count() > 256 => {
            Err("metadata.user_id: String should have at most 256 characters".to_owned())
        }
        Some(Value::String(id)) if id.contains('@') && !id.starts_with('{') => {
            Err("metadata.user_id: appears to contain an email address".to_owned())
        }
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(_) => Err("metadata.user_id: Input should be a valid string".to_owned()),
    }
}

pub(super) fn small_enums(r: &Request<'_>) -> Result<(), Complaint> {
    if r.field("stream").is_some_and(|v| !v.is_boolean()) {
        return Err("stream: Input should be a valid boolean".to_owned());
    }
    for (name, values) in [("service_tier", ["auto", "standard_only"]), ("speed", ["standard", "fast"])] {
        let Some(value) = r.field(name) else { continue };
        if !value.as_str().is_some_and(|v| values.contains(&v)) {
            return Err(format!("{name}: Input should be '{}' or '{}'", values[0], values[1]));
        }
    }
    Ok(())
}

pub(super) fn thinking_is_one_the_model_takes(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(thinking) = r.field("thinking") else {
        return Ok(());
    };
    let kind = text(thinking, "type");
    let allowed: &[&str] = match kind {
        "adaptive" => &["type", "display", "block_binding"],
        "enabled" => &["type", "budget_tokens", "display", "block_binding"],
        "disabled" | "between_tools" => &["type"],
        other => {
            return Err(format!(
                "thinking: Input tag '{other}' found using 'type' does not match any of the expected tags"
            ));
        }
    };
    only("thinking", thinking, allowed)?;
    if thinking.get("block_binding").is_some() && !r.beta {
        return Err("thinking.block_binding: Extra inputs are not permitted".to_owned());
    }
    if !r.model.thinking.contains(&kind) {
        return Err(format!("thinking.type: '{kind}' is not supported by {}", r.model.id));
    }
    // `updates` goes with a beta of its own.
    let shown = text(thinking, "display");
    if !(matches!(shown, "" | "summarized" | "omitted") || r.beta && shown == "updates") {
        return Err("thinking.display: Input should be 'summarized' or 'omitted'".to_owned());
    }
    let effort = r.field("output_config").map(|c| text(c, "effort")).unwrap_or_default();
    if matches!(kind, "disabled" | "between_tools") && matches!(effort, "xhigh" | "max") {
        return Err(format!("thinking.type: '{kind}' cannot be used with effort {effort}"));
    }
    if kind != "enabled" {
        return Ok(());
    }
    match thinking.get("budget_tokens").and_then(Value::as_u64) {
        None => Err("thinking.enabled.budget_tokens: Field required".to_owned()),
        Some(n) if n < 1024 => {
            Err("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024".to_owned())
        }
        Some(n) if r.field("max_tokens").and_then(Value::as_u64).is_some_and(|max| n >= max) => {
            Err("`max_tokens` must be greater than `thinking.budget_tokens`.".to_owned())
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn output_config_is_one_the_model_takes(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(config) = r.field("output_config") else {
        return Ok(());
    };
    if !r.beta {
        only("output_config", config, &["effort", "format"])?;
    }
    match config.get("effort") {
        None | Some(Value::Null) => {}
        Some(effort) if effort.as_str().is_some_and(|e| r.model.effort.contains(&e)) => {}
        Some(effort) => {
            return Err(format!("output_config.effort: {effort} is not supported by {}", r.model.id));
        }
    }
    let format = match config.get("format") {
        None | Some(Value::Null) => return Ok(()),
        Some(format) => format,
    };
    only("output_config.format", format, &["type", "schema"])?;
    if text(format, "type") != "json_schema" {
        return Err("output_config.format.type: Input should be 'json_schema'".to_owned());
    }
    if !r.model.structured_outputs {
        return Err(format!("output_config.format: structured outputs are not supported by {}", r.model.id));
    }
    if r.messages().last().is_some_and(|m| text(m, "role") == "assistant") {
        return Err("output_config.format: cannot be combined with a prefilled assistant message".to_owned());
    }
    let schema = format.get("schema").ok_or("output_config.format.schema: Field required")?;
    schema::is_in_the_strict_subset("output_config.format.schema", schema)
}

pub(super) fn thinking_excludes_sampling_and_forced_tools(r: &Request<'_>) -> Result<(), Complaint> {
    if !r.thinks() {
        return Ok(());
    }
    if let Some(name) = ["temperature", "top_p", "top_k"].iter().find(|n| r.field(n).is_some()) {
        return Err(format!("`{name}` may not be set when thinking is enabled."));
    }
    let choice = r.field("tool_choice").map(|c| text(c, "type")).unwrap_or_default();
    // A model that thinks unasked stops doing so for a forced tool; only thinking that was asked for is a
    // conflict.
    if r.thinking_type().is_some() && matches!(choice, "any" | "tool") {
        return Err("Thinking may not be enabled when tool_choice forces tool use.".to_owned());
    }
    if r.thinking_type() == Some("enabled") && !list(r.field("messages")).is_empty() {
        let last = r.messages().last().map(|m| text(m, "role")).unwrap_or_default();
        if last == "assistant" {
            return Err("a prefilled assistant message cannot be combined with thinking".to_owned());
        }
    }
    Ok(())
}
