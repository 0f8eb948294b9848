//! `proxyctl login claude` that ends well: by callback, by paste, with a browser and without.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use proxy_proto::v1::{Account, AccountSettings, CompleteLoginResponse, ModelAlias};
use tokio::sync::Semaphore;

use super::daemon::{ACCOUNT_JSON, CODE, FakeDaemon, Reply, STATE, account, completed, saved};
use super::process::{Live, wait_until};
use super::web;

const SUCCESS: &str =
    "Authentication saved to /auth/claude-ada@example.com-1.json\nClaude authentication successful!\n";

/// A login without a browser, whose URL was printed: the program and its callback port.
fn begin(daemon: &FakeDaemon, flags: &[&str]) -> (Live, u16) {
    let mut command = daemon.command(&["login", "claude", "--no-browser"]);
    command.args(flags).stdin(Stdio::piped());
    let mut live = Live::start(command);
    let port = web::port_of(&live.wait_for_stdout("https://"));
    (live, port)
}

#[test]
fn the_callback_completes_the_login_and_the_page_says_so() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let (live, port) = begin(&daemon, &[]);
    let page = web::get(port, &web::callback());
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Login complete"), "{}", page.body);
    assert!(page.head.contains("content-security-policy: default-src 'none'; style-src 'unsafe-inline'"));
    for unseen in [CODE, STATE, "ada", "<script", "http"] {
        assert!(!page.body.contains(unseen), "{unseen} in {}", page.body);
    }
    let done = live.finish();
    let url =
        format!("https://issuer.example/authorize?code=true&code_challenge=FAKE&state={STATE}&port={port}");
    assert_eq!(done.stdout, format!("Please visit this URL to authenticate:\n{url}\n{SUCCESS}"));
    // What else is said depends on where the test runs, as in a container.
    assert!(done.code == 0 && done.stderr.starts_with("The provider's terms apply.\n"), "{}", done.stderr);
    assert_eq!(daemon.calls(), ["status", "begin claude", "complete"]);
}

#[test]
fn the_page_waits_for_the_daemons_verdict() {
    let gate = Arc::new(Semaphore::new(0));
    let daemon = FakeDaemon::start().login().complete(Reply::Held(Ok(saved()), Arc::clone(&gate)));
    let (mut live, port) = begin(&daemon, &[]);
    let browser =
        web::open(port, &format!("GET {} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", web::callback()));
    daemon.wait_for_call("complete");
    browser.set_nonblocking(true).unwrap();
    assert!(browser.peek(&mut [0]).is_err(), "an answer came before the verdict");
    browser.set_nonblocking(false).unwrap();
    assert!(live.is_running());
    gate.add_permits(1);
    assert_eq!(web::read(browser).status, 200);
    assert_eq!(live.finish().code, 0);
}

#[test]
fn strangers_are_turned_away_and_the_login_goes_on() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let (mut live, port) = begin(&daemon, &[]);
    let host = format!("Host: localhost:{port}\r\n");
    let good = web::callback();
    let long = "x".repeat(40_000);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET /favicon.ico HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("POST {good} HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"), 405),
        (format!("GET /callback HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /callback?code={CODE} HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /callback?code={CODE}&state=other HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /callback?error=access_denied&state=other HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET {good} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"), 403),
        (format!("GET {good} HTTP/1.1\r\n\r\n"), 403),
        (format!("GET {good} HTTP/1.1\r\n{host}{host}\r\n"), 403),
        (format!("GET {good} HTTP/1.1\r\n{host}Origin: https://evil.example\r\n\r\n"), 403),
        (format!("GET /callback?code={long} HTTP/1.1\r\n{host}\r\n"), 431),
        (format!("GET {good} HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(200)), 431),
        ("nonsense\r\n\r\n".to_owned(), 400),
    ] {
        let answer = web::send(port, &request);
        assert_eq!(answer.status, status, "{}", request.get(..80).unwrap_or(&request));
        assert!(!answer.body.contains(CODE) && !answer.body.contains("evil"), "{}", answer.body);
    }
    let silent: Vec<_> = (0..20).map(|_| web::open(port, "")).collect();
    assert!(live.is_running());
    assert_eq!(web::get(port, &good).status, 200);
    drop(silent);
    let done = live.finish();
    assert_eq!(done.code, 0);
    assert_eq!(daemon.calls(), ["status", "begin claude", "complete"]);
}

