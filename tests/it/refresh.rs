//! Tokens stay fresh: before a request, without any request, and with one token call however many ask.

use std::sync::Arc;

use futures_util::future::join_all;
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Issued, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};

const FILE: &str = "claude-a.json";

/// Noon of a day of the test's own.
fn noon() -> ManualClock {
    ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap())
}

async fn with_clock(
    fake: &FakeClaude,
    clock: &ManualClock,
    prepare: impl FnOnce(&std::path::Path),
) -> TestDaemon {
    TestDaemon::with(fake, Setup { clock: clock.clock(), ..Setup::default() }, prepare).await
}

/// The access tokens that requests for messages carried, in order.
fn bearers(fake: &FakeClaude) -> Vec<String> {
    let requests = fake.requests_to("/v1/messages");
    let bearer = |header: &str| header.strip_prefix("Bearer ").unwrap().to_owned();
    requests.iter().map(|request| bearer(request.header("authorization").unwrap())).collect()
}

#[tokio::test]
async fn fifty_requests_on_an_expired_token_make_one_token_call() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold(&gate));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, FILE, &expired(&issued))).await;
    let asking = join_all((0..50).map(|_| async { daemon.ask("hello").await.status().as_u16() }));
    let (statuses, ()) = tokio::join!(asking, async {
        within("the refresh starts", gate.reached_by(1)).await;
        gate.open();
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn an_expired_token_is_refreshed_before_it_is_used() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, FILE, &expired(&issued))).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let bearers = bearers(&fake);
    assert_eq!(bearers.len(), 1);
    assert_ne!(bearers[0], issued.access_token);
    assert_eq!(daemon.read(FILE)["access_token"], json!(bearers[0]));
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_token_is_on_disk_before_a_request_carries_it() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let daemon = with_clock(&fake, &clock, |dir| put(dir, FILE, &issued.auth_file())).await;
    for round in 1..=5 {
        clock.advance(SignedDuration::from_mins(1));
        let gate = Gate::new();
        fake.on("/v1/messages").once(Script::real());
        fake.on("/v1/messages").once(Script::real().hold(&gate));
        fake.expire_access_tokens();
        let (answer, ()) = tokio::join!(daemon.ask("hello"), async {
            within("the request with the new token arrives", gate.reached_by(1)).await;
            assert!(daemon.holds_newest(&fake, &issued, FILE), "round {round}");
            assert_eq!(daemon.read(FILE)["access_token"], json!(bearers(&fake).last()));
            gate.open();
        });
        assert_eq!(answer.status(), 200);
        assert_eq!(fake.rotations(issued.account), round);
    }
}

#[tokio::test]
async fn a_token_that_is_due_is_refreshed_without_any_request_and_one_that_is_not_is_left() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let long = fake.issue_account_in("long@example.com", "Long");
    fake.set_expires_in(2 * 3600);
    let short = fake.issue_account_in("short@example.com", "Short");
    let daemon = with_clock(&fake, &clock, |dir| {
        put(dir, "claude-long.json", &long.auth_file());
        put(dir, "claude-short.json", &short.auth_file());
    })
    .await;
    // Past 70 % of two hours, and far from 65 % of eight.
    clock.advance(SignedDuration::from_mins(90));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &short, "claude-short.json", 1).await;
    assert_eq!(fake.rotations(long.account), 0);
    clock.advance(SignedDuration::from_mins(5 * 60));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &long, "claude-long.json", 1).await;
    daemon.wait_until_saved(&fake, &short, "claude-short.json", 2).await;
    assert_eq!(fake.token_calls(), 3);
}

#[tokio::test]
async fn ten_accounts_that_end_at_once_are_refreshed_with_one_call_each() {
    let fake = FakeClaude::start().await;
    let issued: Vec<Issued> = (0..10)
        .map(|n| fake.issue_account_in(&format!("person{n}@example.com"), &format!("Org {n}")))
        .collect();
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        for (n, issued) in issued.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), &expired(issued));
        }
    })
    .await;
    let answers = join_all((0..40).map(|_| async { daemon.ask("hello").await.status().as_u16() })).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    for (n, issued) in issued.iter().enumerate() {
        daemon.wait_until_saved(&fake, issued, &format!("claude-{n}.json"), 1).await;
    }
    assert_eq!(fake.token_calls(), 10);
}

#[tokio::test]
async fn a_lifetime_that_makes_no_sense_is_held_within_bounds() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let daemon = with_clock(&fake, &clock, |dir| put(dir, FILE, &issued.auth_file())).await;
    let cases: [(Value, i64); 6] = [
        (json!("7200"), 7200),
        (json!(-5), 60),
        (json!(0), 60),
        (json!(1e300), 400 * 24 * 3600),
        (json!("soon"), 3600),
        // Null takes the field out of the reply.
        (Value::Null, 3600),
    ];
    for (expires_in, seconds) in cases {
        clock.advance(SignedDuration::from_mins(1));
        fake.on(TOKEN_PATH).once(Script::real().patch(json!({"expires_in": expires_in})));
        let account = daemon.refresh("person@example.com").await.unwrap();
        let end = account.expires_at.unwrap().seconds;
        assert_eq!(end - clock.now().as_second(), seconds, "{expires_in}");
        assert!(daemon.holds_newest(&fake, &issued, FILE));
    }
}

#[tokio::test]
async fn a_reply_without_a_refresh_token_keeps_the_one_there_is() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let daemon = with_clock(&fake, &clock, |dir| put(dir, FILE, &issued.auth_file())).await;
    // Not the real answer without the token: the fake would have rotated it.
    let reply = json!({"token_type": "Bearer", "access_token": "sk-ant-oat01-FAKEkept", "expires_in": 28800});
    fake.on(TOKEN_PATH).once(Script::json(http::StatusCode::OK, &reply));
    daemon.refresh("person@example.com").await.unwrap();
    let document = daemon.read(FILE);
    assert_eq!(document["access_token"], "sk-ant-oat01-FAKEkept");
    assert_eq!(document["refresh_token"], json!(issued.refresh_token));
    // And it is still good for the next time: that it was asked with counts for nothing.
    assert_eq!(daemon.all_files(), [".lock", FILE]);
    clock.advance(SignedDuration::from_mins(1));
    daemon.refresh("person@example.com").await.unwrap();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
}

#[tokio::test]
async fn a_newer_token_that_another_process_wrote_is_used_without_a_token_call() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    fake.on("/v1/messages").once(Script::real().hold_answer(&gate));
    fake.revoke(&issued.access_token);
    let (answer, newer) = tokio::join!(daemon.ask("hello"), async {
        within("the old token is refused", gate.reached_by(1)).await;
        let newer = fake.issue_account("person@example.com");
        daemon.put(FILE, &newer.auth_file());
        gate.open();
        newer
    });
    assert_eq!(answer.status(), 200);
    assert_eq!(bearers(&fake).last(), Some(&newer.access_token));
    assert_eq!(fake.token_calls(), 0);
}

#[tokio::test]
async fn a_clock_that_jumped_back_and_forth_spends_no_token_for_it() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let daemon = Arc::new(with_clock(&fake, &clock, |dir| put(dir, FILE, &issued.auth_file())).await);
    clock.set_by(SignedDuration::from_hours(-48));
    daemon.refresher().wake();
    assert_eq!(daemon.ask("hello").await.status(), 200);
    clock.set_by(SignedDuration::from_hours(49));
    daemon.refresher().wake();
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 0);
}
