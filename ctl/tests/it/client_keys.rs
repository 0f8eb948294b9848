//! `proxyctl keys`: what it asks of the daemon and what it prints.

use proxy_proto::v1::{GetStatusResponse, Key, KeyAccount, KeyCounts, KeyRules, KeyState};
use tonic::{Code, Status};

use super::daemon::{CLIENT_KEY, FakeDaemon, client_key, from_now, status};
use super::terminal::on_terminal;

const KEY_JSON: &str = concat!(
    r#"{"id":"key_3f2a9c0d71be","name":"ci","state":"active","created_at":"2026-11-23T12:00:00Z","expires_at":null,"#,
    r#""last_used_at":null,"models":[],"accounts":[],"rpm":null,"tpm":null,"concurrency":null,"wait_ms":0,"#,
    r#""requests":0,"tokens":0,"refused":0,"running":0,"waiting":0}"#
);

/// With every rule, and used.
fn limited() -> Key {
    let account = |id: &str, name: &str| KeyAccount { id: id.to_owned(), name: name.to_owned() };
    Key {
        id: "key_00aa22bb9c1d".to_owned(),
        name: "guest".to_owned(),
        state: KeyState::Expired.into(),
        expires_at: Some(from_now(-7200)),
        last_used_at: Some(from_now(-7260)),
        rules: Some(KeyRules {
            models: vec!["claude-haiku-*".to_owned(), "claude-sonnet-5".to_owned()],
            requests_per_minute: Some(60),
            tokens_per_minute: Some(100_000),
            concurrency: Some(4),
            wait: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
        }),
        accounts: vec![account("9c1d00aa22bb", "build"), account("3f2a9c0d71be", "")],
        counts: Some(KeyCounts { requests: 12, tokens: 3456, refused: 7, running: 1, waiting: 2 }),
        ..client_key()
    }
}

#[test]
fn the_new_key_alone_goes_to_standard_output_and_its_use_to_standard_error() {
    let daemon = FakeDaemon::start().create_key(Ok(client_key()));
    let done = daemon.run(&["keys", "create", "ci"]);
    assert_eq!((done.code, done.stdout), (0, format!("{CLIENT_KEY}\n")));
    for words in [
        "Made the key ci (key_3f2a9c0d71be). It is shown this once",
        "`x-api-key` or `x-proxyd-key`",
        "  ANTHROPIC_BASE_URL=http://127.0.0.1:8787 ANTHROPIC_AUTH_TOKEN=KEY claude\n",
        "  OPENAI_BASE_URL=http://127.0.0.1:8787/v1 OPENAI_API_KEY=KEY\n",
    ] {
        assert!(done.stderr.contains(words), "{words} is not in\n{}", done.stderr);
    }
    assert!(!done.stderr.contains(CLIENT_KEY) && !done.stderr.contains("unix:"), "{}", done.stderr);
    assert_eq!(daemon.calls(), ["create key ci"]);
}

