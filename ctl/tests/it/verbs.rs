//! `proxyctl accounts set`, `label`, `add` with settings, `remove`, `import` and `export`: what they ask of the daemon and
//! what they print.

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

use proxy_proto::v1::{Account, AccountSettings, GetStatusResponse, ImportOutcome, ImportedFile};
use tonic::{Code, Status};

use super::daemon::{ACCOUNT_JSON, FakeDaemon, account, settings, status};
use super::process::Live;

fn file(daemon: &FakeDaemon, name: &str, content: &str) -> String {
    let path = daemon.directory().join(name);
    File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_is_named_is_changed_and_nothing_else() {
    let kept_back = AccountSettings { reserve_percent: 20, ..settings() };
    let changed = Account { settings: Some(kept_back), ..account() };
    let daemon = FakeDaemon::start().account(Ok(changed)).account(Ok(account()));
    let settings = [
        "--priority",
        "-3",
        "--weight",
        "2",
        "--reserve",
        "20",
        "--prefix",
        "w",
        "--proxy-url",
        "http://p.example:1",
        "--alias",
        "best=claude-opus-5",
        "--alias",
        "fast=claude-haiku-4-5",
        "--exclude",
        "claude-3-*",
        "--note",
        "mine",
        "--base-url",
        "https://gateway.example",
        "--label",
        "work",
    ];
    let done = daemon.run(&[&["accounts", "set", "ada"], &settings[..]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(
        done.stdout,
        "Changed ada@example.com (3f2a9c0d71be); `proxyctl accounts show 3f2a9c0d71be` shows it.\n"
    );
    let done = daemon.run(&["accounts", "set", "ada", "--unset", "alias", "--unset", "reserve", "--json"]);
    assert_eq!(done.stdout, format!("{{\"schema_version\":1,\"account\":{ACCOUNT_JSON}}}\n"));
    assert_eq!(
        daemon.calls(),
        [
            "change ada label:work priority:-3 weight:2 reserve:20 prefix:w proxy:http://p.example:1 \
             aliases:best=claude-opus-5,fast=claude-haiku-4-5 excluded:claude-3-* note:mine base:https://gateway.example",
            "change ada reserve:0 aliases:"
        ]
    );
}

#[test]
fn a_reserve_that_an_older_daemon_leaves_out_is_not_told_as_set() {
    let older = GetStatusResponse { version: "0.0.9".to_owned(), api_revision: 1, ..status() };
    let daemon =
        FakeDaemon::start().account(Ok(account())).status(Ok(older.clone())).add(false).status(Ok(older));
    let key = file(&daemon, "key", "sk-ant-api03-FAKE\n");
    for args in [&["set", "ada"][..], &["add", "claude", "--key-file", &key]] {
        let done = daemon.run(&[&["accounts"], args, &["--reserve", "20"]].concat());
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
        let words = "error: cannot set the reserve\ncause: proxyd 0.0.9 (control API revision 1) is older than proxyctl ";
        assert!(done.stderr.starts_with(words), "{}", done.stderr);
    }
}

#[test]
fn a_change_that_makes_no_sense_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start();
    for (args, words) in [
        (&[][..], "there is nothing to change"),
        (&["--note", "x", "--unset", "note"], "note is set, or unset twice, in one command"),
        (&["--unset", "proxy-url", "--unset", "proxy-url"], "proxy-url is set, or unset twice"),
        (&["--alias", "best"], "ALIAS=MODEL"),
        (&["--weight", "much"], "invalid value 'much'"),
        (&["--reserve", "some"], "invalid value 'some'"),
        (&["--reserve", "-1"], "unexpected argument '-1'"),
        (&["--reserve", "20", "--unset", "reserve"], "reserve is set, or unset twice"),
        (&["--unset", "colour"], "invalid value 'colour'"),
        (&["--proxy-url", "http://me:FAKE-pw@p.example:1"], "holds a password"),
        (&["--proxy-url", "http://p", "--proxy-url-file", "f"], "cannot be used with"),
    ] {
        let done = daemon.run(&[&["accounts", "set", "ada"], args].concat());
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(words) && !done.stderr.contains("FAKE-pw"), "{}", done.stderr);
    }
    assert!(daemon.calls().is_empty());
}

#[test]
fn a_proxy_with_a_password_comes_from_a_file() {
    let daemon = FakeDaemon::start().account(Ok(account()));
    let path = file(&daemon, "proxy", "http://me:FAKE-pw@p.example:1\n");
    let done = daemon.run(&["accounts", "set", "ada", "--proxy-url-file", &path]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(daemon.calls(), ["change ada proxy:http://me:FAKE-pw@p.example:1"]);
}

#[test]
fn the_daemons_mistakes_are_told_and_are_wrong_usage() {
    let refused = Status::new(Code::InvalidArgument, "`priority` must be a whole number from -1000 to 1000");
    let daemon = FakeDaemon::start().account(Err(refused));
    let done = daemon.run(&["accounts", "set", "ada", "--priority", "5000"]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr
            .starts_with("error: cannot change the account ada\ncause: `priority` must be a whole number"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_account_is_renamed_and_its_name_taken_back() {
    let called = Account { label: "work".to_owned(), ..account() };
    let daemon = FakeDaemon::start().account(Ok(called)).account(Ok(account()));
    let done = daemon.run(&["accounts", "rename", "ada", "work"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "3f2a9c0d71be is called work (3f2a9c0d71be).\n"));
    let done = daemon.run(&["accounts", "label", "work", ""]);
    assert_eq!(done.stdout, "ada@example.com (3f2a9c0d71be) has no label any more.\n");
    assert_eq!(daemon.calls(), ["change ada label:work", "change work label:"]);
}

#[test]
fn a_setup_token_is_added_with_its_end() {
    let daemon = FakeDaemon::start().add(false).add(true);
    let path = file(&daemon, "token", "sk-ant-oat01-FAKE\n");
    let add = ["accounts", "add", "claude", "--setup-token-file", &path, "--label", "ci"];
    let done = daemon.run(&[&add[..], &["--expires", "2027-06-01"]].concat());
    assert_eq!((done.code, done.stdout.as_str()), (0, "Added build (9c1d00aa22bb).\n"), "{}", done.stderr);
    let done = daemon.run(&[&add[..], &["--json"]].concat());
    assert!(done.stdout.contains(r#""replaced":true"#), "{}", done.stdout);
    assert_eq!(daemon.calls(), ["add token sk-ant-oat01-FAKE ci", "add token sk-ant-oat01-FAKE ci"]);
    for wrong in [&["--expires", "2027-06-01"][..], &["--setup-token-file", &path, "--key-file", &path]] {
        let done = daemon.run(&[&["accounts", "add", "claude"], wrong].concat());
        assert_eq!(done.code, 2, "{}", done.stderr);
    }
}

#[test]
fn removing_needs_a_yes_and_says_that_the_credential_lives_on() {
    let daemon = FakeDaemon::start().remove().remove();
    let done = daemon.run(&["accounts", "remove", "ada"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("try: proxyctl accounts remove ada --yes"), "{}", done.stderr);
    let done = daemon.run(&["accounts", "remove", "ada", "--yes"]);
    let path = "/auth/claude-ada@example.com-1.json";
    assert_eq!(
        (done.code, done.stdout),
        (0, format!("Removed 3f2a9c0d71be from the pool and deleted {path}.\n"))
    );
    assert!(done.stderr.starts_with("The provider was told nothing"), "{}", done.stderr);
    let done = daemon.run(&["accounts", "remove", "ada", "--yes", "--json"]);
    let expected = format!("{{\"schema_version\":1,\"id\":\"3f2a9c0d71be\",\"path\":\"{path}\"}}\n");
    assert_eq!((done.stdout, done.stderr.as_str()), (expected, ""));
    assert_eq!(daemon.calls(), ["remove ada", "remove ada"]);
}

fn imported() -> Vec<ImportedFile> {
    let refused = ImportedFile {
        path: "/old/codex.json".to_owned(),
        outcome: ImportOutcome::Refused.into(),
        reason: "this is the login of Codex itself".to_owned(),
        account: None,
    };
    let added = ImportedFile {
        path: "/old/claude-ada.json".to_owned(),
        outcome: ImportOutcome::Added.into(),
        reason: String::new(),
        account: Some(account()),
    };
    vec![added, refused]
}

#[test]
fn an_import_tells_what_became_of_each_file_and_ends_with_1_if_one_was_refused() {
    let daemon = FakeDaemon::start().import(Ok(imported())).import(Ok(imported())).import(Ok(vec![]));
    let done = daemon.run(&["accounts", "import", "/old", "--yes"]);
    assert_eq!(
        done.stdout,
        "added    claude-ada.json  ada@example.com (3f2a9c0d71be)\n\
         refused  codex.json       this is the login of Codex itself\n"
    );
    assert!(done.code == 1 && done.stderr.contains("log each other out"), "{}", done.stderr);
    let done = daemon.run(&["accounts", "import", "/old", "--move", "--yes", "--json"]);
    let expected = format!(
        "{{\"schema_version\":1,\"files\":[{{\"path\":\"/old/claude-ada.json\",\"outcome\":\"added\",\"reason\":null,\
         \"account\":{ACCOUNT_JSON}}},{{\"path\":\"/old/codex.json\",\"outcome\":\"refused\",\
         \"reason\":\"this is the login of Codex itself\",\"account\":null}}]}}\n"
    );
    assert_eq!((done.code, done.stdout, done.stderr.as_str()), (1, expected, ""));
    let done = daemon.run(&["accounts", "import", "here", "--move", "--yes"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    let here = daemon.directory().canonicalize().unwrap().join("here");
    assert!(done.stderr.contains("holds no file that is named like an account's"), "{}", done.stderr);
    assert_eq!(daemon.calls()[..2], ["copy /old", "move /old"]);
    assert!(daemon.calls()[2].ends_with("/here") && here.is_absolute());
}

#[test]
fn an_import_or_export_that_is_not_possible_says_why() {
    let own = Status::new(Code::FailedPrecondition, "/auth is this daemon's own auth directory");
    let closed = Status::new(Code::PermissionDenied, "cannot read the directory /root: Permission denied");
    let exists = Status::new(Code::AlreadyExists, "/x.json exists already: nothing is ever overwritten");
    let daemon = FakeDaemon::start().import(Err(own)).import(Err(closed)).export(Err(exists));
    for (args, code, words) in [
        (&["accounts", "import", "/auth", "--yes"][..], 2, "own auth directory"),
        (&["accounts", "import", "/root", "--yes"], 6, "let the daemon's user into that directory"),
        (&["accounts", "export", "ada", "/x.json", "--yes"], 2, "exists already"),
        (&["accounts", "import", "/auth"], 2, "proxyctl accounts import /auth --yes"),
        (&["accounts", "export", "ada", "/x.json"], 2, "proxyctl accounts export ada /x.json --yes"),
    ] {
        let done = daemon.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{}", done.stderr);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
}

#[test]
fn an_export_says_what_the_file_is_worth() {
    let daemon = FakeDaemon::start().export(Ok("/x.json")).export(Ok("/x.json"));
    let done = daemon.run(&["accounts", "export", "ada", "/x.json", "--yes"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "Exported 3f2a9c0d71be to /x.json.\n"));
    assert!(done.stderr.contains("Whoever reads this file can use the account"), "{}", done.stderr);
    let done = daemon.run(&["accounts", "export", "ada", "/x.json", "--yes", "--json"]);
    assert_eq!(done.stdout, "{\"schema_version\":1,\"id\":\"3f2a9c0d71be\",\"path\":\"/x.json\"}\n");
    assert_eq!(daemon.calls(), ["export ada /x.json", "export ada /x.json"]);
}

#[test]
fn a_key_that_comes_by_a_pipe_is_told_from_a_token() {
    let daemon = FakeDaemon::start();
    let mut command = daemon.command(&["accounts", "add", "claude", "--key-file", "-"]);
    command.stdin(Stdio::piped());
    let mut live = Live::start(command);
    live.type_line("sk-ant-ort01-FAKE");
    let done = live.finish();
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("this is an OAuth refresh token"), "{}", done.stderr);
}
