//! What a shell may complete beyond the command line's own words: the names of the accounts of the running daemon. A shell
//! waits for it, so it is quick, and silent about everything that goes wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::client::{Client, Target, default_socket};
use crate::json::Account;

/// The variable by which a shell asks for completions. Its own name: a stray one must not stop the program from working.
pub(crate) const VARIABLE: &str = "PROXYCTL_COMPLETE";

/// A person waits at the prompt.
const PATIENCE: Duration = Duration::from_secs(1);

/// Completes an ACCOUNT.
pub(crate) fn accounts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| ask().unwrap_or_default())
}

fn ask() -> Option<Vec<CompletionCandidate>> {
    let socket = socket(std::env::args_os())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let listing = async {
        let client = Client::connect(&Target::Socket(socket)).await.ok()?;
        client.list().await.ok()
    };
    let list = runtime.block_on(async { tokio::time::timeout(PATIENCE, listing).await }).ok().flatten()?;
    runtime.shutdown_background();
    Some(list.accounts.into_iter().map(Account::from).flat_map(|account| candidates(&account)).collect())
}

/// The socket that the unfinished command line names, else that of the environment, else the usual one. None where another
/// machine is named: it is too far away to be asked at each key.
fn socket(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut named = None;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let word = word.to_str().unwrap_or_default();
        if word == "--host" || word.starts_with("--host=") {
            return None;
        }
        if let Some(path) = word.strip_prefix("--socket=") {
            named = Some(path.into());
        } else if word == "--socket" {
            named = words.peek().cloned();
        }
    }
    if variable("PROXYCTL_HOST").is_some() {
        return None;
    }
    let named = named.or_else(|| variable("PROXYD_CONTROL__SOCKET"));
    Some(named.map_or_else(default_socket, PathBuf::from))
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
