//! Changes one value of a JSON object and leaves every other byte as it was written: order, white space, numbers
//! and escapes survive.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::Str;

/// `object` with `text` as the value of its key `key`. Should the key stand there more than once, each is changed:
/// readers differ in which one they take. What is no object, or has no such key, stays as it is.
pub fn replace(object: &[u8], key: &str, text: &str) -> Vec<u8> {
    // A string can always be written.
    let text = serde_json::to_vec(text).unwrap_or_default();
    let mut spliced = Vec::with_capacity(object.len() + text.len());
    let mut done = 0;
    for span in spans(object, key) {
        spliced.extend_from_slice(object.get(done..span.start).unwrap_or_default());
        spliced.extend_from_slice(&text);
        done = span.end;
    }
    spliced.extend_from_slice(object.get(done..).unwrap_or_default());
    spliced
}

/// Where the values of `key` stand, in order.
fn spans(object: &[u8], key: &str) -> Vec<Range<usize>> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let found = Spans { object, key }.deserialize(&mut reader);
    found.ok().filter(|_| reader.end().is_ok()).unwrap_or_default()
}

struct Spans<'a> {
    object: &'a [u8],
    key: &'a str,
}

impl<'de> DeserializeSeed<'de> for Spans<'_> {
    type Value = Vec<Range<usize>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Spans<'_> {
    type Value = Vec<Range<usize>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut spans = Vec::new();
        while let Some(key) = map.next_key::<Str<'de>>()? {
            if *key != *self.key {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            // Borrowed from the object itself, so its place in memory is its place in the object.
            let value = map.next_value::<&'de RawValue>()?.get();
            let start = value.as_ptr().addr().wrapping_sub(self.object.as_ptr().addr());
            spans.push(start..start.wrapping_add(value.len()));
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(object: &str) -> String {
        String::from_utf8(replace(object.as_bytes(), "model", "x\"y")).unwrap()
    }

    #[test]
    fn the_value_is_changed_and_every_other_byte_stays() {
        for (object, expected) in [
            (r#"{"model":"m"}"#, r#"{"model":"x\"y"}"#),
            (" {\n \"model\" :\t\"m\" ,\"a\":1.0e5} \n", " {\n \"model\" :\t\"x\\\"y\" ,\"a\":1.0e5} \n"),
            (
                r#"{"a":{"model":"in"},"model":"m\u0031","b":["model"]}"#,
                r#"{"a":{"model":"in"},"model":"x\"y","b":["model"]}"#,
            ),
            (r#"{"mod\u0065l":"m","z":"\u00e9\/"}"#, r#"{"mod\u0065l":"x\"y","z":"\u00e9\/"}"#),
            (
                r#"{"model":"a","b":12345678901234567890,"model":"c"}"#,
                r#"{"model":"x\"y","b":12345678901234567890,"model":"x\"y"}"#,
            ),
            (r#"{"model":null}"#, r#"{"model":"x\"y"}"#),
        ] {
            assert_eq!(replaced(object), expected);
        }
    }

    #[test]
    fn what_is_no_object_or_has_no_such_key_stays() {
        for object in ["", "[]", r#"{"a":1}"#, r#"["model"]"#, r#"{"model":"m"#, r#"{"model":"m"} x"#] {
            assert_eq!(replaced(object), object);
        }
        assert_eq!(replace(b"\xff", "model", "x"), b"\xff");
    }

    proptest! {
        #[test]
        fn what_stands_around_the_value_is_never_touched(
            before in "[ \n\t]{0,3}",
            other in "\\PC{0,12}",
            old in "\\PC{0,12}",
            new in "\\PC{0,12}",
            after in "[ \n\t]{0,3}",
        ) {
            let text = |text: &str| serde_json::to_string(text).unwrap();
            let around = |value: &str| format!(
                "{before}{{{after}{}:{},{before}\"model\"{after}:{before}{}{after},\"z\":[1.50]}}{after}",
                text(&format!("k{other}")), text(&other), text(value),
            );
            let spliced = replace(around(&old).as_bytes(), "model", &new);
            prop_assert_eq!(String::from_utf8(spliced).unwrap(), around(&new));
        }
    }
}
