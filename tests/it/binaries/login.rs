//! `proxyctl login claude` from the first line to the last, with the real daemon and a browser that follows
//! redirects.

mod failures;
mod places;
mod ports;
mod saving;
mod ways;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use proxy_tests::binaries::{Live, Machine, browser, programs};
use proxy_tests::fake_claude::{Decision, FakeClaude, Script, TOKEN_PATH};
use proxy_tests::terminal::Terminal;
use proxy_tests::wait::within;
use serde_json::Value;
use url::Url;

async fn begin(machine: &Machine, args: &[&str]) -> (Live, String) {
    let mut command = machine.command(&programs().proxyctl);
    command.args(["login", "claude", "--no-browser"]).args(args).stdin(Stdio::piped());
    let mut live = Live::start(command);
    let url = live.stdout_line("http").await;
    (live, url)
}

/// A login on a terminal, whose URL is on the screen.
async fn on_terminal(machine: &Machine, flags: &[&str]) -> (Terminal, String) {
    let args = [&["login", "claude", "--no-browser"], flags].concat();
    let mut terminal = Terminal::proxyctl(machine, &args);
    let line = terminal.line("/oauth/authorize?").await;
    let url = if flags.contains(&"--json") {
        let event: Value = serde_json::from_str(&line).unwrap();
        event["url"].as_str().unwrap().to_owned()
    } else {
        line
    };
    (terminal, url)
}

/// Opens the URL as a person's browser would and follows it to the last page.
async fn visit(url: &str) -> String {
    let page = within("the last page", browser().get(url).send()).await.unwrap();
    within("its text", page.text()).await.unwrap()
}

/// Looks for everything secret that went over the wire or is on disk. The state may be seen within the URL.
fn no_secret_in(text: &str, url: &str, fake: &FakeClaude, machine: &Machine) {
    let shown = text.replace(url, "");
    let mut secrets = vec![pair(url, "state")];
    for request in fake.requests_to(TOKEN_PATH) {
        let body = request.json();
        let fields = ["code", "code_verifier", "state"];
        secrets.extend(fields.iter().filter_map(|field| body[field].as_str().map(str::to_owned)));
    }
    for name in accounts(machine) {
        let document = machine.read(&name);
        let fields = ["access_token", "refresh_token"];
        secrets.extend(fields.iter().filter_map(|field| document[field].as_str().map(str::to_owned)));
    }
    for secret in secrets {
        assert!(secret.len() > 10 && !shown.contains(&secret), "{secret} is in:\n{shown}");
    }
}

fn pair(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

fn accounts(machine: &Machine) -> Vec<String> {
    machine.files().into_iter().filter(|name| name != ".lock").collect()
}

#[tokio::test]
async fn a_login_by_the_browser_prints_what_the_issue_says_and_serves() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (live, url) = begin(&machine, &["--callback-port", &port.to_string()]).await;
    assert_eq!(pair(&url, "redirect_uri"), format!("http://localhost:{port}/callback"));
    let page = within("the last page", browser().get(&url).send()).await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().port()), (200, Some(port)));
    let done = live.finish().await;
    let names = accounts(&machine);
    let path = machine.auth_dir().canonicalize().unwrap().join(&names[0]);
    assert_eq!((done.code, names.len()), (Some(0), 1), "{}", done.stderr);
    assert_eq!(
        done.stdout,
        format!(
            "Please visit this URL to authenticate:\n{url}\nAuthentication saved to {}\nClaude authentication successful!\n",
            path.display()
        )
    );
    assert!(done.stderr.contains("not made or endorsed by Anthropic"), "{}", done.stderr);
    let stamp = names[0].strip_prefix("claude-").and_then(|rest| rest.strip_suffix(".json")).unwrap();
    assert!(stamp.split_once('-').is_some_and(|(id, time)| id.len() == 12 && time.len() == 16), "{stamp}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&path), mode(&machine.auth_dir())), (0o600, 0o700));
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_pasted_code_code_with_state_or_address_completes_the_login() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    for form in 0..3 {
        let (mut live, url) = begin(&machine, &[]).await;
        let back = fake.browse(&url, Decision::Allow).unwrap().to_string();
        let (code, state) = (pair(&back, "code"), pair(&back, "state"));
        live.type_line("not#thisone").await;
        live.stderr_line("That paste cannot be used").await;
        live.type_line(&[code.clone(), format!("{code}#{state}"), back][form]).await;
        let done = live.finish().await;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stdout.ends_with("Claude authentication successful!\n"));
        for secret in [&code, &state] {
            assert!(!done.stderr.contains(secret) && !done.stdout.replace(&url, "").contains(secret));
        }
        assert_eq!(accounts(&machine).len(), 1, "the same identity is replaced");
    }
}

#[tokio::test]
async fn a_login_in_json_is_one_event_a_line() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let (live, first) = begin(&machine, &["--json"]).await;
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["event"], &first["schema_version"]), (&"url".into(), &1.into()));
    within("the last page", browser().get(first["url"].as_str().unwrap()).send()).await.unwrap();
    let done = live.finish().await;
    let last: Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((done.code, done.stdout.lines().count()), (Some(0), 3));
    let waiting: Value = serde_json::from_str(done.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&waiting["event"], &waiting["paste"]), (&"waiting".into(), &true.into()));
    assert_eq!((&last["event"], &last["account"]["email"]), (&"done".into(), &"person@example.com".into()));
}

#[tokio::test]
async fn a_login_that_is_denied_refused_or_out_of_time_saves_nothing() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;

    fake.decide(Decision::Deny);
    let (live, url) = begin(&machine, &[]).await;
    within("the last page", browser().get(&url).send()).await.unwrap();
    let done = live.finish().await;
    assert_eq!(done.code, Some(15));
    assert!(done.stderr.contains("access_denied"), "{}", done.stderr);

    let (mut live, _) = begin(&machine, &[]).await;
    live.type_line("code-FAKEinvented").await;
    let done = live.finish().await;
    assert_eq!(done.code, Some(15));
    assert!(done.stderr.contains("Invalid authorization code"), "{}", done.stderr);

    let (live, _) = begin(&machine, &["--timeout", "1s"]).await;
    assert_eq!(live.finish().await.code, Some(14));

    fake.decide(Decision::Allow);
    fake.on(TOKEN_PATH).once(Script::html_502());
    let (live, url) = begin(&machine, &[]).await;
    within("the last page", browser().get(&url).send()).await.unwrap();
    let done = live.finish().await;
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("502"), "{}", done.stderr);
    assert_eq!(accounts(&machine), Vec::<String>::new());
}

#[tokio::test]
async fn a_stranger_at_the_callback_does_not_end_the_login() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let (live, url) = begin(&machine, &[]).await;
    let callback = pair(&url, "redirect_uri");
    for query in
        ["", "?code=code-FAKEstolen&state=wrong", "?error=access_denied&state=wrong", "?code=code-FAKEstolen"]
    {
        let answer = within("an answer", browser().get(format!("{callback}{query}")).send()).await.unwrap();
        assert!(answer.status().is_client_error(), "{query}: {}", answer.status());
    }
    assert_eq!(fake.token_calls(), 0);
    within("the last page", browser().get(&url).send()).await.unwrap();
    assert_eq!(live.finish().await.code, Some(0));
}
