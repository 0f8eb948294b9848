//! Changes of a program's own configuration file that keep what else stands in it: comments, order, blank lines. What is to
//! change is data, the same for every format; each format has one file that carries it out. Pure.
//!
//! No edit is trusted: what came out is read again and must mean exactly what was there, with the changes and nothing else.

mod change;
pub(crate) mod diff;
pub(crate) mod file;
mod json;
mod toml;
mod yaml;

use serde_json::Value;

pub(crate) use self::change::{Change, any, change};
use self::change::{Step, plan};

/// The byte order mark that some editors of Windows begin a file with.
const MARK: &str = "\u{feff}";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// With comments and trailing commas, as editors take it.
    Json,
    Toml,
    Yaml,
}

/// Why a file is left alone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("line {line}, column {column}: {why}")]
    Broken { line: usize, column: usize, why: String },
    #[error("{at} is not {wanted}")]
    Form { at: String, wanted: &'static str },
    /// The editor's work did not mean what it should have.
    #[error("it is written in a way that cannot be edited without risk")]
    Risky,
}

impl Format {
    /// The text with the changes; `None` where it says all of them already.
    pub(crate) fn edit(self, text: &str, changes: &[Change]) -> Result<Option<String>, Unfit> {
        // No format counts it as a part of the text, and not every reader knows it.
        let (mark, text) = text.strip_prefix(MARK).map_or(("", text), |text| (MARK, text));
        let before = self.read(text)?;
        let (steps, wanted) = plan(before, changes)?;
        if steps.is_empty() {
            return Ok(None);
        }
        let mut edited = self.write(text, &steps).ok_or(Unfit::Risky)?;
        if !edited.ends_with('\n') {
            edited.push('\n');
        }
        if has_carriage_returns(text) {
            edited = edited.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        match self.read(&edited) {
            Ok(after) if after == wanted => Ok(Some(format!("{mark}{edited}"))),
            _ => Err(Unfit::Risky),
        }
    }

    /// What the text means; null where it says nothing.
    fn read(self, text: &str) -> Result<Value, Unfit> {
        match self {
            Self::Json => json::read(text),
            Self::Toml => toml::read(text),
            Self::Yaml => yaml::read(text),
        }
    }

    fn write(self, text: &str, steps: &[Step]) -> Option<String> {
        match self {
            Self::Json => json::write(text, steps),
            Self::Toml => toml::write(text, steps),
            Self::Yaml => yaml::write(text, steps),
        }
    }
}

/// Whether its lines end as those of Windows do, by its first one.
fn has_carriage_returns(text: &str) -> bool {
    text.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r'))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
