//! The older `OpenAI` completions: a text in, a text out.
//!
//! Reading checks types only; what a field means for Claude is `translate`'s to say.

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::value::RawValue;

use super::chat::{ChatUsage, Stop, StreamOptions};
use super::error::ApiError;
use super::json::{Kind, Object, Str};

/// A request with every field that has a meaning here; the others are in `unread`.
#[derive(Debug)]
pub struct Request<'a> {
    pub model: Str<'a>,
    pub prompt: Prompt<'a>,
    pub suffix: Option<Str<'a>>,
    pub echo: bool,
    pub n: Option<f64>,
    pub best_of: Option<f64>,
    pub max_tokens: Option<f64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stop: Option<Stop<'a>>,
    pub stream: bool,
    pub include_usage: bool,
    pub user: Option<Str<'a>>,
    /// Names of the fields that nobody reads and that say something.
    pub unread: Vec<String>,
}

/// What is to be completed.
#[derive(Debug)]
pub enum Prompt<'a> {
    Texts(Vec<Str<'a>>),
    /// One prompt or several, given as numbers of a tokenizer.
    Tokens,
}

impl<'a> Request<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Object::parse(body)?;
        let stream_options = StreamOptions::take_from(&mut fields)?;
        Ok(Self {
            model: fields.model()?,
            prompt: fields
                .read("prompt")?
                .ok_or_else(|| ApiError::invalid_param("prompt", "prompt: field required"))?,
            suffix: fields.read("suffix")?,
            echo: fields.read("echo")?.unwrap_or(false),
            n: fields.read("n")?,
            best_of: fields.read("best_of")?,
            max_tokens: fields.read("max_tokens")?,
            temperature: fields.read("temperature")?,
            top_p: fields.read("top_p")?,
            stop: fields.read("stop")?,
            stream: fields.read("stream")?.unwrap_or(false),
            include_usage: stream_options.include_usage,
            user: fields.read("user")?,
            unread: fields.rest().map(str::to_owned).chain(stream_options.unread).collect(),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Prompt<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        match Kind::of(raw) {
            Kind::String => serde_json::from_str(raw.get()).map(|text| Self::Texts(vec![text])),
            Kind::Array => {
                let elements: Vec<&'de RawValue> =
                    serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
                let is_token = |raw: &&RawValue| matches!(Kind::of(raw), Kind::Number | Kind::Array);
                if elements.first().is_some_and(is_token) {
                    return Ok(Self::Tokens);
                }
                serde_json::from_str(raw.get()).map(Self::Texts)
            }
            other => return Err(D::Error::custom(format!("expected a string, found {}", other.name()))),
        }
        .map_err(D::Error::custom)
    }
}

#[derive(Debug, Serialize)]
pub struct Completion<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub created: i64,
    pub model: &'a str,
    pub choices: [Choice<'a>; 1],
    pub usage: ChatUsage,
}

/// A whole text, or a part of one in a stream, where only the last has a reason.
#[derive(Debug, Serialize)]
pub struct Choice<'a> {
    pub text: &'a str,
    pub index: u64,
    pub logprobs: Option<&'a RawValue>,
    pub finish_reason: Option<&'static str>,
}
