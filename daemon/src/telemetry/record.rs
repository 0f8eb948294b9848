//! A line of the log as a value of its own: made by whoever has something to say, written down later by a thread that may wait.
//!
//! Values are bounded and hold no control characters, so that no line is longer than a reader expects, and nothing that came
//! from outside can look like a line of its own or steer a terminal.

use std::fmt::{self, Write as _};

use tracing::field::{DisplayValue, Field, Value, Visit, display};
use tracing::{Event, Level, Metadata, Span, span};

use crate::clock::Timestamp;

/// So many bytes of one text are kept.
const LONGEST_TEXT: usize = 4096;
/// What an event may hold: its macros take 32 fields.
const MOST_FIELDS: usize = 32;
/// The field that holds a line's words.
const MESSAGE: &str = "message";

/// A line.
#[derive(Debug)]
pub struct Record {
    at: Timestamp,
    metadata: &'static Metadata<'static>,
    values: Values,
    /// What it happened in, outermost first.
    spans: Vec<Context>,
}

/// A span, as a line tells it.
#[derive(Clone, Debug)]
pub(super) struct Context {
    metadata: &'static Metadata<'static>,
    values: Values,
}

/// Values by their fields.
#[derive(Clone, Debug, Default)]
struct Values(Vec<(Field, Owned)>);

/// A value that outlives its event.
#[derive(Clone, Debug)]
enum Owned {
    Float(f64),
    Signed(i64),
    Unsigned(u64),
    LongSigned(i128),
    LongUnsigned(u128),
    Truth(bool),
    /// Text in quotes, where a format has them.
    Text(String),
    /// What showed itself in words.
    Shown {
        text: DisplayValue<String>,
        length: usize,
    },
}

impl Record {
    pub(super) fn new(at: Timestamp, event: &Event<'_>, spans: Vec<Context>) -> Self {
        let mut values = Values(Vec::with_capacity(event.metadata().fields().len()));
        event.record(&mut values);
        Self { at, metadata: event.metadata(), values, spans }
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
        let message = self.values.0.iter().find(|(field, _)| field.name() == MESSAGE);
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
            for (place, (field, value)) in span.values.0.iter().enumerate() {
                line.push(if place == 0 { '{' } else { ' ' });
                value.put_text(field.name(), &mut line);
            }
            line.push_str(if span.values.0.is_empty() { ":" } else { "}:" });
        }
        if !self.spans.is_empty() {
            line.push(' ');
        }
        for (place, (field, value)) in self.values.0.iter().enumerate() {
            if place > 0 {
                line.push(' ');
            }
            value.put_text(field.name(), &mut line);
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
        let of = |values: &Values| -> usize { values.0.iter().map(|(_, value)| 64 + value.len()).sum() };
        128 + of(&self.values) + self.spans.iter().map(|span| 64 + of(&span.values)).sum::<usize>()
    }

    /// Happens once more, for the subscriber of this thread.
    pub(super) fn replay(&self) {
        let spans: Vec<_> =
            self.spans.iter().map(|span| span.values.with(span.metadata, Span::new).entered()).collect();
        self.values.with(self.metadata, |metadata, values| Event::dispatch(metadata, values));
        // The innermost first, as they were entered last.
        spans.into_iter().rev().for_each(drop);
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Owned)> {
        let own = self.values.0.iter().filter(|(field, _)| field.name() != MESSAGE);
        let around = self.spans.iter().rev().flat_map(|span| &span.values.0);
        own.chain(around).map(|(field, value)| (field.name(), value))
    }
}

impl Context {
    pub(super) fn new(attributes: &span::Attributes<'_>) -> Self {
        let mut values = Values::default();
        attributes.record(&mut values);
        Self { metadata: attributes.metadata(), values }
    }

    /// A span is told more.
    pub(super) fn add(&mut self, more: &span::Record<'_>) {
        more.record(&mut self.values);
    }
}

impl Values {
    /// As tracing has them: a set of fields with their values.
    fn with<T>(
        &self,
        metadata: &'static Metadata<'static>,
        work: impl FnOnce(&'static Metadata<'static>, &tracing::field::ValueSet<'_>) -> T,
    ) -> T {
        let fields = metadata.fields();
        let Some(any) = fields.iter().next() else { return work(metadata, &fields.value_set(&[])) };
        // A set is of a fixed size; a field without a value is as one that was not named.
        let mut set = [const { None::<(&Field, &dyn Value)> }; MOST_FIELDS];
        for (place, (field, value)) in set.iter_mut().zip(&self.0) {
            *place = Some((field, value.as_value()));
        }
        let set = set.map(|place| place.map_or((&any, None), |(field, value)| (field, Some(value))));
        work(metadata, &fields.value_set(&set))
    }

    fn put(&mut self, field: &Field, value: Owned) {
        match self.0.iter_mut().find(|(known, _)| known == field) {
            Some((_, known)) => *known = value,
            None => self.0.push((field.clone(), value)),
        }
    }
}

impl Visit for Values {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Owned::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Owned::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Owned::Unsigned(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, Owned::LongSigned(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, Owned::LongUnsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Owned::Truth(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Bounded::default();
        // It stops where the text is full.
        let _full = text.write_str(value);
        self.put(field, Owned::Text(text.0));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded::default();
        let _full = write!(text, "{value:?}");
        let length = text.0.len();
        self.put(field, Owned::Shown { text: display(text.0), length });
    }
}

impl Owned {
    fn as_value(&self) -> &dyn Value {
        match self {
            Self::Float(value) => value,
            Self::Signed(value) => value,
            Self::Unsigned(value) => value,
            Self::LongSigned(value) => value,
            Self::LongUnsigned(value) => value,
            Self::Truth(value) => value,
            Self::Text(value) => value,
            Self::Shown { text, .. } => text,
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Float(value) => (*value).into(),
            Self::Signed(value) => (*value).into(),
            Self::Unsigned(value) => (*value).into(),
            Self::Truth(value) => (*value).into(),
            // Beyond what JSON's readers take for a number.
            Self::LongSigned(_) | Self::LongUnsigned(_) | Self::Text(_) | Self::Shown { .. } => {
                self.to_string().into()
            }
        }
    }

    /// As `name=value`; a message has no name.
    fn put_text(&self, name: &str, line: &mut String) {
        let is_message = name == MESSAGE;
        if !is_message {
            line.push_str(name);
            line.push('=');
        }
        let _written = match self {
            Self::Text(text) if !is_message => write!(line, "{text:?}"),
            Self::Float(value) => write!(line, "{value:?}"),
            value => write!(line, "{value}"),
        };
    }

    /// Of what it holds beside itself.
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Shown { length, .. } => *length,
            _ => 0,
        }
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::LongSigned(value) => value.fmt(f),
            Self::LongUnsigned(value) => value.fmt(f),
            Self::Truth(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Shown { text, .. } => text.fmt(f),
        }
    }
}

/// A text that ends where it is long enough.
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() < LONGEST_TEXT && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.push_str(text);
            return Ok(());
        }
        for char in text.chars() {
            if self.0.len() >= LONGEST_TEXT {
                self.0.push('…');
                return Err(fmt::Error);
            }
            if char.is_control() {
                self.0.extend(char.escape_default());
            } else {
                self.0.push(char);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
