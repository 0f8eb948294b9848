//! Every model that a native request names, for callers that may not use all of them.

use serde_json::value::RawValue;

use crate::wire::json::{Object, Str};

/// What is prompt and not instruction: a conversation may talk of models.
const PROMPT: [&str; 3] = ["messages", "system", "metadata"];

/// The models that a request names: its own, as often as the key stands there (readers differ in which one they take),
/// and those of the objects right below it, such as a tool that asks another model. A body that cannot be read names
/// none.
pub fn models_named(body: &[u8]) -> Vec<String> {
    let Ok(request) = Object::parse(body) else { return Vec::new() };
    let fields = request.fields().filter(|(name, _)| !PROMPT.contains(name));
    fields
        .flat_map(|(name, raw)| match name {
            "model" => text(raw).into_iter().collect(),
            _ => below(raw),
        })
        .collect()
}

/// The `model` of an object, or of each object of a list.
fn below(raw: &RawValue) -> Vec<String> {
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_else(|_| vec![raw]);
    let objects =
        list.into_iter().filter_map(|element| serde_json::from_str::<Object<'_>>(element.get()).ok());
    let objects: Vec<_> = objects.collect();
    let named = objects.iter().flat_map(Object::fields).filter(|(name, _)| *name == "model");
    named.filter_map(|(_, raw)| text(raw)).collect()
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str::<Str<'_>>(raw.get()).ok().map(|text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_that_is_asked_for_is_found_and_none_that_is_talked_of() {
        let body = br#"{"model":"a","mod\u0065l":"b","messages":[{"model":"no"}],"system":[{"model":"no"}],
            "tools":[{"name":"advisor","model":"c","input_schema":{"properties":{"model":{"type":"string"}}}}, 7],
            "fallbacks":[{"model":"d"},{"model":"e"}],"fallback":{"model":"f"},"metadata":{"model":"no"},"x":"y"}"#;
        assert_eq!(models_named(body), ["a", "b", "c", "d", "e", "f"]);
        for nothing in [&b""[..], b"[]", b"{\"model\":7}", b"{\"tools\":[[{\"model\":\"no\"}]]}"] {
            assert!(models_named(nothing).is_empty());
        }
    }
}
