//! Follows a Messages stream that passes through byte for byte, only to know at its end whether the protocol
//! ended it: after `message_stop` or an `error` event nothing is missing, anything else was cut off and must
//! be told so.

use bytes::Bytes;

use crate::wire::Dialect;
use crate::wire::error::{ApiError, ErrorKind};
use crate::wire::messages::{Usage, usage_in};

/// As much of a line as is needed to tell what it is.
const HEAD: usize = 64;
/// And of one that tells token counts: the message's head, or its end.
const MOST_USAGE: usize = 64 * 1024;

/// As upstream itself shows that it lives.
pub(super) const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// Watches the bytes go by.
#[derive(Debug, Default)]
pub(super) struct NativeEvents {
    /// The start of the line being read.
    line: Vec<u8>,
    /// The line being read holds anything at all.
    in_line: bool,
    /// The last complete line was not blank: an event is open.
    in_event: bool,
    in_error: bool,
    after_cr: bool,
    ended: bool,
    error: Option<ErrorKind>,
    /// The event being read tells token counts.
    in_usage: bool,
    usage: Option<Usage>,
}

impl NativeEvents {
    pub(super) fn observe(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            if !(self.in_line || self.in_event || self.after_cr) {
                rest = after_deltas(rest);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else { break };
            let (text, after) = rest.split_at(end);
            let is_cr = after.first() == Some(&b'\r');
            rest = after.get(1..).unwrap_or_default();
            // The LF of a CRLF ends no line of its own.
            if std::mem::replace(&mut self.after_cr, is_cr) && text.is_empty() && !is_cr {
                continue;
            }
            self.in_line |= !text.is_empty();
            if self.line.is_empty() {
                self.end_line(text.get(..self.most()).unwrap_or(text));
            } else {
                self.keep(text);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line);
                if line.capacity() <= 2 * HEAD {
                    line.clear();
                    self.line = line;
                }
            }
        }
        if !rest.is_empty() {
            self.after_cr = false;
            self.in_line = true;
            self.keep(rest);
        }
    }

    /// So much of a line is needed.
    fn most(&self) -> usize {
        if self.in_usage { MOST_USAGE } else { HEAD }
    }

    fn keep(&mut self, text: &[u8]) {
        let room = self.most().saturating_sub(self.line.len()).min(text.len());
        self.line.extend_from_slice(text.get(..room).unwrap_or_default());
    }

    /// Whether an event of ours can stand here: the one before is complete, as far as the LF that may belong to its last
    /// line's end, and it was not the last one.
    pub(super) fn is_between_events(&self) -> bool {
        !(self.ended || self.in_line || self.in_event || self.after_cr)
    }

    /// What ends the stream in the protocol's own way, if upstream did not.
    pub(super) fn closing(&self, error: &ApiError) -> Option<Bytes> {
        if self.ended && !self.in_line && !self.in_event {
            return None;
        }
        let mut closing = Vec::new();
        if self.in_line {
            closing.extend_from_slice(b"\n");
        }
        if self.in_line || self.in_event {
            // Closes what was cut off: its data is incomplete, and clients pass over an event they cannot
            // read only if it stands alone.
            closing.extend_from_slice(b"\n");
        }
        closing.extend_from_slice(b"event: error\ndata: ");
        closing.extend_from_slice(&error.body(Dialect::Messages, None));
        closing.extend_from_slice(b"\n\n");
        Some(closing.into())
    }

    /// The kind of the error event that went by, if one did.
    pub(super) fn error(&self) -> Option<ErrorKind> {
        self.error
    }

    /// The token counts that went by since this was last asked.
    pub(super) fn take_usage(&mut self) -> Option<Usage> {
        self.usage.take()
    }

    fn end_line(&mut self, line: &[u8]) {
        if !std::mem::take(&mut self.in_line) {
            self.in_event = false;
            self.in_error = false;
            self.in_usage = false;
            return;
        }
        self.in_event = true;
        match line.strip_prefix(b"event:").map(<[u8]>::trim_ascii) {
            Some(b"message_stop") => self.ended = true,
            Some(b"error") => {
                self.ended = true;
                self.in_error = true;
                self.error.get_or_insert(ErrorKind::Api);
            }
            Some(b"message_start" | b"message_delta") => self.in_usage = true,
            _ if self.in_usage => {
                if let Some(usage) = line.strip_prefix(b"data:").and_then(usage_in) {
                    self.usage.get_or_insert_default().merge(&usage);
                }
            }
            _ if self.in_error && line.starts_with(b"data:") => self.error = Some(kind_in(line)),
            _ => {}
        }
    }
}

/// What follows the events that nearly all of a stream consists of, and that change nothing here: whole ones, in the form in which the
/// provider writes them.
fn after_deltas(mut bytes: &[u8]) -> &[u8] {
    while let Some(data) = bytes.strip_prefix(b"event: content_block_delta\ndata: ")
        && let Some(end) = memchr::memchr2(b'\n', b'\r', data)
        && let Some(after) = data.get(end..).and_then(|rest| rest.strip_prefix(b"\n\n"))
    {
        bytes = after;
    }
    bytes
}

