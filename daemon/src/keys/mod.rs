//! Client keys: who else than the daemon's own user may be served, with what, and how much of it.
//!
//! A key is shown once, when it is made, and kept as a hash. What changes is on disk before anybody is told, and what cannot be
//! read stops the start: no key is ever forgotten in silence, and none is let in for want of a file.

mod document;
mod key;
mod limit;
mod rules;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroize as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

pub use self::document::Broken;
pub use self::key::{Counts, Key, Limited, Permit};
pub use self::limit::Limit;
pub use self::rules::Rules;
pub use crate::id::KeyId;

use self::document::{Document, Entry, KeyHash, Rest};
use crate::clock::{Clock, Timestamp};
use crate::secret::ClientKey;
use crate::store::{Store, StoreError, Unusable};

/// What every key begins with.
pub const PREFIX: &str = "sk-proxyd-";
/// More are not made: each is compared with what a client presents.
pub const MOST_KEYS: usize = 1000;

/// All keys; clones share them.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    /// In the order they were made.
    current: ArcSwap<Vec<Arc<Key>>>,
    /// Held while the file is written; what this release does not know of it.
    writing: Mutex<Map<String, Value>>,
}

/// Why the keys cannot be read. Nobody is served before they can.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "cannot read the client keys in {path}: correct that, or move the file away, which revokes every key"
    )]
    Unusable { path: String, source: Unusable },
    #[error(
        "the client keys in {path} cannot be used: put back the file as it was, or move it away, which revokes every key"
    )]
    Broken { path: String, source: Broken },
}

/// Why a presented key is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("no such key")]
    Unknown,
    #[error("the key {name} expired at {at:.0}")]
    Expired { name: String, at: Timestamp },
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub expires_at: Option<Timestamp>,
    pub rules: Rules,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// In words.
    #[error("{0}")]
    Unfit(String),
    #[error("there is a key {0} already")]
    NameTaken(String),
    #[error(
        "there are {MOST_KEYS} keys already, and no more are made: revoke one that nobody uses (`proxyctl keys list`)"
    )]
    TooMany,
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    #[error("the key cannot be saved, so there is none")]
    Save(#[source] StoreError),
}

/// Why a key was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error("there is no such key any more")]
    Gone,
    #[error("the revocation cannot be saved: the key goes on being accepted")]
    Save(#[source] StoreError),
}

/// Why no single key is meant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FindError {
    #[error("no key is called {0:?}")]
    None(String),
    #[error("{wanted:?} is the beginning of several keys: {candidates}")]
    Several { wanted: String, candidates: String },
}

