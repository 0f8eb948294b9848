//! Server-sent events, read and written byte-exactly.
//!
//! Only LF, CR and CRLF end a line; U+2028 and its relatives are text. Bytes may arrive split anywhere, also
//! inside a character. A reader never holds more than the limit it was made with, and never interprets what
//! an event says.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

/// The name of an event to which the stream gave none.
const UNNAMED: &str = "message";
/// Names up to this length are shared.
const SHORT: usize = 64;

/// One event: its name (`message` when the stream gave none) and its data lines joined by LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Shared with the events before it that have the same one.
    pub event: Arc<str>,
    pub data: String,
}

/// An event grew past the reader's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    pub limit: usize,
}

/// Incremental reader of one event stream.
#[derive(Debug)]
pub struct Reader {
    max_event: usize,
    /// The bytes of a line whose end has not arrived yet.
    line: Vec<u8>,
    event: Option<Arc<str>>,
    /// The last name that was given; a long one is not kept beside its event.
    last: Option<Arc<str>>,
    data: String,
    has_data: bool,
    /// The last byte was CR: a following LF belongs to it.
    after_cr: bool,
    /// No line was read yet, so a byte order mark may come.
    at_start: bool,
}

impl Reader {
    /// `max_event` bounds one event's bytes, counted over its name, its data and the line being read.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            line: Vec::new(),
            event: None,
            last: None,
            data: String::new(),
            has_data: false,
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes the next bytes and returns the events they complete.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        self.push_into(chunk, &mut events)?;
        Ok(events)
    }

    /// Takes the next bytes and adds the events they complete.
    pub fn push_into(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        loop {
            if let Some((event, after)) = self.like_the_last(rest) {
                events.push(event);
                rest = after;
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else { break };
            let (head, tail) = rest.split_at(end);
            self.check(head.len())?;
            let event = if self.line.is_empty() {
                self.take_line(head)
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                let event = self.take_line(&line);
                line.clear();
                self.line = line;
                event
            };
            if let Some(event) = event {
                events.push(event);
            }
            rest = match tail {
                [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
                [] => tail,
            };
            self.after_cr = tail == b"\r";
        }
        self.check(rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// An event as nearly all are, with the name of the one before it and one line of data, and what follows it. It is whole, so that
    /// nothing of it is kept; any other is read line by line, and gives the same.
    fn like_the_last<'a>(&self, rest: &'a [u8]) -> Option<(Event, &'a [u8])> {
        let is_between_events =
            self.line.is_empty() && self.event.is_none() && !self.has_data && !self.at_start;
        let name = self.last.as_ref().filter(|name| is_between_events && !name.is_empty())?;
        let line = rest.strip_prefix(b"event: ")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\n")?;
        let (line, after) = line.split_at(memchr::memchr2(b'\n', b'\r', line)?);
        let (data, after) = (line.strip_prefix(b"data: ")?, after.strip_prefix(b"\n\n")?);
        let is_long = |bytes: usize| bytes.saturating_add(name.len()) > self.max_event;
        if is_long(line.len().max(b"event: ".len())) {
            return None;
        }
        let mut event = Event { event: Arc::clone(name), data: String::new() };
        push_lossy(&mut event.data, data);
        // What is no text takes more room as it is told.
        (!is_long(event.data.len())).then_some((event, after))
    }

    /// The stream ended: the event it ended in, if it was not followed by an empty line.
    pub fn finish(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty()
            && let Some(event) = self.take_line(&line)
        {
            return Some(event);
        }
        self.dispatch()
    }

    fn check(&self, more: usize) -> Result<(), TooLong> {
        let held = self.line.len() + self.event.as_ref().map_or(0, |name| name.len()) + self.data.len();
        if held.saturating_add(more) > self.max_event {
            return Err(TooLong { limit: self.max_event });
        }
        Ok(())
    }

    fn take_line(&mut self, mut line: &[u8]) -> Option<Event> {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                push_lossy(&mut self.data, value);
            }
            b"event" => {
                let known = self.last.take().filter(|last| last.as_bytes() == value);
                let name = known.unwrap_or_else(|| Arc::from(String::from_utf8_lossy(value)));
                self.last = Some(&name).filter(|name| name.len() <= SHORT).cloned();
                self.event = Some(name);
            }
            // Comments, ids, retry times and unknown fields carry nothing for us.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = self.event.take().filter(|name| !name.is_empty());
        let data = std::mem::take(&mut self.data);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        Some(Event { event: event.unwrap_or_else(|| Arc::from(UNNAMED)), data })
    }
}

/// Text as it nearly always comes is looked at once, and takes no more memory than it needs.
fn push_lossy(text: &mut String, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(all) if text.is_empty() => *text = String::from(all),
        Ok(more) => text.push_str(more),
        Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// A comment, which readers skip, between two events: it shows that the stream lives.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Writes one event. Line ends inside `data` become further data lines.
pub fn write_event(out: &mut BytesMut, event: Option<&str>, data: &str) {
    if let Some(event) = event {
        out.put_slice(b"event: ");
        out.put_slice(event.as_bytes());
        out.put_u8(b'\n');
    }
    for line in data.split('\n') {
        out.put_slice(b"data: ");
        out.put_slice(line.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
