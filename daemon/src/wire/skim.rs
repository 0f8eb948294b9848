//! JSON that is passed over: where a value ends and what a member of an object is, without reading what is in between. Only brackets
//! and strings are looked at, so that a text that is no JSON may be taken for some; whoever needs to know reads it.

mod block;
mod outline;

pub use outline::{CODE, Member, Outline};

use block::{BLOCK, Escapes, Marks, controls, has_control};

/// The value of the last member of this name of the object that `text` is; `None` where it is no object that comes to its end.
pub fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    members(text, |key, value| {
        if key == name.as_bytes() {
            found = Some(value);
        }
    })?;
    found
}

/// Hands on each member of an object: its name as it is written, between the quotes, and its value.
pub fn members<'a>(text: &'a [u8], each: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    walk(text, None, each).map(|_end| ())
}

/// The same of those that stand before the one of this name. Gives back what begins with its value.
pub fn members_before<'a>(
    text: &'a [u8],
    name: &str,
    each: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<&'a [u8]> {
    walk(text, Some(name), each).filter(|rest| !rest.is_empty())
}

/// Hands on the members up to one, or all of them; gives back what follows its colon, or nothing.
fn walk<'a>(
    text: &'a [u8],
    up_to: Option<&str>,
    mut each: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<&'a [u8]> {
    let mut rest = trim_start(trim_start(trim_end(text)).strip_prefix(b"{")?);
    if rest == b"}" {
        return Some(&[]);
    }
    loop {
        if rest.first() != Some(&b'"') {
            return None;
        }
        let (key, after) = rest.split_at_checked(string_end(rest, 0))?;
        let key = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let after = trim_start(trim_start(after).strip_prefix(b":")?);
        if up_to.is_some_and(|name| name.as_bytes() == key) {
            return Some(after);
        }
        let (value, after) = after.split_at_checked(value_end(after))?;
        let value = trim_end(value);
        if value.is_empty() {
            return None;
        }
        each(key, value);
        rest = match trim_start(after) {
            [b',', more @ ..] => trim_start(more),
            [b'}'] => return Some(&[]),
            _ => return None,
        };
    }
}

/// Without the white space of JSON before it (RFC 8259, section 2): a form feed is none.
fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text {
        text = rest;
    }
    text
}

/// Behind the closing quote of the string that begins here, or the text's end.
pub fn string_end(text: &[u8], start: usize) -> usize {
    let inside = text.get(start + 1..).unwrap_or_default();
    closing_quote(inside).map_or(text.len(), |end| start + 1 + end + 1)
}

/// Where the string ends whose inside this begins with: at the first quote that is not escaped.
pub fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut escapes = Escapes::default();
    let (blocks, rest) = inside.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        let ends = escapes.ends(block);
        if ends != 0 {
            return Some(BLOCK * index + ends.trailing_zeros() as usize);
        }
    }
    let ends = escapes.ends(&filled_up(rest)?);
    (ends != 0).then(|| inside.len() - rest.len() + ends.trailing_zeros() as usize)
}

/// What [`closing_quote`] finds, of a string that is valid as it is: without control characters, and with no escapes but those of one
/// letter. `None` of any other, which may be valid, too.
pub fn closing_quote_of_plain(inside: &[u8]) -> Option<usize> {
    let mut escapes = Escapes::default();
    let (blocks, rest) = inside.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        let ends = ends_of_plain(&mut escapes, block)?;
        if ends != 0 {
            return Some(BLOCK * index + ends.trailing_zeros() as usize);
        }
    }
    let ends = ends_of_plain(&mut escapes, &filled_up(rest)?)?;
    (ends != 0).then(|| inside.len() - rest.len() + ends.trailing_zeros() as usize)
}

