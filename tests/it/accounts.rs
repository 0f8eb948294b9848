//! What a person does with the accounts over the control plane: naming one, adding keys, switching, revoking.

use std::fs;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use proxy_proto::v1::{
    Account, AccountChanges, AccountState, AddAccountRequest, AddAccountResponse, CredentialKind,
    DisableAccountRequest, EnableAccountRequest, GetAccountRequest, GetStatusRequest, ProviderRevocation,
    RevokeAccountRequest, RevokeAccountResponse, add_account_request::Credential,
};
use proxy_tests::daemon::{Setup, TestDaemon, expired, is_ready, put};
use proxy_tests::fake_claude::{Caller, FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::ManualClock;
use serde_json::json;
use tonic::{Code, Status};

const REVOKE_PATH: &str = "/v1/oauth/revoke";

async fn show(daemon: &TestDaemon, account: &str) -> Result<Account, Status> {
    let request = GetAccountRequest { account: account.to_owned(), fresh: false };
    Ok(daemon.accounts_client().await.get_account(request).await?.into_inner().account.unwrap())
}

async fn add_key(daemon: &TestDaemon, key: &str, label: &str) -> Result<AddAccountResponse, Status> {
    let label = Some(label.to_owned()).filter(|label| !label.is_empty());
    let settings = AccountChanges { label, ..AccountChanges::default() };
    let credential = Some(Credential::ApiKey(key.to_owned()));
    let request = AddAccountRequest { credential, settings: Some(settings), expires_at: None };
    Ok(daemon.accounts_client().await.add_account(request).await?.into_inner())
}

async fn disable(daemon: &TestDaemon, account: &str) -> Account {
    let request = DisableAccountRequest { account: account.to_owned() };
    daemon.accounts_client().await.disable_account(request).await.unwrap().into_inner().account.unwrap()
}

async fn enable(daemon: &TestDaemon, account: &str) -> Account {
    let request = EnableAccountRequest { account: account.to_owned() };
    daemon.accounts_client().await.enable_account(request).await.unwrap().into_inner().account.unwrap()
}

async fn revoke(daemon: &TestDaemon, account: &str) -> Result<RevokeAccountResponse, Status> {
    let request = RevokeAccountRequest { account: account.to_owned() };
    let revoked = within("an answer", daemon.accounts_client().await.revoke_account(request)).await?;
    Ok(revoked.into_inner())
}

/// Whose credentials the requests for messages carried.
fn callers(fake: &FakeClaude) -> Vec<Caller> {
    fake.requests_to("/v1/messages").into_iter().map(|request| request.caller.unwrap()).collect()
}

#[tokio::test]
async fn an_account_is_shown_by_its_id_a_prefix_its_label_email_file_or_path() {
    let fake = FakeClaude::start().await;
    let (one, two) = (fake.issue_account("ada@example.com"), fake.issue_account("bob@example.com"));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        let mut labelled = one.auth_file();
        labelled["label"] = json!("work");
        put(dir, "claude-ada.json", &labelled);
        put(dir, "claude-bob.json", &two.auth_file());
    })
    .await;
    let (ada, bob) = (daemon.account_of("claude-ada.json").await, daemon.account_of("claude-bob.json").await);
    let shared = ada.id.bytes().zip(bob.id.bytes()).take_while(|(a, b)| a == b).count();
    let prefix = &ada.id[..=shared];
    for name in [&ada.id, prefix, "work", "ADA@example.com", "claude-ada.json", &ada.path, " work "] {
        // Showing one asks for its plan's usage, too.
        let shown = Account { usage: None, ..show(&daemon, name).await.unwrap() };
        assert_eq!(shown, ada, "{name}");
    }
    assert_eq!(ada.kind(), CredentialKind::Oauth);
    assert_eq!(
        (ada.account_uuid.as_str(), ada.organization_name.as_str()),
        (one.identity.account_uuid.as_str(), "Example")
    );
    for (name, code) in [("nobody", Code::NotFound), ("", Code::InvalidArgument), ("claude-", Code::NotFound)]
    {
        assert_eq!(show(&daemon, name).await.unwrap_err().code(), code, "{name:?}");
    }
}

#[tokio::test]
async fn a_name_that_fits_several_accounts_changes_none_and_lists_them() {
    let fake = FakeClaude::start().await;
    let (one, two) =
        (fake.issue_account_in("ada@example.com", "A"), fake.issue_account_in("ada@example.com", "B"));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        put(dir, "claude-a.json", &one.auth_file());
        put(dir, "claude-b.json", &two.auth_file());
    })
    .await;
    let status = revoke(&daemon, "ada@example.com").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let accounts = daemon.list().await.accounts;
    assert!(accounts.len() == 2 && accounts.iter().all(|account| status.message().contains(&account.id)));
    assert_eq!(fake.count(REVOKE_PATH), 0);
}

