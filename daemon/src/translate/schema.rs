//! JSON schemas of clients made fit for upstream: tool inputs must be objects, and structured output takes a
//! subset.
//!
//! What a removed keyword meant is told to the model in the description. Property order stays as the client
//! wrote it.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::error::ApiError;
use crate::wire::json::{Kind, reason};

type Schema = Map<String, Value>;

/// Keywords structured output refuses.
const REFUSED: [&str; 17] = [
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
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
];

/// Keywords that hold one schema, several in a list, or several by name.
const HOLDS_ONE: [&str; 3] = ["items", "additionalItems", "contains"];
const HOLDS_LIST: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const HOLDS_NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// Definitions that may lead from one to the next; more are taken for a cycle, so that none can exhaust the
/// stack.
const LONGEST_CHAIN: usize = 100;

fn read(raw: &RawValue, param: &str) -> Result<Schema, ApiError> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let why = match Kind::of(raw) {
            Kind::Object => reason(&error),
            _ => "expected a JSON schema object".to_owned(),
        };
        ApiError::invalid_param(param, format!("{param}: {why}"))
    })
}

/// A tool's parameters as upstream's `input_schema`.
pub(super) fn tool_input(parameters: Option<&RawValue>, param: &str) -> Result<Schema, ApiError> {
    let mut schema = match parameters {
        Some(raw) => read(raw, param)?,
        None => Schema::new(),
    };
    resolve_top_reference(&mut schema);
    for keyword in ["allOf", "anyOf", "oneOf"] {
        if let Some(Value::Array(variants)) = schema.shift_remove(keyword) {
            merge_variants(&mut schema, variants, keyword == "allOf");
        }
    }
    let is_object = match schema.get("type") {
        None | Some(Value::Null) => true,
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) => false,
    };
    if !is_object {
        return Err(ApiError::invalid_param(param, format!("{param}: the schema's type must be \"object\"")));
    }
    if schema.get("type").is_none_or(|kind| !kind.is_string()) {
        schema.insert("type".to_owned(), "object".into());
    }
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema.insert("properties".to_owned(), Value::Object(Schema::new()));
    }
    Ok(schema)
}

/// A schema that only points at one of its own definitions becomes that definition.
fn resolve_top_reference(schema: &mut Schema) {
    let Some(Value::String(reference)) = schema.get("$ref") else {
        return;
    };
    let Some(path) = reference.strip_prefix('#') else {
        return;
    };
    let found = Value::Object(schema.clone()).pointer(path).and_then(Value::as_object).cloned();
    if let Some(target) = found {
        schema.shift_remove("$ref");
        for (keyword, value) in target {
            schema.entry(keyword).or_insert(value);
        }
    }
}

