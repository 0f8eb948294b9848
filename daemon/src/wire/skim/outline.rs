//! The members of a long object that comes in pieces: each piece is looked at while it is at hand, and none is moved to stand beside
//! the next.

use std::ops::Range;

use super::{closing_quote, ends_in_escape};

/// No request has so many fields; what somebody makes up takes no memory.
const MOST_MEMBERS: usize = 256;

/// Follows an object from piece to piece.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// Bytes passed over so far.
    at: usize,
    place: Place,
    /// A string is open.
    string: Option<Text>,
    /// What is being read.
    member: Member,
    members: Vec<Member>,
    runs_code: bool,
}

/// Where a member of the object stands, counted from its first piece's beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its name as it is written, between the quotes.
    pub key: Range<usize>,
    /// Its value, without white space around it.
    pub value: Range<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    BeforeObject,
    /// Behind the bracket: a key, or the end.
    AtFirstKey,
    AtKey,
    InKey,
    AtColon,
    AtValue,
    InValue {
        depth: usize,
    },
    BehindValue,
    BehindObject,
    /// It is none.
    Lost,
}

/// What is known of a string that is open.
#[derive(Clone, Copy, Debug)]
struct Text {
    /// The next byte is escaped.
    escapes: bool,
    /// Its first bytes, so many, are those that [`CODE`] begins with; `None` where it begins otherwise.
    like_code: Option<usize>,
}

/// What the types of the tools that run code, and of what they say, begin with.
pub const CODE: &[u8] = b"code_execution";

impl Outline {
    /// Of what is all in one piece.
    pub fn of(whole: &[u8]) -> Self {
        let mut outline = Self::default();
        outline.push(whole);
        outline
    }

