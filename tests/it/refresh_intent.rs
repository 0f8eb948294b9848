//! A refresh token is good for one call. One whose answer is lost is tried once more at most, ever, and what still
//! serves goes on serving.

use http::StatusCode;
use proxy_proto::v1::{AccountState, ListAccountsResponse};
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, is_ready, put};
use proxy_tests::fake_claude::{FakeClaude, Issued, Script, Surprise, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::json;
use tokio::net::TcpListener;

const FILE: &str = "claude-a.json";

fn noon() -> ManualClock {
    ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap())
}

fn setup(clock: &ManualClock) -> Setup {
    Setup { clock: clock.clock(), ..Setup::default() }
}

/// An account of eight hours, seven of which are over, and the first answer to its refresh.
async fn due(clock: &ManualClock, fake: &FakeClaude, answer: Script) -> (TestDaemon, Issued) {
    let issued = fake.issue_account("person@example.com");
    fake.on(TOKEN_PATH).once(answer);
    let daemon = TestDaemon::with(fake, setup(clock), |dir| put(dir, FILE, &issued.auth_file())).await;
    clock.advance(SignedDuration::from_hours(7));
    daemon.refresher().wake();
    daemon.wait_for("the first try fails", |list| !list.accounts[0].last_error.is_empty()).await;
    (daemon, issued)
}

fn intents(daemon: &TestDaemon) -> usize {
    daemon.all_files().iter().filter(|name| name.starts_with(".intent-")).count()
}

fn needs_login(list: &ListAccountsResponse) -> bool {
    list.accounts[0].state() == AccountState::NeedsLogin
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_the_account_no_minute_of_its_access_token() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let (daemon, _issued) = due(&clock, &fake, Script::real().lose_answer()).await;
    assert_eq!(intents(&daemon), 1);
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(&clock), home).await;
    daemon.wait_for("the doubt is shown", |list| list.accounts[0].last_error.contains("may be spent")).await;
    // To ask again would end the access token, too.
    for _ in 0..11 {
        clock.advance(SignedDuration::from_mins(5));
        daemon.refresher().wake();
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    assert_eq!(fake.token_calls(), 1);
    clock.advance(SignedDuration::from_mins(4));
    daemon.refresher().wake();
    daemon.wait_for("the last try is refused", needs_login).await;
    let reason = daemon.only_account().await.state_reason;
    assert!(reason.contains("the answer to an earlier refresh was lost"), "{reason}");
    assert_eq!(daemon.read(FILE)["needs_login"]["reason"], json!(reason));
    assert!(matches!(fake.take_surprises()[..], [Surprise::RefreshTokenReused { .. }]));
    within("what was asked is forgotten", async {
        while intents(&daemon) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(fake.token_calls(), 2);
}

#[tokio::test]
async fn a_call_that_was_cut_off_before_anything_came_of_it_is_made_good_by_the_last_try() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let (daemon, issued) = due(&clock, &fake, Script::reset()).await;
    clock.advance(SignedDuration::from_mins(59));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    daemon.wait_for("the trouble is forgotten", |list| list.accounts[0].last_error.is_empty()).await;
    assert_eq!((fake.token_calls(), intents(&daemon)), (2, 0));
}

#[tokio::test]
async fn a_token_whose_last_answer_is_lost_too_is_never_asked_with_again_and_its_access_token_serves_on() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let (daemon, _issued) = due(&clock, &fake, Script::close()).await;
    fake.on(TOKEN_PATH).once(Script::body(StatusCode::OK, "text/html", "<html>"));
    daemon.refresh("person@example.com").await.unwrap_err();
    daemon.wait_for("it needs a login", needs_login).await;
    assert_eq!(daemon.read(FILE)["needs_login"]["serving"], json!(true));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(daemon.get("/readyz").await.status(), 200);

    // Neither a person nor a restart makes it ask, and neither takes the access token away.
    daemon.refresh("person@example.com").await.unwrap_err();
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(&clock), home).await;
    daemon.refresh("person@example.com").await.unwrap_err();
    assert!(needs_login(&daemon.list().await));
    assert_eq!(daemon.ask("hello").await.status(), 200);

    clock.advance(SignedDuration::from_hours(1));
    daemon.refresher().wake();
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(fake.token_calls(), 2);

    // Not even a person who takes the record out of the file.
    let mut document = daemon.read(FILE);
    document.as_object_mut().unwrap().remove("needs_login");
    daemon.put(FILE, &document);
    daemon.wait_for("it is found out again", needs_login).await;
    assert_eq!(fake.token_calls(), 2);

    // Another token is another matter, and what was written down of the old one is swept by the next start.
    let newer = fake.issue_account("person@example.com");
    daemon.put(FILE, &newer.auth_file());
    daemon.wait_for("it is ready", |list| is_ready(&list.accounts[0])).await;
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(&clock), home).await;
    assert_eq!(intents(&daemon), 0);
}

#[tokio::test]
async fn the_doubt_of_a_token_ends_with_the_token() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let (daemon, _issued) = due(&clock, &fake, Script::close()).await;
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(&clock), home).await;
    daemon.wait_for("the doubt is shown", |list| list.accounts[0].last_error.contains("may be spent")).await;
    daemon.put(FILE, &fake.issue_account("person@example.com").auth_file());
    daemon.wait_for("it is gone", |list| list.accounts[0].last_error.is_empty()).await;
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_call_that_cannot_reach_the_issuer_spends_nothing_however_often() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = ("PROXYD_CLAUDE__OAUTH__TOKEN_URL", format!("http://{nobody}{TOKEN_PATH}"));
    let away = Setup { settings: vec![url], ..setup(&clock) };
    let daemon = TestDaemon::with(&fake, away, |dir| put(dir, FILE, &expired(&issued))).await;
    for _ in 0..5 {
        let refused = daemon.refresh("person@example.com").await.unwrap_err();
        assert!(refused.message().contains("cannot be reached"), "{}", refused.message());
        assert_eq!(intents(&daemon), 0);
    }
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(&clock), home).await;
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn an_issuer_that_answers_with_trouble_is_asked_again_however_often_it_does() {
    let clock = noon();
    let fake = fake_at(&clock).await;
    let (daemon, issued) = due(&clock, &fake, Script::html_502()).await;
    for trouble in [Script::overloaded(), Script::html_502(), Script::rate_limited(30)] {
        fake.on(TOKEN_PATH).once(trouble);
        daemon.refresh("person@example.com").await.unwrap_err();
        assert_eq!(intents(&daemon), 0);
    }
    daemon.refresh("person@example.com").await.unwrap();
    assert_eq!(fake.rotations(issued.account), 1);
}
