//! Logins on a terminal that end badly: each way has its words, its hint and its exit code, with `--json` and
//! without, and leaves nothing behind.

use http::StatusCode;
use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::{Decision, FakeClaude, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::Value;

use super::{accounts, begin, no_secret_in, on_terminal, pair, visit};

/// What a failure must say, and how the program must end.
struct Expected {
    code: i32,
    word: &'static str,
    says: &'static [&'static str],
}

/// Checks both kinds of output.
fn check(code: Option<i32>, said: &str, flags: &[&str], expected: &Expected) {
    assert_eq!(code, Some(expected.code), "{said}");
    for words in expected.says {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    if flags.contains(&"--json") {
        let events: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let error = events.iter().find(|event| event["event"] == "error").unwrap();
        let told = events.iter().find_map(|event| event.get("error")).unwrap();
        assert_eq!((&error["code"], &told["code"]), (&expected.word.into(), &expected.word.into()));
    } else {
        assert!(said.contains("error: ") && said.contains("try: "), "{said}");
    }
}

/// A login whose browser comes back to a token endpoint that answers with this.
async fn refused_with(script: &Script, expected: &Expected) {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    for flags in [&[][..], &["--json"]] {
        fake.on(TOKEN_PATH).once(script.clone());
        let (terminal, url) = on_terminal(&machine, flags).await;
        assert!(visit(&url).await.contains("Login failed"));
        let left = terminal.left().await;
        check(left.code, &left.screen, flags, expected);
        no_secret_in(&left.screen, &url, &fake, &machine);
    }
    assert!(accounts(&machine).is_empty());
}

#[tokio::test]
async fn a_denial_in_the_browser() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    fake.decide(Decision::Deny);
    let says = &["the login was denied in the browser", "access_denied", "to allow it, begin again"];
    for flags in [&[][..], &["--json"]] {
        let (terminal, url) = on_terminal(&machine, flags).await;
        assert!(visit(&url).await.contains("Login refused"));
        let left = terminal.left().await;
        check(left.code, &left.screen, flags, &Expected { code: 15, word: "authentication_failed", says });
        no_secret_in(&left.screen, &url, &fake, &machine);
    }
    assert!(accounts(&machine).is_empty() && fake.token_calls() == 0);
}

#[tokio::test]
async fn a_wrong_and_a_missing_state_are_told_and_do_not_end_the_login() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    for flags in [&[][..], &["--json"]] {
        let (mut terminal, url) = on_terminal(&machine, flags).await;
        let callback = pair(&url, "redirect_uri");
        for query in ["?code=code-FAKEstolen&state=wrong", "?code=code-FAKEstolen"] {
            assert!(visit(&format!("{callback}{query}")).await.contains("Not this login"));
        }
        terminal.type_line("code-FAKEstolen#wrong");
        terminal.line("its state belongs to another login").await;
        terminal.type_line(&format!("{callback}?code=code-FAKEstolen"));
        terminal.line("it carries no state").await;
        assert!(visit(&url).await.contains("Login complete"));
        let left = terminal.left().await;
        assert_eq!(left.code, Some(0), "{}", left.screen);
        no_secret_in(&left.screen, &url, &fake, &machine);
        assert!(!left.screen.contains("FAKEstolen"), "{}", left.screen);
    }
    assert_eq!(fake.token_calls(), 2, "no stranger's code was sent on");
}

#[tokio::test]
async fn a_code_that_the_provider_refuses() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let says = &["the provider refused the code", "invalid_grant: Invalid authorization code", "good once"];
    for flags in [&[][..], &["--json"]] {
        let (mut terminal, url) = on_terminal(&machine, flags).await;
        terminal.type_line("code-FAKEinvented");
        let left = terminal.left().await;
        check(left.code, &left.screen, flags, &Expected { code: 15, word: "authentication_failed", says });
        no_secret_in(&left.screen, &url, &fake, &machine);
    }
    assert!(accounts(&machine).is_empty());
}

#[tokio::test]
async fn a_code_that_was_made_for_another_login() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let says = &["(PKCE)", "invalid_grant: code_verifier does not match", "use only the newest URL"];
    for flags in [&[][..], &["--json"]] {
        let (other, others_url) = on_terminal(&machine, &[]).await;
        let (mut terminal, url) = on_terminal(&machine, flags).await;
        let back = fake.browse(&others_url, Decision::Allow).unwrap();
        terminal.type_line(&pair(back.as_str(), "code"));
        let left = terminal.left().await;
        check(left.code, &left.screen, flags, &Expected { code: 15, word: "authentication_failed", says });
        no_secret_in(&left.screen, &url, &fake, &machine);
        drop(other);
    }
    assert!(accounts(&machine).is_empty());
}

#[tokio::test]
async fn a_redirect_uri_that_the_provider_refuses() {
    const WORDS: &str = "redirect_uri does not match the authorization request";
    let script = Script::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", WORDS);
    let says = &["the provider refused the redirect URI", WORDS, "--paste"];
    refused_with(&script, &Expected { code: 15, word: "authentication_failed", says }).await;
}

