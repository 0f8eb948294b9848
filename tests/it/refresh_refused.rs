//! The issuer says no, or nothing: a refused login asks for a person once, a passing trouble costs nothing
//! that still serves.

use std::time::Duration;

use http::StatusCode;
use proxy_proto::v1::AccountState;
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, is_ready, put};
use proxy_tests::fake_claude::{FakeClaude, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::json;
use tonic::Code;

const FILE: &str = "claude-a.json";

fn noon() -> ManualClock {
    ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap())
}

fn setup(clock: &ManualClock) -> Setup {
    Setup { clock: clock.clock(), ..Setup::default() }
}

#[tokio::test]
async fn a_refused_refresh_token_asks_for_a_login_once_and_for_good() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    fake.revoke(&issued.refresh_token);
    let daemon = TestDaemon::with(&fake, setup(&clock), |dir| put(dir, FILE, &expired(&issued))).await;
    let refused =
        |list: &proxy_proto::v1::ListAccountsResponse| list.accounts[0].state() == AccountState::NeedsLogin;
    daemon.wait_for("the account needs a login", refused).await;
    assert_eq!(daemon.only_account().await.state_reason, "Refresh token was revoked");
    let record = daemon.read(FILE)["needs_login"].clone();
    assert_eq!(record["reason"], "Refresh token was revoked");
    assert_eq!(record["since"], "2026-06-01T12:00:00Z");
    assert!(!record.to_string().contains(&issued.refresh_token));

    // Neither time nor a request nor a person makes it ask with the same token again.
    clock.advance(SignedDuration::from_hours(24));
    daemon.refresher().wake();
    let answer = daemon.ask("hello").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.text().await.unwrap().contains("proxyctl login claude"));
    assert_eq!(daemon.refresh(FILE).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(daemon.get("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);

    // Nor a restart.
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(&clock), home).await;
    assert!(refused(&daemon.list().await));
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::FORBIDDEN);
    assert_eq!((fake.token_calls(), fake.count("/v1/messages")), (1, 0));

    // A file with another token does.
    daemon.put(FILE, &fake.issue_account("person@example.com").auth_file());
    daemon.wait_for("the account is ready", |list| is_ready(&list.accounts[0])).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_login_that_was_revoked_while_it_serves_gives_way_to_the_next_account() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    fake.revoke(&issued[0].refresh_token);
    for _ in 0..4 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    let state = daemon.account_of("claude-0.json").await.state();
    assert_eq!((state, fake.token_calls()), (AccountState::NeedsLogin, 1));
}

#[tokio::test]
async fn while_the_issuer_is_in_trouble_the_token_serves_on_and_is_refreshed_later() {
    let troubles = [
        ("status 529", Script::overloaded()),
        ("status 502", Script::html_502()),
        ("cannot be reached", Script::reset()),
        ("cannot be reached", Script::close()),
        ("cannot be read", Script::body(StatusCode::OK, "text/html", "<html>")),
        ("cannot be read", Script::json(StatusCode::OK, &json!({"access_token": " "}))),
        ("429", Script::rate_limited(3)),
    ];
    for (words, trouble) in troubles {
        let clock = noon();
        let fake = fake_at(&clock).await;
        let issued = fake.issue_account("person@example.com");
        fake.on(TOKEN_PATH).once(trouble);
        let daemon = TestDaemon::with(&fake, setup(&clock), |dir| put(dir, FILE, &issued.auth_file())).await;
        clock.advance(SignedDuration::from_hours(7));
        daemon.refresher().wake();
        daemon.wait_for(words, |list| list.accounts[0].last_error.contains(words)).await;
        let account = daemon.only_account().await;
        assert!(is_ready(&account) && !account.degraded, "{words}");
        assert_eq!(daemon.ask("hello").await.status(), 200, "{words}");
        assert_eq!(fake.token_calls(), 1, "{words}");
        within("it is tried again", async {
            while fake.rotations(issued.account) == 0 {
                clock.advance(SignedDuration::from_secs(20));
                daemon.refresher().wake();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
        daemon.wait_for("the trouble is forgotten", |list| list.accounts[0].last_error.is_empty()).await;
    }
}

#[tokio::test]
async fn an_issuer_that_names_a_time_is_not_asked_before_it() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    fake.on(TOKEN_PATH).once(Script::rate_limited(120));
    let daemon = TestDaemon::with(&fake, setup(&clock), |dir| put(dir, FILE, &expired(&issued))).await;
    fake.expire_access_tokens();
    daemon.wait_for("the limit is shown", |list| list.accounts[0].last_error.contains("429")).await;
    for seconds in [0, 60, 59] {
        clock.advance(SignedDuration::from_secs(seconds));
        let answer = daemon.ask("hello").await;
        assert!(answer.status().is_server_error() || answer.status() == 429, "{}", answer.status());
        assert_eq!(fake.token_calls(), 1);
    }
    clock.advance(SignedDuration::from_secs(2));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_sent_upstream_while_it_cannot_be_refreshed() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    fake.on(TOKEN_PATH).always(Script::html_502());
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, FILE, &expired(&issued))).await;
    let answer = daemon.ask("hello").await;
    assert!(answer.status().is_server_error(), "{}", answer.status());
    assert_eq!(fake.count("/v1/messages"), 0);
    // Asked for by a person it is tried at once, and it says why it fails.
    let status = daemon.refresh("person@example.com").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("502"), "{}", status.message());
    fake.clear_scripts();
    daemon.refresh("person@example.com").await.unwrap();
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn an_api_key_and_a_setup_token_have_nothing_to_refresh() {
    let fake = FakeClaude::start().await;
    let (key, token) = (fake.add_api_key(), fake.issue_setup_token("setup@example.com"));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        put(dir, "claude-key.json", &json!({"type": "claude", "api_key": key, "label": "key"}));
        put(dir, "claude-setup.json", &json!({"access_token": token, "label": "setup"}));
    })
    .await;
    for label in ["key", "setup"] {
        assert_eq!(daemon.refresh(label).await.unwrap_err().code(), Code::FailedPrecondition, "{label}");
    }
    for _ in 0..2 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    assert_eq!(fake.token_calls(), 0);
    assert!(!daemon.account_of("claude-setup.json").await.renewable);
}
