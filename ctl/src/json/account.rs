//! Accounts, and what the verbs on them print.

use std::fmt;

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::{AttemptCounts, Cooldown, Outlook, QuotaWindow, text};
use crate::clock;

/// One account of the pool. No field ever holds a token or a key.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Stable for one identity: twelve hex digits.
    pub id: String,
    /// `oauth` or `api_key`.
    pub kind: &'static str,
    /// `ready`, `cooling`, `needs_login`, `disabled` or `invalid`.
    pub state: &'static str,
    /// Why it is in that state, in words.
    pub state_reason: Option<String>,
    /// When a cooling account may be used again.
    pub available_at: Option<Timestamp>,
    /// The name a person gave it.
    pub label: Option<String>,
    pub email: Option<String>,
    pub account_uuid: Option<String>,
    pub organization_uuid: Option<String>,
    pub organization_name: Option<String>,
    /// The absolute path of its file, or `credential NAME`.
    pub path: String,
    /// When its access token ends; null for API keys.
    pub expires_at: Option<Timestamp>,
    pub last_refresh_at: Option<Timestamp>,
    /// Requests that use it right now.
    pub in_flight: u32,
    /// The newest failure of a refresh or a save, in words; null when the last one succeeded.
    pub last_error: Option<String>,
    /// A received token could not be saved yet and lives in the daemon's memory only.
    pub degraded: bool,
    /// Whether it holds a refresh token. Without one it ends with its access token.
    pub renewable: bool,
    /// Accounts of a lower priority serve only when none of a higher one can.
    pub priority: i32,
    /// Its share of the requests within its priority.
    pub weight: u32,
    /// The percent of each window of its plan that is left alone.
    pub reserve_percent: u32,
    /// A request for `PREFIX/MODEL` is served by accounts of this prefix only.
    pub prefix: Option<String>,
    /// The one way out for everything this account sends; a password reads `****`.
    pub proxy_url: Option<String>,
    /// Where its requests go instead of the configured address.
    pub base_url: Option<String>,
    pub model_aliases: Vec<ModelAlias>,
    pub excluded_models: Vec<String>,
    pub note: Option<String>,
    /// What a person should know although the account serves.
    pub warnings: Vec<String>,
    /// What the provider last said about the plan's usage; null where it was not asked.
    pub usage: Option<Usage>,
    /// What the answers' headers said of its limits.
    pub quota: Vec<QuotaWindow>,
    /// Why it is left alone, or comes last.
    pub cooldowns: Vec<Cooldown>,
    /// Its attempts so far, by how they ended; null where the daemon does not count them.
    pub attempts: Option<AttemptCounts>,
    /// What would become of a request that belongs to no conversation; null without `--explain`.
    pub outlook: Option<Outlook>,
    /// When its token is refreshed next; null where it is not.
    pub refresh_due_at: Option<Timestamp>,
}

/// A name under which an account serves a model.
#[derive(Debug, Serialize)]
pub struct ModelAlias {
    /// What a client may ask for.
    pub alias: String,
    /// What is asked upstream.
    pub model: String,
}

