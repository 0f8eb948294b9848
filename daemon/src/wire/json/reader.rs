//! Reads JSON for serde and passes over its texts in blocks (`skim`), where `serde_json` goes from one escape to the next: a long
//! conversation is hardly anything but texts, and they are full of escapes.
//!
//! It gives what `serde_json` gives and takes nothing else: numbers, words and texts with escapes are read by it, and whatever is wrong
//! here it reads once more, from the beginning, to say what.

use std::iter;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Result};

use crate::wire::skim::closing_quote_of_plain;

/// Deeper values are `serde_json`'s to read or to refuse: it does not go deeper itself but in what it passes over.
pub(in crate::wire) const DEEPEST: usize = 127;

/// The type of a value that stays as it is written, as `serde_json` names it.
const RAW: &str = "$serde_json::private::RawValue";

/// Reads one value, with nothing but white space around it.
pub(in crate::wire) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T> {
    let mut reader = Reader { rest: text, depth: 0 };
    match T::deserialize(&mut reader) {
        Ok(value) if reader.peek().is_none() => Ok(value),
        _ => serde_json::from_str(text),
    }
}

struct Reader<'de> {
    rest: &'de str,
    depth: usize,
}

impl<'de> Reader<'de> {
    /// The first byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next()
    }

    fn take(&mut self, length: usize) -> Result<&'de str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(unreadable)?;
        self.rest = rest;
        Ok(taken)
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(unreadable());
        }
        self.take(1).map(|_| ())
    }

    /// The text that begins here, as it is written, with its quotes.
    fn text(&mut self) -> Result<&'de str> {
        let inside = self.rest.as_bytes().get(1..).unwrap_or_default();
        if let Some(end) = closing_quote_of_plain(inside) {
            return self.take(end + 2);
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<IgnoredAny>();
        values.next().ok_or_else(unreadable)??;
        self.take(values.byte_offset())
    }

    /// What is neither a text nor made of other values: up to where it can end.
    fn word(&mut self) -> Result<&'de str> {
        let is_end = |byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let end = self.rest.bytes().position(is_end);
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// The next value as it is written.
    fn value(&mut self) -> Result<&'de str> {
        self.peek();
        let all = self.rest;
        IgnoredAny::deserialize(&mut *self)?;
        all.get(..all.len() - self.rest.len()).ok_or_else(unreadable)
    }

    /// Reads what stands between two brackets to its end.
    fn inside<T>(&mut self, close: u8, read: impl FnOnce(&mut Inside<'_, 'de>) -> Result<T>) -> Result<T> {
        self.take(1)?;
        if self.depth == DEEPEST {
            return Err(unreadable());
        }
        self.depth += 1;
        let mut inside = Inside { reader: self, close, place: Place::Begin };
        let read = read(&mut inside)?;
        let is_over = !inside.go_on()?;
        self.depth -= 1;
        if is_over { Ok(read) } else { Err(unreadable()) }
    }
}

/// What is wrong `serde_json` says, to whom the whole text is given then.
fn unreadable() -> Error {
    Error::custom("not read")
}

/// Has `serde_json` read a value that ends with this text.
macro_rules! hand_on {
    ($text:expr, $method:ident($($argument:expr),*)) => {{
        let mut value = serde_json::Deserializer::from_str($text);
        let read = value.$method($($argument),*)?;
        value.end()?;
        Ok(read)
    }};
}

/// What `serde_json` reads, unless a value that this reader reads begins so.
macro_rules! but_for {
    ($($begins:pat => $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.peek() {
                Some($begins) => self.deserialize_any(visitor),
                _ => hand_on!(self.value()?, $method(visitor)),
            }
        }
    )*)*};
}

macro_rules! handed_on {
    ($($method:ident $(($($argument:ident: $kind:ty),*))?)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($($argument: $kind,)*)? visitor: V) -> Result<V::Value> {
            hand_on!(self.value()?, $method($($($argument,)*)? visitor))
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => {
                let text = self.text()?;
                match text.get(1..text.len() - 1) {
                    Some(inside) if !inside.contains('\\') => visitor.visit_borrowed_str(inside),
                    _ => hand_on!(text, deserialize_str(visitor)),
                }
            }
            Some(b'{') => self.inside(b'}', |members| visitor.visit_map(members)),
            Some(b'[') => self.inside(b']', |elements| visitor.visit_seq(elements)),
            _ => hand_on!(self.word()?, deserialize_any(visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => self.text().and_then(|_| visitor.visit_unit()),
            Some(b'{' | b'[') => self.deserialize_any(visitor),
            _ => hand_on!(self.word()?, deserialize_ignored_any(visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'n') => hand_on!(self.word()?, deserialize_option(visitor)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        let value = BorrowedStrDeserializer::new(self.value()?);
        visitor.visit_map(MapDeserializer::new(iter::once((name, value))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if matches!(self.peek(), Some(b'{' | b'[')) {
            return self.deserialize_any(visitor);
        }
        hand_on!(self.value()?, deserialize_struct(name, fields, visitor))
    }

    but_for! {
        b'"' => deserialize_str deserialize_string deserialize_identifier;
        b'[' => deserialize_seq;
        b'{' => deserialize_map;
    }

    handed_on! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_bytes
        deserialize_byte_buf deserialize_unit
        deserialize_unit_struct(name: &'static str)
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

/// The values between two brackets.
struct Inside<'r, 'de> {
    reader: &'r mut Reader<'de>,
    close: u8,
    place: Place,
}

enum Place {
    Begin,
    Middle,
    End,
}

impl Inside<'_, '_> {
    /// Whether another value follows.
    fn go_on(&mut self) -> Result<bool> {
        if matches!(self.place, Place::End) {
            return Ok(false);
        }
        if self.reader.peek() == Some(self.close) {
            self.place = Place::End;
            return self.reader.take(1).map(|_| false);
        }
        match self.place {
            // A bracket that closes may not stand behind it: nothing begins with one.
            Place::Middle => self.reader.expect(b',')?,
            Place::Begin | Place::End => self.place = Place::Middle,
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for &mut Inside<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.go_on()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for &mut Inside<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.go_on()? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(unreadable());
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
