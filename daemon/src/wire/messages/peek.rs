//! One pass over a native request body for what routing needs, without building a tree.
//!
//! It judges nothing else: what the rest of the body may hold is upstream's to say.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::json::{Str, reason};
use crate::wire::pieces::Pieces;
use crate::wire::skim::{CODE, Member};

/// A longer body is not read, but passed over.
const MOST_READ: usize = 16 * 1024;

/// Of a longer value of such a body its beginning is told.
pub const MOST_TOLD: usize = 64 * 1024;

/// What routing needs of a Messages request.
#[derive(Clone, Debug)]
pub struct Peek<'a> {
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// `metadata.user_id`, which names a conversation for most clients.
    pub session: Option<Cow<'a, str>>,
    /// As they are written, whatever they are; of a long value at least [`MOST_TOLD`] bytes.
    pub system: Option<Cow<'a, [u8]>>,
    pub tools: Option<Cow<'a, [u8]>>,
    pub messages: Option<Cow<'a, [u8]>>,
    /// A field may name state that lives with an account, or make some: a container, a thread, what a diagnosis goes on from, or what
    /// has to do with running code.
    pub names_state: bool,
}

/// The fields that do.
const OF_STATE: [&[u8]; 3] = [b"container", b"thread", b"diagnostics"];

/// The body cannot be a Messages request. Line and column count from 1 and point behind the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request body is not a valid Messages request: {message} (line {line}, column {column})")]
pub struct PeekError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// Reads model, `stream` and the session key of a request body.
pub fn peek(body: &Pieces) -> Result<Peek<'_>, PeekError> {
    if body.len() > MOST_READ
        && let Some(found) = skimmed(body)
    {
        return Ok(found);
    }
    let mut found = read(body.joined())?;
    found.names_state |= memchr::memmem::find(body.joined(), CODE).is_some();
    Ok(found)
}

/// What the fields say; strings that have to do with running code are not looked for.
fn read(body: &[u8]) -> Result<Peek<'_>, PeekError> {
    serde_json::from_slice(body).map_err(|error| PeekError {
        line: error.line(),
        column: error.column(),
        message: reason(&error),
    })
}

/// The same of a body that is long and looks as it should; what is not read of it is upstream's to judge. `None` where it is to be
/// read, for instance since something is wrong with it.
fn skimmed(body: &Pieces) -> Option<Peek<'_>> {
    let [mut model, mut stream, mut metadata, mut system, mut tools, mut messages] = [const { None }; 6];
    let outline = body.outline();
    let (mut is_plain, mut names_state) = (true, outline.runs_code());
    for Member { key, value } in outline.members()? {
        let place = match &*body.range(key.clone()) {
            b"model" => &mut model,
            b"stream" => &mut stream,
            b"metadata" => &mut metadata,
            b"system" => &mut system,
            b"tools" => &mut tools,
            b"messages" => &mut messages,
            key => {
                // A name may be written in escapes.
                is_plain &= !key.contains(&b'\\');
                names_state |= OF_STATE.contains(&key);
                continue;
            }
        };
        is_plain &= place.replace(value.clone()).is_none();
    }
    let whole = |value: Option<Range<usize>>| value.map(|value| body.range(value));
    let begun = |value: Option<Range<usize>>| {
        value.map(|value| body.range(value.start..value.end.min(value.start + MOST_TOLD)))
    };
    let model = serde_json::from_slice::<String>(&whole(model.filter(|_| is_plain))?).ok()?;
    let stream = match whole(stream) {
        Some(stream) => serde_json::from_slice::<Option<bool>>(&stream).ok()?,
        None => None,
    };
    let session = match whole(metadata) {
        Some(metadata) => serde_json::from_slice::<SessionKey<'_>>(&metadata).ok()?.0.map(Cow::into_owned),
        None => None,
    };
    let found = Peek {
        model: model.into(),
        stream: stream.unwrap_or(false),
        session: session.map(Cow::Owned),
        system: begun(system),
        tools: begun(tools),
        messages: begun(messages),
        names_state,
    };
    (!found.model.trim().is_empty()).then_some(found)
}

impl<'de: 'a, 'a> Deserialize<'de> for Peek<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeekVisitor)
    }
}

struct PeekVisitor;

impl<'de> Visitor<'de> for PeekVisitor {
    type Value = Peek<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Peek<'de>, A::Error> {
        let mut model = None;
        let mut stream = false;
        let (mut session, mut names_state) = (None, false);
        let [mut system, mut tools, mut messages] = [const { None }; 3];
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match &*key {
                "model" => model = Some(named::<_, Str<'de>>("model", map.next_value())?.0),
                "stream" => stream = named::<_, Option<bool>>("stream", map.next_value())?.unwrap_or(false),
                "system" => system = Some(raw(map.next_value()?)),
                "tools" => tools = Some(raw(map.next_value()?)),
                "messages" => messages = Some(raw(map.next_value()?)),
                "metadata" => session = map.next_value::<SessionKey<'de>>()?.0,
                key => {
                    names_state |= OF_STATE.contains(&key.as_bytes());
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match model {
            Some(model) if model.trim().is_empty() => Err(de::Error::custom("model: must not be empty")),
            Some(model) => Ok(Peek { model, stream, session, system, tools, messages, names_state }),
            None => Err(de::Error::custom("model: field required")),
        }
    }
}

fn raw(value: &RawValue) -> Cow<'_, [u8]> {
    value.get().as_bytes().into()
}

/// Puts the field's name before what is wrong with it, unless the JSON itself is broken there.
fn named<E: de::Error, T>(name: &str, value: Result<T, E>) -> Result<T, E> {
    value.map_err(|error| {
        let text = error.to_string();
        // serde_json appends the place, and would append it again to a new error.
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head);
        E::custom(format_args!("{name}: {text}"))
    })
}