/// The quotes that are not escaped, of the next block of a string that is plain up to the first of them.
fn ends_of_plain(escapes: &mut Escapes, block: &[u8; BLOCK]) -> Option<u64> {
    let Marks { ends, unusual } = escapes.marks(block);
    // All ones where the string goes on.
    let before = ends.wrapping_sub(1) & !ends;
    if has_control(block) && controls(block) & before != 0 {
        return None;
    }
    let mut letters = unusual & before;
    while letters != 0 {
        let letter = block.get(letters.trailing_zeros() as usize);
        if !matches!(letter, Some(b'/' | b'b' | b'f' | b'r' | b't')) {
            return None;
        }
        letters &= letters - 1;
    }
    Some(ends)
}

/// The last block of a text, filled up with what ends no string, nor may stand in one.
fn filled_up(rest: &[u8]) -> Option<[u8; BLOCK]> {
    let mut last = [0; BLOCK];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    Some(last)
}

/// Whether what follows a text is escaped by it: it ends with an odd number of backslashes.
pub fn ends_in_escape(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Where the value that stands at the beginning, or behind a colon there, ends.
pub fn value_end(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b',' | b'}' | b']' if depth == 0 => return at,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at = if *byte == b'"' { string_end(text, at) } else { at + 1 };
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            return at;
        }
    }
    text.len()
}

