//! The subset of JSON Schema that strict tools and structured outputs take.

use serde_json::Value;

use super::Complaint;

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
        for (n, schema) in super::list(fields.get(name)).iter().enumerate() {
            is_in_the_strict_subset(&format!("{at}.{name}.{n}"), schema)?;
        }
    }
    Ok(())
}
