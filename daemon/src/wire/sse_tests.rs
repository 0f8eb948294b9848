//! Server-sent events, whole and split at every byte.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn read_in(chunks: &[&[u8]]) -> Vec<Event> {
    let mut reader = Reader::new(LIMIT);
    let mut events = Vec::new();
    for chunk in chunks {
        events.extend(reader.push(chunk).unwrap());
    }
    events.extend(reader.finish());
    events
}

fn event(name: &str, data: &str) -> Event {
    Event { event: name.into(), data: data.to_owned() }
}

#[test]
fn each_event_has_its_own_name() {
    let long = "n".repeat(100);
    let names = ["a", "a", "b", "message", "a", &long, &long, "", "b"];
    let line = |name: &&str| if *name == "message" { String::new() } else { format!("event: {name}\n") };
    let text: String = names.iter().map(|name| line(name) + "data: d\n\n").collect();
    let mut reader = Reader::new(10_000);
    let read: Vec<_> = reader.push(text.as_bytes()).unwrap().into_iter().map(|event| event.event).collect();
    let names = names.map(|name| if name.is_empty() { "message" } else { name });
    assert_eq!(read.iter().map(|name| &**name).collect::<Vec<_>>(), names);
    // A short one is there once, a long one as long as its event is.
    assert!(Arc::ptr_eq(&read[0], &read[1]) && !Arc::ptr_eq(&read[5], &read[6]));
}

#[test]
fn the_rules_of_the_format_hold() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("data: a\n\n", &[("message", "a")]),
        ("data:a\n\n", &[("message", "a")]),
        ("data:  a\n\n", &[("message", " a")]),
        ("event: x\r\ndata: a\r\n\r\n", &[("x", "a")]),
        ("event: x\rdata: a\r\rdata: b\r\r", &[("x", "a"), ("message", "b")]),
        ("data: a\ndata: b\ndata\n\n", &[("message", "a\nb\n")]),
        ("data\n\n", &[("message", "")]),
        (": comment\nid: 7\nretry: 5\nunknown: x\ndata: a\n\n", &[("message", "a")]),
        ("event: lost\n\ndata: a\n\n", &[("message", "a")]),
        ("\u{feff}data: a\n\n", &[("message", "a")]),
        ("data: a\n\n\u{feff}data: b\n\n", &[("message", "a")]),
        (
            "data: a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\n\n",
            &[("message", "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f")],
        ),
        ("data: last", &[("message", "last")]),
        ("data: last\n", &[("message", "last")]),
        ("event: only\n\n", &[]),
        ("\n\n\n", &[]),
        ("", &[]),
    ];
    for (text, expected) in cases {
        let expected: Vec<Event> = expected.iter().map(|(name, data)| event(name, data)).collect();
        assert_eq!(read_in(&[text.as_bytes()]), expected, "{text:?}");
    }
}

#[test]
fn a_stream_split_at_any_byte_reads_the_same() {
    let text = "\u{feff}: hi\r\nevent: a\r\ndata: gr\u{fc}\u{df}e \u{1f600}\r\n\r\ndata: 1\rdata: 2\r\rdata: x\u{2028}y\n\nevent: z\ndata: end";
    let bytes = text.as_bytes();
    let whole = read_in(&[bytes]);
    assert_eq!(whole.len(), 4);
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(read_in(&[head, tail]), whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read_in(&single), whole);
}

#[test]
fn bytes_that_are_no_text_are_replaced_within_their_line_only() {
    assert_eq!(
        read_in(&[b"data: a\xffb\n\ndata: c\n\n"]),
        [event("message", "a\u{fffd}b"), event("message", "c")]
    );
}

#[test]
fn an_event_past_the_limit_is_an_error() {
    let mut reader = Reader::new(16);
    assert_eq!(reader.push(b"data: 0123456789ABCDEF"), Err(TooLong { limit: 16 }));
    let mut reader = Reader::new(16);
    assert!(reader.push(b"data: 01234567\n").unwrap().is_empty());
    assert_eq!(reader.push(b"data: 01234567\n"), Err(TooLong { limit: 16 }));
    let mut reader = Reader::new(16);
    for _ in 0..100 {
        assert_eq!(reader.push(b"data: 01234567\n\n").unwrap().len(), 1);
    }
}

#[test]
fn what_is_written_reads_back() {
    let mut out = BytesMut::new();
    write_event(&mut out, Some("x"), "a\nb");
    write_event(&mut out, None, "{}");
    assert_eq!(&out[..], b"event: x\ndata: a\ndata: b\n\ndata: {}\n\n");
    assert_eq!(read_in(&[&out]), [event("x", "a\nb"), event("message", "{}")]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_chunks_read_like_the_whole(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200),
        size in 1usize..9,
    ) {
        let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
        prop_assert_eq!(read_in(&chunks), read_in(&[&bytes]));
    }

    #[test]
    fn events_that_look_like_the_one_before_read_like_any(
        lines in proptest::collection::vec(proptest::sample::select(vec![
            &b"event: a\ndata: x\n\n"[..], b"event: a\ndata: yy\n\n", b"event: a\ndata: \xff\xff\xff\xff\xff\n\n", b"event: a\n",
            b"event: b\ndata: x\n\n", b"event: \n", b"data: z\n", b"data:z\n", b"\n", b"\r", b"\r\n", b"event: a\rdata: x\r\r",
            b": c\n", b"\xef\xbb\xbf",
        ]), 0..20),
        limit in 10usize..40,
    ) {
        let bytes = lines.concat();
        let read = |size| {
            let mut reader = Reader::new(limit);
            let mut events = Vec::new();
            let all = bytes.chunks(size).try_for_each(|chunk| reader.push_into(chunk, &mut events));
            events.extend(reader.finish().filter(|_| all.is_ok()));
            (events, all)
        };
        // By single bytes no event is ever whole.
        prop_assert_eq!(read(1), read(1000));
    }
}
