//! Identifiers as types, so that none is taken for another. An identifier is never secret and never holds an
//! e-mail.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// How many hex digits of a hash name an account: 48 bits, enough for any one person's accounts, short enough
/// to type.
const ACCOUNT_ID_DIGITS: usize = 12;
/// As much of a client key's hash.
const KEY_ID_BYTES: usize = 6;

/// One identity of the pool: twelve hex digits, stable for as long as the identity is the same.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// Derives the id from what makes the identity: `kind` separates the kinds of identity, `parts` tell them
    /// apart.
    pub fn derive(kind: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        for part in parts {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
        let mut hex = format!("{:x}", hash.finalize());
        hex.truncate(ACCOUNT_ID_DIGITS);
        Self(hex.into())
    }

    /// An id as it was written down; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id =
            text.len() == ACCOUNT_ID_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({})", self.0)
    }
}

/// One client key: `key_` and the beginning of its hash, by which nobody finds the key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// What every id begins with, and no name of a key.
    pub const PREFIX: &'static str = "key_";

    /// The id of the key with this SHA-256.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let digits = hash.iter().take(KEY_ID_BYTES).map(|byte| format!("{byte:02x}"));
        Self(format!("{}{}", Self::PREFIX, digits.collect::<String>()).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

/// One request of a downstream client, named in its answer's headers and in every log line about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestId(uuid::Uuid);

impl RequestId {
    /// A new id. They sort by the time they were made (UUID version 7, RFC 9562).
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = uuid::Uuid::encode_buffer();
        f.write_str("px_")?;
        f.write_str(self.0.simple().encode_lower(&mut digits))
    }
}

/// One login between its begin and its end.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LoginId(String);

impl LoginId {
    pub fn new() -> Self {
        Self(format!("login_{}", uuid::Uuid::now_v7().simple()))
    }

    /// Takes an id as a client gives it back; one that was never made is simply not found.
    pub fn from_client(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Default for LoginId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_id_depends_on_every_part_and_on_their_borders() {
        let id = AccountId::derive("oauth", &["a", "b"]);
        assert_eq!(id, AccountId::derive("oauth", &["a", "b"]));
        assert_ne!(id, AccountId::derive("oauth", &["ab", ""]));
        assert_ne!(id, AccountId::derive("key", &["a", "b"]));
        assert_eq!(id.as_str().len(), ACCOUNT_ID_DIGITS);
        assert_eq!(AccountId::parse(id.as_str()), Some(id));
        assert_eq!(AccountId::parse("0123456789aB").or(AccountId::parse("0123")), None);
    }

    #[test]
    fn a_keys_id_is_the_beginning_of_its_hash() {
        let mut hash = [0xff; 32];
        hash[..6].copy_from_slice(&[0x00, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e]);
        assert_eq!(KeyId::of_hash(&hash).as_str(), "key_001a2b3c4d5e");
    }
}
