//! What a shell may complete beyond the command line's own words: the names of the accounts and keys of the running daemon. A shell
//! waits for it, so it is quick, and silent about everything that goes wrong.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use proxy_proto::v1;

use crate::client::{Client, Target, default_socket};
use crate::json::{Account, Key};
use crate::search;

/// The variable by which a shell asks for completions. Its own name: a stray one must not stop the program from working.
pub(crate) const VARIABLE: &str = "PROXYCTL_COMPLETE";

/// A person waits at the prompt.
const PATIENCE: Duration = Duration::from_secs(1);

/// Completes an ACCOUNT.
pub(crate) fn accounts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let list = ask(async |client| client.list().await.ok());
        let accounts = list.into_iter().flat_map(|list| list.accounts).map(Account::from);
        accounts.flat_map(|account| candidates(&account)).collect()
    })
}

/// Completes a KEY: its name, since nobody types the id instead.
pub(crate) fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let list = ask(async |client| client.list_keys().await.ok());
        let keys = list.into_iter().flat_map(|list| list.keys);
        let candidate = |key: v1::Key| {
            let help = Key::from(key.clone()).state;
            CompletionCandidate::new(key.name).help(Some(help.into()))
        };
        keys.filter(|key| !key.name.contains(char::is_control)).map(candidate).collect()
    })
}

/// Completes a COMMAND by the programs of the search path. What follows it is the program's own, and completed by nobody here.
pub(crate) fn commands() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let begun = begun.to_str().unwrap_or_default();
        if begun.contains('/') || !is_first(std::env::args_os().collect()) {
            return vec![];
        }
        let mut names: Vec<String> = search::directories()
            .into_iter()
            .flat_map(|directory| directory.read_dir().into_iter().flatten().flatten())
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .filter(|(name, path)| name.starts_with(begun) && search::is_program(path))
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Whether the word that is completed can be the command itself: it follows `run` or `--`. Bash and zsh say which word it is,
/// fish gives no more than up to it.
fn is_first(words: Vec<OsString>) -> bool {
    let mut words: Vec<_> = words.into_iter().skip_while(|word| word != "--").skip(1).collect();
    let index = variable("_CLAP_COMPLETE_INDEX").and_then(|index| index.to_str()?.parse().ok());
    words.truncate(index.unwrap_or(words.len().saturating_sub(1)));
    words.last().is_some_and(|word| word == "run" || word == "--")
}

fn ask<T>(question: impl AsyncFnOnce(Client) -> Option<T>) -> Option<T> {
    let socket = socket(std::env::args_os())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let listing = async {
        let client = Client::connect(&Target::Socket(socket)).await.ok()?;
        question(client).await
    };
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, listing).await }).ok().flatten();
    runtime.shutdown_background();
    answer
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
