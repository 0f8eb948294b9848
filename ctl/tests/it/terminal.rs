//! What is different on a terminal: questions, the offer to paste, and colours.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use proxy_proto::v1::{ListAccountsResponse, ProviderRevocation};

use tonic::Code;

use super::daemon::{CODE, FakeDaemon, KEY, account, completed, refused};
use super::process::{Done, Live};

/// Both ends of a new terminal: the person's and the program's. No program that is started meanwhile gets them unasked, which
/// would keep it from hanging up.
pub(crate) fn open() -> (File, File) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let mut slave = File::options();
    slave.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
    let slave = slave.open(ptsname_r(&master).unwrap()).unwrap();
    (File::from(master.as_fd().try_clone_to_owned().unwrap()), slave)
}

/// Runs a command whose standard input is a terminal; the file is its keyboard.
pub(crate) fn on_terminal(mut command: Command) -> (Live, File) {
    let (keyboard, slave) = open();
    command.stdin(Stdio::from(slave));
    (Live::start(command), keyboard)
}

fn answer(daemon: &FakeDaemon, typed: &str) -> Done {
    let (live, mut keyboard) = on_terminal(daemon.command(&["accounts", "revoke", "ada"]));
    daemon.wait_for_call("show ada");
    keyboard.write_all(typed.as_bytes()).unwrap();
    live.finish()
}

#[test]
fn revoking_asks_first_and_revokes_the_account_that_was_shown() {
    let daemon = FakeDaemon::start().account(Ok(account())).revoke(ProviderRevocation::Revoked, "");
    let done = answer(&daemon, "yes\n");
    assert_eq!(done.code, 0);
    let question =
        "Revoke ada@example.com (3f2a9c0d71be) and delete /auth/claude-ada@example.com-1.json? [y/N] ";
    assert_eq!(done.stderr, question);
    assert_eq!(daemon.calls(), ["show ada", "revoke 3f2a9c0d71be"]);
}

#[test]
fn anything_but_a_yes_revokes_nothing() {
    for typed in ["n\n", "\n", "yesterday\n", "\u{4}"] {
        let daemon = FakeDaemon::start().account(Ok(account()));
        let done = answer(&daemon, typed);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{typed:?}");
        assert!(done.stderr.contains("error: nothing was done: you did not say yes\n"), "{}", done.stderr);
        assert_eq!(daemon.calls(), ["show ada"]);
    }
}

#[test]
fn a_person_may_paste_even_if_no_browser_is_found() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let (mut live, mut keyboard) = on_terminal(daemon.command(&["login", "claude"]));
    live.wait_for_stderr("paste the code");
    keyboard.write_all(b"not this\nnor this\n").unwrap();
    live.wait_for_stderr("That paste cannot be used");
    live.wait_for_stderr("That paste cannot be used");
    keyboard.write_all(format!("{CODE}\n").as_bytes()).unwrap();
    live.wait_for_stdout("Claude authentication successful!");
    assert_eq!(live.finish().code, 0);
}

#[test]
fn a_callback_ends_a_login_that_waits_for_a_paste() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let (mut live, mut keyboard) = on_terminal(daemon.command(&["login", "claude", "--no-browser"]));
    let port = super::web::port_of(&live.wait_for_stdout("https://"));
    live.wait_for_stderr("paste the code");
    keyboard.write_all(b"not this\n").unwrap();
    live.wait_for_stderr("That paste cannot be used");
    assert_eq!(super::web::get(port, &super::web::callback()).status, 200);
    assert_eq!(live.finish().code, 0);
    drop(keyboard);
}

#[test]
fn a_login_the_daemon_could_not_finish_is_tried_again_when_the_person_says_so() {
    let daemon = FakeDaemon::start()
        .login()
        .complete(refused(Code::Unavailable, "the provider answered 503"))
        .complete(refused(Code::ResourceExhausted, "no space left"))
        .complete(completed());
    let (mut live, mut keyboard) = on_terminal(daemon.command(&["login", "claude", "--no-browser"]));
    let port = super::web::port_of(&live.wait_for_stdout("https://"));
    assert_eq!(super::web::get(port, &super::web::callback()).status, 502);
    for cause in ["cause: the provider answered 503", "cause: no space left"] {
        live.wait_for_stderr(cause);
        live.wait_for_stderr("Press Enter to try again");
        keyboard.write_all(b"\n").unwrap();
    }
    live.wait_for_stdout("Claude authentication successful!");
    assert_eq!(live.finish().code, 0);
    assert_eq!(daemon.calls(), ["status", "begin claude", "complete", "complete", "complete"]);
}

