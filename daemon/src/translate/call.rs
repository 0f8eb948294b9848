//! Ids, names and arguments of tool calls, made fit for upstream by functions of their text alone.

use std::fmt::Write as _;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::wire::json::{Kind, empty_object, raw_of};

/// The longest tool name upstream takes.
const MAX_NAME: usize = 128;

/// Lower-case hexadecimal SHA-256 of `text`.
pub(super) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `text` with every other character replaced, cut, and eight hash digits to keep different texts different.
fn plain(text: &str, longest: usize) -> String {
    let kept =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' });
    let mut out: String = kept.take(longest - 9).collect();
    let hash = sha256_hex(text);
    out.push('_');
    out.push_str(hash.get(..8).unwrap_or(&hash));
    out
}

/// The id a call has upstream: the client's own where the pattern allows it.
pub(super) fn upstream_id(id: &str) -> String {
    if is_plain(id) { id.to_owned() } else { plain(id, MAX_NAME) }
}

/// The name a tool has upstream: the client's own where the pattern allows it.
pub(super) fn upstream_name(name: &str) -> String {
    if is_plain(name) && name.len() <= MAX_NAME { name.to_owned() } else { plain(name, MAX_NAME) }
}

/// A call's arguments as the object upstream wants. Nothing becomes `{}`; text that is no JSON object is kept
/// whole under the key `arguments`, so that the model sees what it wrote.
pub(super) fn input_object(arguments: &str) -> Box<RawValue> {
    let trimmed = arguments.trim();
    if trimmed.is_empty() || trimmed == "null" {
        return empty_object();
    }
    match serde_json::from_str::<&RawValue>(trimmed) {
        Ok(raw) if Kind::of(raw) == Kind::Object => raw.to_owned(),
        _ => keyed("arguments", arguments),
    }
}

/// The input of a free-form tool, which upstream sees as an object with one string.
pub(super) fn custom_input(input: &str) -> Box<RawValue> {
    keyed("input", input)
}

fn keyed(key: &str, text: &str) -> Box<RawValue> {
    raw_of(&std::iter::once((key, text)).collect::<std::collections::BTreeMap<_, _>>())
}

/// What the client of a free-form tool gets: the `input` string of the object, or all of it if there is none.
pub(super) fn unwrap_custom_input(input: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        input: String,
    }
    serde_json::from_str::<Wrapped>(input).map_or_else(|_| input.to_owned(), |wrapped| wrapped.input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_that_fit_stay_and_others_are_rewritten_the_same_way_each_time() {
        assert_eq!(upstream_id("toolu_01-A"), "toolu_01-A");
        assert_eq!(upstream_name("get_weather"), "get_weather");
        for odd in ["call|fc_1", "", "caf\u{e9}", "a.b/c", " "] {
            let id = upstream_id(odd);
            assert!(is_plain(&id), "{id}");
            assert_eq!(id, upstream_id(odd));
        }
        assert_ne!(upstream_name("a.b"), upstream_name("a/b"));
        assert_eq!(upstream_name(&"x".repeat(200)).len(), MAX_NAME);
        assert_eq!(upstream_name("a.b"), format!("a_b_{}", &sha256_hex("a.b")[..8]));
    }

    #[test]
    fn arguments_become_an_object_and_lose_nothing() {
        let cases = [
            ("", "{}"),
            ("  ", "{}"),
            ("null", "{}"),
            (r#" {"b":1.0,"a":12345678901234567890} "#, r#"{"b":1.0,"a":12345678901234567890}"#),
            ("[1]", r#"{"arguments":"[1]"}"#),
            (r#"{"cut": "#, r#"{"arguments":"{\"cut\": "}"#),
        ];
        for (arguments, expected) in cases {
            assert_eq!(input_object(arguments).get(), expected);
        }
    }

    #[test]
    fn custom_input_survives_the_wrapping() {
        let text = "*** Begin \"Patch\"\n\u{1f600}";
        assert_eq!(unwrap_custom_input(custom_input(text).get()), text);
        assert_eq!(unwrap_custom_input("{}"), "{}");
        assert_eq!(unwrap_custom_input("not json"), "not json");
    }
}
