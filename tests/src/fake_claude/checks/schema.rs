//! The subset of JSON Schema that strict tools and structured outputs take.

use serde_json::Value;

use super::{Complaint, Request, list};

/// Keywords the service refuses in a strict schema.
const REFUSED: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "not",
    "if",
    "then",
    "else",
    "oneOf",
];

/// All schemas a request binds to go into one grammar, whose size is bounded.
pub(super) fn the_grammar_is_not_too_large(r: &Request<'_>) -> Result<(), Complaint> {
    let strict = list(r.field("tools")).iter().filter(|tool| tool.get("strict") == Some(&Value::Bool(true)));
    let tools: Vec<&Value> = strict.filter_map(|tool| tool.get("input_schema")).collect();
    if tools.len() > 20 {
        return Err(format!(
            "Too many strict tools ({}). The maximum number of strict tools is 20.",
            tools.len()
        ));
    }
    let format = r.field("output_config").and_then(|config| config.get("format")?.get("schema"));
    let (mut optional, mut unions) = (0, 0);
    for schema in tools.into_iter().chain(format) {
        measure(schema, &mut optional, &mut unions);
    }
    if optional > 24 {
        return Err(format!("Schemas contains too many optional parameters ({optional}) (limit: 24)."));
    }
    if unions > 16 {
        return Err(format!("Schemas contains too many parameters with union types ({unions}) (limit: 16)."));
    }
    Ok(())
}

fn measure(schema: &Value, optional: &mut usize, unions: &mut usize) {
    let required = list(schema.get("required"));
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties {
        *optional += usize::from(!required.iter().any(|known| known == name));
        measure(property, optional, unions);
    }
    *unions += usize::from(schema.get("anyOf").is_some() || schema.get("type").is_some_and(Value::is_array));
    if let Some(items) = schema.get("items") {
        measure(items, optional, unions);
    }
    for variants in ["anyOf", "allOf"] {
        for variant in list(schema.get(variants)) {
            measure(variant, optional, unions);
        }
    }
    for defined in ["$defs", "definitions"] {
        let schemas = schema.get(defined).and_then(Value::as_object).into_iter().flatten();
        for (_, schema) in schemas {
            measure(schema, optional, unions);
        }
    }
}

pub(super) fn is_in_the_strict_subset(at: &str, schema: &Value) -> Result<(), Complaint> {
    let Some(fields) = schema.as_object() else {
        return match schema {
            Value::Bool(_) => Ok(()),
            _ => Err(format!("{at}: Input should be a JSON schema")),
        };
    };
    if let Some(keyword) = REFUSED.iter().find(|k| fields.contains_key(**k)) {
        return Err(format!("{at}: the keyword '{keyword}' is not supported"));
    }
    if fields.get("minItems").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        return Err(format!("{at}.minItems: values other than 0 or 1 are not supported"));
    }
    let object = fields.get("type").and_then(Value::as_str) == Some("object");
    if object && fields.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(format!(
            "{at}: For 'object' type, 'additionalProperties' must be explicitly set to false"
        ));
    }
    for name in ["properties", "$defs", "definitions"] {
        let children = fields.get(name).and_then(Value::as_object);
        for (child, schema) in children.into_iter().flatten() {
            is_in_the_strict_subset(&format!("{at}.{name}.{child}"), schema)?;
        }
    }
    if let Some(items) = fields.get("items") {
        is_in_the_strict_subset(&format!("{at}.items"), items)?;
    }
    for name in ["anyOf", "allOf"] {
        for (n, schema) in list(fields.get(name)).iter().enumerate() {
            is_in_the_strict_subset(&format!("{at}.{name}.{n}"), schema)?;
        }
    }
    Ok(())
}
