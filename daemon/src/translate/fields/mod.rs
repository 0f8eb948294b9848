//! What becomes of each field of a request, once per dialect: these tables are what a client is told about loss.
//!
//! The readers name whatever they do not send; a table says which of those names are a loss. A test sends each
//! field's example and sees that the reader does with it what the table says.

mod chat;
mod completions;
mod document;
mod responses;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::wire::error::ApiError;

pub use chat::CHAT;
pub use completions::COMPLETIONS;
pub use document::document;
pub use responses::RESPONSES;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It changes what Claude is asked.
    Mapped,
    /// It decides the form of the answer, or is repeated in it.
    Answered,
    /// It is a 400, at least with the values the note names.
    Refused,
    /// It is neither sent nor missed: it repeats what other fields say.
    Needless,
    /// It has no counterpart: it is not sent, and the client is told so.
    Dropped,
}

/// A field of a request.
#[derive(Debug)]
pub struct Field {
    /// Its place; `[]` stands for each element of a list.
    pub name: &'static str,
    pub fate: Fate,
    /// A value, as JSON, that meets this fate.
    pub example: &'static str,
    /// What it becomes, or why it does not.
    pub note: &'static str,
}

/// The fields of one dialect's requests.
#[derive(Debug)]
pub struct Table {
    pub title: &'static str,
    pub path: &'static str,
    pub fields: &'static [Field],
    /// Places below which everything is as below another place.
    pub same: &'static [(&'static str, &'static str)],
}

// Why fields of several dialects do not become anything else.
const NO_COUNTERPART: &str = "Claude has no such setting.";
const CACHE_LIFE: &str =
    "Claude keeps what it cached for five minutes since its last use; `cache_control` can ask for an hour.";
const ANTHROPICS: &str = "Anthropic's own marker, passed on as it is.";

const fn field(fate: Fate, name: &'static str, example: &'static str, note: &'static str) -> Field {
    Field { name, fate, example, note }
}

const fn mapped(name: &'static str, example: &'static str, note: &'static str) -> Field {
    field(Fate::Mapped, name, example, note)
}

const fn answered(name: &'static str, example: &'static str, note: &'static str) -> Field {
    field(Fate::Answered, name, example, note)
}

const fn refused(name: &'static str, example: &'static str, note: &'static str) -> Field {
    field(Fate::Refused, name, example, note)
}

const fn needless(name: &'static str, example: &'static str, note: &'static str) -> Field {
    field(Fate::Needless, name, example, note)
}

const fn dropped(name: &'static str, example: &'static str, note: &'static str) -> Field {
    field(Fate::Dropped, name, example, note)
}

/// How many names a header or an error holds; a long conversation can lose the same field a thousand times.
const MOST_NAMES: usize = 30;
/// A name of the client's own making is cut here.
const LONGEST_NAME: usize = 80;

impl Table {
    /// The field that stands at this place of a request.
    pub fn find(&self, place: &str) -> Option<&'static Field> {
        let mut general = general(place);
        for (this, that) in self.same {
            if let Some(rest) = general.strip_prefix(this) {
                general = format!("{that}{rest}");
            }
        }
        self.fields.iter().find(|field| field.name == general)
    }

    /// Whether not sending what stands there is a loss.
    pub(super) fn is_loss(&self, place: &str) -> bool {
        self.find(place).is_none_or(|field| field.fate != Fate::Needless)
    }

    /// The names of these places, each once, as an ASCII list for a header.
    pub fn list(&self, places: &[String]) -> String {
        let mut names: Vec<String> = Vec::new();
        for place in places {
            let name =
                self.find(place).map_or_else(|| printable(&general(place)), |field| field.name.to_owned());
            if !names.contains(&name) {
                if names.len() == MOST_NAMES {
                    names.push("...".to_owned());
                    break;
                }
                names.push(name);
            }
        }
        names.join(", ")
    }
}

/// A place without the indices of its lists, and without what was said about it in brackets.
fn general(place: &str) -> String {
    let place = place.split_once(" (").map_or(place, |(place, _)| place);
    let mut out = String::with_capacity(place.len());
    let mut rest = place;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        out.push('[');
        rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

/// A name as a header can hold it.
fn printable(name: &str) -> String {
    name.chars().take(LONGEST_NAME).map(|c| if c.is_ascii_graphic() && c != ',' { c } else { '?' }).collect()
}

/// The refusal of a request that would lose something, where the client wants none to be lost.
pub(super) fn strict(places: &[String]) -> Result<(), ApiError> {
    let Some(first) = places.first() else { return Ok(()) };
    let mut text = String::new();
    for place in places.iter().take(MOST_NAMES) {
        let separator = if text.is_empty() { "" } else { ", " };
        let cut: String = place.chars().take(LONGEST_NAME).collect();
        // Writing to a string cannot fail.
        let _written = write!(text, "{separator}{cut}");
    }
    if let Some(more) = places.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
        let _written = write!(text, " and {more} more");
    }
    let param = first.split_once(" (").map_or(first.as_str(), |(place, _)| place);
    let message = format!(
        "{param}: strict mode is on, and this request cannot be sent without dropping: {text}. Leave these fields out, or \
         turn strict mode off (translation.strict, or the header x-proxyd-strict: false)"
    );
    Err(ApiError::invalid_param(param, message).with_code("unsupported_parameter"))
}