/// The error's type stands at the start of the data, as upstream writes it; where it does not, the error
/// counts as one of upstream's own.
fn kind_in(line: &[u8]) -> ErrorKind {
    let text = String::from_utf8_lossy(line);
    let has = |name: &str| text.contains(name);
    if has("overloaded_error") {
        ErrorKind::Overloaded
    } else if has("rate_limit_error") {
        ErrorKind::RateLimit
    } else if has("invalid_request_error") {
        ErrorKind::InvalidRequest
    } else {
        ErrorKind::Api
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n";
    const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n";
    const ERROR: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

    fn after(text: &str) -> NativeEvents {
        let mut events = NativeEvents::default();
        events.observe(text.as_bytes());
        events
    }

    fn closing(events: &NativeEvents) -> Option<String> {
        let closing = events.closing(&ApiError::upstream_disconnected())?;
        Some(String::from_utf8(closing.to_vec()).unwrap())
    }

    #[test]
    fn what_the_protocol_ended_is_left_alone_however_it_was_split() {
        for text in [
            format!("{START}{STOP}"),
            format!("{START}{STOP}").replace('\n', "\r\n"),
            format!("{START}{DELTA}{DELTA}{STOP}"),
            format!("{START}{DELTA}{DELTA}{STOP}").replace('\n', "\r\n"),
            format!("{START}{ERROR}"),
        ] {
            for at in 0..=text.len() {
                let mut events = NativeEvents::default();
                events.observe(&text.as_bytes()[..at]);
                events.observe(&text.as_bytes()[at..]);
                assert_eq!(closing(&events), None, "split at {at}");
            }
        }
    }

    proptest! {
        /// Byte by byte no event is passed over as a whole.
        #[test]
        fn what_is_passed_over_leaves_what_reading_it_leaves(
            lines in prop::collection::vec(
                (
                    prop_oneof![
                        3 => Just("event: content_block_delta"),
                        3 => Just("data: {\"type\":\"content_block_delta\"}"),
                        3 => Just(""),
                        1 => Just("event: message_stop"),
                        1 => Just("event: error"),
                        1 => Just(": comment"),
                    ],
                    prop_oneof![6 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\n"), 1 => Just("")],
                ),
                0..12,
            ),
        ) {
            let text: String = lines.iter().flat_map(|(line, end)| [*line, *end]).collect();
            let mut one_by_one = NativeEvents::default();
            text.bytes().for_each(|byte| one_by_one.observe(&[byte]));
            let state = |events: &NativeEvents| {
                let NativeEvents { in_line, in_event, in_error, after_cr, ended, in_usage, error, .. } = events;
                format!("{in_line} {in_event} {in_error} {after_cr} {ended} {in_usage} {error:?}")
            };
            prop_assert_eq!(state(&after(&text)), state(&one_by_one), "{:?}", text);
        }
    }

    #[test]
    fn what_was_cut_off_ends_with_an_error_event_of_its_own() {
        let text = format!("{START}{DELTA}{STOP}");
        for at in 0..text.len() {
            let cut = &text[..at];
            if after(cut).ended && cut.ends_with("\n\n") {
                continue;
            }
            let whole = format!("{cut}{}", closing(&after(cut)).unwrap());
            let mut reader = crate::wire::sse::Reader::new(4096);
            let last = reader.push(whole.as_bytes()).unwrap().pop().unwrap();
            assert_eq!(&*last.event, "error", "cut at {at}: {whole:?}");
            assert!(last.data.contains("api_error"));
        }
    }

    #[test]
    fn the_kind_of_an_error_event_is_told() {
        assert_eq!(after(&format!("{START}{ERROR}")).error(), Some(ErrorKind::Overloaded));
        let limited = ERROR.replace("overloaded_error", "rate_limit_error");
        assert_eq!(after(&limited).error(), Some(ErrorKind::RateLimit));
        assert_eq!(after(&limited.replace('\n', "\r\n")).error(), Some(ErrorKind::RateLimit));
        let invalid = ERROR.replace("overloaded_error", "invalid_request_error");
        assert_eq!(after(&invalid).error(), Some(ErrorKind::InvalidRequest));
        assert_eq!(after(&format!("{START}{STOP}")).error(), None);
        assert_eq!(after(START).error(), None);
    }

    #[test]
    fn token_counts_are_told_wherever_the_bytes_were_split() {
        let told = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
                    event: content_block_delta\ndata: {\"usage\":{\"input_tokens\":99}}\n\n\
                    event: message_delta\ndata: {\"usage\":{\"output_tokens\":7}}\n\n";
        for text in [told.to_owned(), told.replace('\n', "\r\n")] {
            for at in 0..=text.len() {
                let (mut events, mut usage) = (NativeEvents::default(), Usage::default());
                for part in [&text[..at], &text[at..]] {
                    events.observe(part.as_bytes());
                    usage.merge(&events.take_usage().unwrap_or_default());
                }
                assert_eq!((usage.input(), usage.output()), (3, 7), "split at {at}");
            }
        }
    }

    #[test]
    fn a_ping_wherever_one_may_stand_leaves_every_other_event_as_it_was() {
        let parsed = |bytes: &[u8]| {
            let mut reader = crate::wire::sse::Reader::new(4096);
            let mut events = reader.push(bytes).unwrap();
            events.extend(reader.finish());
            events.retain(|event| &*event.event != "ping");
            events
        };
        let comment = ": upstream's own\n\ndata: {}\nid: 1\n\n\n";
        for text in [
            format!("{START}{comment}{DELTA}{STOP}"),
            format!("{START}{comment}{STOP}").replace('\n', "\r\n"),
            format!("{START}{START}{ERROR}"),
        ] {
            let events_of = parsed(text.as_bytes());
            let mut places = 0;
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let mut events = NativeEvents::default();
                    let mut sent = Vec::new();
                    for part in [&text[..first], &text[first..second], &text[second..]] {
                        events.observe(part.as_bytes());
                        sent.extend_from_slice(part.as_bytes());
                        if events.is_between_events() {
                            places += 1;
                            sent.extend_from_slice(PING);
                        }
                    }
                    assert_eq!(parsed(&sent), events_of, "{first} {second}");
                    // After the end nothing more is said.
                    assert!(!sent.ends_with(PING), "{first} {second}");
                }
            }
            assert!(places > text.len(), "{places}");
        }
    }
}
