//! Small chunks of an answer (RFC 9112, section 7.1) made one, before the HTTP client sees them: a stream comes with a chunk for each
//! of its events, and the client takes longer to read a chunk of a hundred bytes than all else that is done with it. What has come at
//! once becomes one chunk; no data is kept back, only what stands between chunks. Pure.
//!
//! Only what is plainly the usual is touched. From any other line of a size on, as from any other head, all goes on as it is.

use std::io::Write as _;

/// A chunk's size is read up to so many hexadecimal digits.
const DIGITS: usize = 8;
/// The line of a size that is written: of any that there can be.
const LONGEST_LINE: usize = 2 * size_of::<usize>() + 2;
/// As the HTTP client takes them.
const MOST_HEADERS: usize = 100;

/// Follows the answers that come by one connection.
#[derive(Debug, Default)]
pub(super) enum Chunks {
    /// Nothing is touched.
    #[default]
    Raw,
    /// An answer begins.
    Head,
    /// Within the line of a size, or before it: what has come of it.
    Size(Line),
    /// So much of a chunk's data is still to come.
    Data(usize),
    /// Behind a chunk's data, or the first byte further.
    End { has_cr: bool },
    /// A chunk's data did not end as its size says.
    Broken,
}

/// A line that has not come to its end, and does not get longer than a size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    bytes: [u8; DIGITS + 2],
    length: usize,
}

impl Chunks {
    /// Writes what is to be read in place of what has come; nothing where more must come first.
    pub(super) fn merge(&mut self, mut rest: &[u8], out: &mut Vec<u8>) {
        // Where the chunk begins that is being made.
        let mut open = None;
        while let Some((&first, others)) = rest.split_first() {
            match self {
                Self::Raw => {
                    close_chunk(&mut open, out);
                    out.extend_from_slice(rest);
                    break;
                }
                Self::Head => {
                    let length;
                    (*self, length) = head(rest).unwrap_or((Self::Raw, 0));
                    let (head, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    out.extend_from_slice(head);
                    rest = behind;
                }
                Self::Size(line) => {
                    let is_whole = line.push(first);
                    rest = others;
                    if is_whole {
                        let line = *line;
                        // The last chunk is followed by what is no chunk.
                        *self = line.size().filter(|size| *size > 0).map_or(Self::Raw, Self::Data);
                        if matches!(self, Self::Raw) {
                            close_chunk(&mut open, out);
                            out.extend_from_slice(line.so_far());
                        }
                    }
                }
                Self::Data(to_come) => {
                    open.get_or_insert(out.len());
                    let (data, behind) = rest.split_at(rest.len().min(*to_come));
                    out.extend_from_slice(data);
                    *to_come -= data.len();
                    rest = behind;
                    if *to_come == 0 {
                        *self = Self::End { has_cr: false };
                    }
                }
                Self::End { has_cr } => {
                    *self = match (*has_cr, first) {
                        (false, b'\r') => Self::End { has_cr: true },
                        (true, b'\n') => Self::Size(Line::default()),
                        _ => Self::Broken,
                    };
                    rest = others;
                }
                Self::Broken => break,
            }
        }
        close_chunk(&mut open, out);
    }

    /// Whether what has been read cannot go on.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    /// Nothing more comes: what was kept back is to be read as it is.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Self::Size(line) = std::mem::take(self) {
            out.extend_from_slice(line.so_far());
        }
    }
}

/// What follows the head that begins here, and how long it is; `None` where it has not come whole, or cannot be read.
fn head(bytes: &[u8]) -> Option<(Chunks, usize)> {
    // Most answers need no second look. Nobody writes it in capitals only.
    memchr::memmem::find(bytes, b"hunked")?;
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    let mut codings =
        head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("transfer-encoding"));
    let is_chunked = codings.next().is_some_and(|header| header.value.eq_ignore_ascii_case(b"chunked"));
    let follows = match head.code? {
        // It announces another one.
        100 | 102..=199 => Chunks::Head,
        // These have no body, whatever they say.
        101 | 204 | 304 => Chunks::Raw,
        _ if head.version? == 1 && is_chunked && codings.next().is_none() => Chunks::Size(Line::default()),
        _ => Chunks::Raw,
    };
    Some((follows, length))
}

/// Writes how long the chunk is that begins there, before and behind it.
fn close_chunk(open: &mut Option<usize>, out: &mut Vec<u8>) {
    let Some(at) = open.take() else { return };
    let mut line = [0; LONGEST_LINE];
    let mut left = line.as_mut_slice();
    // It has room for any size.
    let _written = write!(left, "{:x}\r\n", out.len() - at);
    let length = LONGEST_LINE - left.len();
    out.splice(at..at, line.into_iter().take(length));
    out.extend_from_slice(b"\r\n");
}

impl Line {
    /// Whether the line has come to its end, or is longer than any of a size.
    fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
        byte == b'\n' || self.length == self.bytes.len()
    }

    fn so_far(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// What it says, where that is a size and nothing else.
    fn size(&self) -> Option<usize> {
        let digits = self.so_far().strip_suffix(b"\r\n").filter(|digits| !digits.is_empty())?;
        digits.iter().try_fold(0, |size, digit| Some(16 * size + char::from(*digit).to_digit(16)? as usize))
    }
}

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