    /// Passes over the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(byte) = rest.first() {
            let passed = match (self.string, self.place) {
                (Some(text), _) => self.within(rest, text),
                (None, Place::InValue { depth }) => self.value(rest, depth),
                (None, _) => self.between(*byte),
            };
            self.at += passed;
            rest = rest.get(passed..).unwrap_or_default();
            if self.place == Place::Lost {
                return;
            }
        }
    }

    /// The members of an object that has come to its end, in their order.
    pub fn members(&self) -> Option<&[Member]> {
        (self.place == Place::BehindObject).then_some(&self.members)
    }

    /// Whether a string, on whatever level, begins as the names of what has to do with running code do. One that is written in escapes
    /// is not known.
    pub fn runs_code(&self) -> bool {
        self.runs_code
    }

    /// More of a string: how much of it is passed over.
    fn within(&mut self, text: &[u8], open: Text) -> usize {
        let skipped = usize::from(open.escapes);
        let inside = text.get(skipped..).unwrap_or_default();
        let end = closing_quote(inside);
        let like_code = open.like_code.and_then(|known| self.like_code(text, known));
        let Some(end) = end else {
            self.string = Some(Text { escapes: ends_in_escape(inside), like_code });
            return text.len();
        };
        self.string = None;
        let length = skipped + end + 1;
        match self.place {
            Place::InKey => {
                self.member.key.end = self.at + length - 1;
                self.place = Place::AtColon;
            }
            Place::InValue { depth: 0 } => self.end_value(self.at + length),
            _ => {}
        }
        length
    }

    /// How much of [`CODE`] has been read with these bytes.
    fn like_code(&mut self, text: &[u8], known: usize) -> Option<usize> {
        let left = CODE.get(known..)?;
        let length = left.len().min(text.len());
        // Hardly any begins so.
        if left.first() != text.first() || left.get(..length) != text.get(..length) {
            return None;
        }
        self.runs_code |= length == left.len();
        Some(known + length)
    }

    fn open(&mut self) {
        self.string = Some(Text { escapes: false, like_code: Some(0) });
    }

    /// A value from outside of its strings up to the next one, or to its end: how much of it is passed over.
    fn value(&mut self, text: &[u8], mut depth: usize) -> usize {
        for (index, byte) in text.iter().enumerate() {
            match byte {
                b'"' => {
                    self.place = Place::InValue { depth };
                    self.open();
                    return index + 1;
                }
                // It ended a number, and is looked at once more.
                b',' | b'}' | b']' if depth == 0 => {
                    self.end_value(self.member.value.end);
                    return index;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.end_value(self.at + index + 1);
                        return index + 1;
                    }
                }
                b' ' | b'\t' | b'\n' | b'\r' => {}
                // White space behind a number is none of it.
                _ => self.member.value.end = self.at + index + 1,
            }
        }
        self.place = Place::InValue { depth };
        text.len()
    }

    /// Looks at one byte outside of values and strings: how much is passed over, which is nothing of what begins a value.
    fn between(&mut self, byte: u8) -> usize {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return 1;
        }
        self.place = match (self.place, byte) {
            (Place::BeforeObject, b'{') => Place::AtFirstKey,
            (Place::AtFirstKey | Place::BehindValue, b'}') => Place::BehindObject,
            (Place::AtFirstKey | Place::AtKey, b'"') => {
                self.member.key.start = self.at + 1;
                self.open();
                Place::InKey
            }
            (Place::AtColon, b':') => Place::AtValue,
            (Place::AtValue, b',' | b'}' | b']') => Place::Lost,
            (Place::AtValue, _) => {
                self.member.value.start = self.at;
                self.place = Place::InValue { depth: 0 };
                return 0;
            }
            (Place::BehindValue, b',') => Place::AtKey,
            _ => Place::Lost,
        };
        1
    }

    fn end_value(&mut self, end: usize) {
        self.member.value.end = end;
        self.place = Place::BehindValue;
        if self.members.len() == MOST_MEMBERS {
            self.members = Vec::new();
            self.place = Place::Lost;
            return;
        }
        self.members.push(std::mem::take(&mut self.member));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::skim::members;

    fn outlined<'a>(text: &'a [u8], pieces: &[&'a [u8]]) -> Option<Vec<(&'a [u8], &'a [u8])>> {
        let mut outline = Outline::default();
        for piece in pieces {
            outline.push(piece);
        }
        let found = outline.members()?;
        Some(found.iter().map(|member| (&text[member.key.clone()], &text[member.value.clone()])).collect())
    }

    fn at_once(text: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
        let mut found = Vec::new();
        members(text, |key, value| found.push((key, value))).map(|()| found)
    }

    #[test]
    fn members_are_those_of_the_whole() {
        for text in [
            r#" {"a" : [1,{"b":2}] ,"c":"x\",\"b\":3" , "b": 7 , "d":{"b":8}} "#,
            "{}",
            " { } ",
            r#"{"a":1.5e3,"a":null}"#,
            r#"{"\"a\\":"\\"}"#,
            r#"{"a":1 2 ,"b":true"c"}"#,
        ] {
            let found = outlined(text.as_bytes(), &[text.as_bytes()]);
            assert!(found.is_some(), "{text}");
            assert_eq!(found, at_once(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_string_that_begins_like_code_is_seen_wherever_the_pieces_end() {
        for (text, runs_code) in [
            (r#"{"tools":[{"type":"code_execution_20250825"}]}"#, true),
            (r#"{"code_execution":1}"#, true),
            (r#"{"a":"code_executio"}"#, false),
            (r#"{"a":"code_executio","n":1}"#, false),
            (r#"{"a":"no code_execution"}"#, false),
            (r#"{"a":"a text with \"code_execution\""}"#, false),
            (r#"{"a":"code_\u0065xecution"}"#, false),
        ] {
            for end in 0..text.len() {
                let mut outline = Outline::default();
                outline.push(&text.as_bytes()[..end]);
                outline.push(&text.as_bytes()[end..]);
                assert_eq!(
                    (outline.runs_code(), outline.members().is_some()),
                    (runs_code, true),
                    "{text} {end}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_object_or_has_no_end_has_none() {
        for text in [
            "",
            "[]",
            "7",
            "{",
            "{\"a",
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1}x"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{a:1}",
            r#"{"a":"1" "b":2}"#,
            r#"{"a":[1}"#,
            r#"{"a":1]"#,
            "{,}",
            "{}{}",
        ] {
            assert_eq!(outlined(text.as_bytes(), &[text.as_bytes()]), None, "{text}");
            assert_eq!(at_once(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_kept() {
        for (count, is_kept) in [(MOST_MEMBERS, true), (MOST_MEMBERS + 1, false)] {
            let text = format!("{{{}}}", vec!["\"a\":1"; count].join(","));
            let outline = Outline::of(text.as_bytes());
            assert_eq!(
                (outline.members().map(<[_]>::len), outline.members.len()),
                (is_kept.then_some(count), if is_kept { count } else { 0 })
            );
        }
    }

    /// An object as somebody might write it.
    fn object() -> impl Strategy<Value = String> {
        let value = prop::sample::select(vec![
            "1",
            "-0.5e3",
            "null",
            r#""""#,
            r#""a\"}\\""#,
            r#"[1,{"x":"]"},[]]"#,
            r#"{"a":{},"b\"":[{"c":1}]}"#,
            r#""a text that is longer than a block of sixty-four bytes, by some bytes, and \\\" at that""#,
        ]);
        let key = prop::sample::select(vec!["a", "model", r#"\""#, ""]);
        let member = (key, value, "[ \n]{0,2}")
            .prop_map(|(key, value, space)| format!("{space}\"{key}\"{space}:{space}{value}{space}"));
        prop::collection::vec(member, 0..5).prop_map(|members| format!(" {{{}}} ", members.join(",")))
    }

    proptest! {
        #[test]
        fn they_are_found_wherever_the_pieces_end(
            text in object(),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            fault in prop::option::weighted(0.3, (any::<prop::sample::Index>(), prop::sample::select(&b"{}[],:\"\\ 1"[..]))),
        ) {
            let mut text = text.into_bytes();
            if let Some((at, byte)) = fault {
                let at = at.index(text.len());
                text[at] = byte;
            } else {
                prop_assert!(at_once(&text).is_some());
            }
            let mut ends: Vec<_> = ends.iter().map(|end| end.index(text.len())).chain([0, text.len()]).collect();
            ends.sort_unstable();
            let pieces: Vec<_> = ends.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
            prop_assert_eq!(outlined(&text, &pieces), at_once(&text));
        }
    }
}
