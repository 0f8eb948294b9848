//! Finding the daemon, and what is said when it is not there.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use proxy_proto::v1::GetStatusResponse;
use tempfile::TempDir;
use tonic::{Code, Status};

use super::daemon::{FakeDaemon, status};
use super::process::{command, run};

#[test]
fn without_a_socket_the_command_that_starts_the_daemon_is_named() {
    let home = TempDir::new().unwrap();
    let mut program = command(home.path(), ["status"]);
    program.env("XDG_RUNTIME_DIR", home.path());
    let done = run(program);
    assert_eq!(done.code, 3);
    let socket = home.path().join("proxyd/control.sock");
    assert_eq!(
        done.stderr,
        format!(
            "error: no daemon listens on {}\ncause: No such file or directory (os error 2)\n  \
             try: start it with `systemctl --user start proxyd`, or run `proxyd`\n",
            socket.display()
        )
    );
    assert_eq!(done.stdout, "");
}

#[test]
fn a_socket_nobody_listens_on_counts_as_no_daemon() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("dead.sock");
    drop(UnixListener::bind(&socket).unwrap());
    for command_line in
        [&["status"][..], &["accounts", "list"], &["login", "claude"], &["accounts", "refresh", "x"]]
    {
        let mut program = command(home.path(), command_line);
        program.arg("--json").arg("--socket").arg(&socket);
        let done = run(program);
        assert_eq!(done.code, 3, "{command_line:?}");
        let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
        assert_eq!(error["error"]["code"], "daemon_not_running");
        let hint = error["error"]["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("`proxyd --control-socket {}`", socket.display())), "{hint}");
    }
}

#[test]
fn the_users_own_daemon_is_found_and_a_named_socket_wins() {
    let daemon = FakeDaemon::start().status(Ok(status())).status(Ok(status()));
    let runtime = daemon.directory().join("proxyd");
    std::fs::create_dir(&runtime).unwrap();
    std::os::unix::fs::symlink(daemon.socket(), runtime.join("control.sock")).unwrap();
    let mut found = command(daemon.directory(), ["status"]);
    found.env("XDG_RUNTIME_DIR", daemon.directory());
    assert_eq!(run(found).code, 0);

    let mut named = command(daemon.directory(), ["status", "--socket"]);
    named.arg(daemon.socket()).env("PROXYD_CONTROL__SOCKET", "/nowhere/control.sock");
    assert_eq!(run(named).code, 0);
}

#[test]
fn a_socket_that_is_not_a_daemons_is_told_so() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("other.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        let mut ignored = Vec::new();
        let _gone = stream.read_to_end(&mut ignored);
    });
    let mut program = command(home.path(), ["status", "--socket"]);
    program.arg(&socket);
    let done = run(program);
    stranger.join().unwrap();
    assert_eq!(done.code, 1);
    let said = format!(
        "error: what answers on {} is not proxyd\ncause: it began with \"220 mail.example ESMTP\"\n",
        socket.display()
    );
    assert!(done.stderr.starts_with(&said), "{}", done.stderr);
}

#[test]
fn a_daemon_that_does_not_permit_it_ends_with_6_in_its_own_words() {
    let daemon =
        FakeDaemon::start().status(Err(Status::new(Code::PermissionDenied, "uid 4711 may not do this")));
    let done = daemon.run(&["status"]);
    assert_eq!(done.code, 6);
    assert_eq!(
        done.stderr,
        "error: cannot show the status\ncause: uid 4711 may not do this\n  \
         try: run it as the user the daemon runs as, or as root\n"
    );
}

#[test]
fn an_older_daemon_that_does_not_know_a_call_is_told_so_in_words() {
    let older = GetStatusResponse { version: "0.0.9".to_owned(), api_revision: 0, ..status() };
    let daemon =
        FakeDaemon::start().account(Err(Status::new(Code::Unimplemented, ""))).status(Ok(older.clone()));
    let done = daemon.run(&["accounts", "enable", "ada"]);
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.starts_with(
            "error: cannot enable the account ada\n\
             cause: proxyd 0.0.9 (control API revision 0) is older than proxyctl "
        ) && done.stderr.ends_with("try: restart the daemon after the update\n"),
        "{}",
        done.stderr
    );
    let daemon = FakeDaemon::start().status(Ok(older));
    let done = daemon.run(&["status"]);
    assert!(done.stdout.contains("(control API revision 0) is older than proxyctl"), "{}", done.stdout);
}

#[test]
fn a_host_that_is_no_ssh_url_is_a_usage_error_and_its_password_is_not_repeated() {
    let home = TempDir::new().unwrap();
    for host in ["server", "ssh://-oProxyCommand=x", "ssh://ada:FAKE-canary-77@server", "http://server"] {
        let done = run(command(home.path(), ["status", "--host", host]));
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{host}");
        assert!(done.stderr.contains("ssh://ada@server") && !done.stderr.contains("canary"), "{done:?}");
    }
}

#[test]
fn a_mistyped_command_is_a_usage_error_in_either_form() {
    let home = TempDir::new().unwrap();
    let done = run(command(home.path(), ["accounts", "lst"]));
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("'lst'") && done.stdout.is_empty(), "{done:?}");
    let done = run(command(home.path(), ["accounts", "lst", "--json"]));
    assert_eq!(done.code, 2);
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "usage");
}

#[test]
fn completions_and_help_need_no_daemon() {
    let home = TempDir::new().unwrap();
    for (shell, sign) in
        [("bash", "_proxyctl()"), ("zsh", "#compdef proxyctl"), ("fish", "complete --keep-order")]
    {
        let done = run(command(home.path(), ["completions", shell]));
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains(sign), "{shell}");
    }
    let done = run(command(home.path(), ["--help"]));
    assert_eq!(done.code, 0);
    assert!(
        done.stdout.contains("Examples:") && done.stdout.contains("\n   13  the callback port is in use\n")
    );
}

#[test]
fn a_full_disk_under_standard_output_is_a_failure() {
    let home = TempDir::new().unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut program = command(home.path(), ["completions", "bash"]);
    let output = program
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: cannot write to standard output\ncause: No space left on device"),
        "{stderr}"
    );
}
