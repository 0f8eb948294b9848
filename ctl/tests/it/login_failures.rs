//! `proxyctl login claude` that ends badly: each way has its message and exit code, and leaves nothing
//! behind.

use std::process::Stdio;
use std::sync::Arc;

use nix::sys::signal::Signal;
use prost::Message as _;
use proxy_proto::v1::{CompleteLoginResponse, GetStatusResponse, LoginFailure, LoginFailureReason as Reason};
use tokio::sync::Semaphore;
use tonic::{Code, Status};

use super::daemon::{CODE, FakeDaemon, Reply, STATE, completed, from_now, refused, saved, status};
use super::process::{Done, Live};
use super::web;

fn begin(daemon: &FakeDaemon, flags: &[&str]) -> (Live, u16) {
    let mut live = Live::start(daemon.command(&[&["login", "claude", "--no-browser"], flags].concat()));
    let port = web::port_of(&live.wait_for_stdout("https://"));
    (live, port)
}

/// The error of `--json` on standard error, and the event on standard output that tells the same.
fn error_word(done: &Done) -> String {
    let error: serde_json::Value = serde_json::from_str(done.stderr.lines().last().unwrap()).unwrap();
    let event: serde_json::Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(event["event"], "error");
    assert_eq!(event["code"], error["error"]["code"]);
    assert_eq!(event["message"], error["error"]["message"]);
    event["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_denial_in_the_browser_ends_the_login() {
    let daemon = FakeDaemon::start().login();
    let (live, port) = begin(&daemon, &[]);
    let denial = format!("/callback?error=access_denied&error_description=Not%20%1b%5B2Jtoday&state={STATE}");
    let page = web::get(port, &denial);
    assert_eq!(page.status, 403);
    assert!(page.body.contains("Login refused") && !page.body.contains("today"), "{}", page.body);
    let done = live.finish();
    assert_eq!(done.code, 15);
    assert!(
        done.stderr.ends_with(
            "error: the login was denied in the browser\ncause: access_denied: Not [2Jtoday\n  \
             try: to allow it, begin again: `proxyctl login claude`\n"
        ),
        "{}",
        done.stderr
    );
    assert_eq!(daemon.calls(), ["status", "begin claude", "cancel"]);
}

#[test]
fn each_refusal_of_the_daemon_has_its_exit_code_and_the_browser_shows_a_failure() {
    for (code, exit, word) in [
        (Code::NotFound, 5, "not_found"),
        (Code::DeadlineExceeded, 14, "timed_out"),
        (Code::Unauthenticated, 15, "authentication_failed"),
        (Code::ResourceExhausted, 16, "could_not_save"),
        (Code::Unavailable, 1, "failed"),
        (Code::Internal, 1, "failed"),
    ] {
        let daemon = FakeDaemon::start().login().complete(refused(code, "words of the daemon"));
        let (live, port) = begin(&daemon, &["--json"]);
        let page = web::get(port, &web::callback());
        assert_eq!(page.status, 502, "{code:?}");
        assert!(page.body.contains("Login failed") && !page.body.contains("words"), "{}", page.body);
        let done = live.finish();
        assert_eq!((done.code, error_word(&done).as_str()), (exit, word), "{code:?}");
        assert!(done.stderr.contains("cannot complete the login: words of the daemon"), "{}", done.stderr);
        // Tokens that could not be saved are not to be forgotten.
        let cancelled = daemon.calls().last().is_some_and(|call| call == "cancel");
        assert_eq!(cancelled, code != Code::ResourceExhausted, "{code:?}");
    }
}

#[test]
fn an_answer_the_daemon_does_not_take_for_this_login_leaves_it_waiting() {
    let daemon = FakeDaemon::start()
        .login()
        .complete(refused(Code::InvalidArgument, "not this state"))
        .complete(completed());
    let (live, port) = begin(&daemon, &[]);
    assert_eq!(web::get(port, &web::callback()).status, 400);
    assert_eq!(web::get(port, &web::callback()).status, 200);
    assert_eq!(live.finish().code, 0);
    assert_eq!(daemon.calls(), ["status", "begin claude", "complete", "complete"]);
}

#[test]
fn a_second_answer_waits_for_the_first_and_is_told_that_it_came_too_late() {
    let gate = Arc::new(Semaphore::new(0));
    let daemon = FakeDaemon::start().login().complete(Reply::Held(Ok(saved()), Arc::clone(&gate)));
    let (live, port) = begin(&daemon, &[]);
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", web::callback());
    let first = web::open(port, &request);
    daemon.wait_for_call("complete");
    let second = web::open(port, &request);
    // A stranger that is answered after the second came in shows that the second was read.
    assert_eq!(web::get(port, "/").status, 404);
    gate.add_permits(1);
    assert_eq!(web::read(first).status, 200);
    assert_eq!(web::read(second).status, 410);
    assert_eq!(live.finish().code, 0);
    assert_eq!(daemon.calls(), ["status", "begin claude", "complete"]);
}

#[test]
fn a_login_nobody_completes_times_out() {
    let daemon = FakeDaemon::start().login();
    let (live, _) = begin(&daemon, &["--timeout", "1s"]);
    let done = live.finish();
    assert_eq!(done.code, 14);
    assert!(done.stderr.contains("error: nobody completed the login within 1s\n"), "{}", done.stderr);
    assert_eq!(daemon.calls(), ["status", "begin claude", "cancel"]);
}

#[test]
fn an_interrupted_login_is_cancelled_in_the_daemon() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let daemon = FakeDaemon::start().login();
        let (live, _) = begin(&daemon, &["--json"]);
        live.signal(signal);
        let done = live.finish();
        assert_eq!((done.code, error_word(&done).as_str()), (130, "interrupted"), "{signal}");
        assert_eq!(daemon.calls(), ["status", "begin claude", "cancel"]);
    }
}

