//! The fields of an object, taken out one by one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Kind, Str, from_str, reason};
use crate::wire::error::ApiError;
use crate::wire::skim;

/// A field that is longer is not looked through before somebody reads it.
const LONG: usize = 16 * 1024;

/// The fields of a JSON object, each still as it was written. `null` is the same as absent.
#[derive(Debug, Default)]
pub struct Object<'a> {
    fields: Vec<(Str<'a>, &'a RawValue)>,
    /// One that nobody has looked into yet.
    long: Option<(&'static str, &'a str)>,
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
                Ok(Object { fields, long: None })
            }
        }
        deserializer.deserialize_any(ObjectVisitor)
    }
}

impl<'a> Object<'a> {
    /// Reads a request body by its fields. The field of this name, which `read` always takes, is looked at once where it is long:
    /// by whoever reads it. Only where that fails the whole is looked at first, to say what is wrong and where.
    pub fn read_body<T>(
        body: &'a [u8],
        name: &'static str,
        read: impl Fn(Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        if body.len() > LONG
            && let Some(fields) = Self::skimmed(body, name)
            && let Ok(found) = read(fields)
        {
            return Ok(found);
        }
        read(Self::parse(body)?)
    }

    /// The fields of a body that looks as it should; the one of this name is only found, where it is long. `None` where the body is
    /// to be read.
    fn skimmed(body: &'a [u8], name: &'static str) -> Option<Self> {
        let mut object = Self::default();
        let mut is_plain = true;
        let mut field = |key: &'a [u8], value: &'a [u8]| {
            let (key, value) = (str::from_utf8(key).ok()?, str::from_utf8(value).ok()?);
            // A name may be written in escapes, which is somebody else's to read.
            if key.bytes().any(|byte| byte == b'\\' || byte < b' ') {
                return None;
            }
            if key == name && value.len() > LONG {
                // Of two with one name the last counts.
                return object.long.replace((name, value)).is_none().then_some(());
            }
            object.fields.push((Str::borrowed(key), serde_json::from_str(value).ok()?));
            Some(())
        };
        skim::members(body, |key, value| is_plain &= is_plain && field(key, value).is_some())?;
        let is_double = object.long.is_some() && object.fields.iter().any(|(key, _)| &**key == name);
        (is_plain && !is_double).then_some(object)
    }

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

    /// What a field is; `None` where it is absent.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        let long = self.long.filter(|(key, _)| *key == name).map(|(_, value)| Kind::of_text(value));
        long.or_else(|| self.get(name).map(Kind::of))
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

    fn take_text(&mut self, name: &str) -> Option<&'a str> {
        let long = self.long.take_if(|(key, _)| *key == name);
        long.map(|(_, text)| text).or_else(|| self.take(name).map(RawValue::get))
    }

    /// Takes the field out and reads it; what is wrong with it is said under its name.
    pub fn read<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let Some(text) = self.take_text(name) else {
            return Ok(None);
        };
        match serde_json::from_str(text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(FieldError { field: name.to_owned(), reason: reason(&error) }),
        }
    }

    /// Reads an array whose faulty element is named by its index.
    pub fn read_list<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<Vec<T>>, FieldError> {
        let Some(text) = self.take_text(name) else {
            return Ok(None);
        };
        let error = match from_str(text) {
            Ok(list) => return Ok(Some(list)),
            Err(error) => FieldError { field: name.to_owned(), reason: reason(&error) },
        };
        let elements: Vec<&'a RawValue> = serde_json::from_str(text).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_long_body_is_found_to_say_the_same() {
        let read = |mut fields: Object<'_>| {
            let model = fields.model()?.to_string();
            let list = fields.read_list::<Str<'_>>("messages")?.unwrap_or_default().len();
            Ok((model, list, fields.rest().map(str::to_owned).collect::<Vec<_>>()))
        };
        let long = r#"x\"}]"#.repeat(LONG);
        for (rest, says) in [
            (r#""model":"m","other":[1]"#, Ok(("m", 2, vec!["other"]))),
            (r#""m\u006fdel":"m""#, Ok(("m", 2, vec![]))),
            (r#""model":"m","messages":["a"]"#, Ok(("m", 1, vec![]))),
            (r#""model":"m","messages":null"#, Ok(("m", 0, vec![]))),
            (r#""model":"m","other":[1,]"#, Err("not a JSON object: expected value (line 1,")),
            (r#""model":"m","input":[LONG]"#, Ok(("m", 2, vec!["input"]))),
            (r#""model":"m","input":[LONG LONG]"#, Err("not a JSON object: expected `,` or `]` (line 1,")),
            ("\"model\":\"m\",\u{c}\"a\":1", Err("not a JSON object: key must be a string (line 1,")),
            ("\"model\":\"m\",\"\t\":1", Err("not a JSON object: control character")),
            (r#""model":"m",,"#, Err("not a JSON object: key must be a string (line 1,")),
            (r#""model":7"#, Err("model: invalid type: integer `7`, expected a string")),
        ] {
            let rest = rest.replace("LONG", &format!("\"{long}\""));
            let body = format!(r#"{{"messages":["{long}","b"],{rest}}}"#);
            match (Object::read_body(body.as_bytes(), "messages", read), says) {
                (Ok((model, list, names)), Ok(says)) => {
                    assert_eq!((model.as_str(), list, names.iter().map(String::as_str).collect()), says);
                }
                (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
                (found, _) => panic!("{rest}: {found:?}"),
            }
        }
        for (wrong, says) in
            [(format!(r#"["{long}",7]"#), "messages[1]: "), (format!(r#"["{long}" 7]"#), "(line 1,")]
        {
            let body = format!(r#"{{"model":"m","messages":{wrong}}}"#);
            let error = Object::read_body(body.as_bytes(), "messages", read).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