impl Keys {
    /// Reads the keys. Blocks.
    ///
    /// # Errors
    /// The file is there and cannot be used.
    pub fn load(store: Store, clock: Clock) -> Result<Self, LoadError> {
        let path = store.keys_path().display().to_string();
        let document = match store.read_keys() {
            Ok(None) => Document::default(),
            Ok(Some(bytes)) => {
                Document::parse(&bytes).map_err(|source| LoadError::Broken { path, source })?
            }
            Err(source) => return Err(LoadError::Unusable { path, source }),
        };
        let Document { keys, rest } = document;
        let keys: Vec<_> = keys.into_iter().map(|entry| Arc::new(Key::new(entry, clock.clone()))).collect();
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            current: ArcSwap::from_pointee(keys),
            writing: Mutex::new(rest),
        })))
    }

    /// Whether there is no key that could still be used.
    pub fn is_empty(&self) -> bool {
        let now = self.0.clock.now();
        self.0.current.load().iter().all(|key| key.has_expired(now))
    }

    /// Finds the key that a client presents. It is compared with every key, wherever it is found, so that the time tells
    /// nothing.
    pub fn verify(&self, presented: &str) -> Result<Arc<Key>, Refusal> {
        let hash = hash_of(presented);
        let keys = self.0.current.load();
        let mut found = u64::MAX;
        for (place, key) in (0_u64..).zip(keys.iter()) {
            found.conditional_assign(&place, key.hash.0.ct_eq(&hash.0));
        }
        let key = usize::try_from(found).ok().and_then(|place| keys.get(place)).ok_or(Refusal::Unknown)?;
        match key.expires_at {
            Some(at) if key.has_expired(self.0.clock.now()) => {
                Err(Refusal::Expired { name: key.name.clone(), at })
            }
            _ => Ok(Arc::clone(key)),
        }
    }

    /// All keys, the expired ones too, in the order they were made.
    pub fn list(&self) -> Vec<Arc<Key>> {
        self.0.current.load().to_vec()
    }

    /// The key that a person means: by its name, its id, or the unique beginning of one of them.
    pub fn find(&self, wanted: &str) -> Result<Arc<Key>, FindError> {
        let keys = self.0.current.load();
        if let Some(key) = keys.iter().find(|key| key.name == wanted || key.id.as_str() == wanted) {
            return Ok(Arc::clone(key));
        }
        let begins = |key: &&Arc<Key>| {
            !wanted.is_empty() && (key.name.starts_with(wanted) || key.id.as_str().starts_with(wanted))
        };
        let candidates: Vec<_> = keys.iter().filter(begins).collect();
        match candidates.as_slice() {
            [] => Err(FindError::None(wanted.to_owned())),
            [key] => Ok(Arc::clone(key)),
            several => {
                let names: Vec<_> = several.iter().map(|key| format!("{} ({})", key.id, key.name)).collect();
                Err(FindError::Several { wanted: wanted.to_owned(), candidates: names.join(", ") })
            }
        }
    }

    /// Makes a key. It is on disk when this returns, and shown nowhere else. Blocks.
    pub fn create(&self, new: NewKey) -> Result<(Arc<Key>, ClientKey), CreateError> {
        let NewKey { name, expires_at, rules } = new;
        rules::check_name(&name).and_then(|()| rules.check()).map_err(CreateError::Unfit)?;
        let rest = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.0.clock.now();
        if let Some(end) = expires_at.filter(|end| *end <= now) {
            return Err(CreateError::Unfit(format!("{end:.0} is over already, as an end")));
        }
        let mut keys = self.list();
        if keys.iter().any(|key| key.name == name) {
            return Err(CreateError::NameTaken(name));
        }
        if keys.len() >= MOST_KEYS {
            return Err(CreateError::TooMany);
        }
        let text = random_key().map_err(CreateError::Random)?;
        let entry = Entry {
            name,
            hash: hash_of(text.expose()),
            created_at: now,
            expires_at,
            last_used_at: None,
            rules,
            rest: Rest::default(),
        };
        let key = Arc::new(Key::new(entry, self.0.clock.clone()));
        keys.push(Arc::clone(&key));
        self.save(&keys, &rest).map_err(CreateError::Save)?;
        self.0.current.store(Arc::new(keys));
        tracing::info!(key.id = %key.id, "a client key was made");
        Ok((key, text))
    }

    /// Revokes a key for good. It is not accepted any more when this returns, and after no start; what runs may finish. Blocks.
    pub fn revoke(&self, id: &KeyId) -> Result<Arc<Key>, RevokeError> {
        let rest = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.list();
        let place = keys.iter().position(|key| key.id == *id).ok_or(RevokeError::Gone)?;
        let key = keys.remove(place);
        self.save(&keys, &rest).map_err(RevokeError::Save)?;
        self.0.current.store(Arc::new(keys));
        key.revoke();
        tracing::info!(key.id = %key.id, "a client key was revoked");
        Ok(key)
    }

    fn save(&self, keys: &[Arc<Key>], rest: &Map<String, Value>) -> Result<(), StoreError> {
        let keys = keys.iter().map(|key| key.entry()).collect();
        self.0.store.write_keys(&Document { keys, rest: rest.clone() }.to_bytes())
    }
}

fn hash_of(text: &str) -> KeyHash {
    KeyHash(Sha256::digest(text.as_bytes()).into())
}

/// 256 bits of the system's randomness, as a text that goes into a header as it is.
fn random_key() -> Result<ClientKey, getrandom::Error> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    // Large enough from the start: nothing of it is left behind in a smaller one.
    let mut text = String::with_capacity(PREFIX.len() + 43);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    bytes.zeroize();
    Ok(ClientKey::new(text))
}

#[cfg(test)]
mod tests;