#[test]
fn each_form_of_a_paste_completes_the_login() {
    for paste in [
        CODE.to_owned(),
        format!("{CODE}#{STATE}"),
        format!("http://localhost:9/callback?code={CODE}&state={STATE}"),
        format!("  https://issuer.example/code?state={STATE}&code={CODE}  "),
    ] {
        let daemon = FakeDaemon::start().login().complete(completed());
        let (mut live, _) = begin(&daemon, &[]);
        live.type_line(&paste);
        live.wait_for_stdout("Claude authentication successful!");
        assert_eq!(live.finish().code, 0);
        assert_eq!(daemon.calls(), ["status", "begin claude", "complete"]);
    }
}

#[test]
fn a_bad_paste_is_told_and_may_be_tried_again() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let (mut live, _) = begin(&daemon, &[]);
    for (paste, why) in [
        (format!("{CODE}#other"), "its state belongs to another login"),
        (format!("http://localhost:9/callback?code={CODE}"), "it carries no state"),
        ("some words".to_owned(), "neither a code, nor code#state"),
        ("x".repeat(20_000), "neither a code, nor code#state"),
        (
            format!("https://issuer.example/authorize?code_challenge=FAKE&state={STATE}"),
            "the address to visit",
        ),
    ] {
        live.type_line("");
        live.type_line(&paste);
        live.wait_for_stderr(why);
    }
    live.type_line(CODE);
    live.wait_for_stdout("Claude authentication successful!");
    assert_eq!(live.finish().code, 0);
}

#[test]
fn a_pipe_that_ends_leaves_the_callback() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let (mut live, port) = begin(&daemon, &[]);
    live.type_line("some words");
    live.close_stdin();
    live.wait_for_stderr("That paste cannot be used");
    assert_eq!(web::get(port, &web::callback()).status, 200);
    assert_eq!(live.finish().code, 0);
}

/// Puts a browser into the daemon's directory, where the program finds it by name.
fn install_browser(daemon: &FakeDaemon, name: &str) -> PathBuf {
    let browser = daemon.directory().join(name);
    std::os::unix::fs::symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser.sh"), &browser)
        .unwrap();
    browser
}

#[test]
fn a_browser_is_opened_and_the_url_is_talk() {
    for by_name in [true, false] {
        let daemon = FakeDaemon::start().login().complete(completed());
        let opened = daemon.directory().join("opened");
        let mut command = daemon.command(&["login", "claude"]);
        if by_name {
            command.env("BROWSER", install_browser(&daemon, "browser"));
        } else {
            install_browser(&daemon, "x-www-browser");
            command.env("DISPLAY", ":0");
        }
        let mut live = Live::start(command);
        wait_until("the browser was opened", || opened.exists());
        let url = std::fs::read_to_string(&opened).unwrap();
        assert_eq!(live.wait_for_stderr("https://"), url);
        assert_eq!(web::get(web::port_of(&url), &web::callback()).status, 200);
        let done = live.finish();
        assert_eq!((done.code, done.stdout.as_str()), (0, SUCCESS));
        assert!(done.stderr.contains(url.trim()) && !done.stderr.contains("noise"), "{}", done.stderr);
    }
}

