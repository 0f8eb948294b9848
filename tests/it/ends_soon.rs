//! A token that nothing can renew: served to its end, and told about in time.

use proxy_proto::v1::{AccountState, EventKind, GetStatusRequest, WatchEventsRequest};
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, put};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::json;

const FILE: &str = "claude-setup.json";

async fn start(fake: &FakeClaude, clock: &ManualClock, ends_in_days: i64) -> TestDaemon {
    let token = fake.issue_setup_token("setup@example.com");
    let end = clock.now() + SignedDuration::from_hours(24 * ends_in_days);
    let document =
        json!({"type": "claude", "access_token": token, "label": "ci", "expired": end.to_string()});
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    TestDaemon::with(fake, setup, |dir| put(dir, FILE, &document)).await
}

async fn warnings(daemon: &TestDaemon) -> Vec<String> {
    daemon.daemon_client().await.get_status(GetStatusRequest {}).await.unwrap().into_inner().warnings
}

#[tokio::test]
async fn the_end_is_told_from_fourteen_days_before_in_list_and_status() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock, 15).await;
    assert_eq!((daemon.only_account().await.warnings, warnings(&daemon).await), (vec![], vec![]));
    clock.advance(SignedDuration::from_hours(36));
    let account = daemon.only_account().await;
    assert_eq!(account.state(), AccountState::Ready);
    let expected = "its token ends at 2026-06-16T12:00:00Z (in 13 days) and cannot be renewed";
    assert!(account.warnings[0].starts_with(expected), "{:?}", account.warnings);
    assert_eq!(warnings(&daemon).await, [format!("account {}: {}", account.id, account.warnings[0])]);
    assert_eq!(daemon.ask("hello").await.status(), 200);
    clock.advance(SignedDuration::from_hours(24 * 14));
    let account = daemon.only_account().await;
    assert_eq!((account.state(), account.warnings), (AccountState::NeedsLogin, vec![]));
}

#[tokio::test]
async fn whoever_watches_is_told() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let daemon = start(&fake, &clock, 30).await;
    let mut client = daemon.daemon_client().await;
    let mut story = client.watch_events(WatchEventsRequest {}).await.unwrap().into_inner();
    clock.advance(SignedDuration::from_hours(24 * 20));
    daemon.notices().look();
    let event = within("an event", story.message()).await.unwrap().unwrap();
    assert_eq!((event.kind(), event.name.as_str()), (EventKind::EndsSoon, "ci"));
    assert!(event.detail.contains("2026-07-01T12:00:00Z"), "{}", event.detail);
}