#[tokio::test]
async fn an_added_key_serves_at_once_as_an_api_key() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let key = fake.add_api_key();
    let added = add_key(&daemon, &key, " build ").await.unwrap();
    let account = added.account.unwrap();
    assert!(is_ready(&account) && !added.replaced && !account.renewable);
    assert_eq!((account.kind(), account.label.as_str()), (CredentialKind::ApiKey, "build"));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let request = fake.requests_to("/v1/messages").remove(0);
    assert_eq!((request.header("x-api-key"), request.header("authorization")), (Some(key.as_str()), None));
    let files = daemon.files();
    assert!(files[0].starts_with(&format!("claude-{}-", account.id)) && !files[0].contains(&key));
    assert_eq!(daemon.read(&files[0])["api_key"], json!(key));
}

#[tokio::test]
async fn a_key_added_again_stays_one_account_and_takes_the_new_label() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let key = fake.add_api_key();
    let first = add_key(&daemon, &key, "one").await.unwrap().account.unwrap();
    for (label, shown) in [("", "one"), ("two", "two")] {
        let again = add_key(&daemon, &key, label).await.unwrap();
        assert!(again.replaced);
        assert_eq!(again.account.unwrap(), Account { label: shown.to_owned(), ..first.clone() });
    }
    assert_eq!(daemon.files().len(), 1);
}

#[tokio::test]
async fn a_key_added_many_times_at_once_is_one_file() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::with(&fake, Setup { clock: clock.clock(), ..Setup::default() }, |_| {}).await;
    let key = fake.add_api_key();
    let added = join_all((0..8).map(|_| add_key(&daemon, &key, "build"))).await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    daemon
        .wait_for("one account and nothing in its way", |list| {
            list.accounts.len() == 1 && list.invalid_files.is_empty()
        })
        .await;
    assert_eq!(daemon.files().len(), 1);
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_never_repeated() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let long = format!("sk-ant-api03-FAKE{}", "x".repeat(1100));
    for key in [
        "",
        " ",
        "two words",
        "sk-ant-FAKE\n",
        "sk-ant-FÄKE",
        "sk-ant-oat01-FAKE",
        "sk-ant-ort01-FAKE",
        &long,
    ] {
        let status = add_key(&daemon, key, "").await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{key:?}");
        assert!(key.trim().is_empty() || !status.message().contains(key), "{}", status.message());
    }
    let status = add_key(&daemon, "sk-ant-oat01-FAKE", "").await.unwrap_err();
    assert!(status.message().contains("proxyctl login claude"), "{}", status.message());
    for label in ["two\nlines", &"x".repeat(101)] {
        assert_eq!(
            add_key(&daemon, "sk-ant-api03-FAKE", label).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    assert_eq!(daemon.all_files(), [".lock"]);
}

#[tokio::test]
async fn a_disabled_account_gets_no_new_requests_until_it_is_enabled() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    assert_eq!(disable(&daemon, "person0@example.com").await.state(), AccountState::Disabled);
    assert_eq!(daemon.read("claude-0.json")["disabled"], json!(true));
    for _ in 0..4 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    assert_eq!(callers(&fake), vec![Caller::Account(issued[1].account); 4]);
    disable(&daemon, "person1@example.com").await;
    let refused = daemon.ask("hello").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("proxyctl accounts enable"));

    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
    let status = daemon.daemon_client().await.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.ready, status.accounts.unwrap().disabled), (false, 2));
    assert!(is_ready(&enable(&daemon, "person0@example.com").await));
    assert_eq!(daemon.read("claude-0.json")["disabled"], json!(false));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(callers(&fake).last(), Some(&Caller::Account(issued[0].account)));
}

#[tokio::test]
async fn a_request_that_runs_is_finished_by_the_account_that_is_disabled_meanwhile() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    fake.on("/v1/messages").once(Script::real().hold(&gate));
    let (answer, ()) = tokio::join!(daemon.ask("hello"), async {
        within("the request is upstream", gate.reached_by(1)).await;
        assert_eq!(disable(&daemon, "person@example.com").await.in_flight, 1);
        gate.open();
    });
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_refresh_asked_for_is_done_and_saved_before_the_answer() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let before = daemon.only_account().await;
    let after = daemon.refresh("person@example.com").await.unwrap();
    assert!(daemon.holds_newest(&fake, &issued, "claude-a.json"));
    assert!(after.last_refresh_at.unwrap().seconds >= before.last_refresh_at.unwrap().seconds);
    assert_eq!(fake.rotations(issued.account), 1);
    assert_eq!(daemon.refresh("nobody").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_revoked_account_is_gone_upstream_on_disk_and_from_the_pool() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    let gone = daemon.account_of("claude-0.json").await;
    daemon.refresh(&gone.id).await.unwrap();
    let newest = fake.current_refresh_token(issued[0].account).unwrap();
    let reply = revoke(&daemon, &gone.id).await.unwrap();
    assert_eq!(reply.provider(), ProviderRevocation::Revoked);
    assert_eq!((reply.id, reply.path, reply.provider_error), (gone.id, gone.path, String::new()));
    let asked = fake.requests_to(REVOKE_PATH).remove(0).json();
    assert_eq!((&asked["token"], &asked["token_type_hint"]), (&json!(newest), &json!("refresh_token")));
    assert!(!fake.has_live_login(issued[0].account));
    assert_eq!(daemon.files(), ["claude-1.json"]);
    for _ in 0..4 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    assert_eq!(callers(&fake), vec![Caller::Account(issued[1].account); 4]);
}

