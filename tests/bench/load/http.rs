//! As much of HTTP/1.1 as reading an answer takes: its status, and its body by length or in chunks.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};

/// An answer as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are to come.
    Length(usize),
    /// The line with a chunk's size is to come.
    Size,
    /// So many bytes of the chunk are to come, and the end of its line.
    Chunk(usize),
    /// The line behind a chunk.
    Line,
    /// The line behind the last chunk.
    LastLine,
    Over,
}

impl Answer {
    /// Reads what `buffer` holds; what belongs to the body is added to `body`. Whether the answer is whole.
    pub(super) fn read(&mut self, buffer: &mut BytesMut, body: &mut Vec<u8>) -> Result<bool> {
        loop {
            match self.state {
                State::Over => return Ok(true),
                State::Head => {
                    let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else { return Ok(false) };
                    let head = buffer.split_to(end + 4);
                    (self.status, self.state) = read_head(&head)?;
                }
                State::Length(left) => {
                    let here = take(buffer, left, body);
                    self.state = if here == left { State::Over } else { State::Length(left - here) };
                    if here < left {
                        return Ok(false);
                    }
                }
                State::Size => {
                    let Some(line) = line(buffer) else { return Ok(false) };
                    let size = std::str::from_utf8(&line)?.trim_end();
                    let size = size.split(';').next().unwrap_or_default();
                    let size = usize::from_str_radix(size, 16).context("the size of a chunk")?;
                    self.state = if size == 0 { State::LastLine } else { State::Chunk(size) };
                }
                State::Chunk(left) => {
                    let here = take(buffer, left, body);
                    self.state = if here == left { State::Line } else { State::Chunk(left - here) };
                    if here < left {
                        return Ok(false);
                    }
                }
                State::Line => {
                    let Some(rest) = line(buffer) else { return Ok(false) };
                    ensure!(rest.as_ref() == b"\r\n", "a chunk is longer than its size");
                    self.state = State::Size;
                }
                State::LastLine => {
                    let Some(rest) = line(buffer) else { return Ok(false) };
                    ensure!(rest.as_ref() == b"\r\n", "a trailer, which nobody sent");
                    self.state = State::Over;
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, wanted: usize, body: &mut Vec<u8>) -> usize {
    let here = wanted.min(buffer.len());
    if let Some((data, _)) = buffer.split_at_checked(here) {
        body.extend_from_slice(data);
    }
    buffer.advance(here);
    here
}

fn line(buffer: &mut BytesMut) -> Option<BytesMut> {
    memchr::memchr(b'\n', buffer).map(|end| buffer.split_to(end + 1))
}

fn read_head(head: &[u8]) -> Result<(u16, State)> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next().unwrap_or_default())?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status in {first:?}"))?;
    for line in lines {
        let Some((name, value)) = memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at)) else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value)?.trim_start_matches(':').trim().parse()?;
            return Ok((status, State::Length(length)));
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok((status, State::Size));
        }
    }
    bail!("an answer of unknown length with status {status}")
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::Answer;

    /// Reads an answer that comes in pieces of this size.
    fn read(text: &str, piece: usize) -> (u16, String, bool) {
        let (mut answer, mut buffer, mut body) = (Answer::default(), BytesMut::new(), Vec::new());
        let mut is_whole = false;
        for bytes in text.as_bytes().chunks(piece) {
            buffer.extend_from_slice(bytes);
            is_whole = answer.read(&mut buffer, &mut body).unwrap();
        }
        (answer.status, String::from_utf8(body).unwrap(), is_whole)
    }

    #[test]
    fn answers_are_read_in_pieces_of_any_size() {
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nheron";
        let chunked =
            "HTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhe\n\r\n2;a=b\r\nro\r\n0\r\n\r\n";
        for piece in 1..chunked.len() {
            assert_eq!(read(sized, piece), (200, "heron".to_owned(), true), "{piece}");
            assert_eq!(read(chunked, piece), (429, "he\nro".to_owned(), true), "{piece}");
        }
        assert!(!read(&sized[..sized.len() - 1], 7).2);
        assert!(!read(&chunked[..chunked.len() - 1], 7).2);
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        for text in [
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nserver: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            let (mut answer, mut body) = (Answer::default(), Vec::new());
            assert!(answer.read(&mut BytesMut::from(text), &mut body).is_err(), "{text}");
        }
    }
}
