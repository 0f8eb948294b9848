//! Tools and the choice among them.

use serde_json::Value;

use super::{Complaint, Request, list, only, schema, text};

const TOOL_FIELDS: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "eager_input_streaming",
    "defer_loading",
    "allowed_callers",
    "input_examples",
];

const WEB_SEARCH_FIELDS: &[&str] = &[
    "type",
    "name",
    "max_uses",
    "allowed_domains",
    "blocked_domains",
    "user_location",
    "cache_control",
    "defer_loading",
    "allowed_callers",
    "strict",
];

pub(super) fn tools_are_well_formed(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(tools) = r.field("tools") else {
        return Ok(());
    };
    let Some(tools) = tools.as_array() else {
        return Err("tools: Input should be a valid list".to_owned());
    };
    for (n, tool) in tools.iter().enumerate() {
        let at = format!("tools.{n}");
        match text(tool, "type") {
            "" | "custom" => custom_tool(&at, tool, r.beta)?,
            kind if kind.starts_with("web_search_") => {
                only(&at, tool, WEB_SEARCH_FIELDS)?;
                if text(tool, "name") != "web_search" {
                    return Err(format!("{at}.name: Input should be 'web_search'"));
                }
                if ["max_uses", "allowed_domains", "blocked_domains"]
                    .iter()
                    .any(|f| tool.get(f) == Some(&Value::Null))
                {
                    return Err(format!("{at}: Input should not be null"));
                }
            }
            _ if r.beta => {}
            kind => {
                return Err(format!(
                    "{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
                ));
            }
        }
    }
    Ok(())
}

fn custom_tool(at: &str, tool: &Value, beta: bool) -> Result<(), Complaint> {
    if !beta {
        only(at, tool, TOOL_FIELDS)?;
    }
    let name = text(tool, "name");
    if !is_name(name) {
        return Err(format!("{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"));
    }
    if tool.get("description").is_some_and(|d| !d.is_string()) {
        return Err(format!("{at}.custom.description: Input should be a valid string"));
    }
    let Some(schema) = tool.get("input_schema") else {
        return Err(format!("{at}.custom.input_schema: Field required"));
    };
    if text(schema, "type") != "object" {
        return Err(format!("{at}.custom.input_schema.type: Field required"));
    }
    if ["anyOf", "oneOf", "allOf"].iter().any(|k| schema.get(k).is_some()) {
        return Err(format!(
            "{at}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        ));
    }
    if tool.get("strict") == Some(&Value::Bool(true)) {
        schema::is_in_the_strict_subset(&format!("{at}.custom.input_schema"), schema)?;
    }
    Ok(())
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

pub(super) fn tool_names_are_unique(r: &Request<'_>) -> Result<(), Complaint> {
    let mut seen = Vec::new();
    for tool in list(r.field("tools")) {
        let name = text(tool, "name");
        if seen.contains(&name) {
            return Err("tools: Tool names must be unique.".to_owned());
        }
        seen.push(name);
    }
    Ok(())
}

pub(super) fn tool_choice_fits_the_tools(r: &Request<'_>) -> Result<(), Complaint> {
    let Some(choice) = r.field("tool_choice") else {
        return Ok(());
    };
    let tools = list(r.field("tools"));
    if tools.is_empty() {
        return Err("tool_choice: may only be specified while providing tools".to_owned());
    }
    let kind = text(choice, "type");
    match kind {
        "auto" | "any" => only("tool_choice", choice, &["type", "disable_parallel_tool_use"])?,
        "none" => only("tool_choice", choice, &["type"])?,
        "tool" => {
            only("tool_choice", choice, &["type", "name", "disable_parallel_tool_use"])?;
            let name = text(choice, "name");
            if !tools.iter().any(|t| text(t, "name") == name) {
                return Err(format!("Tool '{name}' not found in provided tools"));
            }
        }
        other => {
            return Err(format!(
                "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags"
            ));
        }
    }
    if matches!(kind, "any" | "tool") && !r.model.forced_tool {
        return Err(format!("tool_choice.type: '{kind}' is not supported by {}", r.model.id));
    }
    Ok(())
}
