//! What a shell may complete beyond the command line's own words: the names of the accounts of the running daemon. A shell
//! waits for it, so it is quick, and silent about everything that goes wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::client::{Client, Target, default_socket};
use crate::json::Account;

/// A person waits at the prompt.
const PATIENCE: Duration = Duration::from_millis(500);

/// Completes an ACCOUNT.
pub(crate) fn accounts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| ask().unwrap_or_default())
}

fn ask() -> Option<Vec<CompletionCandidate>> {
    if variable("PROXYCTL_HOST").is_some() {
        // Another machine is too far away to be asked at each key.
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let listing = async {
        let client = Client::connect(&Target::Socket(socket())).await.ok()?;
        client.list().await.ok()
    };
    let list = runtime.block_on(async { tokio::time::timeout(PATIENCE, listing).await }).ok().flatten()?;
    runtime.shutdown_background();
    Some(list.accounts.into_iter().map(Account::from).flat_map(|account| candidates(&account)).collect())
}

/// The socket of the environment, or the usual one: the command line is not finished yet.
fn socket() -> PathBuf {
    variable("PROXYD_CONTROL__SOCKET").map_or_else(default_socket, PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "completion runs before there is a parsed command line")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Every name by which the account may be called.
fn candidates(account: &Account) -> Vec<CompletionCandidate> {
    let help = format!("{}, {}", account.kind.replace('_', " "), account.state.replace('_', " "));
    let names = [account.label.as_ref(), account.email.as_ref(), Some(&account.id)];
    let plain = |name: &&String| !name.contains(char::is_control);
    let candidate = |name: &String| CompletionCandidate::new(name).help(Some(help.clone().into()));
    names.into_iter().flatten().filter(plain).map(candidate).collect()
}
