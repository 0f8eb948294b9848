//! No storm: whatever the issuer says of a token's life, and whatever becomes of the token, an account is refreshed at
//! most once a minute, and only so many accounts are at a time.

use futures_util::future::join_all;
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};

const FILE: &str = "claude-a.json";

/// An account whose token has ended, and what the issuer answers.
async fn start(answer: Script) -> (ManualClock, FakeClaude, TestDaemon) {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    fake.on(TOKEN_PATH).always(answer);
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, FILE, &expired(&issued))).await;
    (clock, fake, daemon)
}

fn living(expires_in: &Value) -> Script {
    Script::real().patch(json!({"expires_in": expires_in}))
}

#[tokio::test]
async fn no_lifetime_makes_a_storm() {
    let lifetimes = [json!(0), json!(-5), json!(1), json!("0"), json!(1e300), json!("soon"), Value::Null];
    for expires_in in lifetimes {
        let (clock, fake, daemon) = start(living(&expires_in)).await;
        // Three minutes, two seconds a step.
        for _ in 0..90 {
            daemon.refresher().wake();
            assert_eq!(daemon.ask("hello").await.status(), 200, "{expires_in}");
            clock.advance(SignedDuration::from_secs(2));
        }
        let calls = fake.token_calls();
        assert!((1..=4).contains(&calls), "{expires_in}: {calls} calls in three minutes");
    }
}

#[tokio::test]
async fn a_life_of_no_time_is_taken_for_a_minute_and_goes_on() {
    let (clock, fake, daemon) = start(living(&json!(0))).await;
    for calls in 1..=4 {
        fake.wait_for("the token is refreshed", |fake| fake.token_calls() == calls).await;
        daemon.wait_for("it landed", |list| list.accounts[0].last_error.is_empty()).await;
        clock.advance(SignedDuration::from_secs(60));
        daemon.refresher().wake();
    }
}

#[tokio::test]
async fn tokens_that_are_refused_as_soon_as_they_come_make_no_storm() {
    let (clock, fake, daemon) = start(Script::real()).await;
    for _ in 0..30 {
        // The first minute's token serves once, so that it is not the daemon's doubt of new tokens that is seen here.
        let _whatever = daemon.ask("hello").await;
        fake.expire_access_tokens();
        let _whatever = daemon.ask("hello").await;
        clock.advance(SignedDuration::from_secs(6));
    }
    let calls = fake.token_calls();
    assert!((2..=4).contains(&calls), "{calls} calls in three minutes");
}

#[tokio::test]
async fn an_issuer_in_trouble_is_asked_once_a_minute_at_most() {
    let (clock, fake, daemon) = start(Script::html_502()).await;
    for _ in 0..90 {
        daemon.refresher().wake();
        let _whatever = daemon.ask("hello").await;
        clock.advance(SignedDuration::from_secs(2));
    }
    let calls = fake.token_calls();
    assert!((2..=4).contains(&calls), "{calls} calls in three minutes");
}

#[tokio::test]
async fn a_person_who_asks_twice_is_told_why_the_second_time() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, FILE, &issued.auth_file())).await;
    daemon.refresh("person@example.com").await.unwrap();
    let too_soon = daemon.refresh("person@example.com").await.unwrap_err();
    assert!(too_soon.message().contains("less than a minute ago"), "{}", too_soon.message());
    assert!(too_soon.message().contains("2026-06-01T12:01:00Z"), "{}", too_soon.message());
    clock.advance(SignedDuration::from_mins(1));
    daemon.refresh("person@example.com").await.unwrap();
    assert_eq!(fake.token_calls(), 2);
}

#[tokio::test]
async fn of_ten_accounts_that_end_at_once_eight_are_refreshed_at_a_time_and_all_serve() {
    let fake = FakeClaude::start().await;
    let issued: Vec<_> = (0..10)
        .map(|n| fake.issue_account_in(&format!("person{n}@example.com"), &format!("Org {n}")))
        .collect();
    let gate = Gate::new();
    fake.on(TOKEN_PATH).times(10, &Script::real().hold_answer(&gate));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        for (n, issued) in issued.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), &expired(issued));
        }
    })
    .await;
    within("eight calls are on their way", gate.reached_by(8)).await;
    for _ in 0..20 {
        assert_eq!(daemon.list().await.accounts.len(), 10);
        assert_eq!(fake.token_calls(), 8);
    }
    gate.open();
    let answers = join_all((0..20).map(|_| async { daemon.ask("hello").await.status().as_u16() })).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    for (n, issued) in issued.iter().enumerate() {
        daemon.wait_until_saved(&fake, issued, &format!("claude-{n}.json"), 1).await;
    }
    assert_eq!(fake.token_calls(), 10);
}
