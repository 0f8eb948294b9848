//! What `status` prints.

use jiff::Timestamp;
use proxy_proto::v1;
use serde::Serialize;

use super::strategy::word;
use crate::clock;

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
    /// What a person should know although all is well so far, one entry each.
    pub warnings: Vec<String>,
    /// Of the control API that the daemon speaks.
    pub api_revision: u32,
    /// How accounts are chosen, see [`super::StrategyShown`]; null where the daemon does not tell.
    pub strategy: Option<&'static str>,
    /// Whether a conversation stays with an account; null where the daemon does not tell.
    pub affinity: Option<bool>,
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
    /// Accounts with a setting that cannot be used; part of `total`.
    pub misconfigured: u32,
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
                misconfigured: counts.misconfigured,
            },
            problems: status.problems,
            login_callback_port: status.login_callback_port,
            requests_in_flight: status.requests_in_flight,
            warnings: status.warnings,
            api_revision: status.api_revision,
            strategy: word(status.strategy),
            affinity: word(status.strategy).map(|_told| status.affinity),
        }
    }
}