/// Upstream takes no alternatives at the top: their properties are put together. A property is required if
/// all alternatives require it (`anyOf`, `oneOf`) or any part does (`allOf`).
fn merge_variants(schema: &mut Schema, variants: Vec<Value>, all: bool) {
    let mut required: Option<Vec<String>> = None;
    for variant in variants {
        let Value::Object(mut variant) = variant else {
            continue;
        };
        if let Some(Value::Object(properties)) = variant.shift_remove("properties") {
            let slot = schema.entry("properties").or_insert_with(|| Value::Object(Schema::new()));
            if let Value::Object(known) = slot {
                for (name, property) in properties {
                    known.entry(name).or_insert(property);
                }
            }
        }
        let names: Vec<String> = match variant.shift_remove("required") {
            Some(Value::Array(names)) => names.into_iter().filter_map(text).collect(),
            _ => Vec::new(),
        };
        required = Some(match required {
            None => names,
            Some(mut before) if all => {
                before.extend(names);
                before
            }
            Some(mut before) => {
                let names: HashSet<String> = names.into_iter().collect();
                before.retain(|name| names.contains(name));
                before
            }
        });
    }
    let required = required.unwrap_or_default();
    if !required.is_empty()
        && let Value::Array(known) = schema.entry("required").or_insert_with(|| Value::Array(Vec::new()))
    {
        let mut seen: HashSet<String> = known.iter().cloned().filter_map(text).collect();
        known.extend(required.into_iter().filter(|name| seen.insert(name.clone())).map(Value::String));
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

/// A strict tool's schema is inside the subset as it is, so `strict` can be asked for.
pub(super) fn is_strict(schema: &Schema) -> bool {
    let mut clean = true;
    visit(schema, &mut |node| {
        clean &= !REFUSED.iter().any(|keyword| node.contains_key(*keyword))
            && !node.contains_key("oneOf")
            && !has_large_min_items(node)
            && (!describes_object(node) || node.get("additionalProperties") == Some(&Value::Bool(false)));
    });
    clean && references(schema).is_ok()
}

/// A response schema as upstream's structured output takes it.
pub(super) fn structured(raw: &RawValue, description: Option<&str>, param: &str) -> Result<Schema, ApiError> {
    let mut schema = read(raw, param)?;
    if let Some(text) = description.filter(|text| !text.trim().is_empty()) {
        schema.entry("description").or_insert_with(|| text.into());
    }
    references(&schema).map_err(|reason| ApiError::invalid_param(param, format!("{param}: {reason}")))?;
    restrict(&mut schema);
    Ok(schema)
}

fn restrict(node: &mut Schema) {
    if let Some(Value::Array(variants)) = node.shift_remove("oneOf") {
        match node.entry("anyOf").or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(known) => known.extend(variants),
            other => *other = Value::Array(variants),
        }
    }
    let mut lost = Vec::new();
    for keyword in REFUSED {
        if let Some(value) = node.shift_remove(keyword) {
            lost.push(format!("{keyword}: {value}"));
        }
    }
    if has_large_min_items(node)
        && let Some(value) = node.shift_remove("minItems")
    {
        lost.push(format!("minItems: {value}"));
    }
    if describes_object(node) {
        node.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if !lost.is_empty() {
        let rule = format!("Must satisfy {}.", lost.join(", "));
        let text = match node.get("description").and_then(Value::as_str) {
            Some(description) if !description.is_empty() => format!("{description} {rule}"),
            _ => rule,
        };
        node.insert("description".to_owned(), text.into());
    }
    for (keyword, value) in node.iter_mut() {
        children_mut(keyword, value, &mut restrict);
    }
}

fn describes_object(node: &Schema) -> bool {
    let typed = match node.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    typed || node.contains_key("properties")
}

fn has_large_min_items(node: &Schema) -> bool {
    node.get("minItems").is_some_and(|value| value.as_u64().is_none_or(|least| least > 1))
}

fn children_mut(keyword: &str, value: &mut Value, each: &mut impl FnMut(&mut Schema)) {
    match value {
        Value::Object(child) if HOLDS_ONE.contains(&keyword) => each(child),
        Value::Object(named) if HOLDS_NAMED.contains(&keyword) => {
            named.values_mut().filter_map(Value::as_object_mut).for_each(each);
        }
        Value::Array(list) if HOLDS_LIST.contains(&keyword) || keyword == "items" => {
            list.iter_mut().filter_map(Value::as_object_mut).for_each(each);
        }
        _ => {}
    }
}

fn children(node: &Schema) -> impl Iterator<Item = (&str, &Schema)> {
    node.iter().flat_map(|(keyword, value)| {
        let keyword = keyword.as_str();
        let found: Vec<&Schema> = match value {
            Value::Object(child) if HOLDS_ONE.contains(&keyword) => vec![child],
            Value::Object(named) if HOLDS_NAMED.contains(&keyword) => {
                named.values().filter_map(Value::as_object).collect()
            }
            Value::Array(list) if HOLDS_LIST.contains(&keyword) || keyword == "items" => {
                list.iter().filter_map(Value::as_object).collect()
            }
            _ => Vec::new(),
        };
        found.into_iter().map(move |child| (keyword, child))
    })
}

/// Calls `each` with the schema and every schema in it.
pub(super) fn visit(node: &Schema, each: &mut impl FnMut(&Schema)) {
    each(node);
    for (_, child) in children(node) {
        visit(child, each);
    }
}

/// Checks that every reference points into the schema and that none leads back to where it stands.
fn references(schema: &Schema) -> Result<(), String> {
    let root = Value::Object(schema.clone());
    let mut targets: HashMap<String, Vec<String>> = HashMap::new();
    let mut open = vec!["#".to_owned()];
    while let Some(place) = open.pop() {
        if targets.contains_key(&place) {
            continue;
        }
        let path = place.strip_prefix('#').filter(|path| is_pointer(path));
        let node = path.and_then(|path| root.pointer(path)).and_then(Value::as_object);
        let Some(node) = node else {
            return Err(format!("the reference {place:?} points at nothing inside the schema"));
        };
        let mut found = Vec::new();
        collect_references(node, &mut found);
        open.extend(found.iter().cloned());
        targets.insert(place, found);
    }
    let mut done = HashSet::new();
    // The root is entered last in any chain, so starting there finds every cycle that can be reached.
    match cycle("#", &targets, &mut Vec::new(), &mut done) {
        Some(place) => {
            Err(format!("the reference {place:?} is recursive, which structured output does not take"))
        }
        None => Ok(()),
    }
}

/// Whether every tilde is an escape, as RFC 6901 has it: then each place has one name, and is looked at once.
fn is_pointer(path: &str) -> bool {
    path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// References in a schema, without those that only its definitions hold.
fn collect_references(node: &Schema, found: &mut Vec<String>) {
    if let Some(Value::String(reference)) = node.get("$ref") {
        found.push(reference.clone());
    }
    for (keyword, child) in children(node) {
        if !matches!(keyword, "$defs" | "definitions") {
            collect_references(child, found);
        }
    }
}

fn cycle<'t>(
    place: &'t str,
    targets: &'t HashMap<String, Vec<String>>,
    path: &mut Vec<&'t str>,
    done: &mut HashSet<&'t str>,
) -> Option<&'t str> {
    if path.contains(&place) || path.len() >= LONGEST_CHAIN {
        return Some(place);
    }
    if !done.insert(place) {
        return None;
    }
    path.push(place);
    let found = targets.get(place).into_iter().flatten().find_map(|next| cycle(next, targets, path, done));
    path.pop();
    found
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
