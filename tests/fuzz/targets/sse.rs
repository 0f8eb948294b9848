//! The reader of event streams: what it reads does not depend on where the bytes are cut, and reads back as it was.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proxy_fuzz::answers::events;
use proxy_fuzz::wire::sse::{Reader, write_event};

/// Small enough that inputs reach it.
const LIMIT: usize = 64;

fuzz_target!(|stream: &[u8]| {
    let whole = events(stream, stream.len());
    for size in [1, 2, 3, 7] {
        assert_eq!(events(stream, size), whole, "in parts of {size}");
    }
    let mut written = BytesMut::new();
    for event in whole.iter().flatten() {
        write_event(&mut written, Some(&event.event), &event.data);
    }
    assert_eq!(events(&written, written.len()).as_ref(), whole.as_ref().or(Some(&Vec::new())));
    bounded(stream);
});

/// No event is longer than the limit, and whether one is does not depend on where the bytes are cut.
fn bounded(stream: &[u8]) {
    let verdict = |size: usize| {
        let mut reader = Reader::new(LIMIT);
        stream.chunks(size).try_for_each(|part| {
            let events = reader.push(part)?;
            assert!(events.iter().all(|event| event.data.len() <= LIMIT * 3));
            Ok::<(), proxy_fuzz::wire::sse::TooLong>(())
        })
    };
    assert_eq!(verdict(1), verdict(stream.len().max(1)));
}
