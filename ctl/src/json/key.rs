//! What `keys` prints.

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::text;
use crate::clock;

/// A client key, without the key itself.
#[derive(Debug, Serialize)]
pub struct Key {
    pub id: String,
    pub name: String,
    /// `active` or `expired`.
    pub state: &'static str,
    pub created_at: Option<Timestamp>,
    /// Null: never.
    pub expires_at: Option<Timestamp>,
    /// The last request by it, served or not.
    pub last_used_at: Option<Timestamp>,
    /// Patterns of models; empty: all.
    pub models: Vec<String>,
    /// The accounts that may serve it; empty: all.
    pub accounts: Vec<KeyAccount>,
    /// Requests per minute; null: no limit, as with the next two.
    pub rpm: Option<u32>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// Requests at a time.
    pub concurrency: Option<u32>,
    /// How long a request may wait in line; 0: not at all.
    pub wait_ms: u64,
    /// Requests since the daemon was started, as the next two.
    pub requests: u64,
    pub tokens: u64,
    pub refused: u64,
    /// Requests right now.
    pub running: u32,
    pub waiting: u32,
}

/// An account that may serve a key.
#[derive(Debug, Serialize)]
pub struct KeyAccount {
    pub id: String,
    /// As a person calls it; null where it is not in the pool.
    pub name: Option<String>,
}

/// `keys create`: the one document that holds a key.
#[derive(Serialize)]
pub struct CreatedKey {
    pub key: Key,
    /// The key itself. It cannot be shown again.
    pub secret: String,
    /// Addresses that serve HTTP, as in `status`.
    pub http_listen: Vec<String>,
}

/// `keys list`, in the order they were made.
#[derive(Debug, Serialize)]
pub struct KeyList {
    pub keys: Vec<Key>,
}

/// `keys show`, and `keys revoke`: as it was.
#[derive(Debug, Serialize)]
pub struct OneKey {
    pub key: Key,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl CreatedKey {
    pub(crate) fn new(key: v1::Key, reply: v1::CreateKeyResponse) -> Self {
        let v1::CreateKeyResponse { key: _, secret, http_listen } = reply;
        Self { key: key.into(), secret, http_listen }
    }
}

impl From<v1::Key> for Key {
    fn from(key: v1::Key) -> Self {
        let state = match key.state() {
            v1::KeyState::Active => "active",
            v1::KeyState::Expired => "expired",
            v1::KeyState::Unspecified => "unknown",
        };
        let v1::Key { id, name, state: _, created_at, expires_at, last_used_at, rules, accounts, counts } =
            key;
        let v1::KeyRules { models, requests_per_minute, tokens_per_minute, concurrency, wait } =
            rules.unwrap_or_default();
        let v1::KeyCounts { requests, tokens, refused, running, waiting } = counts.unwrap_or_default();
        let account = |v1::KeyAccount { id, name }: v1::KeyAccount| KeyAccount { id, name: text(name) };
        Self {
            id,
            name,
            state,
            created_at: created_at.and_then(clock::from_proto),
            expires_at: expires_at.and_then(clock::from_proto),
            last_used_at: last_used_at.and_then(clock::from_proto),
            models,
            accounts: accounts.into_iter().map(account).collect(),
            rpm: requests_per_minute,
            tpm: tokens_per_minute,
            concurrency,
            wait_ms: wait.map_or(0, millis),
            requests,
            tokens,
            refused,
            running,
            waiting,
        }
    }
}

fn millis(wait: prost_types::Duration) -> u64 {
    let whole = u64::try_from(wait.seconds).unwrap_or(0).saturating_mul(1000);
    whole.saturating_add(u64::try_from(wait.nanos / 1_000_000).unwrap_or(0))
}

impl From<v1::ListKeysResponse> for KeyList {
    fn from(list: v1::ListKeysResponse) -> Self {
        Self { keys: list.keys.into_iter().map(Key::from).collect() }
    }
}