/// How deep the brackets of a value go.
pub fn depth(value: &[u8]) -> usize {
    let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
    while let Some(byte) = value.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at = if *byte == b'"' { string_end(value, at) } else { at + 1 };
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The quotes that are not escaped, looked for byte by byte, as RFC 8259 has them.
    pub(super) fn ends_one_by_one(text: &[u8]) -> Vec<usize> {
        let (mut ends, mut is_escaped) = (Vec::new(), false);
        for (at, byte) in text.iter().enumerate() {
            if *byte == b'"' && !is_escaped {
                ends.push(at);
            }
            is_escaped = *byte == b'\\' && !is_escaped;
        }
        ends
    }

    /// What stands behind backslashes that are not escaped.
    fn escaped_one_by_one(text: &str) -> Vec<char> {
        let (mut escaped, mut is_escaped) = (Vec::new(), false);
        for letter in text.chars() {
            if is_escaped {
                escaped.push(letter);
            }
            is_escaped = letter == '\\' && !is_escaped;
        }
        escaped
    }

    fn of(text: &str, name: &str) -> Option<String> {
        member(text.as_bytes(), name).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn members_are_those_of_the_object_itself() {
        let text = r#" {"a" : [1,{"b":2}] ,"c":"x\",\"b\":3" , "b": 7 , "d":{"b":8}} "#;
        for (name, value) in
            [("a", r#"[1,{"b":2}]"#), ("b", "7"), ("c", r#""x\",\"b\":3""#), ("d", r#"{"b":8}"#)]
        {
            assert_eq!(of(text, name).as_deref(), Some(value));
        }
        assert_eq!((of(text, "e"), of("{}", "a"), of("[]", "a"), of("", "a")), (None, None, None, None));
        assert_eq!(of(r#"{"a":1,"a":2}"#, "a").as_deref(), Some("2"));
    }

    #[test]
    fn a_string_ends_at_the_first_quote_that_is_not_escaped() {
        for (text, end) in [
            (r#""""#, 2),
            (r#""a"b"#, 3),
            (r#""\""b"#, 4),
            (r#""\\"b"#, 4),
            (r#""\\\"""#, 6),
            (r#""\"\"\\"x"#, 8),
            (r#""\""#, 3),
            (r#"""#, 1),
        ] {
            assert_eq!(string_end(text.as_bytes(), 0), end, "{text}");
        }
        assert_eq!(string_end(br#"ab"c\"d"e"#, 2), 8);
    }

    #[test]
    fn a_quote_is_found_wherever_it_stands() {
        let others = [0, b'!', b'#', b'\\' - 1, 0x7f, 0x80, b'"' | 0x80, 0xff];
        for other in others {
            for length in 0..200 {
                let mut text = vec![other; length];
                assert_eq!(closing_quote(&text), None, "{other} {length}");
                text.push(b'"');
                text.extend([other, b'"', 1, b'"']);
                assert_eq!(closing_quote(&text), Some(length), "{other} {length}");
                let escaped = [br#"\""#, text.as_slice()].concat();
                assert_eq!(closing_quote(&escaped), Some(length + 2), "{other} {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_ends_no_string_wherever_blocks_end(
            text in prop::collection::vec(prop_oneof![6 => Just(b'a'), 2 => Just(b'\\'), 1 => Just(b'"')], 0..200),
        ) {
            prop_assert_eq!(closing_quote(&text), ends_one_by_one(&text).first().copied());
        }
    }

    proptest! {
        #[test]
        fn a_string_ends_where_it_does_however_many_quotes_are_in_it(
            pieces in prop::collection::vec(prop::sample::select(vec![
                r#"\""#, r#"\""#, r#"\""#, r"\\", "a", "prose that goes on for a while, and for a while more", r#"\\\""#,
            ]), 0..100),
            rest in "[a\"]{0,80}",
        ) {
            let text = [pieces.concat(), "\"".to_owned(), rest].concat();
            prop_assert_eq!(closing_quote(text.as_bytes()), ends_one_by_one(text.as_bytes()).first().copied());
        }

        #[test]
        fn a_plain_string_is_one_that_serde_json_takes_without_codes(
            inside in prop::collection::vec(prop_oneof![
                8 => Just('a'), 4 => Just('\\'), 1 => Just('"'), 3 => prop::sample::select(vec!['n', 'u', '/', 'x', '\u{1f}', ' ', '\u{e4}']),
            ], 0..200),
        ) {
            let text = inside.into_iter().collect::<String>();
            let written = closing_quote(text.as_bytes()).map(|end| format!("\"{}\"", &text[..end]));
            let is_valid = written.as_ref().is_some_and(|written| serde_json::from_str::<&serde_json::value::RawValue>(written).is_ok());
            let escapes_codes = written.is_some_and(|written| escaped_one_by_one(&written).contains(&'u'));
            let wanted = closing_quote(text.as_bytes()).filter(|_| is_valid && !escapes_codes);
            prop_assert_eq!(closing_quote_of_plain(text.as_bytes()), wanted);
        }
    }

    #[test]
    fn depth_is_that_of_brackets_outside_of_texts() {
        for (value, deep) in
            [("1", 0), (r#""[[""#, 0), ("[]", 1), (r#"{"a":[1,[2]],"b":["]",{}]}"#, 3), ("[[]", 2)]
        {
            assert_eq!(depth(value.as_bytes()), deep, "{value}");
        }
    }

    #[test]
    fn an_escape_goes_over_the_end_of_a_block() {
        let text = ["a".repeat(63), r#"\"""#.to_owned()].concat();
        assert_eq!(closing_quote(text.as_bytes()), Some(65));
    }

    #[test]
    fn what_does_not_come_to_its_end_has_no_members() {
        let text = r#"{"a":{"b":[1,"]}"]},"c":"d"}"#;
        for end in 0..text.len() {
            assert_eq!(of(&text[..end], "a"), None, "{end}");
        }
        let mut names = Vec::new();
        let rest = members_before(br#"{"a":[{"c":1}],"b":2,"c": [3"#, "c", |name, _| names.push(name));
        assert_eq!((rest, names), (Some(&b"[3"[..]), vec![&b"a"[..], b"b"]));
        assert_eq!(members_before(br#"{"a":1}"#, "c", |_, _| ()), None);
        for odd in [r#"{"a":1,}"#, r#"{"a":1}x"#, r#"{"a"}"#, r#"{"a":}"#, "{a:1}", r#"{"a":1 "b":2}"#] {
            assert_eq!(of(odd, "b"), None, "{odd}");
        }
    }
}
