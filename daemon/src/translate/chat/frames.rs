//! The frames of a chat stream, written straight into the output. Knows how a chunk looks, not when it is
//! due.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use crate::wire::Dialect;
use crate::wire::chat::{ChatUsage, ChunkCall, Delta};
use crate::wire::error::ApiError;

/// Writes the chunks of one stream, whose common fields are written once.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// What every chunk begins with; empty until the message starts.
    head: Vec<u8>,
    /// Every chunk before the last says that it has no usage.
    usage_follows: bool,
}

/// The fields all chunks have in common.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    object: &'a str,
    created: i64,
    model: &'a str,
    system_fingerprint: Option<&'a str>,
}

impl Frames {
    pub(super) fn new(usage_follows: bool) -> Self {
        Self { head: Vec::new(), usage_follows }
    }

    pub(super) const fn has_started(&self) -> bool {
        !self.head.is_empty()
    }

    /// Fixes the common fields and writes the first chunk.
    pub(super) fn start(&mut self, id: &str, created: i64, model: &str, out: &mut BytesMut) {
        let head = Head { id, object: "chat.completion.chunk", created, model, system_fingerprint: None };
        self.head.extend_from_slice(b"data: ");
        // Strings and numbers cannot fail to be written.
        self.head.extend(serde_json::to_vec(&head).unwrap_or_default());
        // The object is left open for what differs from chunk to chunk.
        self.head.pop();
        self.head.extend_from_slice(b",\"choices\":[");
        self.chunk(&Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, None, out);
    }

    /// More of the answer's text, which nearly every chunk is.
    pub(super) fn content(&self, text: &str, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":{\"content\":");
        write_json(text, out);
        out.put_slice(b"},\"logprobs\":null,\"finish_reason\":null");
        self.end_chunk(out);
    }

    pub(super) fn delta(&self, delta: &Delta<'_>, out: &mut BytesMut) {
        self.chunk(delta, None, out);
    }

    pub(super) fn tool_call(&self, call: ChunkCall<'_>, out: &mut BytesMut) {
        self.delta(&Delta { tool_calls: Some([call]), ..Delta::default() }, out);
    }

    /// The chunk that ends the choice.
    pub(super) fn finish(&self, reason: &'static str, out: &mut BytesMut) {
        self.chunk(&Delta::default(), Some(reason), out);
    }

    /// The end of the stream, behind the token counts if they were promised.
    pub(super) fn done(&self, usage: &ChatUsage, out: &mut BytesMut) {
        if self.usage_follows {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            write_json(usage, out);
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    fn chunk(&self, delta: &Delta<'_>, finish: Option<&'static str>, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"{\"index\":0,\"delta\":");
        write_json(delta, out);
        out.put_slice(b",\"logprobs\":null,\"finish_reason\":");
        write_json(&finish, out);
        self.end_chunk(out);
    }

    fn end_chunk(&self, out: &mut BytesMut) {
        out.put_slice(if self.usage_follows { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n" });
    }
}

/// The frame of an error, which ends a stream.
pub(super) fn error(error: &ApiError, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    out.put_slice(&error.body(Dialect::Chat, None));
    out.put_slice(b"\n\n");
}

fn write_json<T: Serialize + ?Sized>(value: &T, out: &mut BytesMut) {
    // Writing strings and numbers to memory cannot fail.
    let _written = serde_json::to_writer(out.writer(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_any_other_chunk() {
        for usage_follows in [false, true] {
            let mut frames = Frames::new(usage_follows);
            frames.start("chatcmpl-1", 1, "model", &mut BytesMut::new());
            for text in ["", "a", "\"quoted\" \\ and\n\u{1}more \u{2028} é"] {
                let (mut written, mut as_delta) = (BytesMut::new(), BytesMut::new());
                frames.content(text, &mut written);
                frames.delta(&Delta { content: Some(text), ..Delta::default() }, &mut as_delta);
                assert_eq!(written, as_delta);
            }
        }
    }
}
