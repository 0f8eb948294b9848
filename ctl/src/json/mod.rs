//! The JSON this program prints with `--json`. It is an interface: fields are added, never renamed or removed
//! within one `schema_version`.
//!
//! Every document is one line. Names are in snake_case, enums are lower-case words, times are RFC 3339 in
//! UTC. What does not exist (a time that is not known, a text that is empty) is `null`; no field is ever left
//! out. A word this version does not know, sent by a newer daemon, reads `"unknown"`.

mod account;
mod activity;
mod client;
mod configuration;
mod doctor;
mod event;
mod key;
mod limits;
mod log;
mod login;
mod request;
mod status;
mod strategy;
mod transfer;

use serde::Serialize;

pub use self::account::{
    Account, AccountList, Added, InvalidFile, ModelAlias, OneAccount, Removed, Revoked, Usage, UsageWindow,
};
pub use self::activity::{ActiveRequest, Activity, EndedRequest, Tokens, Totals};
pub use self::client::{ClientList, EditedFile, Environment, KnownClient, SetUp, Token, Variable};
pub use self::configuration::{Change, Configuration, ConfigurationKey, Reloaded};
pub use self::doctor::{Diagnosis, Finding, Severity};
pub use self::event::Event;
pub use self::key::{CreatedKey, Key, KeyAccount, KeyList, OneKey};
pub use self::limits::{AttemptCounts, Cooldown, Outlook, QuotaWindow};
pub use self::log::{LogLevelSet, LogLevelShown, LogLine};
pub use self::login::LoginEvent;
pub use self::request::{Attempt, ExplainedRequest};
pub use self::status::{Counts, Status};
pub use self::strategy::{StrategySet, StrategyShown};
pub use self::transfer::{Exported, Imported, ImportedFile};

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
    /// `could_not_save` 16, `invalid_configuration` 78, `command_not_executable` 126,
    /// `command_not_found` 127, `interrupted` 130. `warnings_found` 7 and `problems_found` 8 are said by what
    /// `doctor` prints, which is no error.
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

fn message(err: &crate::error::Error) -> String {
    match err.cause() {
        Some(cause) => format!("{err}: {cause}"),
        None => err.to_string(),
    }
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
