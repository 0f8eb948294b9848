//! Where one HTTP/1 request ends and the next begins (RFC 9112), judged before the server's own parser sees a byte. A
//! request whose end could be read in two ways is refused and the connection closed: whoever stands between, or before,
//! might read it in the other one. Pure.
//!
//! What parsers forgive is refused here: bare CR and LF, folded lines, a space before a colon, two lengths, a length beside
//! an encoding, any encoding but `chunked`, chunk extensions.

use std::fmt;

/// A request's head may take this much.
pub(super) const MOST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;
/// The lines after the last chunk.
const MOST_TRAILERS: usize = 8 * 1024;

/// Follows one connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    part: Part,
    /// How much of the head that is held was searched for its end.
    searched: usize,
    /// What follows the bytes that were released cannot be read.
    fault: Option<Fault>,
}

/// What of a request comes next.
#[derive(Debug, Default)]
enum Part {
    #[default]
    Head,
    /// So many bytes of a body are left.
    Length(u64),
    Chunked(Chunked),
}

#[derive(Clone, Copy, Debug)]
enum Chunked {
    /// Digits of a chunk's size so far.
    Size {
        size: u64,
        digits: u8,
    },
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// Within the lines after the last chunk: bytes so far, and of the line.
    Trailers {
        taken: usize,
        line: usize,
    },
    TrailersLf {
        taken: usize,
        line: usize,
    },
}

/// Why a connection is not read any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::http) enum Fault {
    /// It is no HTTP/1 request, or none that can be read in one way only.
    Malformed(&'static str),
    HeadTooLarge,
    /// The preface of HTTP/2, or a version that there is not.
    Version,
    /// CONNECT.
    Tunnel,
    /// The head did not come to its end in time.
    Late,
}

impl Framing {
    /// How many of the bytes that are held may go on to the server: everything but a head that is not complete. `held` begins
    /// where the last answer ended.
    ///
    /// An error is told once all that came before it was released.
    pub(super) fn release(&mut self, held: &[u8]) -> Result<usize, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut at = 0;
        match self.go_on(held, &mut at) {
            Err(fault) if at == 0 => Err(fault),
            Err(fault) => {
                self.fault = Some(fault);
                Ok(at)
            }
            Ok(()) => Ok(at),
        }
    }

    /// Why nothing more is released, once all that could be was.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    fn go_on(&mut self, held: &[u8], at: &mut usize) -> Result<(), Fault> {
        loop {
            let rest = held.get(*at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            match &mut self.part {
                Part::Head => match self.head(rest)? {
                    Some(taken) => *at += taken,
                    None => return Ok(()),
                },
                Part::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= taken as u64;
                    *at += taken;
                    if *left == 0 {
                        self.part = Part::Head;
                    }
                }
                Part::Chunked(chunked) => {
                    let taken = chunked.push(rest)?;
                    *at += taken.bytes;
                    if taken.is_last {
                        self.part = Part::Head;
                    }
                }
            }
        }
    }

    /// Whether a request has begun whose head is not complete, given that bytes are held.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.part, Part::Head)
    }

    /// The length of the head that `held` begins with, where it is complete.
    fn head(&mut self, held: &[u8]) -> Result<Option<usize>, Fault> {
        if held.starts_with(b"PRI * HTTP/2.0\r\n") {
            return Err(Fault::Version);
        }
        // Between requests an empty line is passed over (RFC 9112, section 2.2).
        if let [b'\r', b'\n', ..] = held {
            self.searched = 0;
            return Ok(Some(2));
        }
        let from = self.searched.saturating_sub(3);
        let found = memchr::memmem::find(held.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let Some(end) = found.map(|found| from + found + 4) else {
            // One that ends its lines with LF alone would never come to its end.
            let new = memchr::memchr_iter(b'\n', held.get(self.searched..).unwrap_or_default());
            let mut before = new.map(|lf| (self.searched + lf).checked_sub(1));
            if before.any(|at| at.and_then(|at| held.get(at)) != Some(&b'\r')) {
                return Err(BARE);
            }
            self.searched = held.len();
            return if held.len() > MOST_HEAD { Err(Fault::HeadTooLarge) } else { Ok(None) };
        };
        self.searched = 0;
        if end > MOST_HEAD {
            return Err(Fault::HeadTooLarge);
        }
        self.part = body(held.get(..end).unwrap_or_default())?;
        Ok(Some(end))
    }
}

const BARE: Fault = Fault::Malformed("a line of it does not end with CR and LF");

