//! What a request's exporter is told of it once it is over: names, numbers and times, and nothing of what was said.

use std::time::Duration;

use super::labels::{Ending, Endpoint, Outcome};
use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::wire::Dialect;

/// One request from its head to its end.
#[derive(Debug)]
pub struct Story {
    /// What it is a part of, as its client says.
    pub parent: Option<Parent>,
    pub endpoint: Endpoint,
    pub dialect: Option<Dialect>,
    pub method: &'static str,
    /// As its client calls it; empty where none is asked for.
    pub model: String,
    pub began: Timestamp,
    pub took: Duration,
    /// Until the first byte of the answer.
    pub first_byte: Option<Duration>,
    pub streams: bool,
    pub status: Option<u16>,
    pub ending: Ending,
    pub used: Option<Used>,
    pub attempts: Vec<Try>,
}

/// Tokens that an answer took.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Used {
    pub input: u64,
    pub cache_creation: u64,
    pub cache_read: u64,
    pub output: u64,
}

/// One call upstream.
#[derive(Debug)]
pub struct Try {
    /// `None` where it was made by its caller's own credential.
    pub account: Option<AccountId>,
    /// As upstream calls it.
    pub model: String,
    /// Host and port.
    pub server: Option<(String, Option<u16>)>,
    /// After the request's beginning.
    pub began: Duration,
    /// Until the answer's head, or the failure.
    pub took: Duration,
    pub status: Option<u16>,
    pub outcome: Outcome,
}

/// The span that a request belongs to (W3C Trace Context, `traceparent`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parent {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    /// Whether whoever began the trace keeps it.
    pub sampled: bool,
}

impl Parent {
    /// `None` for what is not one: a broken header begins a trace of its own.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = hex(version)?;
        // Later versions may say more.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (hex(trace)?, hex(span)?, hex(flags)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// Lower case, and as long as it is to be.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !lower || text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let parent = Parent::parse(GOOD).unwrap();
        assert_eq!((parent.trace[0], parent.span[7], parent.sampled), (0x0a, 0x31, true));
        assert!(!Parent::parse(&GOOD.replace("-01", "-00")).unwrap().sampled);
        assert!(Parent::parse(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some());
        for bad in [
            String::new(),
            "00-".to_owned(),
            GOOD.to_uppercase(),
            format!("{GOOD}-more"),
            GOOD.replacen("00", "ff", 1),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            GOOD.replace("b7ad6b7169203331", "0000000000000000"),
            GOOD.replace("b7ad", "b7ä"),
        ] {
            assert_eq!(Parent::parse(&bad), None, "{bad}");
        }
    }
}
