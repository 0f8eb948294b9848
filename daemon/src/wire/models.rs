//! The list of models in both shapes: read from upstream's pages, written as an Anthropic page or an `OpenAI`
//! list.
//!
//! An entry keeps every field upstream gave it, in its order. Nothing here asks upstream or caches.

use std::collections::HashSet;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::described::Described;
use super::error::ApiError;
use super::json::{Str, raw_of};
use super::splice;

/// Entries on a page when the client named no limit, and the most it may ask for (Anthropic's own figures).
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;

/// One model as upstream describes it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    /// What the model is called upstream, where the entry goes by another name.
    pub model: String,
    pub described: Described,
    /// Unix seconds; 0 when upstream gave no readable date.
    pub created: i64,
    raw: Box<RawValue>,
}

impl Entry {
    /// Upstream's own object, every field of it.
    pub fn raw(&self) -> &RawValue {
        &self.raw
    }

    /// The same entry under another name.
    #[must_use]
    pub fn renamed(&self, id: &str) -> Self {
        let renamed = splice::replace(self.raw.get().as_bytes(), "id", id);
        let raw = String::from_utf8(renamed).ok().and_then(|text| RawValue::from_string(text).ok());
        Self { id: id.to_owned(), raw: raw.unwrap_or_else(|| self.raw.clone()), ..self.clone() }
    }

    /// A model that upstream does not list. The date is the API's own for one that is unknown.
    pub fn unlisted(id: &str, model: &str, limits: Limits) -> Self {
        let unlisted = UnlistedModel {
            kind: "model",
            id,
            display_name: id,
            created_at: "1970-01-01T00:00:00Z",
            max_input_tokens: limits.input,
            max_tokens: limits.output,
        };
        let raw = raw_of(&unlisted);
        let described = Described::read(&raw);
        Self { id: id.to_owned(), model: model.to_owned(), described, created: 0, raw }
    }
}

#[derive(Serialize)]
struct UnlistedModel<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
}

/// How many tokens a model takes and makes, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub input: Option<u64>,
    pub output: Option<u64>,
}

#[derive(Deserialize)]
struct EntryFields<'a> {
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow, default)]
    created_at: Option<Str<'a>>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let fields: EntryFields<'_> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let id = fields.id.to_string();
        let created = fields.created_at.and_then(|text| unix_seconds(&text)).unwrap_or(0);
        let described = Described::read(&raw);
        Ok(Self { model: id.clone(), id, described, created, raw })
    }
}

/// One page of upstream's list.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub data: Vec<Entry>,
    #[serde(default)]
    pub has_more: bool,
    #[serde(default)]
    pub last_id: Option<String>,
}

impl Page {
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// Reads the body of upstream's `GET /v1/models/{id}`.
    pub fn parse_entry(body: &[u8]) -> Result<Entry, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// The paging parameters of the Anthropic list, as the client sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    pub limit: Option<usize>,
    pub after_id: Option<String>,
    pub before_id: Option<String>,
}

/// The whole list, without duplicates.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
}

impl Catalog {
    /// Adds entries that are not in the list yet.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut known: HashSet<String> = self.entries.iter().map(|entry| entry.id.clone()).collect();
        self.entries.extend(entries.into_iter().filter(|entry| known.insert(entry.id.clone())));
    }

    /// Puts the newest first, and those of one date in the order of their names: upstream's own order may be another one for
    /// another account.
    pub fn sort(&mut self) {
        self.entries.sort_by(|one, other| (other.created, &one.id).cmp(&(one.created, &other.id)));
    }

    /// Keeps the entries of the names that `may_see` says.
    pub fn retain(&mut self, may_see: impl Fn(&str) -> bool) {
        self.entries.retain(|entry| may_see(&entry.id));
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// One page in the Anthropic shape.
    pub fn anthropic_list(&self, query: &ListQuery) -> Result<Vec<u8>, ApiError> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::invalid_param(
                "limit",
                format!("limit: must be between 1 and {MAX_LIMIT}"),
            ));
        }
        let (data, has_more) = match (&query.after_id, &query.before_id) {
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid_param(
                    "after_id",
                    "after_id and before_id cannot be used together",
                ));
            }
            (None, Some(before)) => {
                let (earlier, _) = self.entries.split_at(self.position("before_id", before)?);
                let skipped = earlier.len().saturating_sub(limit);
                (earlier.get(skipped..).unwrap_or_default(), skipped > 0)
            }
            (after, None) => {
                let start = match after {
                    Some(id) => self.position("after_id", id)? + 1,
                    None => 0,
                };
                let later = self.entries.get(start..).unwrap_or_default();
                (later.get(..limit).unwrap_or(later), later.len() > limit)
            }
        };
        Ok(write(&AnthropicList {
            data: data.iter().map(Entry::raw).collect(),
            has_more,
            first_id: data.first().map(|entry| entry.id.as_str()),
            last_id: data.last().map(|entry| entry.id.as_str()),
        }))
    }

    /// The whole list in the `OpenAI` shape.
    pub fn openai_list(&self, limits: impl Fn(&Entry) -> Limits) -> Vec<u8> {
        let data = self.entries.iter().map(|entry| OpenAiModel::of(entry, limits(entry))).collect();
        write(&OpenAiList { object: "list", data })
    }

    fn position(&self, param: &str, id: &str) -> Result<usize, ApiError> {
        self.entries.iter().position(|entry| entry.id == id).ok_or_else(|| {
            ApiError::invalid_param(param, format!("{param}: no model with the id {id:?} is listed"))
        })
    }
}

/// One model in the `OpenAI` shape.
pub fn openai_model(entry: &Entry, limits: Limits) -> Vec<u8> {
    write(&OpenAiModel::of(entry, limits))
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<&'a RawValue>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'a str,
    data: Vec<OpenAiModel<'a>>,
}

/// The last three are not of the API itself; under these names other gateways tell them.
#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    owned_by: &'a str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
}

impl<'a> OpenAiModel<'a> {
    fn of(entry: &'a Entry, limits: Limits) -> Self {
        Self {
            id: &entry.id,
            object: "model",
            created: entry.created,
            owned_by: "anthropic",
            display_name: entry.described.display_name.as_deref().unwrap_or(&entry.id),
            context_length: limits.input,
            max_output_tokens: limits.output,
        }
    }
}

fn write<T: Serialize>(value: &T) -> Vec<u8> {
    // Strings, numbers and raw JSON cannot fail to be written.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Unix seconds of an RFC 3339 date, fractions cut off; `None` when it is not such a date.
fn unix_seconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
