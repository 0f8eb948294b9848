//! Objects whose field `type` says what the others are, read in one pass.
//!
//! Nearly every client writes `type` first. What stands before it is kept as it was written until the type is known, and
//! is read then, so that no order of the fields is an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{DEEPEST, Str};
use super::skim;

/// A value that an object with a `type` can be.
pub(super) trait Tagged<'de>: Sized {
    /// Reads the object's fields, all but `type`, which is `kind`.
    fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error>;
}

pub(super) fn tagged<'de, D: Deserializer<'de>, T: Tagged<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(TaggedVisitor(PhantomData))
}

struct TaggedVisitor<T>(PhantomData<T>);

impl<'de, T: Tagged<'de>> Visitor<'de> for TaggedVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut before = Vec::new();
        let mut kind = None;
        while let Some(name) = map.next_key::<Str<'de>>()? {
            if &*name == "type" {
                kind = map.next_value()?;
                break;
            }
            let value = map.next_value::<&'de RawValue>()?;
            // Each is read by a reader of its own, which knows nothing of those around it.
            if skim::depth(value.get().as_bytes()) > DEEPEST {
                return Err(de::Error::custom("recursion limit exceeded"));
            }
            before.push((name, value));
        }
        let fields = Fields { before: before.into_iter(), value: None, rest: map };
        T::read(kind, MapAccessDeserializer::new(fields))
    }
}

/// The fields kept from before the type, then those that follow it.
struct Fields<'de, A> {
    before: std::vec::IntoIter<(Str<'de>, &'de RawValue)>,
    /// Of the kept field whose name was read last.
    value: Option<&'de RawValue>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some((name, value)) = self.before.next() else {
            return self.rest.next_key_seed(seed);
        };
        self.value = Some(value);
        seed.deserialize(name.0.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => {
                let mut reader = serde_json::Deserializer::from_str(value.get());
                seed.deserialize(&mut reader).map_err(de::Error::custom)
            }
            None => self.rest.next_value_seed(seed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde::Deserialize;

    use super::*;

    /// Its type, and what it holds.
    #[derive(Debug, PartialEq)]
    struct Seen<'a>(Option<Str<'a>>, Str<'a>, Option<&'a str>);

    #[derive(Deserialize)]
    struct Inside<'a> {
        #[serde(borrow, default)]
        text: Str<'a>,
        #[serde(borrow, default)]
        raw: Option<&'a RawValue>,
    }

    impl<'de> Tagged<'de> for Seen<'de> {
        fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
            let Inside { text, raw } = Inside::deserialize(fields)?;
            Ok(Self(kind, text, raw.map(RawValue::get)))
        }
    }

    fn read(text: &str) -> serde_json::Result<Seen<'_>> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let seen = tagged(&mut reader)?;
        reader.end()?;
        Ok(seen)
    }

    #[test]
    fn the_type_may_stand_anywhere_and_be_absent() {
        let expected = Seen(Some("t".into()), "a\nb".into(), Some("{ \"x\":1.0 }"));
        for text in [
            r#"{"type":"t","text":"a\nb","raw":{ "x":1.0 },"more":[1]}"#,
            r#"{"text":"a\nb","raw":{ "x":1.0 },"more":[1],"type":"t"}"#,
            r#"{"more":[1],"r\u0061w":{ "x":1.0 },"type":"t","text":"a\nb"}"#,
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        assert_eq!(read(r#"{"text":"a"}"#).unwrap(), Seen(None, "a".into(), None));
        assert_eq!(read(r#"{"text":"a","type":null}"#).unwrap(), Seen(None, "a".into(), None));
        assert_eq!(read("{}").unwrap(), Seen(None, "".into(), None));
    }

    #[derive(Debug)]
    struct Nested;

    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        _inner: Vec<Nested>,
    }

    impl<'de> Tagged<'de> for Nested {
        fn read<D: Deserializer<'de>>(_kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
            Inner::deserialize(fields).map(|_| Self)
        }
    }

    impl<'de> Deserialize<'de> for Nested {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            tagged(deserializer)
        }
    }

    #[test]
    fn there_is_an_end_to_depth_wherever_the_type_stands() {
        for (begin, end) in [("{\"_inner\":[", "],\"type\":\"t\"}"), ("{\"type\":\"t\",\"_inner\":[", "]}")] {
            let deep = |levels: usize| [begin.repeat(levels), end.repeat(levels)].concat();
            assert!(serde_json::from_str::<Nested>(&deep(60)).is_ok(), "{begin}");
            let error = serde_json::from_str::<Nested>(&deep(20_000)).unwrap_err();
            assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
        }
    }

    #[test]
    fn text_is_borrowed_wherever_it_stands() {
        for text in [r#"{"type":"t","text":"plain"}"#, r#"{"text":"plain","type":"t"}"#] {
            assert!(matches!(read(text).unwrap(), Seen(_, Str(Cow::Borrowed("plain")), _)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("[]", "invalid type: sequence, expected a JSON object"),
            (r#"{"type":7}"#, "invalid type: integer `7`, expected a string"),
            (r#"{"type":"t","text":7}"#, "invalid type: integer `7`, expected a string"),
            (r#"{"text":7,"type":"t"}"#, "invalid type: integer `7`, expected a string"),
            (r#"{"text":"a","text":"b","type":"t"}"#, "duplicate field `text`"),
            (r#"{"type":"t""#, "EOF while parsing an object"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(crate::wire::json::reason(&error), reason, "{text}");
        }
    }
}
