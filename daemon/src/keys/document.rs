//! The keys as they lie on disk. Pure.
//!
//! What this release does not know survives a rewrite. A later release that adds a rule raises the version: an older one
//! must not serve a key without a rule that it does not know.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;
use sha2::digest::Output;

use super::rules::{Rules, check_name};
use crate::clock::{SignedDuration, Timestamp};
use crate::id::AccountId;

/// The form of the file.
const VERSION: u32 = 1;

/// The SHA-256 of a key. The key has 256 bits of the system's randomness, so that nobody finds it by trying, and a hash that
/// is slow on purpose would only slow down each request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyHash(pub(super) [u8; 32]);

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// What the file says of one key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) hash: KeyHash,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) rules: Rules,
    /// What this release does not know.
    pub(super) rest: Rest,
}

/// What this release does not know of a key and of its rules.
#[derive(Clone, Default, Debug)]
pub(super) struct Rest {
    key: Map<String, Value>,
    rules: Map<String, Value>,
}

/// The whole file.
#[derive(Clone, Default, Debug)]
pub(super) struct Document {
    pub(super) keys: Vec<Entry>,
    pub(super) rest: Map<String, Value>,
}

/// Why the file is not one.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("it is not what proxyd writes")]
    Json(#[from] serde_json::Error),
    #[error("it has the form {0}, of a later proxyd")]
    Version(u32),
    #[error("its key {name:?} cannot be meant: {problem}")]
    Key { name: String, problem: String },
    #[error("it has two keys {0:?}")]
    Twice(String),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct WireFile {
    version: u32,
    keys: Vec<WireKey>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct WireKey {
    name: String,
    sha256: String,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
    /// There also where it limits nothing: a file that lost it is broken, and opens no door.
    rules: WireRules,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct WireRules {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpm: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tpm: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait_ms: Option<u32>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(Broken::Version(version));
        }
        let WireFile { keys, rest, .. } = serde_json::from_slice(bytes)?;
        let keys = keys.into_iter().map(Entry::try_from).collect::<Result<Vec<_>, _>>()?;
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        for key in &keys {
            if !names.insert(&key.name) || !hashes.insert(key.hash) {
                return Err(Broken::Twice(key.name.clone()));
            }
        }
        Ok(Self { keys, rest })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let file = WireFile {
            version: VERSION,
            keys: self.keys.iter().map(WireKey::from).collect(),
            rest: self.rest.clone(),
        };
        // Texts, numbers and JSON can always be written.
        let mut bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl TryFrom<WireKey> for Entry {
    type Error = Broken;

    fn try_from(key: WireKey) -> Result<Self, Broken> {
        let WireKey { name, sha256, created_at, expires_at, last_used_at, rules, rest } = key;
        let bad = |problem: String| Broken::Key { name: name.clone(), problem };
        let hash = hash_of(&sha256).ok_or_else(|| bad("`sha256` is not 64 hex digits".to_owned()))?;
        let WireRules { models, accounts, rpm, tpm, concurrency, wait_ms, rest: rest_of_rules } = rules;
        let accounts = accounts.iter().map(|id| {
            AccountId::parse(id).ok_or_else(|| bad("`accounts` is no list of account ids".to_owned()))
        });
        let rules = Rules {
            models,
            accounts: accounts.collect::<Result<_, _>>()?,
            rpm,
            tpm,
            concurrency,
            wait: SignedDuration::from_millis(wait_ms.unwrap_or(0).into()),
        };
        check_name(&name).and_then(|()| rules.check()).map_err(bad)?;
        let rest = Rest { key: rest, rules: rest_of_rules };
        Ok(Self { name, hash, created_at, expires_at, last_used_at, rules, rest })
    }
}

impl From<&Entry> for WireKey {
    fn from(key: &Entry) -> Self {
        let Entry { name, hash, created_at, expires_at, last_used_at, rules, rest } = key;
        let Rules { models, accounts, rpm, tpm, concurrency, wait } = rules;
        Self {
            name: name.clone(),
            sha256: format!("{:x}", Output::<Sha256>::from(hash.0)),
            created_at: *created_at,
            expires_at: *expires_at,
            last_used_at: *last_used_at,
            rules: WireRules {
                models: models.clone(),
                accounts: accounts.iter().map(ToString::to_string).collect(),
                rpm: *rpm,
                tpm: *tpm,
                concurrency: *concurrency,
                // Checked to be minutes at most.
                wait_ms: wait.is_positive().then(|| u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)),
                rest: rest.rules.clone(),
            },
            rest: rest.key.clone(),
        }
    }
}

fn hash_of(hex: &str) -> Option<KeyHash> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(KeyHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_FORM: &str = r#"{
      "version": 1,
      "keys": [
        {
          "name": "ci",
          "sha256": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
          "created_at": "2026-11-27T10:00:00Z",
          "expires_at": "2027-01-01T00:00:00Z",
          "last_used_at": "2026-11-27T11:00:00Z",
          "rules": {
            "models": ["claude-haiku-*"],
            "accounts": ["0123456789ab"],
            "rpm": 60,
            "tpm": 100000,
            "concurrency": 4,
            "wait_ms": 1500,
            "weekday": 12.50
          },
          "team": {"id": 18446744073709551616}
        },
        {
          "name": "open",
          "sha256": "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
          "created_at": "2026-11-27T10:00:00Z",
          "rules": {}
        }
      ],
      "note": [1, null]
    }"#;

    #[test]
    fn the_first_form_is_read_and_what_is_unknown_survives() {
        let document = Document::parse(FIRST_FORM.as_bytes()).unwrap();
        let ci = &document.keys[0];
        assert_eq!(ci.rules.wait, SignedDuration::from_millis(1500));
        assert_eq!((ci.rules.rpm, ci.rules.tpm, ci.rules.concurrency), (Some(60), Some(100_000), Some(4)));
        assert_eq!(ci.rules.accounts[0].as_str(), "0123456789ab");
        assert_eq!(document.keys[1].rules, Rules::default());
        let read: Value = serde_json::from_str(FIRST_FORM).unwrap();
        let written: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        assert_eq!(written, read);
    }

    #[test]
    fn what_is_not_whole_is_no_file_of_keys() {
        let twice = FIRST_FORM.replace(r#""open""#, r#""ci""#);
        let same_hash = FIRST_FORM.replace("ff1122", "001122");
        let cut = &FIRST_FORM[..FIRST_FORM.len() - 3];
        for (text, word) in [
            (twice.as_str(), "two keys"),
            (&same_hash, "two keys"),
            (cut, "not what proxyd writes"),
            ("", "not what proxyd writes"),
            ("{}", "not what proxyd writes"),
            (r#"{"version": 1}"#, "not what proxyd writes"),
            (&FIRST_FORM.replace(r#""version": 1"#, r#""version": 2"#), "form 2"),
            (&FIRST_FORM.replace("00112233", "0011223x"), "sha256"),
            (&FIRST_FORM.replace("00112233", "001122"), "sha256"),
            (&FIRST_FORM.replace(r#""rules": {}"#, r#""rule": {}"#), "not what proxyd writes"),
            (&FIRST_FORM.replace("2027-01-01T00:00:00Z", "soon"), "not what proxyd writes"),
            (&FIRST_FORM.replace(r#""rpm": 60"#, r#""rpm": 0"#), "requests per minute"),
            (&FIRST_FORM.replace("0123456789ab", "everybody"), "account ids"),
            (&FIRST_FORM.replace(r#""name": "ci""#, r#""name": "c i""#), "letters"),
        ] {
            let error = Document::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}: {text}");
        }
    }
}
