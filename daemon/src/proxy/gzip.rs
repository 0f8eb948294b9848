//! Incremental gzip decoding of an upstream body. We ask for identity; this is for an upstream that does not
//! listen.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzDecoder;

/// What one chunk may grow to: a bomb ends the answer instead of the daemon.
const MOST_PER_CHUNK: usize = 32 * 1024 * 1024;
/// Input decoded at a time, so that the bound is checked in between.
const STEP: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Gunzip(GzDecoder<Vec<u8>>);

impl Gunzip {
    pub(super) fn new() -> Self {
        Self(GzDecoder::new(Vec::new()))
    }

    /// Decodes the next bytes as far as they go.
    pub(super) fn push(&mut self, chunk: &[u8]) -> io::Result<Bytes> {
        for part in chunk.chunks(STEP) {
            self.0.write_all(part)?;
            self.0.flush()?;
            if self.0.get_ref().len() > MOST_PER_CHUNK {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the compressed answer grows beyond all bounds",
                ));
            }
        }
        Ok(std::mem::take(self.0.get_mut()).into())
    }

    /// Checks that the stream came to its end.
    pub(super) fn finish(&mut self) -> io::Result<Bytes> {
        self.0.try_finish()?;
        Ok(std::mem::take(self.0.get_mut()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn any_split_gives_the_same_bytes() {
        let text = b"event: ping\ndata: {}\n\n".repeat(50);
        let packed = gzip(&text);
        for at in 0..=packed.len() {
            let (head, tail) = packed.split_at(at);
            let mut gunzip = Gunzip::new();
            let mut out = gunzip.push(head).unwrap().to_vec();
            out.extend(gunzip.push(tail).unwrap());
            out.extend(gunzip.finish().unwrap());
            assert_eq!(out, text, "split at {at}");
        }
    }

    #[test]
    fn a_stream_cut_short_is_an_error() {
        let packed = gzip(b"hello");
        let mut gunzip = Gunzip::new();
        gunzip.push(&packed[..packed.len() - 4]).unwrap();
        assert!(gunzip.finish().is_err());
    }

    #[test]
    fn a_bomb_is_an_error() {
        let packed = gzip(&vec![0; MOST_PER_CHUNK + 8 * 1024 * 1024]);
        assert!(Gunzip::new().push(&packed).is_err());
    }
}
