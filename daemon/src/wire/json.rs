//! Small JSON tools shared by the wire types: strings that borrow from the body, raw values that stay as they
//! were written, and errors that say what is wrong without repeating the body.
//!
//! Nothing here builds a tree of a whole body.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::ApiError;

/// A JSON string, borrowed from the body when it holds no escapes.
///
/// `Option<Cow<str>>` always copies under serde's derive; this type never does when it need not.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Str<'a>(pub Cow<'a, str>);

impl<'a> Str<'a> {
    pub const fn borrowed(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub fn owned(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self::borrowed(text)
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(StrVisitor)
    }
}

/// The fields of a JSON object, each still as it was written. `null` is the same as absent.
#[derive(Debug, Default)]
pub struct Object<'a> {
    fields: Vec<(Str<'a>, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<Str<'de>, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Object { fields })
            }
        }
        deserializer.deserialize_any(ObjectVisitor)
    }
}

impl<'a> Object<'a> {
    /// The top level of a request body.
    pub fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            ApiError::invalid_request(format!("the request body is not valid UTF-8: {error}"))
        })?;
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let reason = reason(&error);
            ApiError::invalid_request(format!(
                "the request body is not a JSON object: {reason} (line {line}, column {column})"
            ))
        })
    }

    /// The model a request must name.
    pub fn model(&mut self) -> Result<Str<'a>, ApiError> {
        match self.read::<Str<'a>>("model")? {
            Some(model) if !model.trim().is_empty() => Ok(model),
            Some(_) => Err(ApiError::invalid_param("model", "model: must not be empty")),
            None => Err(ApiError::invalid_param("model", "model: field required")),
        }
    }

    /// Takes out a field that must be an object, as it was written.
    pub fn read_object(&mut self, name: &str) -> Result<Option<&'a RawValue>, FieldError> {
        match self.take(name) {
            Some(raw) if Kind::of(raw) != Kind::Object => Err(FieldError {
                field: name.to_owned(),
                reason: format!("expected an object, found {}", Kind::of(raw).name()),
            }),
            found => Ok(found),
        }
    }

    /// All fields, in order, those that stand there twice as often.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.fields.iter().map(|(name, raw)| (&**name, *raw))
    }

    /// Looks at a field and leaves it where it is.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.fields.iter().rev().find(|(key, _)| &**key == name);
        found.map(|(_, raw)| *raw).filter(|raw| Kind::of(raw) != Kind::Null)
    }

    /// Takes the field out. Of several with one name the last counts, as in every common parser.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut found = None;
        self.fields.retain(|(key, value)| {
            let matches = &**key == name;
            if matches {
                found = Some(*value);
            }
            !matches
        });
        found.filter(|raw| Kind::of(raw) != Kind::Null)
    }

    /// Takes the field out and reads it; what is wrong with it is said under its name.
    pub fn read<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(FieldError { field: name.to_owned(), reason: reason(&error) }),
        }
    }

    /// Reads an array whose faulty element is named by its index.
    pub fn read_list<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<Vec<T>>, FieldError> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        let error = match serde_json::from_str(raw.get()) {
            Ok(list) => return Ok(Some(list)),
            Err(error) => FieldError { field: name.to_owned(), reason: reason(&error) },
        };
        let elements: Vec<&'a RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        let fault = elements.into_iter().enumerate().find_map(|(index, element)| {
            let error = serde_json::from_str::<T>(element.get()).err()?;
            Some(FieldError { field: format!("{name}[{index}]"), reason: reason(&error) })
        });
        Err(fault.unwrap_or(error))
    }

    /// The fields nobody took, without those whose value says nothing (null, false, zero, empty).
    pub fn rest(&self) -> impl Iterator<Item = &str> {
        const SAYS_NOTHING: [&str; 7] = ["null", "false", "0", "0.0", "\"\"", "[]", "{}"];
        self.fields.iter().filter(|(_, raw)| !SAYS_NOTHING.contains(&raw.get())).map(|(name, _)| &**name)
    }
}

/// A field whose value is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    pub field: String,
    pub reason: String,
}

impl FieldError {
    /// The same for a field of the object `name`.
    #[must_use]
    pub fn below(self, name: &str) -> Self {
        Self { field: format!("{name}.{}", self.field), ..self }
    }
}

/// A value that is one string or an array.
pub(super) enum TextOrList<'a, T> {
    Text(Str<'a>),
    List(Vec<T>),
}

/// Reads a value that may be one string or an array, without a tree in between.
pub(super) fn text_or_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<TextOrList<'de, T>, D::Error> {
    struct Either<T>(&'static str, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
        type Value = TextOrList<'de, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(TextOrList::Text(Str::borrowed(text)))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(TextOrList::Text(Str::owned(text)))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = sequence.next_element()? {
                list.push(element);
            }
            Ok(TextOrList::List(list))
        }
    }
    deserializer.deserialize_any(Either(expected, PhantomData))
}

/// What a raw value is, judged by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    pub fn of(raw: &RawValue) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool,
            Some(b'"') => Self::String,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            _ => Self::Number,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// The message of a serde error without its "at line … column …" tail, for texts that give the place
/// themselves.
pub fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let tail = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&tail).map_or(text.clone(), str::to_owned)
}

/// `raw` without white space between its tokens. Numbers, escapes and key order stay as they were written.
pub fn compact(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in raw.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    Cow::Owned(out)
}

/// An empty JSON object, for tool calls without input.
pub fn empty_object() -> Box<RawValue> {
    raw_of(&serde_json::Map::new())
}

/// `value` as raw JSON. Only for values whose writing cannot fail; anything else becomes `null`.
pub fn raw_of<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_touches_only_the_space_between_tokens() {
        let raw = "{ \"a b\" :\t[1.0, \"x \\\" y\\\\\" ,\n 12345678901234567890 ] }";
        assert_eq!(compact(raw), "{\"a b\":[1.0,\"x \\\" y\\\\\",12345678901234567890]}");
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let plain: Str<'_> = serde_json::from_str("\"plain\"").unwrap();
        assert!(matches!(plain.0, Cow::Borrowed("plain")));
        let escaped: Str<'_> = serde_json::from_str(r#""a\nb""#).unwrap();
        assert_eq!(&*escaped, "a\nb");
    }

    #[test]
    fn fields_are_taken_once_and_null_is_absent() {
        let mut object: Object<'_> =
            serde_json::from_str(r#"{"a":1,"b":null,"a":2,"c":{"x":1},"d":false,"e":[1,"x"]}"#).unwrap();
        assert_eq!(object.read::<u8>("a"), Ok(Some(2)));
        assert_eq!(object.read::<u8>("a"), Ok(None));
        assert_eq!(object.read::<u8>("b"), Ok(None));
        assert_eq!(object.read_list::<u8>("e").unwrap_err().field, "e[1]");
        assert_eq!(object.rest().collect::<Vec<_>>(), ["c"]);
        assert_eq!(object.read::<u8>("c").unwrap_err().to_string(), "c: invalid type: map, expected u8");
    }

    #[test]
    fn reasons_leave_the_place_out() {
        let error = serde_json::from_str::<u8>("\"x\"").unwrap_err();
        assert_eq!(reason(&error), "invalid type: string \"x\", expected u8");
    }
}