/// What a head says of the body after it.
fn body(head: &[u8]) -> Result<Part, Fault> {
    let mut lines = Lines(head);
    let version = request_line(lines.next().ok_or(BARE)??)?;
    let (mut length, mut chunked, mut count) = (None, false, 0);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > MOST_HEADERS {
            return Err(Fault::HeadTooLarge);
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(parse_length(value)?).is_some() {
                return Err(Fault::Malformed("it has more than one content-length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            && (std::mem::replace(&mut chunked, true) || !value.eq_ignore_ascii_case(b"chunked"))
        {
            return Err(Fault::Malformed("its transfer-encoding is not chunked, once and alone"));
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Fault::Malformed("it has both a content-length and a transfer-encoding")),
        (None, true) if version == Version::Http10 => {
            Err(Fault::Malformed("HTTP/1.0 has no transfer-encoding"))
        }
        (None, true) => Ok(Part::Chunked(Chunked::Size { size: 0, digits: 0 })),
        (None | Some(0), false) => Ok(Part::Head),
        (Some(length), false) => Ok(Part::Length(length)),
    }
}

/// The lines of a head, each ended by CRLF and by nothing less.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr2(b'\r', b'\n', self.0)?;
        let (line, rest) = self.0.split_at(end);
        let Some(rest) = rest.strip_prefix(b"\r\n") else { return Some(Err(BARE)) };
        self.0 = rest;
        Some(Ok(line))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// `method SP target SP version`, with one space each.
fn request_line(line: &[u8]) -> Result<Version, Fault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, parts.next()) else {
        return Err(Fault::Malformed("its first line is not method, target and version"));
    };
    let is_target = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    // The server's parser is stricter here, and would answer without a word.
    let is_target = is_target && http::Uri::try_from(target).is_ok();
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) || !is_target {
        return Err(Fault::Malformed("its first line holds bytes that may not stand there"));
    }
    if method == b"CONNECT" {
        return Err(Fault::Tunnel);
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(Fault::Version),
    }
}

/// `name ":" OWS value OWS`, unfolded, without a space before the colon.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = memchr::memchr(b':', line).ok_or(Fault::Malformed("a header of it has no colon"))?;
    let (name, value) = line.split_at(colon);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Fault::Malformed("a header's name holds bytes that may not stand there"));
    }
    let value = value.get(1..).unwrap_or_default();
    if !value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)) {
        return Err(Fault::Malformed("a header's value holds control characters"));
    }
    Ok((name, value.trim_ascii()))
}

/// `1*DIGIT` and nothing else: no sign, no list, no base.
fn parse_length(value: &[u8]) -> Result<u64, Fault> {
    let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number.ok_or(Fault::Malformed("its content-length is not a number"))
}

/// `tchar` (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

struct Taken {
    bytes: usize,
    is_last: bool,
}

impl Chunked {
    /// Goes on as far as the bytes or the body go.
    fn push(&mut self, bytes: &[u8]) -> Result<Taken, Fault> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let Self::Data(left) = *self {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += taken;
                let left = left - taken as u64;
                *self = if left == 0 { Self::DataCr } else { Self::Data(left) };
                continue;
            }
            at += 1;
            let Some(next) = self.step(byte)? else { return Ok(Taken { bytes: at, is_last: true }) };
            *self = next;
        }
        Ok(Taken { bytes: at, is_last: false })
    }

    /// One byte of what stands around the data; `None` after the last one.
    fn step(self, byte: u8) -> Result<Option<Self>, Fault> {
        const CHUNK: Fault = Fault::Malformed("a chunk of its body is not written as one");
        Ok(Some(match (self, byte) {
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeLf(size),
            // 15 digits are more than any body has, and never overflow.
            (Self::Size { size, digits: digits @ 0..15 }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(CHUNK)?;
                Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Self::SizeLf(0), b'\n') => Self::Trailers { taken: 0, line: 0 },
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailers { taken, line }, b'\r') => Self::TrailersLf { taken: taken + 1, line },
            (Self::Trailers { taken, line }, b'\t' | b' '..=b'~' | 0x80..) if taken < MOST_TRAILERS => {
                Self::Trailers { taken: taken + 1, line: line + 1 }
            }
            (Self::TrailersLf { line: 0, .. }, b'\n') => return Ok(None),
            (Self::TrailersLf { taken, .. }, b'\n') => Self::Trailers { taken: taken + 1, line: 0 },
            _ => return Err(CHUNK),
        }))
    }
}

impl Fault {
    pub(in crate::http) fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::HeadTooLarge => 431,
            Self::Version => 505,
            Self::Tunnel => 405,
            Self::Late => 408,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the request cannot be read: {what}"),
            Self::HeadTooLarge => write!(
                f,
                "the request's headers are larger than {} KiB, or more than {MOST_HEADERS}",
                MOST_HEAD / 1024
            ),
            Self::Version => f.write_str("proxyd speaks HTTP/1.1 here"),
            Self::Tunnel => f.write_str("proxyd makes no tunnels: it is an API, not a forward proxy"),
            Self::Late => f.write_str("the request's headers did not come to their end in time"),
        }
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