#[test]
fn a_login_can_be_interrupted_while_the_daemon_completes_it() {
    let gate = Arc::new(Semaphore::new(0));
    let daemon = FakeDaemon::start().login().complete(Reply::Held(Ok(saved()), gate));
    let (live, port) = begin(&daemon, &[]);
    let browser =
        web::open(port, &format!("GET {} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", web::callback()));
    daemon.wait_for_call("complete");
    live.signal(Signal::SIGINT);
    assert_eq!(web::read(browser).status, 502);
    assert_eq!(live.finish().code, 130);
    daemon.wait_for_call("cancel");
}

#[test]
fn a_callback_port_in_use_is_named_and_no_login_begins() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let daemon = FakeDaemon::start().status(Ok(status())).status(Ok(status()));
    let done = daemon.run(&["login", "claude", "--no-browser", "--callback-port", &port.to_string()]);
    assert_eq!((done.code, done.stdout.as_str()), (13, ""));
    assert!(
        done.stderr.starts_with(&format!("error: the callback port {port} is in use by "))
            && done.stderr.contains(&format!("(pid {})\n", std::process::id())),
        "{}",
        done.stderr
    );
    let done = daemon.run(&["login", "claude", "--callback-port", &port.to_string(), "--json"]);
    assert_eq!((done.code, error_word(&done).as_str()), (13, "callback_port_in_use"));
    assert_eq!(daemon.calls(), ["status", "status"]);
}

#[test]
fn a_daemon_that_does_not_begin_a_login_is_heard() {
    let daemon = FakeDaemon::start().status(Ok(GetStatusResponse { login_callback_port: 0, ..status() }));
    let daemon = daemon.begin_refused(Status::new(Code::ResourceExhausted, "too many logins are waiting"));
    let done = daemon.run(&["login", "claude", "--no-browser"]);
    assert_eq!((done.code, done.stdout.as_str()), (16, ""));
    assert!(done.stderr.starts_with("error: cannot begin the login\ncause: too many logins are waiting\n"));
    assert_eq!(daemon.calls(), ["status", "begin claude"]);
}

#[test]
fn a_reply_without_the_account_is_a_failure_and_not_a_success() {
    let empty = CompleteLoginResponse { account: None, ..saved() };
    let daemon = FakeDaemon::start().login().complete(Reply::Now(Ok(empty)));
    let (live, port) = begin(&daemon, &[]);
    assert_eq!(web::get(port, &web::callback()).status, 502);
    let done = live.finish();
    assert_eq!(done.code, 1);
    assert!(!done.stdout.contains("successful"), "{}", done.stdout);
}

#[test]
fn a_pasted_denial_ends_the_login() {
    let daemon = FakeDaemon::start().login();
    let mut command = daemon.command(&["login", "claude", "--no-browser"]);
    command.stdin(Stdio::piped());
    let mut live = Live::start(command);
    live.wait_for_stdout("https://");
    live.type_line(&format!("http://localhost:9/callback?error=access_denied&code={CODE}&state={STATE}"));
    let done = live.finish();
    assert_eq!(done.code, 15);
    assert_eq!(daemon.calls(), ["status", "begin claude", "cancel"]);
}