#[tokio::test]
async fn any_other_refusal_of_the_provider() {
    let script = Script::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "Unknown client");
    let says = &["the provider refused the login", "invalid_client: Unknown client", "print-config"];
    refused_with(&script, &Expected { code: 15, word: "authentication_failed", says }).await;
}

#[tokio::test]
async fn an_answer_of_the_provider_that_cannot_be_read() {
    let script =
        Script::body(StatusCode::OK, "application/json", "{\"access_token\": \"sk-ant-oat01-FAKEcut");
    let says = &["cannot complete the login", "cannot be read", "token_url"];
    refused_with(&script, &Expected { code: 15, word: "authentication_failed", says }).await;
}

/// A failure after which the same code may still be good: a program and a pipe are told and the login ends;
/// a person may try again, and then it succeeds.
async fn passing_trouble(script: &Script, says: &'static [&'static str]) {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let expected = Expected { code: 1, word: "failed", says };

    fake.on(TOKEN_PATH).once(script.clone());
    let (terminal, url) = on_terminal(&machine, &["--json"]).await;
    assert!(visit(&url).await.contains("Login failed"));
    let left = terminal.left().await;
    check(left.code, &left.screen, &["--json"], &expected);
    no_secret_in(&left.screen, &url, &fake, &machine);

    fake.on(TOKEN_PATH).once(script.clone());
    let (live, url) = begin(&machine, &[]).await;
    assert!(visit(&url).await.contains("Login failed"));
    let done = live.finish().await;
    check(done.code, &done.stderr, &[], &expected);
    no_secret_in(&done.stderr, &url, &fake, &machine);
    assert!(accounts(&machine).is_empty());

    fake.on(TOKEN_PATH).once(script.clone());
    let (mut terminal, url) = on_terminal(&machine, &[]).await;
    assert!(visit(&url).await.contains("Login failed"));
    terminal.line("Press Enter to try again").await;
    terminal.type_line("");
    let left = terminal.left().await;
    check(left.code, &left.screen, &[], &Expected { code: 0, ..expected });
    assert!(left.screen.ends_with("Claude authentication successful!\n"), "{}", left.screen);
    no_secret_in(&left.screen, &url, &fake, &machine);
    assert_eq!(accounts(&machine).len(), 1);
}

#[tokio::test]
async fn a_provider_in_trouble() {
    passing_trouble(&Script::html_502(), &["cannot complete the login", "502", "in a moment"]).await;
}

#[tokio::test]
async fn a_provider_that_limits_logins_says_for_how_long() {
    let says = &["the provider limits logins right now (429)", "it may be asked again in", "wait until then"];
    passing_trouble(&Script::rate_limited(90), says).await;
}

#[tokio::test]
async fn a_provider_that_breaks_the_connection() {
    let says = &["cannot complete the login", "the provider cannot be reached", "is online"];
    passing_trouble(&Script::reset(), says).await;
}

#[tokio::test]
async fn a_provider_that_is_not_there() {
    let fake = FakeClaude::start().await;
    // A port of the system's own, on which nothing is to be expected.
    let nowhere = format!("http://127.0.0.1:1{TOKEN_PATH}");
    let machine = Machine::new(&fake).with("PROXYD_CLAUDE__OAUTH__TOKEN_URL", nowhere);
    let _daemon = machine.start().await;
    let (terminal, url) = on_terminal(&machine, &["--json"]).await;
    assert!(visit(&url).await.contains("Login failed"));
    let left = terminal.left().await;
    let says = &["the provider cannot be reached", "refused"];
    check(left.code, &left.screen, &["--json"], &Expected { code: 1, word: "failed", says });
}

#[tokio::test]
async fn a_login_that_nobody_completes() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let mut daemon = machine.start().await;
    let says = &["nobody completed the login within 1s", "--paste if the browser cannot come back here"];
    for flags in [&["--timeout", "1s"][..], &["--timeout", "1s", "--json"]] {
        let (terminal, _) = on_terminal(&machine, flags).await;
        let left = terminal.left().await;
        check(left.code, &left.screen, flags, &Expected { code: 14, word: "timed_out", says });
    }
    daemon.log_line("login cancelled").await;
    assert_eq!(fake.token_calls(), 0);
}

#[tokio::test]
async fn control_c_ends_the_program_and_the_login_in_the_daemon() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    for flags in [&[][..], &["--json"]] {
        let (mut terminal, url) = on_terminal(&machine, flags).await;
        terminal.press_ctrl_c();
        let left = terminal.left().await;
        let says = &["interrupted; the login is cancelled"];
        check(left.code, &left.screen, flags, &Expected { code: 130, word: "interrupted", says });
        no_secret_in(&left.screen, &url, &fake, &machine);
    }
    within("both logins are ended", async {
        while daemon.log().matches("login cancelled").count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
