//! Panics, bounds and endless events, without any connection.

use bytes::BytesMut;

use super::super::encoder::Translate;
use super::*;
use crate::clock::ManualClock;
use crate::clock::Timestamp;

/// Writes each event's data as a line, and panics where it says so, in the middle of one.
#[derive(Debug)]
struct Fragile {
    panics_at_the_end: bool,
}

impl Translate for Fragile {
    fn on_event(&mut self, event: &sse::Event, out: &mut BytesMut) {
        out.extend_from_slice(event.data.as_bytes());
        assert_ne!(event.data, "panic", "as the test wants it");
        out.extend_from_slice(b"\n");
    }

    fn on_error(&mut self, error: &ApiError, out: &mut BytesMut) {
        out.extend_from_slice(b"half");
        assert!(!self.panics_at_the_end, "as the test wants it");
        out.clear();
        out.extend_from_slice(format!("error {}\n", error.code.as_deref().unwrap_or_default()).as_bytes());
    }

    fn on_end(&mut self, _: &mut BytesMut) {}

    fn is_done(&self) -> bool {
        false
    }

    fn set_time(&mut self, _: &dyn Fn() -> i64) {}
}

fn flow(gunzip: bool, encoder: Encoder) -> Flow {
    Flow::new(gunzip, encoder, None, ManualClock::at(Timestamp::UNIX_EPOCH).clock())
}

fn fragile(panics_at_the_end: bool) -> Flow {
    flow(false, Encoder::translated(Fragile { panics_at_the_end }))
}

fn text(flow: &mut Flow) -> String {
    flow.take().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).unwrap_or_default()
}

#[test]
fn a_panic_ends_the_stream_with_an_error_after_what_was_whole() {
    let mut flow = fragile(false);
    flow.feed(Bytes::from_static(b"data: one\n\ndata: two\n\ndata: panic\n\ndata: three\n\n"));
    let fault = flow.advance().unwrap_err();
    assert!(matches!(fault, Fault::Panicked), "{fault:?}");
    assert_eq!(text(&mut flow), "one\ntwo\n");
    let end = flow.end(&mut Ending::Broken(fault));
    assert!(!end.complete && end.signal.is_none() && !flow.take_broken());
    assert_eq!(text(&mut flow), "error internal_error\n");
}

#[test]
fn a_stream_whose_end_cannot_be_written_is_cut() {
    let mut flow = fragile(true);
    flow.feed(Bytes::from_static(b"data: one\n\n"));
    assert!(!flow.advance().unwrap());
    let end = flow.end(&mut Ending::Broken(Fault::Ended));
    assert!(!end.complete && flow.take_broken());
    assert_eq!(text(&mut flow), "one\n");
}

#[test]
fn a_panic_at_the_first_event_is_a_fault_of_ours() {
    let mut flow = fragile(false);
    flow.feed(Bytes::from_static(b"data: panic\n\n"));
    let events = flow.first_events().unwrap().unwrap();
    let fault = flow.encode(&events).unwrap_err();
    assert_eq!(fault.told().status, 500);
    assert_eq!(text(&mut flow), "");
}

#[test]
fn signs_of_life_at_any_split_leave_what_a_client_reads_as_it_was() {
    let stream = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\"}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
         \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
         \"delta\":{\"type\":\"text_delta\",\"text\":\"h\u{e9}llo\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let read = |parts: &[&[u8]], encoder: Encoder, shown: &mut usize| {
        let (mut flow, mut reader) = (flow(false, encoder), sse::Reader::new(1 << 16));
        let mut events = Vec::new();
        for part in parts {
            flow.feed(Bytes::copy_from_slice(part));
            while flow.advance().unwrap() {}
            *shown += usize::from(flow.may_keep_alive());
            flow.keep_alive();
            events.extend(reader.push(&flow.take().unwrap_or_default()).unwrap());
        }
        let end = flow.end(&mut Ending::Complete);
        events.extend(reader.push(&flow.take().unwrap_or_default()).unwrap());
        events.retain(|event| &*event.event != "ping");
        assert!(end.complete && !events.is_empty());
        events
    };
    let chat = || {
        Encoder::translated(crate::translate::chat::Encoder::new(crate::translate::chat::Reply::default(), 0))
    };
    for encoder in [chat, Encoder::events] {
        for text in [stream.to_owned(), stream.replace('\n', "\r\n")] {
            let (bytes, mut shown) = (text.as_bytes(), 0);
            let whole = read(&[bytes], encoder(), &mut shown);
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(read(&[head, tail], encoder(), &mut shown), whole, "split at {at}");
            }
            assert!(shown >= 5, "{shown}");
        }
    }
}

#[test]
fn little_is_held_of_what_small_events_and_gzip_grow_to() {
    use std::io::Write as _;
    let events = "data: x\n\n".repeat(200_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(events.as_bytes()).unwrap();
    let packed = Bytes::from(gzip.finish().unwrap());
    for (gunzip, bytes) in [(false, Bytes::from(events.clone())), (true, packed)] {
        let mut flow = flow(gunzip, Encoder::translated(Fragile { panics_at_the_end: false }));
        flow.feed(bytes);
        let (mut most, mut all) = (0, 0);
        while flow.advance().unwrap() {
            most = most.max(flow.ready.len());
            if flow.is_full() {
                all += flow.take().unwrap().len();
            }
        }
        all += flow.take().map_or(0, |rest| rest.len());
        assert_eq!(all, 2 * 200_000);
        assert!(most < 2 * MOST_COALESCED, "{most}");
    }
}

#[test]
fn an_event_without_end_is_given_up_only_where_it_must_be_held() {
    let line = Bytes::from(vec![b'x'; 1 << 20]);
    let mut translated = fragile(false);
    let fault = (0..50).find_map(|_| {
        translated.feed(line.clone());
        std::iter::repeat_with(|| translated.advance())
            .take_while(|more| !matches!(more, Ok(false)))
            .find_map(Result::err)
    });
    assert!(matches!(fault, Some(Fault::LongEvent(_))), "{fault:?}");
    let mut native = flow(false, Encoder::events());
    for _ in 0..50 {
        native.feed(line.clone());
        while native.advance().unwrap() {}
        assert_eq!(native.take().unwrap().len(), line.len());
    }
}
