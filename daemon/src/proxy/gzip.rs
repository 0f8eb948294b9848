//! Incremental gzip decoding of an upstream body. We ask for identity; this is for an upstream that does not
//! listen. What comes out comes in small pieces, whatever went in, so that a bomb goes off at the pace of its reader.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzDecoder;

use super::fault::Fault;

/// Input decoded at a time: no input grows by more than a thousand times.
const STEP: usize = 128;
/// A piece has this much, or what one more step gives.
const PIECE: usize = 64 * 1024;
/// Once as much as this came out, it may not be more than [`MOST_GROWTH`] times what went in: text is compressed to a
/// tenth of its size, or a fiftieth.
const FREE: u64 = 8 * 1024 * 1024;
pub(super) const MOST_GROWTH: u64 = 200;

#[derive(Debug)]
pub(super) struct Gunzip {
    decoder: GzDecoder<Vec<u8>>,
    /// Not decoded yet.
    input: Bytes,
    taken: u64,
    given: u64,
}

impl Gunzip {
    pub(super) fn new() -> Self {
        Self { decoder: GzDecoder::new(Vec::new()), input: Bytes::new(), taken: 0, given: 0 }
    }

    /// Takes the next bytes. All pieces of those before were taken.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        self.input = chunk;
    }

    /// The next piece of what the input so far decodes to; `None` when more of it is needed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.input.is_empty() && self.decoder.get_ref().len() < PIECE {
            let part = self.input.split_to(STEP.min(self.input.len()));
            self.taken += part.len() as u64;
            self.decoder.write_all(&part).and_then(|()| self.decoder.flush()).map_err(Fault::Gzip)?;
            if self.given + self.decoder.get_ref().len() as u64 > FREE.max(self.taken * MOST_GROWTH) {
                return Err(Fault::Bomb);
            }
        }
        Ok(self.take())
    }

    /// Checks that the stream came to its end, and gives what the decoder still held.
    pub(super) fn finish(&mut self) -> Result<Option<Bytes>, Fault> {
        self.decoder.try_finish().map_err(Fault::Gzip)?;
        Ok(self.take())
    }

    fn take(&mut self) -> Option<Bytes> {
        let piece = std::mem::take(self.decoder.get_mut());
        self.given += piece.len() as u64;
        (!piece.is_empty()).then(|| piece.into())
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

    fn all(gunzip: &mut Gunzip, chunk: &[u8]) -> Result<Vec<u8>, Fault> {
        gunzip.feed(Bytes::copy_from_slice(chunk));
        let mut out = Vec::new();
        while let Some(piece) = gunzip.next()? {
            assert!(piece.len() < 4 * PIECE, "{}", piece.len());
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    #[test]
    fn any_split_gives_the_same_bytes() {
        let text = b"event: ping\ndata: {}\n\n".repeat(50);
        let packed = gzip(&text);
        for at in 0..=packed.len() {
            let (head, tail) = packed.split_at(at);
            let mut gunzip = Gunzip::new();
            let mut out = all(&mut gunzip, head).unwrap();
            out.extend(all(&mut gunzip, tail).unwrap());
            out.extend(gunzip.finish().unwrap().unwrap_or_default());
            assert_eq!(out, text, "split at {at}");
        }
    }

    #[test]
    fn a_stream_cut_short_is_an_error() {
        let packed = gzip(b"hello");
        let mut gunzip = Gunzip::new();
        all(&mut gunzip, &packed[..packed.len() - 4]).unwrap();
        assert!(gunzip.finish().is_err());
    }

    #[test]
    fn what_grows_comes_in_small_pieces_and_a_bomb_is_an_error() {
        let size = usize::try_from(FREE).unwrap();
        assert_eq!(all(&mut Gunzip::new(), &gzip(&vec![0; size])).unwrap().len(), size);
        let fault = all(&mut Gunzip::new(), &gzip(&vec![0; 2 * size])).unwrap_err();
        assert!(matches!(fault, Fault::Bomb), "{fault:?}");
    }
}
