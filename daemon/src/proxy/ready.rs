//! What the pump has for the client and has not handed on yet.

use bytes::{Bytes, BytesMut};

/// Bytes for one frame. A single piece is handed on as it is, without a copy.
#[derive(Debug, Default)]
pub(super) struct Ready {
    single: Bytes,
    many: BytesMut,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.single.len() + self.many.len()
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.single = bytes;
        } else {
            self.buffer().extend_from_slice(&bytes);
        }
    }

    /// Where encoded bytes are appended; a piece that stood alone joins them.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        if !self.single.is_empty() {
            self.many.extend_from_slice(&std::mem::take(&mut self.single));
        }
        &mut self.many
    }

    /// Throws away what came after the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.single.truncate(length);
        self.many.truncate(length);
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        if !self.single.is_empty() {
            return Some(std::mem::take(&mut self.single));
        }
        (!self.many.is_empty()).then(|| self.many.split().freeze())
    }
}
