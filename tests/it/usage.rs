//! The plan's usage: asked when somebody looks, seldom, and not where it is refused.

use http::StatusCode;
use proxy_proto::v1::{Account, GetAccountRequest};
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, key_file, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::json;

const USAGE: &str = "/api/oauth/usage";

fn noon() -> ManualClock {
    ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap())
}

async fn show(daemon: &TestDaemon, fresh: bool) -> Account {
    let account = daemon.only_account().await.id;
    let request = GetAccountRequest { account, fresh };
    let shown = within("an answer", daemon.accounts_client().await.get_account(request)).await;
    shown.unwrap().into_inner().account.unwrap()
}

async fn start(fake: &FakeClaude, clock: &ManualClock) -> TestDaemon {
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    TestDaemon::with(fake, setup, |dir| put(dir, "claude-a.json", &issued.auth_file())).await
}

#[tokio::test]
async fn the_windows_are_shown_and_asked_again_after_five_minutes() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock).await;
    let usage = show(&daemon, false).await.usage.unwrap();
    let windows: Vec<_> = usage.windows.iter().map(|w| (w.name.as_str(), w.used_percent)).collect();
    let expected =
        [("five_hour", 6.0), ("seven_day", 35.0), ("seven_day_opus", 0.0), ("seven_day_sonnet", 12.0)];
    assert_eq!((windows.as_slice(), usage.refusal.as_str()), (expected.as_slice(), ""));
    assert!(usage.windows.iter().all(|window| window.resets_at.is_some()));
    clock.advance(SignedDuration::from_secs(299));
    assert_eq!(show(&daemon, false).await.usage.unwrap(), usage);
    assert_eq!(fake.count(USAGE), 1);
    clock.advance(SignedDuration::from_secs(2));
    assert_ne!(show(&daemon, false).await.usage.unwrap().asked_at, usage.asked_at);
    assert_eq!(fake.count(USAGE), 2);
    let request = fake.requests_to(USAGE).remove(0);
    assert_eq!(request.header("anthropic-beta"), Some("oauth-2025-04-20"));
}

#[tokio::test]
async fn a_person_may_ask_for_it_fresh() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock).await;
    show(&daemon, true).await;
    show(&daemon, true).await;
    assert_eq!(fake.count(USAGE), 1, "a moment ago is fresh");
    clock.advance(SignedDuration::from_secs(6));
    show(&daemon, true).await;
    assert_eq!(fake.count(USAGE), 2);
}

#[tokio::test]
async fn looks_at_once_share_one_ask() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock).await;
    let gate = Gate::new();
    fake.on(USAGE).once(Script::real().hold(&gate));
    let (one, two, ()) = tokio::join!(show(&daemon, false), show(&daemon, true), async {
        gate.reached_by(1).await;
        gate.open();
    });
    assert!(one.usage.is_some() && two.usage.is_some());
    assert_eq!(fake.count(USAGE), 1);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_left_alone_until_a_person_asks() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock).await;
    let refusal = Script::api_error(StatusCode::FORBIDDEN, "permission_error", "scope");
    fake.on(USAGE).once(refusal);
    let usage = show(&daemon, false).await.usage.unwrap();
    assert!(usage.windows.is_empty() && usage.refusal.contains("403"), "{usage:?}");
    clock.advance(SignedDuration::from_hours(5));
    assert!(show(&daemon, false).await.usage.unwrap().refusal.contains("403"));
    assert_eq!(fake.count(USAGE), 1);
    assert_eq!(show(&daemon, true).await.usage.unwrap().windows.len(), 4);
}

#[tokio::test]
async fn trouble_at_the_provider_keeps_what_was_known_and_waits_as_long_as_it_said() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock).await;
    let known = show(&daemon, false).await.usage;
    fake.on(USAGE).once(Script::rate_limited(3600));
    clock.advance(SignedDuration::from_mins(6));
    assert_eq!(show(&daemon, false).await.usage, known);
    clock.advance(SignedDuration::from_mins(50));
    assert_eq!(show(&daemon, false).await.usage, known);
    assert_eq!(fake.count(USAGE), 2);
    clock.advance(SignedDuration::from_mins(11));
    assert_ne!(show(&daemon, false).await.usage, known);
}

#[tokio::test]
async fn it_is_asked_with_a_token_that_serves() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &expired(&issued))).await;
    assert_eq!(show(&daemon, false).await.usage.unwrap().windows.len(), 4);
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn nothing_is_asked_for_keys_and_disabled_accounts() {
    let fake = FakeClaude::start().await;
    let key = key_file(&fake.add_api_key());
    let mut disabled = fake.issue_account("person@example.com").auth_file();
    disabled["disabled"] = json!(true);
    for document in [key, disabled] {
        let daemon =
            TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &document)).await;
        assert_eq!(show(&daemon, true).await.usage, None);
    }
    assert_eq!(fake.count(USAGE), 0);
}