/// The usage of a subscription's plan.
#[derive(Debug, Serialize)]
pub struct Usage {
    pub windows: Vec<UsageWindow>,
    pub asked_at: Option<Timestamp>,
    /// Why there are no windows.
    pub refusal: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct UsageWindow {
    /// As the provider calls it: `five_hour`, `seven_day`, `seven_day_opus` and others.
    pub name: String,
    /// Percent, from 0 to 100.
    pub used_percent: f64,
    pub resets_at: Option<Timestamp>,
}

/// A file of the auth directory that is not used.
#[derive(Debug, Serialize)]
pub struct InvalidFile {
    pub path: String,
    /// Why it is not used, in words.
    pub reason: String,
}

/// `accounts list`; with `--watch` again whenever it changes, and with `--explain` with the outlook of each account.
#[derive(Debug, Serialize)]
pub struct AccountList {
    pub accounts: Vec<Account>,
    pub invalid_files: Vec<InvalidFile>,
}

/// `accounts show`, `disable`, `enable` and `refresh`.
#[derive(Debug, Serialize)]
pub struct OneAccount {
    /// The account as it is afterwards.
    pub account: Account,
}

/// `accounts add`.
#[derive(Debug, Serialize)]
pub struct Added {
    pub account: Account,
    /// The key was in the pool already; its account was kept and updated.
    pub replaced: bool,
}

/// `accounts revoke`. The file is deleted whatever the provider said.
#[derive(Debug, Serialize)]
pub struct Revoked {
    pub id: String,
    /// The file that was deleted.
    pub path: String,
    /// `revoked`, `failed`, or `not_offered` where the provider has no revocation for this kind of
    /// credential.
    pub provider: &'static str,
    /// What the provider answered when it did not revoke.
    pub provider_error: Option<String>,
}

impl From<v1::Account> for Account {
    fn from(mut account: v1::Account) -> Self {
        let settings = account.settings.take().unwrap_or_default();
        Self {
            kind: kind(account.kind()),
            state: state(account.state()),
            id: account.id,
            state_reason: text(account.state_reason),
            available_at: account.available_at.and_then(clock::from_proto),
            label: text(account.label),
            email: text(account.email),
            account_uuid: text(account.account_uuid),
            organization_uuid: text(account.organization_uuid),
            organization_name: text(account.organization_name),
            path: account.path,
            expires_at: account.expires_at.and_then(clock::from_proto),
            last_refresh_at: account.last_refresh_at.and_then(clock::from_proto),
            in_flight: account.in_flight,
            last_error: text(account.last_error),
            degraded: account.degraded,
            renewable: account.renewable,
            priority: settings.priority,
            weight: settings.weight,
            reserve_percent: settings.reserve_percent,
            prefix: text(settings.prefix),
            proxy_url: text(settings.proxy_url),
            base_url: text(settings.base_url),
            model_aliases: settings.model_aliases.into_iter().map(ModelAlias::from).collect(),
            excluded_models: settings.excluded_models,
            note: text(settings.note),
            warnings: account.warnings,
            usage: account.usage.map(Usage::from),
            quota: account.quota.into_iter().map(QuotaWindow::from).collect(),
            cooldowns: account.cooldowns.into_iter().map(Cooldown::from).collect(),
            attempts: account.attempts.map(AttemptCounts::from),
            outlook: account.outlook.map(Outlook::from),
            refresh_due_at: account.refresh_due_at.and_then(clock::from_proto),
        }
    }
}

impl From<v1::ModelAlias> for ModelAlias {
    fn from(v1::ModelAlias { alias, model }: v1::ModelAlias) -> Self {
        Self { alias, model }
    }
}

impl From<v1::PlanUsage> for Usage {
    fn from(usage: v1::PlanUsage) -> Self {
        let window = |window: v1::UsageWindow| UsageWindow {
            name: window.name,
            used_percent: window.used_percent,
            resets_at: window.resets_at.and_then(clock::from_proto),
        };
        Self {
            windows: usage.windows.into_iter().map(window).collect(),
            asked_at: usage.asked_at.and_then(clock::from_proto),
            refusal: text(usage.refusal),
        }
    }
}

impl From<v1::ListAccountsResponse> for AccountList {
    fn from(list: v1::ListAccountsResponse) -> Self {
        let invalid = |file: v1::InvalidFile| InvalidFile { path: file.path, reason: file.reason };
        Self {
            accounts: list.accounts.into_iter().map(Account::from).collect(),
            invalid_files: list.invalid_files.into_iter().map(invalid).collect(),
        }
    }
}

impl From<v1::WatchAccountsResponse> for AccountList {
    fn from(list: v1::WatchAccountsResponse) -> Self {
        let v1::WatchAccountsResponse { accounts, invalid_files } = list;
        v1::ListAccountsResponse { accounts, invalid_files }.into()
    }
}

impl From<v1::RevokeAccountResponse> for Revoked {
    fn from(reply: v1::RevokeAccountResponse) -> Self {
        let provider = match reply.provider() {
            v1::ProviderRevocation::Revoked => "revoked",
            v1::ProviderRevocation::Failed => "failed",
            v1::ProviderRevocation::NotOffered => "not_offered",
            v1::ProviderRevocation::Unspecified => "unknown",
        };
        Self { provider, id: reply.id, path: reply.path, provider_error: text(reply.provider_error) }
    }
}

fn kind(kind: v1::CredentialKind) -> &'static str {
    match kind {
        v1::CredentialKind::Oauth => "oauth",
        v1::CredentialKind::ApiKey => "api_key",
        v1::CredentialKind::Unspecified => "unknown",
    }
}

fn state(state: v1::AccountState) -> &'static str {
    match state {
        v1::AccountState::Ready => "ready",
        v1::AccountState::Cooling => "cooling",
        v1::AccountState::NeedsLogin => "needs_login",
        v1::AccountState::Disabled => "disabled",
        v1::AccountState::Invalid => "invalid",
        v1::AccountState::Unspecified => "unknown",
    }
}

impl fmt::Display for Account {
    /// The account as a person calls it: its label, e-mail address or id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label.as_deref().or(self.email.as_deref()).unwrap_or(&self.id))
    }
}

/// `accounts remove`.
#[derive(Debug, Serialize)]
pub struct Removed {
    pub id: String,
    /// The file that was deleted.
    pub path: String,
}

impl From<v1::RemoveAccountResponse> for Removed {
    fn from(v1::RemoveAccountResponse { id, path }: v1::RemoveAccountResponse) -> Self {
        Self { id, path }
    }
}
