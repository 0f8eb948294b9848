//! A line of the log as a value of its own: made by whoever has something to say, written down later by a thread that may wait.
//!
//! Values are bounded and hold no control characters, so that no line is longer than a reader expects, and nothing that came
//! from outside can look like a line of its own or steer a terminal.

use std::fmt::Write as _;

use tracing::field::Field;
use tracing::{Event, Level, Metadata, Span, span};

use super::packed::{Packed, Value};
use crate::clock::Timestamp;

/// What an event may hold: its macros take 32 fields.
const MOST_FIELDS: usize = 32;
/// The field that holds a line's words.
const MESSAGE: &str = "message";

/// A line.
#[derive(Debug)]
pub struct Record {
    at: Timestamp,
    metadata: &'static Metadata<'static>,
    values: Packed,
    /// What it happened in, outermost first.
    spans: Box<[Context]>,
}

/// A span, as a line tells it.
#[derive(Clone, Debug)]
pub(super) struct Context {
    metadata: &'static Metadata<'static>,
    values: Packed,
}

impl Record {
    pub(super) fn new(at: Timestamp, event: &Event<'_>, spans: Vec<Context>) -> Self {
        let values = Packed::of(|visit| event.record(visit));
        Self { at, metadata: event.metadata(), values, spans: spans.into() }
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub fn level(&self) -> Level {
        *self.metadata.level()
    }

    /// The module that wrote it.
    pub fn target(&self) -> &'static str {
        self.metadata.target()
    }

    pub fn message(&self) -> String {
        let message = self.values.iter(self.metadata).find(|(field, _)| field.name() == MESSAGE);
        message.map(|(_, value)| value.to_string()).unwrap_or_default()
    }

    /// Every field but the message, the line's own first; of those with one name the innermost.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in self.all() {
            if fields.iter().all(|(known, _)| *known != name) {
                fields.push((name, value.to_string()));
            }
        }
        fields
    }

    /// Whether its innermost field of this name says just this.
    pub fn says(&self, name: &str, what: &str) -> bool {
        self.all().find(|(known, _)| *known == name).is_some_and(|(_, value)| value.to_string() == what)
    }

    /// As one line of readable text without an end of line: when, how grave, in what, what, and its fields.
    pub(super) fn to_text(&self) -> String {
        let mut line = String::with_capacity(512);
        // Writing to a string cannot fail.
        let _written = write!(line, "{:.6} {:>5} ", self.at, self.metadata.level().as_str());
        for span in &self.spans {
            line.push_str(span.metadata.name());
            for (place, (field, value)) in span.values.iter(span.metadata).enumerate() {
                line.push(if place == 0 { '{' } else { ' ' });
                put_text(&field, &value, &mut line);
            }
            line.push_str(if span.values.is_empty() { ":" } else { "}:" });
        }
        if !self.spans.is_empty() {
            line.push(' ');
        }
        for (place, (field, value)) in self.values.iter(self.metadata).enumerate() {
            if place > 0 {
                line.push(' ');
            }
            put_text(&field, &value, &mut line);
        }
        line
    }

    /// As one flat JSON object without an end of line.
    pub(super) fn to_json(&self) -> String {
        let mut line = String::new();
        let put = |line: &mut String, name: &str, value: serde_json::Value| {
            line.push(if line.is_empty() { '{' } else { ',' });
            // Writing to a string cannot fail.
            let _written = write!(line, "{}:{value}", serde_json::Value::from(name));
        };
        put(&mut line, "time", format!("{:.3}", self.at).into());
        put(&mut line, "level", self.metadata.level().as_str().to_ascii_lowercase().into());
        put(&mut line, "target", self.target().into());
        put(&mut line, MESSAGE, self.message().into());
        let mut told = vec!["time", "level", "target"];
        for (name, value) in self.all() {
            if !told.contains(&name) {
                told.push(name);
                put(&mut line, name, value.to_json());
            }
        }
        line.push('}');
        line
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        128 + self.values.size() + self.spans.iter().map(|span| 64 + span.values.size()).sum::<usize>()
    }

    /// Happens once more, for the subscriber of this thread.
    pub(super) fn replay(&self) {
        let spans: Vec<_> =
            self.spans.iter().map(|span| with(span.metadata, &span.values, Span::new).entered()).collect();
        with(self.metadata, &self.values, |metadata, values| Event::dispatch(metadata, values));
        // The innermost first, as they were entered last.
        spans.into_iter().rev().for_each(drop);
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        let own = self.values.iter(self.metadata).filter(|(field, _)| field.name() != MESSAGE);
        let around = self.spans.iter().rev().flat_map(|span| span.values.iter(span.metadata));
        own.chain(around).map(|(field, value)| (field.name(), value))
    }
}

impl Context {
    pub(super) fn new(attributes: &span::Attributes<'_>) -> Self {
        Self { metadata: attributes.metadata(), values: Packed::of(|visit| attributes.record(visit)) }
    }

    /// A span is told more.
    pub(super) fn add(&mut self, more: &span::Record<'_>) {
        self.values = self.values.replaced_by(&Packed::of(|visit| more.record(visit)));
    }
}

/// As `name=value`; a message has no name.
fn put_text(field: &Field, value: &Value<'_>, line: &mut String) {
    if field.name() == MESSAGE {
        // Writing to a string cannot fail.
        let _written = write!(line, "{value}");
        return;
    }
    line.push_str(field.name());
    line.push('=');
    value.put_text(line);
}

/// Values as tracing has them: a set of fields with their values.
fn with<T>(
    metadata: &'static Metadata<'static>,
    values: &Packed,
    work: impl FnOnce(&'static Metadata<'static>, &tracing::field::ValueSet<'_>) -> T,
) -> T {
    let fields = metadata.fields();
    let Some(any) = fields.iter().next() else { return work(metadata, &fields.value_set(&[])) };
    let values: Vec<_> = values.iter(metadata).collect();
    // A set is of a fixed size; a field without a value is as one that was not named.
    let mut set = [const { None::<(&Field, &dyn tracing::field::Value)> }; MOST_FIELDS];
    for (place, (field, value)) in set.iter_mut().zip(&values) {
        *place = Some((field, value.as_value()));
    }
    let set = set.map(|place| place.map_or((&any, None), |(field, value)| (field, Some(value))));
    work(metadata, &fields.value_set(&set))
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
