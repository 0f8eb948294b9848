//! What of a conversation's beginning stays as it is from turn to turn: JSON without its white space and without the markers that
//! clients move, read once and copied nowhere. Pure.

use crate::wire::messages::MOST_TOLD;
use crate::wire::skim::{string_end, value_end};

/// Of each part so much is looked at. Conversations that begin alike for as long have a prompt cache in common.
pub(super) const MOST_READ: usize = MOST_TOLD;
/// What clients move from turn to turn.
const CACHE_CONTROL: &[u8] = b"\"cache_control\"";

/// The first element of an array, or as much of it as is looked at.
pub(super) fn first_element(array: &[u8]) -> Option<&[u8]> {
    let inside = array.get(..MOST_READ).unwrap_or(array).strip_prefix(b"[")?.trim_ascii_start();
    let element = inside.get(..value_end(inside))?;
    (!element.is_empty()).then_some(element)
}

/// Hands on what stays of a valid text, which may be cut off. A comma goes with what comes after it, so that none is left where
/// a marker stood.
pub(super) fn read<'a>(text: &'a [u8], keep: &mut impl FnMut(&'a [u8])) {
    let (mut at, mut after_opening, mut owes_comma) = (0, true, false);
    while let Some(byte) = text.get(at) {
        let end = match byte {
            b'"' => string_end(text, at),
            _ => at + 1,
        };
        let token = text.get(at..end).unwrap_or_default();
        match byte {
            byte if byte.is_ascii_whitespace() => {}
            b',' => owes_comma = !after_opening,
            b'"' if token == CACHE_CONTROL && is_key(text, end) => {
                at = end + value_end(text.get(end..).unwrap_or_default());
                continue;
            }
            _ => {
                if std::mem::take(&mut owes_comma) && !matches!(byte, b'}' | b']') {
                    keep(b",");
                }
                keep(token);
                after_opening = matches!(byte, b'{' | b'[');
            }
        }
        at = end;
    }
}

/// Whether the string that ended here names a member.
fn is_key(text: &[u8], end: usize) -> bool {
    text.get(end..).unwrap_or_default().trim_ascii_start().starts_with(b":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        let mut all = Vec::new();
        read(text.as_bytes(), &mut |bytes| all.extend_from_slice(bytes));
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn white_space_counts_in_strings_alone() {
        for (text, expected) in [
            (r#"[ 1, "a b" ]"#, r#"[1,"a b"]"#),
            (r#"{"a\" b" : "\\" , "c d":1}"#, r#"{"a\" b":"\\","c d":1}"#),
        ] {
            assert_eq!(kept(text), expected);
        }
    }

    #[test]
    fn markers_are_gone_wherever_they_stand_and_leave_no_comma() {
        for text in [
            r#"{"a":[1],"b":"c"}"#,
            r#"{"cache_control":{"type":"ephemeral"},"a":[1],"b":"c"}"#,
            r#"{"a":[1], "cache_control" : {"x":["}"]} ,"b":"c"}"#,
            r#"{"a":[1],"b":"c","cache_control":null}"#,
        ] {
            assert_eq!(kept(text), r#"{"a":[1],"b":"c"}"#, "{text}");
        }
        assert_eq!(kept(r#"{"cache_control":"x"}"#), "{}");
        assert_eq!(kept(r#"["cache_control",1]"#), r#"["cache_control",1]"#);
    }

    #[test]
    fn the_first_element_ends_where_it_ends() {
        let first =
            |text: &'static str| first_element(text.as_bytes()).map(|text| str::from_utf8(text).unwrap());
        assert_eq!(first(r#"[ {"a":"]\"}"} , 2]"#), Some(r#"{"a":"]\"}"}"#));
        assert_eq!(first(r#"["a,b","c"]"#), Some(r#""a,b""#));
        assert_eq!((first("[12,3]"), first("[ ]"), first("{}")), (Some("12"), None, None));
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_read_to_its_end() {
        let text = r#"[{"a":"b\\\"","cache_control":{"c":[1,"d"]},"e":{}}]"#;
        for end in 0..=text.len() {
            let part = &text.as_bytes()[..end];
            read(part, &mut |_| ());
            let _no_panic = first_element(part);
        }
    }
}
