//! What is run for the golden documents, and what the daemon answers.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use proxy_proto::v1::{
    EventKind, GetStatusResponse, ImportOutcome, ImportedFile, LogLevel, ProviderRevocation, Strategy,
    WatchAccountsResponse, WatchLogsResponse, watch_logs_response,
};
use tonic::{Code, Status};

use super::samples::{
    activity, configured, event, explained, found, known, limited, log_line, pool, poor, reloaded,
};
use crate::daemon::{CODE, FakeDaemon, KEY, STATE, account, client_key, completed, status};
use crate::process::{Done, Live, write};

type Script = fn(FakeDaemon) -> FakeDaemon;

/// One run of the program.
pub(super) struct Case {
    /// Of its golden file.
    pub(super) name: &'static str,
    pub(super) args: &'static [&'static str],
    /// Fields whose text is another one at each run.
    pub(super) varies: &'static [&'static str],
    daemon: Script,
    /// A line on standard input.
    typed: Option<String>,
}

impl Case {
    /// Runs it in a directory that holds a key, a program's file, and an `ssh` that comes back to this machine.
    pub(super) fn run(&self) -> (Done, PathBuf) {
        let daemon = (self.daemon)(FakeDaemon::start());
        let directory = daemon.directory();
        write(&directory.join("key.txt"), &format!("{KEY}\n"));
        DirBuilder::new().create(directory.join(".codex")).unwrap();
        write(&directory.join(".codex/config.toml"), "model = \"gpt-5\"\n");
        ssh(directory, &daemon.socket());
        let mut command = daemon.command(self.args);
        if self.args.contains(&"--host") {
            command.env_remove("PROXYD_CONTROL__SOCKET");
        }
        if self.typed.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut live = Live::start(command);
        if let Some(line) = &self.typed {
            live.type_line(line);
        }
        (live.finish(), directory.to_owned())
    }

    fn varies(self, varies: &'static [&'static str]) -> Self {
        Self { varies, ..self }
    }

    fn typed(self, line: String) -> Self {
        Self { typed: Some(line), ..self }
    }
}

fn ssh(directory: &Path, socket: &Path) {
    let path = directory.join("ssh");
    let (program, socket) = (env!("CARGO_BIN_EXE_proxyctl"), socket.display());
    write(&path, &format!("#!/bin/sh\nexec {program} --socket {socket} dial-stdio\n"));
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}