#[test]
fn tokens_that_wait_for_space_are_not_given_up_when_no_answer_can_come_any_more() {
    for flags in [&["--paste"][..], &["--timeout", "5s"]] {
        let full = || refused(Code::ResourceExhausted, "no space left");
        let daemon = FakeDaemon::start();
        let daemon = if flags.contains(&"--paste") { daemon.begin_only() } else { daemon.login() };
        let daemon = daemon.complete(full());
        let command = daemon.command(&[&["login", "claude", "--no-browser"], flags].concat());
        let (mut live, mut keyboard) = on_terminal(command);
        live.wait_for_stdout("https://");
        keyboard.write_all(format!("{CODE}\n").as_bytes()).unwrap();
        live.wait_for_stderr("Press Enter to try again");
        keyboard.write_all(b"\x04").unwrap();
        let done = live.finish();
        assert_eq!(done.code, 16, "{}", done.stderr);
        assert!(!daemon.calls().contains(&"cancel".to_owned()), "{:?}", daemon.calls());
    }
}

#[test]
fn a_key_is_not_typed_where_it_would_be_seen() {
    let daemon = FakeDaemon::start();
    let (live, _keyboard) = on_terminal(daemon.command(&["accounts", "add", "claude", "--key-file", "-"]));
    let done = live.finish();
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("--key-file - < FILE"), "{}", done.stderr);
    assert!(daemon.calls().is_empty());
}

/// What a command prints on a terminal.
fn seen(mut command: Command) -> String {
    let (mut keyboard, slave) = open();
    let mut child = command.stdout(Stdio::from(slave)).stderr(Stdio::null()).spawn().unwrap();
    drop(command); // It holds the program's side of the terminal, and reading would not end.
    let mut screen = Vec::new();
    // A terminal whose program has ended reads as an error.
    let _ended = keyboard.read_to_end(&mut screen);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    String::from_utf8(screen).unwrap()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let list = || ListAccountsResponse { accounts: vec![account()], invalid_files: vec![] };
    let daemon = FakeDaemon::start().list(list()).list(list()).list(list());
    let command = |name: &str, value: &str| {
        let mut command = daemon.command(&["accounts", "list"]);
        command.env("TERM", "xterm").env(name, value);
        command
    };
    assert!(seen(command("LANG", "C")).contains("\u{1b}[32mready\u{1b}[0m"));
    assert!(!seen(command("NO_COLOR", "1")).contains('\u{1b}'));
    assert!(!seen(command("TERM", "dumb")).contains('\u{1b}'));
}

#[test]
fn a_key_that_is_typed_is_not_shown_and_the_terminal_is_as_before() {
    use nix::sys::termios::{LocalFlags, tcgetattr};
    let daemon = FakeDaemon::start().add(false);
    let (mut keyboard, slave) = open();
    let mut command = daemon.command(&["accounts", "add", "claude"]);
    command.stdin(Stdio::from(slave.try_clone().unwrap()));
    let live = Live::start(command);
    let echoes = || tcgetattr(&slave).unwrap().local_flags.contains(LocalFlags::ECHO);
    super::process::wait_until("nothing is shown", || !echoes());
    keyboard.write_all(format!("{KEY}\n").as_bytes()).unwrap();
    let done = live.finish();
    assert_eq!((done.code, done.stdout.as_str()), (0, "Added build (9c1d00aa22bb).\n"), "{}", done.stderr);
    assert!(echoes());
    assert_eq!(daemon.calls(), [format!("add key {KEY} ")]);
}

#[test]
fn ctrl_c_at_the_question_for_a_key_leaves_the_terminal_as_it_was() {
    use nix::sys::signal::Signal;
    use nix::sys::termios::{LocalFlags, tcgetattr};
    let daemon = FakeDaemon::start();
    let (_keyboard, slave) = open();
    let mut command = daemon.command(&["accounts", "add", "claude"]);
    command.stdin(Stdio::from(slave.try_clone().unwrap()));
    let live = Live::start(command);
    let echoes = || tcgetattr(&slave).unwrap().local_flags.contains(LocalFlags::ECHO);
    super::process::wait_until("nothing is shown", || !echoes());
    live.signal(Signal::SIGINT);
    assert_eq!(live.finish().code, 130);
    assert!(echoes() && daemon.calls().is_empty());
}