/// `user_id` of a metadata object. Other shapes are upstream's to refuse, so they are no error here.
struct SessionKey<'a>(Option<Cow<'a, str>>);

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    user_id: Option<Str<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for SessionKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let metadata = serde_json::from_str::<Metadata<'de>>(raw.get()).ok();
        Ok(Self(metadata.and_then(|metadata| metadata.user_id).map(|user_id| user_id.0)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn finds_what_routing_needs_among_everything_else() {
        let body =
            br#" {"max_tokens":1e3,"messages":[{"model":"inner","stream":true}],"model":"claude-opus-5",
            "metadata":{"user_id":"u-1","x":[1]},"future":{"a":[{}]},"stream":true} "#;
        let found = read(body).unwrap();
        assert_eq!(
            (&*found.model, found.stream, found.session.as_deref()),
            ("claude-opus-5", true, Some("u-1"))
        );
        assert_eq!(&*found.messages.unwrap(), br#"[{"model":"inner","stream":true}]"#);
        assert!(found.system.is_none() && found.tools.is_none());
        assert!(matches!(found.model, Cow::Borrowed(_)));
    }

    #[test]
    fn odd_but_harmless_fields_are_left_to_upstream() {
        for body in [
            r#"{"model":"m"}"#,
            r#"{"model":"m","stream":null,"metadata":null}"#,
            r#"{"model":"m","metadata":[1]}"#,
            r#"{"model":"m","metadata":{"user_id":7}}"#,
            r#"{"model":"x","model":"m"}"#,
            r#"{"model":"m","system":7,"tools":null,"messages":{}}"#,
        ] {
            let found = read(body.as_bytes()).unwrap();
            assert_eq!((&*found.model, found.stream, found.session), ("m", false, None), "{body}");
        }
    }

    #[test]
    fn a_long_body_is_found_to_say_the_same() {
        let long = "x\\\\\\\"}".repeat(MOST_READ);
        for rest in [
            r#""model":"m\u0031","stream":true,"metadata":{"user_id":"u"},"system":[{"a":"}"}],"tools":[]"#,
            r#""stream":null,"model":"m","metadata":null"#,
            r#""model":"m","\u006dodel":"n""#,
            r#""container":"c","model":"m""#,
            r#""model":"m","tools":[{"type":"code_execution_20250825"}]"#,
            r#""model":"m","thre\u0061d":null"#,
            r#""model":"m","model":"n""#,
        ] {
            let body = format!(r#"{{"messages":[{{"content":"{long}"}}],{rest}}}"#);
            let told = |peek: Peek<'_>| {
                let messages = peek.messages.as_deref().map(|messages| messages[..MOST_TOLD].to_vec());
                let names_state = false;
                format!("{:?}", Peek { messages: messages.map(Cow::Owned), names_state, ..peek.clone() })
            };
            let read = told(read(body.as_bytes()).unwrap());
            let names_state = ["container", "thre", "code_ex"].iter().any(|name| rest.contains(name));
            for length in [body.len(), 100_000, 1_000, 77] {
                let mut pieces = Pieces::default();
                body.as_bytes().chunks(length).for_each(|piece| pieces.push(Bytes::copy_from_slice(piece)));
                assert_eq!(peek(&pieces).unwrap().names_state, names_state, "{rest} in pieces of {length}");
                assert!(told(peek(&pieces).unwrap()) == read, "{rest} in pieces of {length}");
            }
        }
        for wrong in [
            r#""model":7"#,
            r#""model":"m","stream":1"#,
            r#""model":"m",,"#,
            r#""model":"m"}x"#,
            r#""model":" ""#,
        ] {
            let body = format!(r#"{{"messages":"{long}",{wrong}}}"#);
            assert!(peek(&Pieces::from(Bytes::from(body))).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("", "EOF while parsing a value", 1),
            ("[]", "invalid type: sequence, expected a JSON object", 1),
            ("\"x\"", "invalid type: string \"x\", expected a JSON object", 1),
            ("{}", "model: field required", 1),
            (r#"{"model":""}"#, "model: must not be empty", 1),
            (r#"{"model":7}"#, "model: invalid type: integer `7`, expected a string", 1),
            (r#"{"model":null}"#, "model: invalid type: null, expected a string", 1),
            (
                "{\"model\":\"m\",\n\"stream\":\"yes\"}",
                "stream: invalid type: string \"yes\", expected a boolean",
                2,
            ),
            ("{\"model\":\"m\",\n\"a\":[1,]}", "expected value", 2),
            ("{\"model\":\"m\"} x", "trailing characters", 1),
            ("{\"model\":\"m\"", "EOF while parsing an object", 1),
        ];
        for (body, message, line) in cases {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!((error.message.as_str(), error.line), (message, line), "{body}");
            assert!(error.to_string().contains("line"), "{error}");
        }
        assert!(read(b"{\"model\":\"\xff\"}").is_err());
    }
}