#[test]
fn where_no_browser_can_show_anything_the_url_is_printed() {
    for (display, installed) in [(":0", false), ("", true)] {
        let daemon = FakeDaemon::start().login().complete(completed());
        if installed {
            install_browser(&daemon, "x-www-browser");
        }
        let mut command = daemon.command(&["login", "claude"]);
        command.env("DISPLAY", display);
        let mut live = Live::start(command);
        live.wait_for_stdout("Please visit this URL to authenticate:");
        let port = web::port_of(&live.wait_for_stdout("https://"));
        assert_eq!(web::get(port, &web::callback()).status, 200);
        assert_eq!(live.finish().code, 0);
        assert!(!daemon.directory().join("opened").exists());
    }
}

#[test]
fn a_default_port_in_use_gives_way_and_the_redirect_follows() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    let daemon = FakeDaemon::start().login_on(taken).complete(completed());
    let (live, port) = begin(&daemon, &[]);
    assert_ne!(port, taken);
    assert_eq!(web::get(port, &web::callback()).status, 200);
    assert_eq!(live.finish().code, 0);
}

#[test]
fn the_port_asked_for_is_the_port_of_the_redirect() {
    // A port that was free a moment ago; another test may take it in between, and then the next one is tried.
    let daemon = (0..10)
        .find_map(|_| {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let daemon = FakeDaemon::start().login().complete(completed());
            let mut command = daemon.command(&["login", "claude", "--no-browser", "--json"]);
            command.args(["--callback-port", &free.to_string()]).stdin(Stdio::piped());
            let mut live = Live::start(command);
            let first = live.wait_for_stdout("event");
            if first.contains("callback_port_in_use") {
                assert_eq!(live.finish().code, 13);
                return None;
            }
            assert!(
                first.contains(&format!("\"redirect_uri\":\"http://localhost:{free}/callback\"")),
                "{first}"
            );
            assert_eq!(web::get(free, &web::callback()).status, 200);
            assert_eq!(live.finish().code, 0);
            Some(daemon)
        })
        .unwrap();
    assert_eq!(daemon.calls(), ["status", "begin claude", "complete"]);
}

#[test]
fn a_login_is_a_line_of_json_an_event() {
    let replaced = CompleteLoginResponse { replaced: true, ..saved() };
    let daemon = FakeDaemon::start().login().complete(Reply::Now(Ok(replaced)));
    let (mut live, port) = begin(&daemon, &["--json"]);
    live.type_line("some words");
    let refused = live.wait_for_stdout("paste_refused");
    assert_eq!(
        refused,
        concat!(
            r#"{"schema_version":1,"event":"paste_refused","message":"That paste cannot be used: "#,
            r#"that is neither a code, nor code#state, nor the address of the last page."}"#,
            "\n"
        )
    );
    live.type_line(&format!("{CODE}#{STATE}"));
    let done = live.finish();
    let lines: Vec<&str> = done.stdout.lines().collect();
    let url: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((url["schema_version"].as_u64(), url["event"].as_str()), (Some(1), Some("url")));
    assert_eq!(url["redirect_uri"], format!("http://localhost:{port}/callback"));
    assert!(url["url"].as_str().unwrap().starts_with("https://issuer.example/authorize?"));
    assert!(url["expires_at"].as_str().unwrap().ends_with('Z'), "{url}");
    let last = format!(
        r#"{{"schema_version":1,"event":"done","path":"/auth/claude-ada@example.com-1.json","account":{ACCOUNT_JSON},"replaced":true,"kept":[]}}"#
    );
    let waiting: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(
        (&waiting["event"], &waiting["callback"], &waiting["paste"]),
        (&"waiting".into(), &port.into(), &true.into())
    );
    assert!(waiting["until"].as_str().unwrap().ends_with('Z'), "{waiting}");
    assert_eq!((lines.len(), lines[3]), (4, last.as_str()));
    assert_eq!((done.code, done.stderr.as_str()), (0, "The provider's terms apply.\n"));
}

