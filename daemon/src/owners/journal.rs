//! The record of owners as lines of JSON. A line that is torn or strange is passed over; so is a field nobody knows.
//! Pure.

use serde::{Deserialize, Serialize};

use super::mark::Mark;
use super::record::{Entry, Record};
use crate::clock::Timestamp;
use crate::id::AccountId;

#[derive(Serialize, Deserialize)]
struct Line<T> {
    kind: T,
    hash: T,
    account: T,
    /// Unix seconds.
    seen: i64,
}

/// One line, with its end.
fn line(mark: Mark, entry: &Entry, out: &mut Vec<u8>) {
    let line = Line {
        kind: mark.kind.name(),
        hash: &mark.hash(),
        account: entry.account.as_str(),
        seen: entry.seen.as_second(),
    };
    // Strings and a number can always be written.
    out.extend(serde_json::to_vec(&line).unwrap_or_default());
    out.push(b'\n');
}

/// A line for each, the oldest first.
pub(super) fn write(mut entries: Vec<(Mark, Entry)>) -> Vec<u8> {
    entries.sort_by_key(|(mark, entry)| (entry.seen, *mark));
    let mut out = Vec::new();
    for (mark, entry) in &entries {
        line(*mark, entry, &mut out);
    }
    out
}

/// The record that the lines tell, later ones before earlier ones, and how many lines there were.
pub(super) fn read(bytes: &[u8]) -> (Record, usize) {
    let mut record = Record::default();
    let mut lines = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        lines += 1;
        if let Some((mark, entry)) = parse(line) {
            record.put(mark, entry);
        }
    }
    (record, lines)
}

fn parse(line: &[u8]) -> Option<(Mark, Entry)> {
    let line: Line<String> = serde_json::from_slice(line).ok()?;
    let mark = Mark::parse(&line.kind, &line.hash)?;
    let account = AccountId::parse(&line.account)?;
    Some((mark, Entry { account, seen: Timestamp::from_second(line.seen).ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(account: &str) -> Entry {
        Entry { account: AccountId::derive("test", &[account]), seen: Timestamp::from_second(7).unwrap() }
    }

    fn lines() -> (Mark, Mark, Vec<u8>) {
        let (first, second) = (Mark::of_id(b"file_00000001").unwrap(), Mark::of_id(b"msg_00000002").unwrap());
        (first, second, write(vec![(first, entry("a")), (second, entry("b"))]))
    }

    #[test]
    fn what_was_written_is_read_and_the_later_line_holds() {
        let (first, second, mut out) = lines();
        out.extend(write(vec![(first, entry("b"))]));
        let (record, count) = read(&out);
        assert_eq!((record.len(), count), (2, 3));
        for mark in [first, second] {
            assert_eq!(record.get(mark, Timestamp::UNIX_EPOCH), Some(&entry("b")));
        }
    }

    #[test]
    fn a_torn_line_costs_nothing_but_itself_wherever_it_is_torn() {
        let (first, _, out) = lines();
        let one = out.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for end in one..out.len() - 1 {
            let (record, _) = read(out.get(..end).unwrap());
            assert_eq!(record.entries().map(|(mark, _)| mark).collect::<Vec<_>>(), [first], "torn at {end}");
        }
    }

    #[test]
    fn strange_lines_are_passed_over_and_strange_fields_too() {
        let (_, _, out) = lines();
        let good = String::from_utf8(out).unwrap();
        let more = good.replace("\"seen\"", "\"later\":[1],\"seen\"");
        for strange in [
            "{}",
            "[]",
            "\u{0}\u{0}",
            "x",
            &good.replace("file", "fire"),
            &good.replace("\"seen\":7", "\"seen\":\"7\""),
        ] {
            let text = format!("{strange}\n{more}\n\n{strange}");
            assert_eq!(read(text.as_bytes()).0.len(), 2, "{strange}");
        }
        assert_eq!(read(&[0xff; 100]).0.len(), 0);
    }

    #[test]
    fn the_form_is_the_one_that_shipped() {
        let shipped = br#"{"kind":"file","hash":"3c9e5d1f0a2b4c6d8e0f1a2b3c4d5e6f","account":"0123456789ab","seen":1790000000}"#;
        let (record, _) = read(shipped);
        let written = write(record.entries().map(|(mark, entry)| (mark, entry.clone())).collect());
        assert_eq!(written.trim_ascii_end(), shipped);
    }
}