#[tokio::test]
async fn a_provider_that_does_not_revoke_is_told_and_the_file_is_deleted_all_the_same() {
    let fake = FakeClaude::start().await;
    let cases = [("502", Script::html_502()), ("cannot be reached", Script::reset())];
    for (words, script) in cases {
        let (daemon, _) = TestDaemon::with_account(&fake).await;
        fake.on(REVOKE_PATH).once(script);
        let reply = revoke(&daemon, "person@example.com").await.unwrap();
        assert_eq!(reply.provider(), ProviderRevocation::Failed);
        assert!(reply.provider_error.contains(words), "{}", reply.provider_error);
        assert_eq!(daemon.all_files(), [".lock"]);
        assert_eq!(daemon.ask("hello").await.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_key_has_no_revocation_at_the_provider_and_its_file_is_deleted() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    add_key(&daemon, &fake.add_api_key(), "build").await.unwrap();
    let reply = revoke(&daemon, "build").await.unwrap();
    assert_eq!((reply.provider(), fake.count(REVOKE_PATH)), (ProviderRevocation::NotOffered, 0));
    assert_eq!((daemon.files().len(), daemon.list().await.accounts.len()), (0, 0));
}

#[tokio::test]
async fn a_revocation_waits_for_the_refresh_in_flight_and_revokes_what_it_brought() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &expired(&issued))).await;
    within("the token is rotated", gate.reached_by(1)).await;
    let newest = fake.current_refresh_token(issued.account).unwrap();
    let (reply, ()) = tokio::join!(revoke(&daemon, "person@example.com"), async {
        // It has begun once no other refresh may start; before, one joins the refresh in flight and waits
        // with it.
        within("the account is closed", async {
            let closed = |asked: Result<Result<Account, Status>, _>| {
                asked.is_ok_and(|refreshed| refreshed.is_err_and(|status| status.code() == Code::NotFound))
            };
            let ask =
                || tokio::time::timeout(Duration::from_millis(20), daemon.refresh("person@example.com"));
            while !closed(ask().await) {}
        })
        .await;
        assert_eq!(fake.count(REVOKE_PATH), 0);
        gate.open();
    });
    assert_eq!(reply.unwrap().provider(), ProviderRevocation::Revoked);
    assert_eq!(fake.requests_to(REVOKE_PATH).remove(0).json()["token"], json!(newest));
    assert!(!fake.has_live_login(issued.account));
    assert_eq!(daemon.all_files(), [".lock"]);
}

#[tokio::test]
async fn an_account_being_revoked_does_not_come_back_whatever_is_scanned_meanwhile() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let other = fake.issue_account("other@example.com");
    let gate = Gate::new();
    fake.on(REVOKE_PATH).once(Script::real().hold(&gate));
    let (reply, ()) = tokio::join!(revoke(&daemon, "person@example.com"), async {
        within("the provider is asked", gate.reached_by(1)).await;
        daemon.put("claude-other.json", &other.auth_file());
        let arrived = |list: &proxy_proto::v1::ListAccountsResponse| {
            list.accounts.iter().any(|account| account.email == "other@example.com")
        };
        daemon.wait_for("the directory is scanned", arrived).await;
        assert_eq!(daemon.only_account().await.email, "other@example.com");
        for _ in 0..2 {
            assert_eq!(daemon.ask("hello").await.status(), 200);
        }
        gate.open();
    });
    reply.unwrap();
    assert!(!callers(&fake).contains(&Caller::Account(issued.account)));
    assert_eq!(daemon.files(), ["claude-other.json"]);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_leave_a_revocation_half_done() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    fake.on(REVOKE_PATH).once(Script::real().hold(&gate));
    tokio::select! {
        reply = revoke(&daemon, "person@example.com") => panic!("answered too early: {reply:?}"),
        () = within("the provider is asked", gate.reached_by(1)) => {}
    }
    gate.open();
    fake.wait_for("the login is revoked", |fake| !fake.has_live_login(issued.account)).await;
    within("the file is deleted", async {
        while fs::exists(daemon.auth_dir().join("claude-a.json")).unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    daemon.wait_for("the pool is empty", |list| list.accounts.is_empty()).await;
}
