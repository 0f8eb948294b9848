//! `proxyctl accounts add`.

use std::process::Stdio;

use super::daemon::{FakeDaemon, KEY};
use super::process::Live;

/// A file in the daemon's directory with this content.
fn file(daemon: &FakeDaemon, content: &[u8]) -> String {
    let path = daemon.directory().join("key.txt");
    let mut file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, content).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn a_key_goes_from_the_file_to_the_daemon_and_is_not_shown() {
    let daemon = FakeDaemon::start().add(false).add(true);
    let path = file(&daemon, format!("{KEY}\n").as_bytes());
    let done = daemon.run(&["accounts", "add", "claude", "--key-file", &path, "--label", "build"]);
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (0, "Added build (9c1d00aa22bb).\n", "")
    );
    let done = daemon.run(&["accounts", "add", "claude", "--key-file", &path]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "Updated build (9c1d00aa22bb).\n"));
    assert_eq!(daemon.calls(), [format!("add key {KEY} build"), format!("add key {KEY} ")]);
}

#[test]
fn a_key_is_read_from_a_pipe_and_reported_as_json() {
    let daemon = FakeDaemon::start().add(true);
    let mut command = daemon.command(&["accounts", "add", "claude", "--key-file", "-", "--json"]);
    command.stdin(Stdio::piped());
    let mut live = Live::start(command);
    live.type_line(KEY);
    let done = live.finish();
    assert_eq!(
        done.stdout,
        concat!(
            r#"{"schema_version":1,"account":{"id":"9c1d00aa22bb","kind":"api_key","state":"ready","#,
            r#""state_reason":null,"available_at":null,"label":"build","email":null,"account_uuid":null,"#,
            r#""organization_uuid":null,"organization_name":null,"path":"/auth/claude-key-9c1d00aa22bb.json","#,
            r#""expires_at":null,"last_refresh_at":null,"in_flight":0,"last_error":null,"degraded":false,"#,
            r#""renewable":false,"priority":0,"weight":1,"reserve_percent":0,"prefix":null,"proxy_url":null,"base_url":null,"#,
            r#""model_aliases":[],"excluded_models":[],"note":null,"warnings":[],"usage":null,"quota":[],"cooldowns":[],"attempts":null,"outlook":null,"refresh_due_at":null},"replaced":true}"#,
            "\n"
        )
    );
    assert_eq!((done.code, daemon.calls()), (0, vec![format!("add key {KEY} ")]));
}

#[test]
fn what_is_not_a_key_is_refused_before_the_daemon_is_asked() {
    let daemon = FakeDaemon::start();
    let large = vec![b'k'; 5000];
    for (content, what, hint) in [
        (&b""[..], "the API key cannot be used: the file is empty", "one line"),
        (&b"one\ntwo\n"[..], "the API key cannot be used: the file has more than one line", "one line"),
        (&large[..], "the API key cannot be used: the file is larger than 4 KiB", "one line"),
        (&b"sk-ant-oat01-FAKE\n"[..], "this is an OAuth access token", "`proxyctl login claude`"),
        (&b"sk-ant-ort01-FAKE\n"[..], "this is an OAuth refresh token", "`proxyctl login claude`"),
    ] {
        let path = file(&daemon, content);
        let done = daemon.run(&["accounts", "add", "claude", "--key-file", &path]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{what}");
        assert!(
            done.stderr.starts_with(&format!("error: {what}")) && done.stderr.contains(hint),
            "{}",
            done.stderr
        );
        assert!(!done.stderr.contains("FAKE"), "{}", done.stderr);
    }
    let nothing = daemon.run(&["accounts", "add", "claude"]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("there is no terminal to ask for the key at"), "{}", nothing.stderr);
    let done = daemon.run(&["accounts", "add", "claude", "--key-file", "/nowhere/key"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.starts_with("error: cannot read the API key from /nowhere/key\ncause: No such file"));
    assert!(daemon.calls().is_empty());
}
