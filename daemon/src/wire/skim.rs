//! JSON that is passed over: where a value ends and what a member of an object is, without reading what is in between. Only brackets
//! and strings are looked at, so that a text that is no JSON may be taken for some; whoever needs to know reads it.

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
pub fn members<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    let mut rest = text.trim_ascii().strip_prefix(b"{")?.trim_ascii_start();
    if rest == b"}" {
        return Some(());
    }
    loop {
        if rest.first() != Some(&b'"') {
            return None;
        }
        let (key, after) = rest.split_at_checked(string_end(rest, 0))?;
        let key = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let after = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let (value, after) = after.split_at_checked(value_end(after))?;
        let value = value.trim_ascii_end();
        if value.is_empty() {
            return None;
        }
        each(key, value);
        rest = match after.trim_ascii_start() {
            [b',', more @ ..] => more.trim_ascii_start(),
            [b'}'] => return Some(()),
            _ => return None,
        };
    }
}

/// Behind the closing quote of the string that begins here. Escapes are many and quotes in a text are few, so that quotes are looked
/// for: one behind an odd number of backslashes is escaped.
pub fn string_end(text: &[u8], start: usize) -> usize {
    let inside = text.get(start + 1..).unwrap_or_default();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'"', inside.get(at..).unwrap_or_default()) {
        let before = inside.get(at..at + found).unwrap_or_default();
        let escapes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        at += found + 1;
        if escapes % 2 == 0 {
            return start + 1 + at;
        }
    }
    text.len()
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_does_not_come_to_its_end_has_no_members() {
        let text = r#"{"a":{"b":[1,"]}"]},"c":"d"}"#;
        for end in 0..text.len() {
            assert_eq!(of(&text[..end], "a"), None, "{end}");
        }
        for odd in [r#"{"a":1,}"#, r#"{"a":1}x"#, r#"{"a"}"#, r#"{"a":}"#, "{a:1}", r#"{"a":1 "b":2}"#] {
            assert_eq!(of(odd, "b"), None, "{odd}");
        }
    }
}
