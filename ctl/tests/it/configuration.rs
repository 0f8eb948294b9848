//! `proxyctl reload` and `proxyctl config`.

use proxy_proto::v1::{
    ConfigurationChange, ConfigurationEffect, ConfigurationKey, GetStatusResponse, ReloadResponse,
};
use tonic::Status;

use super::daemon::{FakeDaemon, status};

fn change(key: &str, values: [&str; 2], effect: ConfigurationEffect, reason: &str) -> ConfigurationChange {
    let [before, after] = values.map(str::to_owned);
    ConfigurationChange {
        key: key.to_owned(),
        before,
        after,
        origin: "/etc/proxyd/config.toml:2:1".to_owned(),
        effect: effect.into(),
        reason: reason.to_owned(),
    }
}

fn changed(changes: Vec<ConfigurationChange>) -> ReloadResponse {
    ReloadResponse { changes, mistakes: Vec::new() }
}

fn level() -> ConfigurationChange {
    change("log.level", ["\"info\"", "\"debug\""], ConfigurationEffect::Applied, "")
}

fn dir() -> ConfigurationChange {
    change("auth.dir", ["\"/a\"", "\"/b\""], ConfigurationEffect::NeedsRestart, "it is owned")
}

fn listen() -> ConfigurationChange {
    change("http.listen", ["[]", "[\"127.0.0.1:1\"]"], ConfigurationEffect::Failed, "cannot listen on it")
}

#[test]
fn each_change_is_told_with_what_became_of_it_and_one_that_failed_fails_the_command() {
    let level_line =
        "applied          log.level = \"debug\", before \"info\"  # /etc/proxyd/config.toml:2:1\n";
    let dir_lines = "needs a restart  auth.dir = \"/b\", before \"/a\"  # /etc/proxyd/config.toml:2:1\n                 it is owned\n";
    let listen_lines = "failed           http.listen = [\"127.0.0.1:1\"], before []  # /etc/proxyd/config.toml:2:1\n                 cannot listen on it\n";
    let restart = "What needs a restart takes effect with the daemon's next start.\n";
    for (changes, code, stdout, stderr) in [
        (vec![], 0, "nothing changed\n".to_owned(), ""),
        (vec![level()], 0, level_line.to_owned(), ""),
        (vec![level(), dir()], 0, format!("{level_line}{dir_lines}"), restart),
        (vec![listen(), level()], 1, format!("{listen_lines}{level_line}"), ""),
    ] {
        let daemon = FakeDaemon::start().reload(Ok(changed(changes)));
        let done = daemon.run(&["reload"]);
        assert_eq!((done.code, done.stdout, done.stderr.as_str()), (code, stdout, stderr));
        assert_eq!(daemon.calls(), ["reload"]);
    }
}

#[test]
fn a_program_gets_the_changes_as_one_document() {
    let done = FakeDaemon::start().reload(Ok(changed(vec![level(), dir()]))).run(&["reload", "--json"]);
    let document = concat!(
        "{\"schema_version\":1,\"changes\":[",
        "{\"key\":\"log.level\",\"before\":\"\\\"info\\\"\",\"after\":\"\\\"debug\\\"\",\"origin\":\"/etc/proxyd/config.toml:2:1\",\"effect\":\"applied\",\"reason\":null},",
        "{\"key\":\"auth.dir\",\"before\":\"\\\"/a\\\"\",\"after\":\"\\\"/b\\\"\",\"origin\":\"/etc/proxyd/config.toml:2:1\",\"effect\":\"needs_restart\",\"reason\":\"it is owned\"}",
        "],\"mistakes\":[]}\n"
    );
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, document, ""));
}

#[test]
fn every_mistake_is_told_and_has_an_exit_code_of_its_own() {
    let mistakes = ["/etc/proxyd/config.toml:2:1: one", "environment PROXYD_X__Y: two"].map(str::to_owned);
    let reply = ReloadResponse { changes: Vec::new(), mistakes: mistakes.into() };
    let daemon = FakeDaemon::start().reload(Ok(reply.clone())).reload(Ok(reply));
    let done = daemon.run(&["reload"]);
    assert_eq!((done.code, done.stdout.as_str()), (78, ""));
    let told = concat!(
        "/etc/proxyd/config.toml:2:1: one\nenvironment PROXYD_X__Y: two\n",
        "error: the configuration has 2 mistakes, so the one in use stays\n",
        "  try: correct them and run `proxyctl reload` again; `proxyd check-config` looks without changing anything\n"
    );
    assert_eq!(done.stderr, told);
    let done = daemon.run(&["reload", "--json"]);
    assert_eq!(done.code, 78);
    assert_eq!(
        done.stdout,
        "{\"schema_version\":1,\"changes\":[],\"mistakes\":[\"/etc/proxyd/config.toml:2:1: one\",\"environment PROXYD_X__Y: two\"]}\n"
    );
    assert!(done.stderr.contains("\"code\":\"invalid_configuration\""), "{}", done.stderr);
}

#[test]
fn the_configuration_is_shown_as_the_daemon_prints_it_and_says_what_a_reload_changes() {
    let keys = vec![
        ConfigurationKey {
            key: "log.level".to_owned(),
            value: "\"info\"".to_owned(),
            origin: "default".to_owned(),
            reloads: true,
            restart_reason: String::new(),
        },
        ConfigurationKey {
            key: "auth.dir".to_owned(),
            value: "\"/a\"".to_owned(),
            origin: "flag --auth-dir".to_owned(),
            reloads: false,
            restart_reason: "it is owned".to_owned(),
        },
    ];
    let daemon = FakeDaemon::start().configuration(Ok(keys.clone())).configuration(Ok(keys));
    let done = daemon.run(&["config"]);
    assert_eq!(done.stdout, "log.level = \"info\"  # default\nauth.dir = \"/a\"  # flag --auth-dir\n");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let done = daemon.run(&["config", "--json"]);
    let document = concat!(
        "{\"schema_version\":1,\"keys\":[",
        "{\"key\":\"log.level\",\"value\":\"\\\"info\\\"\",\"origin\":\"default\",\"reloads\":true,\"restart_reason\":null},",
        "{\"key\":\"auth.dir\",\"value\":\"\\\"/a\\\"\",\"origin\":\"flag --auth-dir\",\"reloads\":false,\"restart_reason\":\"it is owned\"}",
        "]}\n"
    );
    assert_eq!(done.stdout, document);
}

#[test]
fn a_daemon_that_does_not_know_the_call_is_named_as_the_older_one() {
    for command in ["reload", "config"] {
        let older = GetStatusResponse { api_revision: 3, ..status() };
        let daemon = FakeDaemon::start().status(Ok(older));
        let unknown = || Status::unimplemented("");
        let daemon = match command {
            "reload" => daemon.reload(Err(unknown())),
            _ => daemon.configuration(Err(unknown())),
        };
        let done = daemon.run(&[command]);
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains("is older than proxyctl"), "{}", done.stderr);
        assert!(done.stderr.contains("restart the daemon after the update"), "{}", done.stderr);
    }
}