#[test]
fn a_time_limit_over_five_minutes_is_refused() {
    let daemon = FakeDaemon::start();
    let done = daemon.run(&["login", "claude", "--timeout", "6m"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("a login lasts five minutes at most"), "{}", done.stderr);
    assert!(daemon.calls().is_empty());
}

/// A refusal with the facts a daemon adds to it.
fn failure(code: Code, message: &str, failure: &LoginFailure) -> Reply<CompleteLoginResponse> {
    Reply::Now(Err(Status::with_details(code, message, failure.encode_to_vec().into())))
}

#[test]
fn the_reason_the_daemon_tells_chooses_words_hint_and_exit_code() {
    for (reason, code, exit, words, hint) in [
        (Reason::CodeRefused, Code::Unauthenticated, 15, "the provider refused the code", "good once"),
        (Reason::PkceRefused, Code::Unauthenticated, 15, "(PKCE)", "use only the newest URL"),
        (Reason::RedirectRefused, Code::Unauthenticated, 15, "refused the redirect URI", "--paste"),
        (Reason::RequestRefused, Code::Unauthenticated, 15, "refused the login", "print-config"),
        (Reason::ProviderUnreadable, Code::Unauthenticated, 15, "cannot complete the login", "token_url"),
        (Reason::ProviderUnreachable, Code::Unavailable, 1, "cannot complete the login", "is online"),
        (Reason::ProviderTrouble, Code::Unavailable, 1, "cannot complete the login", "in a moment"),
        (Reason::ProviderLimits, Code::Unavailable, 1, "limits logins right now (429)", "wait until then"),
        (Reason::NoSpace, Code::ResourceExhausted, 16, "no space to save", "make room"),
        (Reason::NotWritable, Code::ResourceExhausted, 16, "could not be saved", "rights, owner or mount"),
    ] {
        let told = LoginFailure {
            reason: reason.into(),
            retry_at: (reason == Reason::ProviderLimits).then(|| from_now(60)),
            ..LoginFailure::default()
        };
        let mut outputs = Vec::new();
        for flags in [&[][..], &["--json"]] {
            let daemon = FakeDaemon::start().login().complete(failure(code, "words of the daemon", &told));
            let (live, port) = begin(&daemon, flags);
            assert_eq!(web::get(port, &web::callback()).status, 502, "{reason:?}");
            let done = live.finish();
            assert_eq!(done.code, exit, "{reason:?} {flags:?}");
            assert!(done.stderr.contains(words) && done.stderr.contains(hint), "{}", done.stderr);
            outputs.push(done);
        }
        let json: serde_json::Value =
            serde_json::from_str(outputs[1].stderr.lines().last().unwrap()).unwrap();
        let word = match exit {
            15 => "authentication_failed",
            16 => "could_not_save",
            _ => "failed",
        };
        assert_eq!(json["error"]["code"], word, "{reason:?}");
    }
}

#[test]
fn a_login_whose_one_way_is_a_paste_ends_with_standard_input() {
    for (pasted, exit, words) in [
        (None, 1, "no answer was pasted\ncause: standard input has ended"),
        (
            Some("FAKE#other"),
            15,
            "no pasted answer was this login's\ncause: its state belongs to another login",
        ),
        (Some("http://localhost:9/callback?code=FAKE"), 15, "cause: it carries no state"),
    ] {
        let daemon = FakeDaemon::start().begin_only();
        let mut command = daemon.command(&["login", "claude", "--no-browser", "--paste"]);
        command.stdin(Stdio::piped());
        let mut live = Live::start(command);
        live.wait_for_stdout("https://");
        if let Some(line) = pasted {
            live.type_line(line);
        }
        let done = live.finish();
        assert_eq!(done.code, exit, "{}", done.stderr);
        assert!(done.stderr.contains(words), "{}", done.stderr);
        assert_eq!(daemon.calls(), ["begin claude by paste", "cancel"]);
    }
}

#[test]
fn what_cannot_be_wished_for_is_refused_before_anything_begins() {
    let long = "x".repeat(101);
    for flags in [
        &["--label", ""][..],
        &["--label", &long],
        &["--label", "two\nlines"],
        &["--priority", "1001"],
        &["--priority", "-1001"],
        &["--priority", "high"],
        &["--paste", "--callback-port", "5"],
        &["--qr", "--json"],
    ] {
        for json in [&[][..], &["--json"]] {
            let daemon = FakeDaemon::start();
            let done = daemon.run(&[&["login", "claude"], flags, json].concat());
            assert_eq!(done.code, 2, "{flags:?}: {}", done.stderr);
            assert!(daemon.calls().is_empty(), "{flags:?}");
            if flags.contains(&"--qr") {
                break;
            }
        }
    }
    let refusal = Status::new(Code::InvalidArgument, "the label is taken for a joke");
    let daemon = FakeDaemon::start().status(Ok(status())).begin_refused(refusal);
    let done = daemon.run(&["login", "claude", "--no-browser", "--label", "x"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
}
