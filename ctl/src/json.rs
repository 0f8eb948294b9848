//! The JSON this program prints with `--json`. It is an interface: fields are added, never renamed or removed
//! within one `schema_version`.
//!
//! Every document is one line. Names are in snake_case, enums are lower-case words, times are RFC 3339 in
//! UTC. What does not exist (a time that is not known, a text that is empty) is `null`; no field is ever left
//! out. A word this version does not know, sent by a newer daemon, reads `"unknown"`.

use std::fmt;

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use crate::clock;

/// The version of every shape in this module.
pub const SCHEMA_VERSION: u32 = 1;

/// A document: `schema_version`, then the fields of what it holds.
#[derive(Debug, Serialize)]
pub struct Document<T> {
    /// 1.
    pub schema_version: u32,
    #[serde(flatten)]
    pub body: T,
}

impl<T> Document<T> {
    pub(crate) fn new(body: T) -> Self {
        Self { schema_version: SCHEMA_VERSION, body }
    }
}

/// One account of the pool. No field ever holds a token or a key.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Stable for one identity: twelve hex digits.
    pub id: String,
    /// `oauth` or `api_key`.
    pub kind: &'static str,
    /// `ready`, `cooling`, `needs_login` or `disabled`.
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
    /// The absolute path of its file.
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
}

/// A file of the auth directory that is not used.
#[derive(Debug, Serialize)]
pub struct InvalidFile {
    pub path: String,
    /// Why it is not used, in words.
    pub reason: String,
}

/// `accounts list`.
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

/// `status`.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    pub pid: u32,
    pub started_at: Option<Timestamp>,
    /// The addresses that serve HTTP, as `host:port`.
    pub http_listen: Vec<String>,
    pub auth_dir: String,
    pub control_socket: String,
    /// At least one account is usable and the daemon is not stopping.
    pub ready: bool,
    pub accounts: Counts,
    /// What is wrong, in words, one entry each.
    pub problems: Vec<String>,
    /// The loopback port a login listens on unless told otherwise.
    pub login_callback_port: u32,
    /// Requests being served right now.
    pub requests_in_flight: u32,
}

/// How many accounts are in which state.
#[derive(Debug, Serialize)]
pub struct Counts {
    pub total: u32,
    pub ready: u32,
    pub cooling: u32,
    pub needs_login: u32,
    pub disabled: u32,
    /// Files that are not used; not part of `total`.
    pub invalid: u32,
}

/// `login`: one event a line, on standard output.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LoginEvent {
    /// The URL to open. Comes first.
    Url {
        url: String,
        /// Where the provider sends the browser afterwards; this program listens there.
        redirect_uri: String,
        /// When the login ends unanswered.
        expires_at: Option<Timestamp>,
    },
    /// A pasted answer was not this login's; another may be given.
    PasteRefused {
        /// What was wrong with it, in words.
        message: String,
    },
    /// The account is saved and in the pool. Nothing follows.
    Done {
        /// The file that was written.
        path: String,
        account: Box<Account>,
        /// An account of the same identity was there and has been replaced.
        replaced: bool,
    },
    /// The login failed. Nothing follows; the same error is on standard error.
    Error {
        /// The word of the exit code; see [`ErrorBody::code`].
        code: &'static str,
        /// What failed and why, in words.
        message: String,
    },
}

/// An error of any command: one line on standard error.
#[derive(Debug, Serialize)]
pub struct ErrorDocument {
    /// 1.
    pub schema_version: u32,
    pub error: ErrorBody,
}

#[derive(Debug, Serialize)]
pub struct ErrorBody {
    /// One word an exit code: `failed` 1, `usage` 2, `daemon_not_running` 3, `login_needed` 4, `not_found`
    /// 5, `not_permitted` 6, `callback_port_in_use` 13, `timed_out` 14, `authentication_failed` 15,
    /// `could_not_save` 16, `interrupted` 130.
    pub code: &'static str,
    /// What failed and why, in words.
    pub message: String,
    /// What to run or to change, in words.
    pub hint: String,
}

impl From<&crate::error::Error> for ErrorDocument {
    fn from(err: &crate::error::Error) -> Self {
        let error = ErrorBody { code: err.exit().word(), message: message(err), hint: err.hint() };
        Self { schema_version: SCHEMA_VERSION, error }
    }
}

impl From<&crate::error::Error> for LoginEvent {
    fn from(err: &crate::error::Error) -> Self {
        Self::Error { code: err.exit().word(), message: message(err) }
    }
}

fn message(err: &crate::error::Error) -> String {
    match err.cause() {
        Some(cause) => format!("{err}: {cause}"),
        None => err.to_string(),
    }
}

impl From<v1::Account> for Account {
    fn from(account: v1::Account) -> Self {
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

impl From<v1::GetStatusResponse> for Status {
    fn from(status: v1::GetStatusResponse) -> Self {
        let counts = status.accounts.unwrap_or_default();
        Self {
            version: status.version,
            pid: status.pid,
            started_at: status.started_at.and_then(clock::from_proto),
            http_listen: status.http_listen,
            auth_dir: status.auth_dir,
            control_socket: status.control_socket,
            ready: status.ready,
            accounts: Counts {
                total: counts.total,
                ready: counts.ready,
                cooling: counts.cooling,
                needs_login: counts.needs_login,
                disabled: counts.disabled,
                invalid: counts.invalid,
            },
            problems: status.problems,
            login_callback_port: status.login_callback_port,
            requests_in_flight: status.requests_in_flight,
        }
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
        v1::AccountState::Unspecified => "unknown",
    }
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl fmt::Display for Account {
    /// The account as a person calls it: its label, e-mail address or id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label.as_deref().or(self.email.as_deref()).unwrap_or(&self.id))
    }
}
