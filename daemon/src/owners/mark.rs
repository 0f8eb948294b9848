//! What tells a piece of upstream's state: its kind and a hash of its name. The name itself is kept nowhere. Pure.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::clock::SignedDuration;
use crate::pool::Bond;

/// What may live with one account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    File,
    Batch,
    Container,
    /// A message that a thread may go on from.
    Message,
    /// A signed thought of a model whose thoughts are worth nothing to another account.
    Thought,
}

/// One piece of state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) kind: Kind,
    digest: Digest,
}

/// Half a SHA-256: enough that no two names meet.
type Digest = [u8; 16];

/// An id is not shorter behind its prefix: `file_id` is none, and neither is `container_upload`.
const SHORTEST: usize = 8;
/// And not longer in all.
pub(super) const LONGEST: usize = 128;

const DAY: i64 = 24;

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::File, Self::Batch, Self::Container, Self::Message, Self::Thought];

    pub fn bond(self) -> Bond {
        match self {
            Self::File | Self::Batch | Self::Container => Bond::Only,
            Self::Message | Self::Thought => Bond::Preferred,
        }
    }

    /// How long it is remembered after it was last used. Too long does no harm: upstream says itself that something is
    /// gone. Too short sends a request to an account that never knew.
    pub(super) fn kept_for(self) -> SignedDuration {
        SignedDuration::from_hours(match self {
            // It lives until it is deleted.
            Self::File => 365 * DAY,
            // Results are there for 29 days.
            Self::Batch => 32 * DAY,
            // 30 days at the most, however it is used.
            Self::Container => 30 * DAY,
            // A conversation that rested for a week has lost its prompt cache, too, and starts anew where it is sent.
            Self::Message | Self::Thought => 7 * DAY,
        })
    }

    /// Its name on disk.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Batch => "batch",
            Self::Container => "container",
            Self::Message => "message",
            Self::Thought => "thought",
        }
    }

    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::File => Some("file_"),
            Self::Batch => Some("msgbatch_"),
            Self::Container => Some("container_"),
            Self::Message => Some("msg_"),
            Self::Thought => None,
        }
    }
}

impl Mark {
    /// What `id` names, if it is an id of upstream's.
    pub(super) fn of_id(id: &[u8]) -> Option<Self> {
        let is = |kind: &Kind| kind.prefix().is_some_and(|prefix| id.starts_with(prefix.as_bytes()));
        let kind = Kind::ALL.into_iter().find(is)?;
        let name = id.get(kind.prefix()?.len()..)?;
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = name.len() >= SHORTEST && id.len() <= LONGEST && name.iter().all(plain);
        fits.then(|| Self::hashed(kind, Sha256::new_with_prefix(id)))
    }

    /// The name of a thought is its signature.
    pub(super) fn of_signature(hash: Sha256) -> Self {
        Self::hashed(Kind::Thought, hash)
    }

    fn hashed(kind: Kind, hash: Sha256) -> Self {
        let mut digest = Digest::default();
        for (half, byte) in digest.iter_mut().zip(hash.finalize()) {
            *half = byte;
        }
        Self { kind, digest }
    }

    /// As it was written to disk.
    pub(super) fn parse(kind: &str, hash: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
        let digits =
            hash.len() == 2 * size_of::<Digest>() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(hash, 16).ok().filter(|_| digits)?;
        Some(Self { kind, digest: number.to_be_bytes() })
    }

    /// Hexadecimal.
    pub(super) fn hash(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.digest))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_by_its_prefix_and_form() {
        let kind = |id: &str| Mark::of_id(id.as_bytes()).map(|mark| mark.kind);
        assert_eq!(kind("file_011CNha8iCJcU1wXNR6q4V8w"), Some(Kind::File));
        assert_eq!(kind("msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"), Some(Kind::Batch));
        assert_eq!(kind("container_011CPR5CNjB747bTd36fQLFk"), Some(Kind::Container));
        assert_eq!(kind("msg_013Zva2CMHLNnXjNJJKqJ2EF"), Some(Kind::Message));
        let long = format!("file_{}", "a".repeat(LONGEST));
        for other in
            ["", "file_", "file_id", "file_search", "toolu_013Zva2CMHLNnXjN", "file_011CNha8 CJcU1w", &long]
        {
            assert_eq!(kind(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let mark = Mark::of_id(b"file_011CNha8iCJcU1wXNR6q4V8w").unwrap();
        assert_eq!(Mark::parse(mark.kind.name(), &mark.hash()), Some(mark));
        assert!(!format!("{mark:?}").contains("011CNha8"));
        for (kind, hash) in [("files", mark.hash()), ("file", "+".repeat(32)), ("file", "ab".to_owned())] {
            assert_eq!(Mark::parse(kind, &hash), None, "{kind} {hash}");
        }
    }
}
