//! Setup tokens: long-lived access tokens without a refresh token, and keys for other gateways.

use proxy_proto::v1::add_account_request::Credential;
use proxy_proto::v1::{Account, AccountChanges, AccountState, AddAccountRequest};
use proxy_tests::daemon::{Setup, TestDaemon, fake_at};
use proxy_tests::fake_claude::FakeClaude;
use proxyd::clock::ManualClock;
use serde_json::json;
use tonic::{Code, Status};

async fn add(
    daemon: &TestDaemon,
    credential: Credential,
    settings: AccountChanges,
    ends_at: Option<i64>,
) -> Result<(Account, bool), Status> {
    let expires_at = ends_at.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
    let request = AddAccountRequest { credential: Some(credential), settings: Some(settings), expires_at };
    let added = daemon.accounts_client().await.add_account(request).await?.into_inner();
    Ok((added.account.unwrap(), added.replaced))
}

#[tokio::test]
async fn a_setup_token_serves_and_ends_a_year_from_now_at_the_latest() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let token = fake.issue_setup_token("setup@example.com");
    let settings = AccountChanges { label: Some("ci".to_owned()), ..AccountChanges::default() };
    let (account, replaced) =
        add(&daemon, Credential::SetupToken(token.clone()), settings, None).await.unwrap();
    assert_eq!((account.state(), replaced, account.renewable), (AccountState::Ready, false, false));
    assert_eq!(account.expires_at.unwrap().seconds, clock.now().as_second() + 365 * 24 * 3600);
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let (again, replaced) =
        add(&daemon, Credential::SetupToken(token), AccountChanges::default(), None).await.unwrap();
    assert!(replaced && again.id == account.id && again.label == "ci");
    let files = daemon.files();
    assert_eq!(files.len(), 1);
    assert_eq!(daemon.read(&files[0])["refresh_token"], json!(null));
}

#[tokio::test]
async fn an_end_that_is_known_is_kept() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let token = Credential::SetupToken(fake.issue_setup_token("setup@example.com"));
    let now = clock.now().as_second();
    let past = add(&daemon, token.clone(), AccountChanges::default(), Some(now - 1)).await.unwrap_err();
    assert!(past.message().contains("ended already"), "{}", past.message());
    let (account, _) = add(&daemon, token, AccountChanges::default(), Some(now + 3600)).await.unwrap();
    assert_eq!(account.expires_at.unwrap().seconds, now + 3600);
    assert_eq!(account.warnings.len(), 1);
}

#[tokio::test]
async fn an_end_that_is_told_later_corrects_the_assumed_one_and_keeps_what_was_set() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let token = Credential::SetupToken(fake.issue_setup_token("setup@example.com"));
    let label = AccountChanges { label: Some("ci".to_owned()), ..AccountChanges::default() };
    let (first, _) = add(&daemon, token.clone(), label, None).await.unwrap();
    let end = clock.now().as_second() + 3600;
    let (again, replaced) = add(&daemon, token.clone(), AccountChanges::default(), Some(end)).await.unwrap();
    assert!(replaced && again.id == first.id && again.label == "ci");
    assert_eq!(again.expires_at.unwrap().seconds, end);
    let note = AccountChanges { note: Some("mine".to_owned()), ..AccountChanges::default() };
    let (kept, _) = add(&daemon, token, note, None).await.unwrap();
    assert_eq!((kept.expires_at.unwrap().seconds, kept.settings.unwrap().note.as_str()), (end, "mine"));
    assert_eq!(daemon.files().len(), 1);
}

#[tokio::test]
async fn what_is_something_else_is_refused_by_its_kind() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let key = |key: &str| Credential::ApiKey(key.to_owned());
    let token = |token: &str| Credential::SetupToken(token.to_owned());
    for (credential, words) in [
        (token("sk-ant-api03-FAKE-canary"), "does not start with sk-ant-oat"),
        (token("sk-ant-ort01-FAKE-canary"), "does not start with sk-ant-oat"),
        (token(""), "empty"),
        (token("sk-ant-oat01-FAKE canary"), "one word"),
        (key("sk-ant-oat01-FAKE-canary"), "OAuth token"),
    ] {
        let refused = add(&daemon, credential, AccountChanges::default(), None).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(words), "{}", refused.message());
        assert!(!refused.message().contains("canary"));
    }
    let end = add(&daemon, key("sk-ant-api03-FAKE"), AccountChanges::default(), Some(1)).await.unwrap_err();
    assert_eq!(end.code(), Code::InvalidArgument);
    assert!(daemon.files().is_empty());
}

#[tokio::test]
async fn a_key_for_a_gateway_is_added_with_its_address_and_may_look_like_anything() {
    let (fake, gateway) = (FakeClaude::start().await, FakeClaude::start().await);
    let daemon = TestDaemon::start(&fake).await;
    let settings = AccountChanges { base_url: Some(gateway.url()), ..AccountChanges::default() };
    let odd = Credential::ApiKey("sk-ant-oat01-FAKE-of-a-gateway".to_owned());
    add(&daemon, odd, settings.clone(), None).await.unwrap();
    let key = Credential::ApiKey(gateway.add_api_key());
    let first = AccountChanges { priority: Some(1), ..settings };
    add(&daemon, key, first, None).await.unwrap();
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!((gateway.count("/v1/messages"), fake.count("/v1/messages")), (1, 0));
    let unusable =
        AccountChanges { base_url: Some("http://gateway.example".to_owned()), ..Default::default() };
    let refused = add(&daemon, Credential::ApiKey("k".to_owned()), unusable, None).await.unwrap_err();
    assert!(refused.message().contains("`base_url`"), "{}", refused.message());
    assert_eq!(daemon.files().len(), 2);
}
