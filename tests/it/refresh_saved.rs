//! No account is lost on the way: a token that was issued reaches the disk, whoever hangs up, stops or edits
//! meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;
use proxy_tests::daemon::{Setup, TestDaemon, expired, is_ready, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Issued, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::json;
use tonic::Code;

use crate::login::log_in;

const FILE: &str = "claude-a.json";

/// A daemon whose refresh has rotated the token upstream, while the answer is held at the gate.
async fn rotated_but_not_answered(fake: &FakeClaude) -> (TestDaemon, Issued, Gate) {
    let issued = fake.issue_account("person@example.com");
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let daemon = TestDaemon::with(fake, Setup::default(), |dir| put(dir, FILE, &expired(&issued))).await;
    within("the token is rotated", gate.reached_by(1)).await;
    assert!(!daemon.holds_newest(fake, &issued, FILE));
    (daemon, issued, gate)
}

#[tokio::test]
async fn a_client_that_hangs_up_during_its_refresh_loses_nothing() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    // The token is not due: it is the request that starts the refresh.
    fake.expire_access_tokens();
    tokio::select! {
        answer = daemon.ask("hello") => panic!("answered before its refresh: {}", answer.status()),
        () = within("the token is rotated", gate.reached_by(1)) => {}
    }
    within("the request has left", async {
        while daemon.only_account().await.in_flight > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    assert_eq!(daemon.ask("again").await.status(), 200);
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_part_of_the_daemon_that_panics_ends_it_and_what_is_in_flight_is_saved_first() {
    let fake = FakeClaude::start().await;
    let (daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    // Stands for any of the loops: each is started so.
    let panicking = daemon.tasks().spawn_vital("broken on purpose", async { panic!("on purpose") });
    assert!(panicking.await.is_err());
    within("it stops serving", async {
        while daemon.control_socket().exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(daemon.is_running());
    gate.open();
    let (broken, home) = daemon.broken().await;
    assert_eq!(broken.to_string(), "a part of the daemon has ended, so it stopped");
    let saved = proxy_tests::daemon::read(&home.path().join("auth").join(FILE));
    assert_eq!(saved["refresh_token"], json!(fake.current_refresh_token(issued.account)));
}

#[tokio::test]
async fn stopping_during_a_refresh_waits_until_the_new_token_is_on_disk() {
    let fake = FakeClaude::start().await;
    let (mut daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    daemon.ask_to_stop();
    within("the control plane ends", async {
        while daemon.control_socket().exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(daemon.is_running());
    gate.open();
    let home = daemon.stop().await;
    let saved = proxy_tests::daemon::read(&home.path().join("auth").join(FILE));
    assert_eq!(saved["refresh_token"], json!(fake.current_refresh_token(issued.account)));
    assert_eq!(fake.rotations(issued.account), 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_refreshes_that_ask_and_begins_none_of_those_that_wait_for_their_turn() {
    let fake = FakeClaude::start().await;
    let gate = Gate::new();
    fake.on(TOKEN_PATH).times(8, &Script::real().hold_answer(&gate));
    let mut daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        for n in 0..10 {
            let issued = fake.issue_account_in(&format!("person{n}@example.com"), &format!("Org {n}"));
            put(dir, &format!("claude-{n}.json"), &expired(&issued));
        }
    })
    .await;
    within("as many calls as may be are on their way", gate.reached_by(8)).await;
    daemon.ask_to_stop();
    within("the control plane ends", async {
        while daemon.control_socket().exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    daemon.stop().await;
    assert_eq!(fake.token_calls(), 8);
}

#[tokio::test]
async fn what_a_person_wrote_into_the_file_during_a_refresh_stays() {
    let fake = FakeClaude::start().await;
    let (daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    let mut edited = expired(&issued);
    edited["label"] = json!("work");
    edited["note"] = json!("mine");
    edited["headers"] = json!({"x": [1, 2.50]});
    daemon.put(FILE, &edited);
    gate.open();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    let saved = daemon.read(FILE);
    for key in ["label", "note", "headers"] {
        assert_eq!(saved[key], edited[key], "{key}");
    }
    daemon.wait_for("the label is shown", |list| list.accounts[0].label == "work").await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn an_older_copy_of_the_file_that_an_editor_saves_after_a_refresh_gets_the_newest_tokens() {
    let fake = FakeClaude::start().await;
    let (daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    // Opened before the refresh, saved after it.
    let mut edited = expired(&issued);
    gate.open();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    edited["label"] = json!("work");
    daemon.put(FILE, &edited);
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    daemon
        .wait_for("it is ready and well", |list| {
            list.accounts.iter().any(|a| a.label == "work" && is_ready(a) && !a.degraded)
        })
        .await;
    assert_eq!(daemon.read(FILE)["label"], json!("work"));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 1);
    // So does one that is put back after the file was deleted.
    fs::remove_file(daemon.auth_dir().join(FILE)).unwrap();
    daemon.wait_for("the account is gone", |list| list.accounts.is_empty()).await;
    daemon.put(FILE, &edited);
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_file_deleted_during_a_refresh_stays_deleted_and_its_account_is_gone() {
    let fake = FakeClaude::start().await;
    let (daemon, _, gate) = rotated_but_not_answered(&fake).await;
    let id = daemon.only_account().await.id;
    let (refreshed, ()) = tokio::join!(daemon.refresh(&id), async {
        fs::remove_file(daemon.auth_dir().join(FILE)).unwrap();
        daemon.wait_for("the account is gone", |list| list.accounts.is_empty()).await;
        gate.open();
    });
    assert_eq!(refreshed.unwrap_err().code(), Code::NotFound);
    assert!(daemon.list().await.accounts.is_empty());
    assert_eq!(daemon.files(), Vec::<String>::new());
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_temporary_file_swept_away_during_a_refresh_loses_no_token() {
    let fake = FakeClaude::start().await;
    let (daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    let swept: Vec<_> = daemon.all_files().into_iter().filter(|name| name.starts_with(".update-")).collect();
    assert_eq!(swept.len(), 1, "one reservation");
    fs::remove_file(daemon.auth_dir().join(&swept[0])).unwrap();
    gate.open();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    daemon.wait_for("nothing is unsaved", |list| !list.accounts[0].degraded).await;
    assert_eq!(daemon.files(), [FILE]);
}

#[tokio::test]
async fn a_login_file_put_in_place_during_a_refresh_is_not_overwritten_with_tokens_of_the_old_login() {
    let fake = FakeClaude::start().await;
    let (daemon, _, gate) = rotated_but_not_answered(&fake).await;
    let other = fake.issue_account_in("someone@example.com", "Elsewhere");
    daemon.put(FILE, &other.auth_file());
    daemon
        .wait_for("the other account", |list| list.accounts.iter().any(|a| a.email == "someone@example.com"))
        .await;
    gate.open();
    daemon.wait_for("one account", |list| list.accounts.len() == 1).await;
    within("the refresh ends", async {
        while daemon.all_files().iter().any(|name| name.starts_with(".update-")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(daemon.read(FILE)["refresh_token"], json!(other.refresh_token));
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_refusal_of_the_old_login_leaves_the_file_of_a_new_one_as_it_is() {
    let fake = FakeClaude::start().await;
    let old = fake.issue_account("person@example.com");
    let gate = Gate::new();
    let refusal = Script::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", "it was revoked");
    fake.on(TOKEN_PATH).once(refusal.hold_answer(&gate));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, FILE, &expired(&old))).await;
    within("the token is asked with", gate.reached_by(1)).await;
    let new = fake.issue_account("person@example.com").auth_file();
    daemon.put(FILE, &new);
    gate.open();
    within("the refresh ends", async {
        while daemon.all_files().iter().any(|name| name.starts_with(".update-")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(daemon.read(FILE), new);
    daemon.wait_for("the new login is ready", |list| list.accounts.iter().any(is_ready)).await;
}

#[tokio::test]
async fn a_token_in_memory_only_outlives_its_accounts_absence_from_the_pool() {
    let fake = FakeClaude::start().await;
    let (daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    let path = daemon.auth_dir().join(FILE);
    // Nobody may use a file that others may read, so the new token cannot be saved into it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    daemon.wait_for("the file is not used", |list| list.invalid_files.len() == 1).await;
    gate.open();
    daemon.wait_for("the account is out", |list| list.accounts.is_empty()).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    daemon.wait_until_saved(&fake, &issued, FILE, 1).await;
    daemon
        .wait_for("it is ready and well", |list| list.accounts.iter().any(|a| is_ready(a) && !a.degraded))
        .await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_login_ends_the_trouble_of_the_tokens_it_replaces() {
    let fake = FakeClaude::start().await;
    let (daemon, issued, gate) = rotated_but_not_answered(&fake).await;
    daemon.put(FILE, &json!("no account"));
    gate.open();
    daemon.wait_for("the token is in memory only", |list| list.accounts.iter().any(|a| a.degraded)).await;
    fake.sign_in_as(&issued.identity.email, &issued.identity.organization_name);
    log_in(&daemon, &fake).await.expect("the login succeeds");
    let account = daemon.only_account().await;
    assert!(is_ready(&account) && !account.degraded && account.last_error.is_empty(), "{account:?}");
    daemon.refresh(&account.id).await.expect("a login that just succeeded can be refreshed");
}
