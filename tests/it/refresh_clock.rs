//! Suspend and clocks that jump: time that passed counts, and what a clock was set to in between costs nothing.

use http::StatusCode;
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, put};
use proxy_tests::fake_claude::{FakeClaude, Issued, Script, TOKEN_PATH};
use proxyd::clock::{ManualClock, SignedDuration};

const FILE: &str = "claude-a.json";

/// An account whose token lives for eight hours from now.
async fn start() -> (ManualClock, FakeClaude, TestDaemon, Issued) {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, FILE, &issued.auth_file())).await;
    (clock, fake, daemon, issued)
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_no_refresh_and_kills_no_token() {
    let (clock, fake, daemon, issued) = start().await;
    clock.set_by(hours(-48));
    daemon.refresher().wake();
    assert_eq!(daemon.ask("hello").await.status(), 200);
    clock.advance(hours(5));
    daemon.refresher().wake();
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 0, "not due yet");
    clock.advance(hours(1));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    // The new token, too, is as old as it is.
    clock.set_by(hours(48));
    clock.advance(hours(5));
    daemon.refresher().wake();
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn time_that_was_slept_through_counts_even_where_the_wall_clock_missed_it() {
    let (clock, fake, daemon, issued) = start().await;
    clock.advance(hours(9));
    clock.set_by(hours(-9));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    // It was refreshed before it was sent: no answer was a 401.
    let bearers: Vec<_> = fake.requests_to("/v1/messages");
    assert_eq!(bearers.len(), 1);
    assert_ne!(bearers[0].header("authorization"), Some(format!("Bearer {}", issued.access_token).as_str()));
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
}

#[tokio::test]
async fn a_clock_that_jumped_forth_costs_one_refresh_and_going_back_again_nothing() {
    let (clock, fake, daemon, issued) = start().await;
    clock.set_by(hours(48));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    clock.set_by(hours(-48));
    for _ in 0..5 {
        daemon.refresher().wake();
        assert_eq!(daemon.ask("hello").await.status(), 200);
        clock.advance(hours(1));
    }
    assert_eq!(fake.token_calls(), 1);
    // What was issued in the future that never was is refreshed when its life is nearly over all the same, and so it is
    // after a restart.
    let home = daemon.stop().await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::start_in(&fake, setup, home).await;
    clock.advance(hours(6));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &issued, FILE, 2).await;
}

#[tokio::test]
async fn a_failure_under_a_clock_that_was_wrong_holds_nothing_up_for_days() {
    let (clock, fake, daemon, issued) = start().await;
    fake.on(TOKEN_PATH).once(Script::rate_limited(30));
    clock.set_by(hours(48));
    daemon.refresher().wake();
    daemon.wait_for("it fails", |list| list.accounts[0].last_error.contains("429")).await;
    clock.set_by(hours(-48));
    clock.advance(hours(7));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    assert_eq!(fake.token_calls(), 2);
}

#[tokio::test]
async fn an_account_that_is_at_its_limit_is_refreshed_all_the_same() {
    let (clock, fake, daemon, issued) = start().await;
    let day = 24 * 3600;
    fake.on("/v1/messages").once(Script::rate_limited(day));
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::TOO_MANY_REQUESTS);
    clock.advance(hours(6));
    daemon.refresher().wake();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::TOO_MANY_REQUESTS, "it cools down still");
    assert_eq!(fake.count("/v1/messages"), 1);
}
