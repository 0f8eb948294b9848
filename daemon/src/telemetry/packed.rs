//! The values of a line's fields in one piece of memory: there are thousands of lines, and each has twenty of them.

use std::cell::Cell;
use std::fmt::{self, Write as _};

use tracing::Metadata;
use tracing::field::{self, DisplayValue, Field, FieldSet, Visit, display};

/// So many bytes of one text are kept.
pub(super) const LONGEST_TEXT: usize = 4096;

/// Values, one behind the other: its field's place among those that there are, what it is, and it itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed(Box<[u8]>);

/// A value as it was recorded.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Float(f64),
    Signed(i64),
    Unsigned(u64),
    LongSigned(i128),
    LongUnsigned(u128),
    Truth(bool),
    /// Text in quotes, where a format has them.
    Text(&'a str),
    /// What showed itself in words.
    Shown(DisplayValue<&'a str>),
}

/// What kind a value is, as it is packed.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Float,
    Signed,
    Unsigned,
    LongSigned,
    LongUnsigned,
    Truth,
    Text,
    Shown,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Float,
        Self::Signed,
        Self::Unsigned,
        Self::LongSigned,
        Self::LongUnsigned,
        Self::Truth,
        Self::Text,
        Self::Shown,
    ];
}

thread_local! {
    /// Where values are packed, so that they take no more memory than they need.
    static TABLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Packed {
    /// What `record` records.
    pub(super) fn of(record: impl FnOnce(&mut dyn Visit)) -> Self {
        // What shows itself may log meanwhile, and then finds an empty table.
        let mut packer = Packer(TABLE.try_with(Cell::take).unwrap_or_default());
        packer.0.clear();
        record(&mut packer);
        let packed = Self(packer.0.as_slice().into());
        // A thread that ends has none any more.
        let _ended = TABLE.try_with(|table| table.set(packer.0));
        packed
    }

    /// These, but for the fields that `more` has: of them the values there, behind the others.
    pub(super) fn replaced_by(&self, more: &Self) -> Self {
        let is_kept = |part: &&[u8]| more.parts().all(|other| other.first() != part.first());
        let parts: Vec<&[u8]> = self.parts().filter(is_kept).chain(more.parts()).collect();
        Self(parts.concat().into())
    }

    /// The values by their fields, in their order.
    pub(super) fn iter<'a>(
        &'a self,
        metadata: &'static Metadata<'static>,
    ) -> impl Iterator<Item = (Field, Value<'a>)> {
        let mut fields = Fields::of(metadata.fields());
        self.parts().filter_map(move |part| {
            let (place, kind, value) = split(part)?;
            Some((fields.at(place)?, read(kind, value)?))
        })
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (part, after) = rest.split_at_checked(length(rest)?)?;
            rest = after;
            Some(part)
        })
    }
}

/// The fields that there are, found one after another.
struct Fields {
    all: &'static FieldSet,
    next: usize,
    rest: field::Iter,
}

impl Fields {
    fn of(all: &'static FieldSet) -> Self {
        Self { all, next: 0, rest: all.iter() }
    }

    fn at(&mut self, place: usize) -> Option<Field> {
        if place < self.next {
            (self.next, self.rest) = (0, self.all.iter());
        }
        let steps = place - self.next;
        self.next = place + 1;
        self.rest.nth(steps)
    }
}

/// Place, kind and what follows.
fn split(part: &[u8]) -> Option<(usize, Kind, &[u8])> {
    let [place, kind, value @ ..] = part else { return None };
    Some((usize::from(*place), *Kind::ALL.get(usize::from(*kind))?, value))
}

/// Of the value that begins here.
fn length(rest: &[u8]) -> Option<usize> {
    let (_, kind, value) = split(rest)?;
    Some(
        2 + match kind {
            Kind::Float | Kind::Signed | Kind::Unsigned => 8,
            Kind::LongSigned | Kind::LongUnsigned => 16,
            Kind::Truth => 1,
            Kind::Text | Kind::Shown => 2 + usize::from(u16::from_le_bytes(*value.first_chunk()?)),
        },
    )
}