#[test]
fn a_login_that_replaces_an_account_says_so() {
    let replaced = CompleteLoginResponse { replaced: true, ..saved() };
    let daemon = FakeDaemon::start().login().complete(Reply::Now(Ok(replaced)));
    let (live, port) = begin(&daemon, &[]);
    web::get(port, &web::callback());
    let done = live.finish();
    assert!(
        done.stderr.ends_with("This replaces the earlier login of ada@example.com.\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn what_a_person_had_set_is_named_as_kept_and_what_is_given_now_is_not() {
    let settings = AccountSettings {
        priority: 5,
        weight: 2,
        reserve_percent: 20,
        note: "mine".to_owned(),
        model_aliases: vec![ModelAlias::default()],
        ..AccountSettings::default()
    };
    let account = Account { label: "work".to_owned(), settings: Some(settings), ..account() };
    let replaced = CompleteLoginResponse { replaced: true, account: Some(account), ..saved() };
    for (flags, kept, call) in [
        (&[][..], "label, priority, weight, reserve, model aliases and note", "begin claude"),
        (
            &["--label", " work ", "--priority=-5"],
            "weight, reserve, model aliases and note",
            "begin claude label work priority -5",
        ),
    ] {
        let daemon = FakeDaemon::start().login().complete(Reply::Now(Ok(replaced.clone())));
        let (live, port) = begin(&daemon, flags);
        web::get(port, &web::callback());
        let done = live.finish();
        let words = format!("This replaces the earlier login of work and keeps its {kept}.\n");
        assert!(done.stderr.ends_with(&words), "{}", done.stderr);
        assert_eq!(daemon.calls()[1], call);
    }
    let daemon = FakeDaemon::start().login().complete(Reply::Now(Ok(replaced)));
    let (live, port) = begin(&daemon, &["--json", "--label", "work"]);
    web::get(port, &web::callback());
    let done = live.finish();
    let last: serde_json::Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        last["kept"],
        serde_json::json!(["priority", "weight", "reserve_percent", "model_aliases", "note"])
    );
}

#[test]
fn with_paste_no_port_is_bound_and_the_pasted_answer_completes_the_login() {
    let daemon = FakeDaemon::start().begin_only().complete(completed());
    let mut command = daemon.command(&["login", "claude", "--paste", "--json"]);
    command.stdin(Stdio::piped());
    let mut live = Live::start(command);
    let first: serde_json::Value = serde_json::from_str(&live.wait_for_stdout("\"url\"")).unwrap();
    assert_eq!(first["redirect_uri"], "https://issuer.example/code");
    let waiting: serde_json::Value = serde_json::from_str(&live.wait_for_stdout("waiting")).unwrap();
    assert_eq!((&waiting["callback"], &waiting["paste"]), (&serde_json::Value::Null, &true.into()));
    live.type_line(&format!("{CODE}#{STATE}"));
    assert_eq!(live.finish().code, 0);
    assert_eq!(daemon.calls(), ["begin claude by paste", "complete"]);
}

#[test]
fn a_browser_that_comes_by_ipv6_is_served_as_well() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return; // No IPv6 here, and so no browser that uses it.
    }
    let daemon = FakeDaemon::start().login().complete(completed());
    let (live, port) = begin(&daemon, &[]);
    let page = web::get_v6(port, &web::callback());
    assert_eq!(page.status, 200);
    assert_eq!(live.finish().code, 0);
}

#[test]
fn in_wsl_windows_opens_the_url_even_where_no_browser_is_found() {
    let daemon = FakeDaemon::start().login().complete(completed());
    let opened = daemon.directory().join("opened");
    install_browser(&daemon, "rundll32.exe");
    let mut command = daemon.command(&["login", "claude"]);
    command.env("WSL_DISTRO_NAME", "Debian");
    let mut live = Live::start(command);
    live.wait_for_stderr("Your browser has been opened.");
    let url = live.wait_for_stderr("https://");
    wait_until("Windows was asked", || opened.exists());
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), url);
    assert_eq!(web::get(web::port_of(&url), &web::callback()).status, 200);
    assert_eq!(live.finish().code, 0);
}