fn case(name: &'static str, args: &'static [&'static str], daemon: Script) -> Case {
    Case { name, args, varies: &[], daemon, typed: None }
}

/// At least one of every command, and one of every kind of error.
pub(super) fn all() -> Vec<Case> {
    [accounts(), keys(), programs(), daemon(), errors()].into_iter().flatten().collect()
}

fn accounts() -> Vec<Case> {
    let paste = &["login", "claude", "--paste", "--json"];
    let login = case("login", paste, |daemon| daemon.begin_only().complete(completed()));
    vec![
        login.varies(&["expires_at", "until"]).typed(format!("{CODE}#{STATE}")),
        case("accounts-list", &["accounts", "list", "--json"], |daemon| daemon.list(pool())),
        case("accounts-list-explain", &["accounts", "list", "--explain", "--json"], |daemon| {
            daemon.list(pool())
        }),
        case("accounts-list-watch", &["accounts", "list", "--watch", "--json"], |daemon| {
            let pool = |accounts| WatchAccountsResponse { accounts, invalid_files: vec![] };
            daemon.pools(vec![pool(vec![]), pool(vec![account()])])
        }),
        case("accounts-show", &["accounts", "show", "work", "--json"], |daemon| daemon.account(Ok(known()))),
        case("accounts-add", &["accounts", "add", "claude", "--key-file", "key.txt", "--json"], |daemon| {
            daemon.add(true)
        }),
        case("accounts-set", &["accounts", "set", "work", "--priority", "5", "--json"], |daemon| {
            daemon.account(Ok(known()))
        }),
        case("accounts-label", &["accounts", "label", "ada", "work", "--json"], |daemon| {
            daemon.account(Ok(known()))
        }),
        case("accounts-disable", &["accounts", "disable", "ada", "--json"], |daemon| {
            daemon.account(Ok(account()))
        }),
        case("accounts-enable", &["accounts", "enable", "ada", "--json"], |daemon| {
            daemon.account(Ok(account()))
        }),
        case("accounts-refresh", &["accounts", "refresh", "ada", "--json"], |daemon| {
            daemon.account(Ok(account()))
        }),
        case("accounts-import", &["accounts", "import", "old", "--yes", "--json"], |daemon| {
            daemon.import(Ok(imported()))
        }),
        case("accounts-export", &["accounts", "export", "ada", "ada.json", "--yes", "--json"], |daemon| {
            daemon.export(Ok("/home/ada/ada.json"))
        }),
        case("accounts-revoke", &["accounts", "revoke", "ada", "--yes", "--json"], |daemon| {
            daemon.revoke(ProviderRevocation::Failed, "the provider answered 503")
        }),
        case("accounts-remove", &["accounts", "remove", "ada", "--yes", "--json"], FakeDaemon::remove),
    ]
}

fn imported() -> Vec<ImportedFile> {
    let file = |path: &str, outcome: ImportOutcome, reason: &str| ImportedFile {
        path: path.to_owned(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        account: (outcome == ImportOutcome::Added).then(account),
    };
    vec![
        file("/old/claude-ada.json", ImportOutcome::Added, ""),
        file("/old/codex.json", ImportOutcome::Refused, "this is the login of Codex itself"),
    ]
}

fn keys() -> Vec<Case> {
    vec![
        case("keys-create", &["keys", "create", "ci", "--rpm", "60", "--json"], |daemon| {
            daemon.create_key(Ok(limited()))
        }),
        case("keys-list", &["keys", "list", "--json"], |daemon| daemon.keys(vec![client_key(), limited()])),
        case("keys-show", &["keys", "show", "ci", "--json"], |daemon| daemon.key(Ok(limited()))),
        case("keys-revoke", &["keys", "revoke", "ci", "--yes", "--json"], |daemon| daemon.key(Ok(limited()))),
        case("token", &["token", "--name", "ci", "--json"], |daemon| {
            daemon.keys(vec![]).create_key(Ok(client_key()))
        }),
    ]
}

fn programs() -> Vec<Case> {
    let told: Script = |daemon| daemon.status(Ok(status()));
    vec![
        case("env", &["env", "--json"], |daemon| daemon),
        case("env-client", &["env", "claude-code", "--json"], told),
        case("setup", &["setup", "codex", "--yes", "--json"], told).varies(&["backup"]),
        case("setup-dry-run", &["setup", "opencode", "--dry-run", "--json"], told),
        case("setup-snippet", &["setup", "langchain", "--json"], told),
    ]
}

fn daemon() -> Vec<Case> {
    const REQUEST: &str = "px_0198c3f2a1b47d6e8f900a1b2c3d4e5f";
    vec![
        case("status", &["status", "--json"], |daemon| daemon.status(Ok(status()))),
        case("status-poor", &["status", "--json"], |daemon| daemon.status(Ok(poor()))),
        // Over ssh nothing of this machine is told.
        case("doctor", &["--host", "ssh://ada@server", "doctor", "--json"], |daemon| {
            daemon.status(Ok(status())).configuration(Ok(configured())).diagnosis(Ok(found()))
        }),
        case("explain", &["explain", REQUEST, "--json"], |daemon| daemon.request(Ok(explained()))),
        case("strategy", &["strategy", "--json"], |daemon| daemon.status(Ok(status()))),
        case("strategy-set", &["strategy", "round-robin", "--json"], |daemon| {
            daemon.strategy(Ok(Strategy::Quota))
        }),
        case("reload", &["reload", "--json"], |daemon| daemon.reload(Ok(reloaded()))),
        case("config", &["config", "--json"], |daemon| daemon.configuration(Ok(configured()))),
        case("events", &["events", "--json"], |daemon| {
            daemon.events(vec![
                event(EventKind::QuotaLow, "93 % of its 7d window is used"),
                event(EventKind::Refreshed, ""),
            ])
        }),
        case("logs", &["logs", "--json"], |daemon| {
            let missed = WatchLogsResponse { what: Some(watch_logs_response::What::Missed(3)) };
            daemon.logs(vec![log_line(), missed])
        }),
        case("log-level", &["log-level", "--json"], |daemon| daemon.log_level(LogLevel::Info)),
        case("log-level-set", &["log-level", "debug", "--json"], |daemon| daemon.log_level(LogLevel::Info)),
        case("top", &["top", "--json"], |daemon| daemon.looks(vec![activity()])),
    ]
}

/// By the words of the exit codes.
fn errors() -> Vec<Case> {
    vec![
        case("error-failed", &["accounts", "refresh", "ada", "--json"], |daemon| {
            daemon.account(Err(Status::new(Code::Unavailable, "the provider answered 503")))
        }),
        case("error-usage", &["accounts", "lst", "--json"], |daemon| daemon),
        case("error-daemon-not-running", &["--socket", "nobody.sock", "status", "--json"], |daemon| daemon),
        case("error-login-needed", &["status", "--json"], |daemon| {
            daemon.status(Ok(GetStatusResponse { ready: false, accounts: None, ..status() }))
        }),
        case("error-not-found", &["accounts", "show", "x", "--json"], |daemon| {
            daemon.account(Err(Status::new(Code::NotFound, "there is no account x")))
        }),
        case("error-not-permitted", &["accounts", "disable", "ada", "--json"], |daemon| {
            daemon.account(Err(Status::new(Code::PermissionDenied, "the group may look, not change")))
        }),
        case("error-timed-out", &["accounts", "refresh", "ada", "--json"], |daemon| {
            daemon.account(Err(Status::new(Code::DeadlineExceeded, "the provider gave no answer")))
        }),
        case("error-authentication-failed", &["accounts", "refresh", "ada", "--json"], |daemon| {
            daemon.account(Err(Status::new(Code::Unauthenticated, "the issuer refused the refresh token")))
        }),
        case("error-could-not-save", &["keys", "create", "ci", "--json"], |daemon| {
            daemon.create_key(Err(Status::new(Code::ResourceExhausted, "no space left")))
        }),
        case("error-invalid-configuration", &["reload", "--json"], |daemon| {
            let mistakes = vec!["/etc/proxyd/config.toml:2:1: there is no key log.colour".to_owned()];
            daemon.reload(Ok(proxy_proto::v1::ReloadResponse { changes: vec![], mistakes }))
        }),
        case("error-command-not-found", &["--json", "run", "--", "no-such-command"], |daemon| {
            daemon.status(Ok(status()))
        }),
    ]
}