fn read(kind: Kind, value: &[u8]) -> Option<Value<'_>> {
    let text = || str::from_utf8(value.get(2..)?).ok();
    Some(match kind {
        Kind::Float => Value::Float(f64::from_le_bytes(*value.first_chunk()?)),
        Kind::Signed => Value::Signed(i64::from_le_bytes(*value.first_chunk()?)),
        Kind::Unsigned => Value::Unsigned(u64::from_le_bytes(*value.first_chunk()?)),
        Kind::LongSigned => Value::LongSigned(i128::from_le_bytes(*value.first_chunk()?)),
        Kind::LongUnsigned => Value::LongUnsigned(u128::from_le_bytes(*value.first_chunk()?)),
        Kind::Truth => Value::Truth(value == [1]),
        Kind::Text => Value::Text(text()?),
        Kind::Shown => Value::Shown(display(text()?)),
    })
}

/// Packs what it is told.
struct Packer(Vec<u8>);

impl Packer {
    fn put(&mut self, field: &Field, kind: Kind, value: &[u8]) {
        // No event has so many fields.
        if let Ok(place) = u8::try_from(field.index()) {
            self.0.extend_from_slice(&[place, kind as u8]);
            self.0.extend_from_slice(value);
        }
    }

    fn put_written(
        &mut self,
        field: &Field,
        kind: Kind,
        write: impl FnOnce(&mut Bounded<'_>) -> fmt::Result,
    ) {
        self.put(field, kind, &[0; 2]);
        let start = self.0.len();
        // It stops where the text is full.
        let _full = write(&mut Bounded { text: &mut self.0, start, is_full: false });
        let length = u16::try_from(self.0.len() - start).unwrap_or(0);
        if let Some(place) = start.checked_sub(2).and_then(|place| self.0.get_mut(place..start)) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

impl Visit for Packer {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Kind::Float, &value.to_le_bytes());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Kind::Signed, &value.to_le_bytes());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Kind::Unsigned, &value.to_le_bytes());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, Kind::LongSigned, &value.to_le_bytes());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, Kind::LongUnsigned, &value.to_le_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Kind::Truth, &[u8::from(value)]);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_written(field, Kind::Text, |text| text.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_written(field, Kind::Shown, |text| write!(text, "{value:?}"));
    }
}

impl Value<'_> {
    /// As tracing takes it.
    pub(super) fn as_value(&self) -> &dyn field::Value {
        match self {
            Self::Float(value) => value,
            Self::Signed(value) => value,
            Self::Unsigned(value) => value,
            Self::LongSigned(value) => value,
            Self::LongUnsigned(value) => value,
            Self::Truth(value) => value,
            Self::Text(value) => value,
            Self::Shown(value) => value,
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Float(value) => (*value).into(),
            Self::Signed(value) => (*value).into(),
            Self::Unsigned(value) => (*value).into(),
            Self::Truth(value) => (*value).into(),
            // Beyond what JSON's readers take for a number.
            Self::LongSigned(_) | Self::LongUnsigned(_) | Self::Text(_) | Self::Shown(_) => {
                self.to_string().into()
            }
        }
    }

    /// As it stands behind `name=`: text has quotes.
    pub(super) fn put_text(&self, line: &mut String) {
        // Writing to a string cannot fail.
        let _written = match self {
            Self::Text(text) if is_plain(text.as_bytes()) && !text.contains(['"', '\\']) => {
                line.extend(["\"", text, "\""]);
                Ok(())
            }
            Self::Text(text) => write!(line, "{text:?}"),
            Self::Float(value) => write!(line, "{value:?}"),
            value => write!(line, "{value}"),
        };
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::LongSigned(value) => value.fmt(f),
            Self::LongUnsigned(value) => value.fmt(f),
            Self::Truth(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Shown(value) => fmt::Display::fmt(value, f),
        }
    }
}

/// A text that ends where it is long enough.
struct Bounded<'a> {
    text: &'a mut Vec<u8>,
    /// Where it begins.
    start: usize,
    /// Nothing more is written, whoever goes on.
    is_full: bool,
}

impl Bounded<'_> {
    fn len(&self) -> usize {
        self.text.len() - self.start
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_full {
            return Err(fmt::Error);
        }
        if self.len() + text.len() < LONGEST_TEXT && is_plain(text.as_bytes()) {
            self.text.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let mut buffer = [0; 4];
        for char in text.chars() {
            if self.len() >= LONGEST_TEXT {
                self.text.extend_from_slice("…".as_bytes());
                self.is_full = true;
                return Err(fmt::Error);
            }
            if char.is_control() {
                let escaped = char.escape_default().map(|char| u8::try_from(char).unwrap_or(b'?'));
                self.text.extend(escaped);
            } else {
                self.text.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
            }
        }
        Ok(())
    }
}

/// Whether a text is what every terminal shows as it is.
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}
