//! JSON with comments and trailing commas.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::Value;

use super::Unfit;
use super::change::{Place, Step};

/// What editors and the clients take beyond JSON, and nothing that they do not.
fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

pub(super) fn read(text: &str) -> Result<Value, Unfit> {
    // Nothing at all is no JSON, but an empty file says nothing wrong.
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let root = CstRootNode::parse(text, &options()).map_err(|err| Unfit::Broken {
        line: err.line_display(),
        column: err.column_display(),
        why: err.kind().to_string(),
    })?;
    Ok(root.to_serde_value().unwrap_or(Value::Null))
}

pub(super) fn write(text: &str, steps: &[Step]) -> Option<String> {
    let root = CstRootNode::parse(text, &options()).ok()?;
    let top = root.object_value_or_create()?;
    for step in steps {
        match step {
            Step::Set(place, value) => set(&top, place, value)?,
            Step::Remove(place) => {
                let (last, above) = keys(place)?;
                let mut object = top.clone();
                for key in above {
                    object = object.object_value(key)?;
                }
                object.get(last)?.remove();
            }
            // No client's JSON takes it.
            Step::Push(..) => return None,
        }
    }
    Some(root.to_string())
}

fn set(top: &CstObject, place: &[Place], value: &Value) -> Option<()> {
    let (last, above) = keys(place)?;
    let mut object = top.clone();
    for key in above {
        object = if let Some(inner) = object.object_value_or_create(key) {
            inner
        } else {
            // It is null, which counts as nothing: the plan has refused whatever else is no object.
            object.get(key)?.set_value(CstInputValue::Object(vec![]));
            object.object_value(key)?
        };
    }
    match object.get(last) {
        Some(property) => property.set_value(input(value)),
        None => {
            object.append(last, input(value));
        }
    }
    Some(())
}

fn keys(place: &[Place]) -> Option<(&str, Vec<&str>)> {
    let mut keys = Vec::new();
    for place in place {
        match place {
            Place::Key(key) => keys.push(key.as_str()),
            Place::Index(_) => return None,
        }
    }
    let last = keys.pop()?;
    Some((last, keys))
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(truth) => CstInputValue::Bool(*truth),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(list) => CstInputValue::Array(list.iter().map(input).collect()),
        Value::Object(object) => {
            CstInputValue::Object(object.iter().map(|(key, value)| (key.clone(), input(value))).collect())
        }
    }
}
