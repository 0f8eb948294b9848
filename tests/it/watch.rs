//! The streams of the control plane: the pool whenever it changes, and what happens to it.

use proxy_proto::v1::{
    AccountState, DisableAccountRequest, EnableAccountRequest, EventKind, RevokeAccountRequest,
    WatchAccountsRequest, WatchAccountsResponse, WatchEventsRequest, WatchEventsResponse,
};
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::json;
use tonic::{Code, Streaming};

async fn accounts(daemon: &TestDaemon) -> Streaming<WatchAccountsResponse> {
    daemon.accounts_client().await.watch_accounts(WatchAccountsRequest {}).await.unwrap().into_inner()
}

async fn events(daemon: &TestDaemon) -> Streaming<WatchEventsResponse> {
    daemon.daemon_client().await.watch_events(WatchEventsRequest {}).await.unwrap().into_inner()
}

async fn next<T>(stream: &mut Streaming<T>) -> T {
    within("a message", stream.message()).await.unwrap().expect("the stream goes on")
}

/// The next event, which must be of this kind.
async fn event(stream: &mut Streaming<WatchEventsResponse>, kind: EventKind) -> WatchEventsResponse {
    let event = next(stream).await;
    assert_eq!(event.kind(), kind, "{event:?}");
    event
}

/// Reads until the pool is as said.
async fn until(
    stream: &mut Streaming<WatchAccountsResponse>,
    is: impl Fn(&WatchAccountsResponse) -> bool,
) -> WatchAccountsResponse {
    loop {
        let message = next(stream).await;
        if is(&message) {
            return message;
        }
    }
}

#[tokio::test]
async fn the_pool_is_told_at_once_and_again_when_it_changes() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut stream = accounts(&daemon).await;
    assert_eq!(next(&mut stream).await.accounts.len(), 1);
    let other = fake.issue_account("other@example.com");
    daemon.put("claude-b.json", &other.auth_file());
    until(&mut stream, |pool| pool.accounts.len() == 2).await;
    daemon.put("claude-c.json", &json!([]));
    let pool = until(&mut stream, |pool| !pool.invalid_files.is_empty()).await;
    assert!(pool.invalid_files[0].path.ends_with("claude-c.json"));
    let request = DisableAccountRequest { account: "other@example.com".to_owned() };
    daemon.accounts_client().await.disable_account(request).await.unwrap();
    until(&mut stream, |pool| pool.accounts.iter().any(|a| a.state() == AccountState::Disabled)).await;
}

#[tokio::test]
async fn a_limit_is_seen_without_any_change_of_a_file() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
    let (mut pool, mut story) = (accounts(&daemon).await, events(&daemon).await);
    fake.on("/v1/messages").once(Script::rate_limited(60));
    assert_eq!(daemon.ask("hello").await.status(), 429);
    let cooling = event(&mut story, EventKind::Cooling).await;
    assert!(cooling.detail.contains("claude-sonnet-4-5 until 2026-06-01T12:01:00Z"), "{}", cooling.detail);
    until(&mut pool, |pool| pool.accounts[0].state() == AccountState::Cooling).await;
    clock.advance(SignedDuration::from_secs(61));
    assert_eq!(event(&mut story, EventKind::Recovered).await.name, "person@example.com");
    until(&mut pool, |pool| pool.accounts[0].state() == AccountState::Ready).await;
}

