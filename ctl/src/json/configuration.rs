//! What `config` and `reload` print.

use proxy_proto::v1;
use serde::Serialize;

use super::text;

/// `config`: what is in use.
#[derive(Debug, Serialize)]
pub struct Configuration {
    /// In the order of the manual.
    pub keys: Vec<ConfigurationKey>,
}

#[derive(Debug, Serialize)]
pub struct ConfigurationKey {
    /// Section and name, joined by dots.
    pub key: String,
    /// As TOML; a password reads `****`.
    pub value: String,
    /// `default`, `FILE:LINE:COLUMN`, `environment NAME` or `flag --NAME`.
    pub origin: String,
    /// A change of it takes effect at a reload.
    pub reloads: bool,
    /// Why it does not.
    pub restart_reason: Option<String>,
}

/// `reload`: changes, or mistakes and no changes.
#[derive(Debug, Serialize)]
pub struct Reloaded {
    pub changes: Vec<Change>,
    /// Each with its place.
    pub mistakes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Change {
    pub key: String,
    /// In use until now, and wanted, as TOML; a password reads `****`.
    pub before: String,
    pub after: String,
    /// Of the value that is wanted.
    pub origin: String,
    /// `applied`, `needs_restart` or `failed`.
    pub effect: &'static str,
    /// Why it is not in use.
    pub reason: Option<String>,
}

impl From<v1::GetConfigurationResponse> for Configuration {
    fn from(reply: v1::GetConfigurationResponse) -> Self {
        Self { keys: reply.keys.into_iter().map(ConfigurationKey::from).collect() }
    }
}

impl From<v1::ConfigurationKey> for ConfigurationKey {
    fn from(key: v1::ConfigurationKey) -> Self {
        let v1::ConfigurationKey { key, value, origin, reloads, restart_reason } = key;
        Self { key, value, origin, reloads, restart_reason: text(restart_reason) }
    }
}

impl From<v1::ReloadResponse> for Reloaded {
    fn from(reply: v1::ReloadResponse) -> Self {
        let v1::ReloadResponse { changes, mistakes } = reply;
        Self { changes: changes.into_iter().map(Change::from).collect(), mistakes }
    }
}

impl From<v1::ConfigurationChange> for Change {
    fn from(change: v1::ConfigurationChange) -> Self {
        let effect = match change.effect() {
            v1::ConfigurationEffect::Unspecified => "unknown",
            v1::ConfigurationEffect::Applied => "applied",
            v1::ConfigurationEffect::NeedsRestart => "needs_restart",
            v1::ConfigurationEffect::Failed => "failed",
        };
        let v1::ConfigurationChange { key, before, after, origin, reason, .. } = change;
        Self { key, before, after, origin, effect, reason: text(reason) }
    }
}