#[test]
fn a_new_key_as_json_is_one_document() {
    let daemon = FakeDaemon::start().create_key(Ok(client_key()));
    let done = daemon.run(&["keys", "create", "ci", "--json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(
        done.stdout,
        format!(
            "{{\"schema_version\":1,\"key\":{KEY_JSON},\"secret\":\"{CLIENT_KEY}\",\
             \"http_listen\":[\"127.0.0.1:8787\",\"unix:/run/proxyd/http.sock\"]}}\n"
        )
    );
}

#[test]
fn every_rule_is_handed_on() {
    let daemon = FakeDaemon::start().create_key(Ok(limited()));
    let done = daemon.run(&[
        "keys",
        "create",
        "guest",
        "--expires",
        "2027-06-01",
        "--models",
        "claude-haiku-*,claude-sonnet-5",
        "--accounts",
        "build",
        "--accounts",
        "ada@example.com",
        "--rpm",
        "60",
        "--tpm",
        "100000",
        "--concurrency",
        "4",
        "--wait",
        "1m30s",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        daemon.calls(),
        ["create key guest expires:2027-06-01T00:00:00Z models:claude-haiku-* claude-sonnet-5 \
          accounts:build ada@example.com rpm:60 tpm:100000 concurrency:4 wait:90s"]
    );
}

#[test]
fn what_cannot_be_meant_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start();
    for wrong in [
        &["--expires", "soon"][..],
        &["--expires", "-1d"],
        &["--rpm", "0"],
        &["--tpm", "0"],
        &["--concurrency", "0"],
        &["--wait", "11m"],
        &["--models", ""],
        &["--accounts", "a,,b"],
    ] {
        let done = daemon.run(&[&["keys", "create", "ci"], wrong].concat());
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{wrong:?}");
    }
    assert_eq!(daemon.run(&["keys", "create", ""]).code, 2);
    assert!(daemon.calls().is_empty());
}

#[test]
fn keys_are_listed_and_shown_with_what_they_may_and_did() {
    let keys = || vec![client_key(), limited()];
    let daemon = FakeDaemon::start().keys(keys()).keys(keys()).keys(vec![]).key(Ok(limited()));
    let done = daemon.run(&["keys", "list"]);
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", done.stdout);
    assert!(lines[0].starts_with("NAME   ID                STATE    MODELS"), "{}", done.stdout);
    assert!(lines[1].starts_with("ci     key_3f2a9c0d71be  active"), "{}", done.stdout);
    for words in [
        "guest  key_00aa22bb9c1d  expired  claude-haiku-*,claude-sonnet-5",
        "build,3f2a9c0d71be (not in the pool)",
        "60 rpm, 100000 tpm, 4 at a time, waits 1m 30s",
        "  12  ",
        "  3456  ",
        "1h 59m ago",
    ] {
        assert!(lines[2].contains(words), "{words} is not in\n{}", done.stdout);
    }
    let json = daemon.run(&["keys", "list", "--json"]).json();
    assert_eq!(json["keys"][0], serde_json::from_str::<serde_json::Value>(KEY_JSON).unwrap());
    assert_eq!(
        (&json["keys"][1]["wait_ms"], &json["keys"][1]["accounts"][1]["name"]),
        (&90_000.into(), &().into())
    );
    let none = daemon.run(&["keys", "list"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("`proxyctl keys create NAME`"), "{}", none.stderr);
    let shown = daemon.run(&["keys", "show", "guest"]).stdout;
    for words in [
        "Since the start  12 requests, 3456 tokens, 7 refused",
        "1 running, 2 waiting",
        "State            expired",
    ] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    assert_eq!(daemon.calls(), ["keys", "keys", "keys", "show key guest"]);
}

#[test]
fn what_the_daemon_refuses_is_told_in_three_lines() {
    for (refusal, code, words) in [
        (
            Status::new(Code::AlreadyExists, "there is a key ci already"),
            2,
            "error: cannot make the key ci\ncause: there is a key ci already\n  try: correct it and run it again\n",
        ),
        (
            Status::new(Code::ResourceExhausted, "the key cannot be saved, so there is none: no space"),
            16,
            "error: cannot make the key ci\ncause: the key cannot be saved, so there is none: no space\n  try: make room",
        ),
        (
            Status::new(Code::FailedPrecondition, "\"ada\" could be any of these"),
            2,
            "error: cannot make the key ci\ncause: \"ada\" could be any of these\n  try: `proxyctl accounts list`",
        ),
        (
            Status::new(Code::NotFound, "there is no account \"x\""),
            5,
            "error: cannot make the key ci\ncause: there is no account \"x\"\n  try: `proxyctl accounts list`",
        ),
    ] {
        let daemon = FakeDaemon::start().create_key(Err(refusal));
        let done = daemon.run(&["keys", "create", "ci"]);
        assert_eq!((done.code, done.stdout.as_str()), (code, ""));
        assert!(done.stderr.starts_with(words), "{}", done.stderr);
    }
    let daemon = FakeDaemon::start()
        .key(Err(Status::new(Code::NotFound, "no key is called \"x\"")))
        .key(Err(Status::new(Code::FailedPrecondition, "several")));
    let done = daemon.run(&["keys", "show", "x"]);
    assert_eq!(done.code, 5);
    assert_eq!(
        done.stderr,
        "error: cannot show the key x\ncause: no key is called \"x\"\n  try: `proxyctl keys list` shows the keys there are\n"
    );
    let done = daemon.run(&["keys", "revoke", "x", "--yes"]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("try: `proxyctl keys list` shows each key with its id\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_older_daemon_is_named_as_one() {
    let older = GetStatusResponse { version: "0.0.9".to_owned(), api_revision: 2, ..status() };
    let daemon = FakeDaemon::start().create_key(Err(Status::new(Code::Unimplemented, ""))).status(Ok(older));
    let done = daemon.run(&["keys", "create", "ci"]);
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.starts_with(
            "error: cannot make the key ci\ncause: proxyd 0.0.9 (control API revision 2) is older"
        ),
        "{}",
        done.stderr
    );
}

#[test]
fn without_a_terminal_revoking_needs_a_yes() {
    let daemon = FakeDaemon::start().key(Ok(client_key())).key(Ok(limited()));
    let done = daemon.run(&["keys", "revoke", "ci"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(done.stderr.contains("\n  try: proxyctl keys revoke ci --yes\n"), "{}", done.stderr);
    let done = daemon.run(&["keys", "revoke", "ci", "--yes", "--json"]);
    assert_eq!(done.stdout, format!("{{\"schema_version\":1,\"key\":{KEY_JSON}}}\n"));
    let done = daemon.run(&["keys", "revoke", "guest", "-y"]);
    assert_eq!(done.stdout, "Revoked guest (key_00aa22bb9c1d).\n");
    assert_eq!(done.stderr, "1 request of it may finish; no other begins.\n");
    assert_eq!(daemon.calls(), ["revoke key ci", "revoke key guest"]);
}

#[test]
fn on_a_terminal_revoking_asks_and_revokes_the_key_that_was_shown() {
    for (typed, code, calls) in
        [("y\n", 0, &["show key c", "revoke key key_3f2a9c0d71be"][..]), ("n\n", 1, &["show key c"])]
    {
        let daemon = FakeDaemon::start().key(Ok(client_key()));
        let daemon = if code == 0 { daemon.key(Ok(client_key())) } else { daemon };
        let (live, mut keyboard) = on_terminal(daemon.command(&["keys", "revoke", "c"]));
        daemon.wait_for_call("show key c");
        std::io::Write::write_all(&mut keyboard, typed.as_bytes()).unwrap();
        let done = live.finish();
        assert_eq!(done.code, code, "{}", done.stderr);
        assert!(done.stderr.starts_with("Revoke ci (key_3f2a9c0d71be)? Whoever uses it"), "{}", done.stderr);
        assert_eq!(daemon.calls(), calls);
    }
}
