//! Looks through JSON for the names of state that lives with an account, without building anything: a request's body
//! at once, an answer's as its bytes go by, in an event stream or in lines. It knows strings from what stands between
//! them, so that text which speaks of an id is not taken for one. Pure.
//!
//! It judges nothing: what is not JSON yields nothing, or nonsense that nobody knows.

use memchr::{memchr, memchr3};
use sha2::{Digest as _, Sha256};

use super::mark::{LONGEST, Mark};
use crate::wire::skim::{closing_quote, ends_in_escape};

/// A signature is no shorter.
const SHORTEST_SIGNATURE: usize = 16;

/// So much of a string is passed over at once. In what is no JSON an end of line may come long before the next quote, again and
/// again.
const MOST_SKIPPED: usize = 4096;

/// What stands before a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Id,
    FileId,
    Container,
    PreviousMessageId,
    Signature,
    Type,
    Thread,
    Diagnostics,
    Other,
    /// Nothing: it stands in a list.
    None,
}

/// What was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// The name of a piece of state, and the key that it stands under.
    Named(Key, Mark),
    /// A field of the outermost object.
    Field(Key),
    /// Something of the type `code_execution...`.
    CodeExecution,
}

/// The place in the bytes so far.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// In which string the bytes are; `None` between strings.
    string: Option<Reading>,
    /// What the string holds so far, where it is kept.
    text: Vec<u8>,
    escape: Escape,
    /// The string that just ended, which is a key should a colon follow.
    last: Option<Key>,
    /// The key that a value is to follow.
    key: Option<Key>,
    depth: usize,
}

/// What is kept of a string.
#[derive(Debug)]
enum Reading {
    /// Nothing: nobody wants it.
    Skip,
    /// It may be an id or a key.
    Text,
    Hash {
        hash: Sha256,
        length: usize,
    },
}

#[derive(Debug, Default)]
enum Escape {
    #[default]
    No,
    Begun,
    /// `\u` with the digits so far.
    Code {
        digits: u8,
        code: u32,
    },
}

impl Key {
    fn of(text: &[u8]) -> Self {
        match text {
            b"id" => Self::Id,
            b"file_id" => Self::FileId,
            b"container" => Self::Container,
            b"previous_message_id" => Self::PreviousMessageId,
            b"signature" => Self::Signature,
            b"type" => Self::Type,
            b"thread" => Self::Thread,
            b"diagnostics" => Self::Diagnostics,
            _ => Self::Other,
        }
    }
}

impl Scanner {
    /// Reads on; what is seen goes to `see`.
    pub(super) fn push(&mut self, mut bytes: &[u8], see: &mut impl FnMut(Sight)) {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = if self.string.is_none() {
                self.between(first, see);
                rest
            } else if matches!(self.escape, Escape::No) {
                self.within(bytes, see)
            } else {
                self.escaped(first);
                rest
            };
        }
    }

    /// A byte between strings.
    fn between(&mut self, byte: u8, see: &mut impl FnMut(Sight)) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return,
            b'"' => {
                self.string = Some(match self.key {
                    Some(Key::Signature) => Reading::Hash { hash: Sha256::new(), length: 0 },
                    Some(Key::Other | Key::Thread | Key::Diagnostics) => Reading::Skip,
                    _ => Reading::Text,
                });
                self.text.clear();
                return;
            }
            b':' => {
                let key = self.last.take().unwrap_or(Key::Other);
                if self.depth == 1 {
                    see(Sight::Field(key));
                }
                self.key = Some(key);
                return;
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.last = None;
        self.key = None;
    }

    /// The bytes of a string up to the next one that is special; gives back what follows.
    fn within<'a>(&mut self, bytes: &'a [u8], see: &mut impl FnMut(Sight)) -> &'a [u8] {
        if matches!(self.string, Some(Reading::Skip)) {
            return self.skip(bytes, see);
        }
        let end = memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at(end);
        self.keep(text);
        let Some((special, rest)) = rest.split_first() else { return rest };
        match special {
            b'\\' => self.escape = Escape::Begun,
            b'"' => self.end(see),
            // No string goes over the end of a line: this was none, or was cut off.
            _ => *self = Self { depth: self.depth, ..Self::default() },
        }
        rest
    }

    /// More of a string that nobody wants, which most of a conversation is; gives back what follows.
    fn skip<'a>(&mut self, bytes: &'a [u8], see: &mut impl FnMut(Sight)) -> &'a [u8] {
        let piece = bytes.get(..MOST_SKIPPED).unwrap_or(bytes);
        let end = closing_quote(piece);
        let text = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
        let read = if let Some(end_of_line) = memchr(b'\n', text) {
            *self = Self { depth: self.depth, ..Self::default() };
            end_of_line + 1
        } else if let Some(end) = end {
            self.end(see);
            end + 1
        } else {
            if ends_in_escape(piece) {
                self.escape = Escape::Begun;
            }
            piece.len()
        };
        bytes.get(read..).unwrap_or_default()
    }

    fn escaped(&mut self, byte: u8) {
        let plain = match (&mut self.escape, byte) {
            (Escape::Code { digits, code }, _) => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                *code = *code * 16 + digit;
                *digits += 1;
                if *digits < 4 {
                    return;
                }
                // Half of a pair is no character, and no id holds one.
                char::from_u32(*code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            (_, b'u') => {
                self.escape = Escape::Code { digits: 0, code: 0 };
                return;
            }
            (_, b'n') => '\n',
            (_, b't') => '\t',
            (_, b'r') => '\r',
            (_, b'b') => '\u{8}',
            (_, b'f') => '\u{c}',
            (_, other) => char::from(other),
        };
        self.escape = Escape::No;
        self.keep(plain.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn keep(&mut self, text: &[u8]) {
        match &mut self.string {
            Some(Reading::Text) if self.text.len() + text.len() > LONGEST => {
                self.string = Some(Reading::Skip);
            }
            Some(Reading::Text) => self.text.extend_from_slice(text),
            Some(Reading::Hash { hash, length }) => {
                hash.update(text);
                *length = length.saturating_add(text.len());
            }
            Some(Reading::Skip) | None => {}
        }
    }

    fn end(&mut self, see: &mut impl FnMut(Sight)) {
        let key = self.key.take();
        self.last = None;
        match self.string.take() {
            Some(Reading::Text) => {
                let text = self.text.as_slice();
                if key.is_none() {
                    self.last = Some(Key::of(text));
                }
                if key == Some(Key::Type) {
                    if text.starts_with(b"code_execution") {
                        see(Sight::CodeExecution);
                    }
                } else if let Some(mark) = Mark::of_id(text) {
                    see(Sight::Named(key.unwrap_or(Key::None), mark));
                }
            }
            Some(Reading::Hash { hash, length }) if length >= SHORTEST_SIGNATURE => {
                see(Sight::Named(Key::Signature, Mark::of_signature(hash)));
            }
            Some(Reading::Hash { .. } | Reading::Skip) | None => {}
        }
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
