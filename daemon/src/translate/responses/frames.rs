//! The events of a Responses stream, numbered and written straight into the output.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use crate::wire::responses::{EventFields, Response};

/// Numbers events from 0 without gaps. A silent one writes nothing: a whole reply is put together the same
/// way.
#[derive(Debug)]
pub(super) struct Frames {
    silent: bool,
    next: u64,
}

#[derive(Serialize)]
struct WithResponse<'a> {
    response: &'a Response<'a>,
}

impl Frames {
    pub(super) const fn speaking() -> Self {
        Self { silent: false, next: 0 }
    }

    pub(super) const fn silent() -> Self {
        Self { silent: true, next: 0 }
    }

    pub(super) fn item(&mut self, kind: &str, fields: &EventFields<'_>, out: &mut BytesMut) {
        self.write(kind, fields, out);
    }

    pub(super) fn response(&mut self, kind: &str, response: &Response<'_>, out: &mut BytesMut) {
        self.write(kind, &WithResponse { response }, out);
    }

    fn write<T: Serialize>(&mut self, kind: &str, fields: &T, out: &mut BytesMut) {
        if self.silent {
            return;
        }
        let number = self.next;
        self.next += 1;
        // Writing strings and numbers to memory cannot fail.
        let _head = write!(out, "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number}");
        let brace = out.len();
        let _fields = serde_json::to_writer(out.writer(), fields);
        // The fields' own opening brace becomes the comma behind the number; no event is without fields.
        if let Some(byte) = out.get_mut(brace) {
            *byte = b',';
        }
        out.put_slice(b"\n\n");
    }
}
