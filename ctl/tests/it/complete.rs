//! Completion in a real shell: the command line's own words, and the accounts of the running daemon.

use std::process::Command;

use proxy_proto::v1::ListAccountsResponse;

use super::daemon::{FakeDaemon, account, api_key_account};
use super::process::run;

/// What bash is offered for a command line that ends in the word to complete.
fn offered(daemon: &FakeDaemon, words: &[&str]) -> Vec<String> {
    let mut command = daemon.command(&[]);
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_proxyctl")).parent().unwrap();
    command.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
    let mut bash = Command::new("bash");
    bash.arg("--norc")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/complete.sh"))
        .args(words)
        .env_clear();
    bash.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = run(bash);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{words:?}");
    done.stdout.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn list() -> ListAccountsResponse {
    ListAccountsResponse { accounts: vec![account(), api_key_account()], invalid_files: vec![] }
}

#[test]
fn the_names_of_the_accounts_are_offered() {
    let daemon = FakeDaemon::start().list(list()).list(list());
    let all = offered(&daemon, &["proxyctl", "accounts", "show", ""]);
    for name in ["ada@example.com", "3f2a9c0d71be", "build", "9c1d00aa22bb"] {
        assert!(all.iter().any(|offer| offer == name), "{name} is not among {all:?}");
    }
    assert_eq!(offered(&daemon, &["proxyctl", "accounts", "disable", "bu"]), ["build"]);
}

#[test]
fn words_of_the_command_line_are_offered_without_asking_the_daemon() {
    let daemon = FakeDaemon::start();
    assert!(offered(&daemon, &["proxyctl", "acc"]).contains(&"accounts".to_owned()));
    assert_eq!(offered(&daemon, &["proxyctl", "login", "c"]), ["claude"]);
    let unset = offered(&daemon, &["proxyctl", "accounts", "set", "x", "--unset", "pr"]);
    assert_eq!(unset, ["priority", "prefix", "proxy-url"]);
    assert!(daemon.calls().is_empty());
}

#[test]
fn without_a_daemon_nothing_is_offered_and_nothing_is_said() {
    let daemon = FakeDaemon::start();
    std::fs::remove_file(daemon.socket()).unwrap();
    assert_eq!(offered(&daemon, &["proxyctl", "accounts", "show", "ada"]), Vec::<String>::new());
}
