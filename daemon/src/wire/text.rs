//! Text that is passed on. Most of a long conversation is text that nobody here needs to know, so that it goes up as it was written,
//! neither read nor written letter by letter.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::json::{Kind, Str, TextOrList, from_str, reason, text_or_list};

/// A text of a body, or one of our own.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// A string of JSON that is one: whoever reads it finds a text.
    Written(&'a RawValue),
    Made(Str<'a>),
}

impl<'a> Text<'a> {
    /// Of a value that is a string.
    pub(super) fn of(raw: &'a RawValue) -> serde_json::Result<Self> {
        // Nobody has looked whether the halves of surrogate pairs belong together.
        let has_codes = memchr::memmem::find(raw.get().as_bytes(), br"\u").is_some();
        if has_codes || Kind::of(raw) != Kind::String {
            return serde_json::from_str(raw.get()).map(Self::Made);
        }
        Ok(Self::Written(raw))
    }

    /// What it says.
    pub fn read(&self) -> Cow<'_, str> {
        match self {
            Self::Written(raw) => {
                serde_json::from_str::<Str<'_>>(raw.get()).map(|text| text.0).unwrap_or_default()
            }
            Self::Made(text) => Cow::Borrowed(text),
        }
    }

    /// Whether it is nothing but white space.
    pub fn is_blank(&self) -> bool {
        let begins_with = match self {
            Self::Written(raw) => raw.get().trim_matches('"').trim_start().chars().next(),
            Self::Made(text) => text.trim_start().chars().next(),
        };
        match (begins_with, self) {
            (None, _) => true,
            // White space may be written so.
            (Some('\\'), Self::Written(_)) => self.read().trim().is_empty(),
            (Some(_), _) => false,
        }
    }

    /// Cuts the white space at its end.
    pub fn trim_end(&mut self) {
        let text = self.read();
        let kept = text.trim_end();
        if kept.len() < text.len() {
            *self = Self::Made(Str::owned(kept));
        }
    }
}

/// One text, or an array of parts.
#[derive(Debug)]
pub enum TextOrParts<'a, T> {
    Text(Text<'a>),
    Parts(Vec<T>),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for TextOrParts<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let read = match Kind::of(raw) {
            Kind::String => Text::of(raw).map(Self::Text),
            Kind::Array => from_str(raw.get()).map(Self::Parts),
            // Neither, which is said as of any other field.
            _ => {
                let mut value = serde_json::Deserializer::from_str(raw.get());
                text_or_list(&mut value, "a string or an array of parts").map(|read| match read {
                    TextOrList::Text(text) => Self::Text(text.into()),
                    TextOrList::List(parts) => Self::Parts(parts),
                })
            }
        };
        read.map_err(|error| D::Error::custom(reason(&error)))
    }
}

impl<'a> From<Str<'a>> for Text<'a> {
    fn from(text: Str<'a>) -> Self {
        Self::Made(text)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Made(text.into())
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Made(text.into())
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Written(raw) => raw.serialize(serializer),
            Self::Made(text) => text.serialize(serializer),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Self::of(raw).map_err(|error| D::Error::custom(reason(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Text<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_text_says_what_was_written_and_goes_on_as_it_was() {
        for (json, says) in [
            (r#""""#, ""),
            (r#""plain""#, "plain"),
            (r#""a \"b\" \\ \/ \n""#, "a \"b\" \\ / \n"),
            (r#"  "\\\"" "#, "\\\""),
            ("\"h\u{f6}he\"", "h\u{f6}he"),
        ] {
            assert_eq!(of(json).read(), says, "{json}");
            assert_eq!(serde_json::to_string(&of(json)).unwrap(), json.trim());
        }
        let coded = of(r#""\u00f6\ud83d\ude00""#);
        assert_eq!(serde_json::to_string(&coded).unwrap(), "\"\u{f6}\u{1f600}\"");
    }

    #[test]
    fn what_is_no_text_is_none() {
        for (json, says) in [
            ("7", "invalid type: integer `7`, expected a string"),
            (r#"["a"]"#, "invalid type: sequence, expected a string"),
            (r#""\ud800""#, "unexpected end of hex escape"),
            (r#""\x""#, "invalid escape"),
            ("\"a\nb\"", "control character (\\u0000-\\u001F) found while parsing a string"),
        ] {
            let error = serde_json::from_str::<Text<'_>>(json).unwrap_err();
            assert_eq!(reason(&error), says, "{json}");
        }
        assert!(serde_json::from_str::<Option<Text<'_>>>("null").unwrap().is_none());
    }

    #[test]
    fn blank_is_white_space_however_it_is_written() {
        for blank in [r#""""#, r#""  ""#, r#"" \n\t\r ""#, r#""\u0020""#, "\"\u{a0}\""] {
            assert!(of(blank).is_blank(), "{blank}");
        }
        for text in [r#""\"""#, r#""a""#, r#"" \n. ""#, r#""\\n""#, r#"" \" ""#] {
            assert!(!of(text).is_blank(), "{text}");
        }
    }

    #[test]
    fn the_end_is_cut_where_it_is_blank() {
        for (json, cut) in [(r#""a b \n""#, r#""a b""#), (r#""a\\n""#, r#""a\\n""#), (r#""\n""#, r#""""#)] {
            let mut text = of(json);
            text.trim_end();
            assert_eq!(serde_json::to_string(&text).unwrap(), cut);
        }
    }
}