#[tokio::test]
async fn the_life_of_an_account_is_told_in_order() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let mut story = events(&daemon).await;
    let issued = fake.issue_account("person@example.com");
    daemon.put("claude-a.json", &issued.auth_file());
    let added = event(&mut story, EventKind::Added).await;
    assert_eq!(added.name, "person@example.com");
    daemon.refresh(&added.account).await.unwrap();
    assert_eq!(event(&mut story, EventKind::Refreshed).await.account, added.account);
    clock.advance(SignedDuration::from_mins(1));
    fake.on(TOKEN_PATH).once(Script::html_502());
    daemon.refresh(&added.account).await.unwrap_err();
    assert!(event(&mut story, EventKind::RefreshFailed).await.detail.contains("502"));
    let account = || added.account.clone();
    let mut client = daemon.accounts_client().await;
    client.disable_account(DisableAccountRequest { account: account() }).await.unwrap();
    assert_eq!(event(&mut story, EventKind::Changed).await.detail, "disabled");
    client.enable_account(EnableAccountRequest { account: account() }).await.unwrap();
    assert_eq!(event(&mut story, EventKind::Changed).await.detail, "enabled");
    let mut misspelt = daemon.read("claude-a.json");
    misspelt["proxy_url"] = json!("proxy.example:1080");
    daemon.put("claude-a.json", &misspelt);
    assert!(event(&mut story, EventKind::Invalid).await.detail.contains("`proxy_url`"));
    misspelt["proxy_url"] = json!(null);
    daemon.put("claude-a.json", &misspelt);
    event(&mut story, EventKind::Changed).await;
    let newest = daemon.read("claude-a.json")["refresh_token"].as_str().unwrap().to_owned();
    fake.revoke(&newest);
    daemon.refresh(&added.account).await.unwrap_err();
    event(&mut story, EventKind::NeedsLogin).await;
    client.revoke_account(RevokeAccountRequest { account: account() }).await.unwrap();
    event(&mut story, EventKind::Removed).await;
    daemon.put("claude-b.json", &json!("no account"));
    let broken = event(&mut story, EventKind::Invalid).await;
    assert_eq!((broken.account.as_str(), broken.name.as_str()), ("", "claude-b.json"));
}

#[tokio::test]
async fn what_a_refresh_has_written_and_not_published_yet_is_no_change_of_a_person() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut story = events(&daemon).await;
    let account = daemon.only_account().await.id;
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let refreshing = daemon.refresh(&account);
    let meanwhile = async {
        within("the token is rotated", gate.reached_by(1)).await;
        // As the directory looks just before the new tokens are published.
        let mut written = daemon.read("claude-a.json");
        written["access_token"] = json!("sk-ant-oat01-FAKEwritten");
        daemon.put("claude-a.json", &written);
        // The scan that sees this file has seen the other one, too.
        daemon.put("claude-z.json", &json!([]));
        assert_eq!(event(&mut story, EventKind::Invalid).await.name, "claude-z.json");
        gate.open();
    };
    let (refreshed, ()) = tokio::join!(refreshing, meanwhile);
    refreshed.unwrap();
    event(&mut story, EventKind::Refreshed).await;
}

#[tokio::test]
async fn no_event_and_no_list_holds_a_secret() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let (mut pool, mut story) = (accounts(&daemon).await, events(&daemon).await);
    let account = next(&mut pool).await.accounts[0].id.clone();
    daemon.refresh(&account).await.unwrap();
    let told = format!("{:?}{:?}", next(&mut story).await, next(&mut pool).await);
    let newest = fake.current_refresh_token(issued.account).unwrap();
    for secret in [&issued.access_token, &issued.refresh_token, &newest] {
        assert!(!told.contains(secret.as_str()));
    }
}

#[tokio::test]
async fn watchers_do_not_hold_up_a_stop_and_see_their_end() {
    let fake = FakeClaude::start().await;
    let (mut daemon, _) = TestDaemon::with_account(&fake).await;
    let (mut pool, mut story) = (accounts(&daemon).await, events(&daemon).await);
    next(&mut pool).await;
    daemon.ask_to_stop();
    let ended = |result: Result<Option<()>, tonic::Status>| !matches!(result, Ok(Some(())));
    assert!(ended(within("the end", pool.message()).await.map(|m| m.map(drop))));
    assert!(ended(within("the end", story.message()).await.map(|m| m.map(drop))));
    daemon.stop().await;
}

#[tokio::test]
async fn watchers_are_bounded_and_give_their_place_back() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut client = daemon.daemon_client().await;
    let mut watchers = Vec::new();
    for _ in 0..64 {
        watchers.push(client.watch_events(WatchEventsRequest {}).await.unwrap());
    }
    let refused = client.watch_events(WatchEventsRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    drop(watchers);
    within("a place is free again", async {
        while client.watch_events(WatchEventsRequest {}).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_watcher_that_never_reads_holds_up_nobody() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let _unread = (accounts(&daemon).await, events(&daemon).await);
    let mut client = daemon.accounts_client().await;
    for _ in 0..300 {
        let account = "person@example.com".to_owned();
        client.disable_account(DisableAccountRequest { account: account.clone() }).await.unwrap();
        client.enable_account(EnableAccountRequest { account }).await.unwrap();
    }
    assert_eq!(daemon.ask("hello").await.status(), 200);
}
