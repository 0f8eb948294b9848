//! Logging an account in over the control plane: what is stored, what a wrong answer changes (nothing), and
//! what a login replaces.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use http::StatusCode;
use proxy_proto::v1::{
    AccountState, BeginLoginRequest, BeginLoginResponse, CancelLoginRequest, CompleteLoginResponse,
};
use proxy_tests::daemon::{Setup, TestDaemon, expired, fake_at, is_ready, put, read};
use proxy_tests::fake_claude::{Decision, FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};
use tonic::{Code, Status};

const PROFILE_PATH: &str = "/api/oauth/profile";

/// The code that the browser brings back after the person allowed the login.
fn allow(fake: &FakeClaude, begun: &BeginLoginResponse) -> String {
    let back = fake.browse(&begun.authorize_url, Decision::Allow).unwrap();
    let pair = |name: &str| back.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!(pair("state"), begun.state);
    pair("code")
}

/// A whole login, with a person who allows it.
pub(crate) async fn log_in(daemon: &TestDaemon, fake: &FakeClaude) -> Result<CompleteLoginResponse, Status> {
    let begun = daemon.begin_login().await;
    daemon.complete_login(&begun.login_id, &allow(fake, &begun), &begun.state).await
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_login_stores_the_account_privately_and_it_serves_at_once() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    fake.sign_in_as("ada@example.com", "Analytical");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let begun = daemon.begin_login().await;
    assert_eq!(begun.redirect_uri, "http://localhost:54545/callback");
    assert_eq!(begun.deadline.unwrap().seconds - clock.now().as_second(), 300);
    let done = daemon.complete_login(&begun.login_id, &allow(&fake, &begun), &begun.state).await.unwrap();

    let account = done.account.unwrap();
    assert!(is_ready(&account) && !done.replaced && account.renewable);
    let name = format!("claude-{}-20260601T120000Z.json", account.id);
    assert_eq!(daemon.files(), [name.as_str()]);
    assert_eq!(Path::new(&done.path), daemon.auth_dir().canonicalize().unwrap().join(&name));
    assert_eq!((mode(Path::new(&done.path)), mode(&daemon.auth_dir())), (0o600, 0o700));

    let number = fake.account("ada@example.com").unwrap();
    let who = fake.identity(number);
    let exchange = fake.requests_to(TOKEN_PATH).remove(0).json();
    let mut stored = daemon.read(&name);
    let access = stored["access_token"].as_str().unwrap().to_owned();
    assert!(!stored.to_string().contains(exchange["code_verifier"].as_str().unwrap()));
    let expected = json!({
        "type": "claude", "access_token": access, "refresh_token": fake.current_refresh_token(number),
        "token_type": "Bearer", "expired": "2026-06-01T20:00:00Z", "last_refresh": "2026-06-01T12:00:00Z",
        "scope": stored["scope"].take(), "email": "ada@example.com", "account_uuid": who.account_uuid,
        "organization_uuid": who.organization_uuid, "organization_name": "Analytical", "pkce_method": "S256",
    });
    stored["scope"] = expected["scope"].clone();
    assert_eq!(stored, expected);

    assert_eq!(daemon.ask("hello").await.status(), 200);
    let bearer = fake.requests_to("/v1/messages").remove(0).header("authorization").unwrap().to_owned();
    assert_eq!(bearer, format!("Bearer {access}"));
    assert_eq!(fake.count(PROFILE_PATH), 0, "the token reply said who it is");
}

#[tokio::test]
async fn a_token_reply_that_names_nobody_is_completed_by_the_profile() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    fake.on(TOKEN_PATH).once(Script::real().patch(json!({"account": null, "organization": null})));
    let account = log_in(&daemon, &fake).await.unwrap().account.unwrap();
    let who = fake.identity(fake.account("person@example.com").unwrap());
    assert_eq!((account.email, account.account_uuid), (who.email, who.account_uuid));
    assert_eq!((account.organization_uuid, fake.count(PROFILE_PATH)), (who.organization_uuid, 1));
}

#[tokio::test]
async fn a_login_whose_owner_nobody_tells_is_stored_all_the_same() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    fake.on(TOKEN_PATH).once(Script::real().patch(json!({"account": null, "organization": null})));
    fake.on(PROFILE_PATH).once(Script::html_502());
    let account = log_in(&daemon, &fake).await.unwrap().account.unwrap();
    assert_eq!((account.email.as_str(), is_ready(&account)), ("", true));
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_wrong_state_saves_nothing_and_the_login_goes_on() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let begun = daemon.begin_login().await;
    let code = allow(&fake, &begun);
    for state in ["", "wrong", &begun.state[1..]] {
        let status = daemon.complete_login(&begun.login_id, &code, state).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{state:?}");
    }
    assert_eq!((daemon.all_files(), fake.token_calls()), (vec![".lock".to_owned()], 0));
    daemon.complete_login(&begun.login_id, &code, &begun.state).await.unwrap();
}

#[tokio::test]
async fn of_two_completions_only_the_first_succeeds() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let begun = daemon.begin_login().await;
    let code = allow(&fake, &begun);
    let complete = || daemon.complete_login(&begun.login_id, &code, &begun.state);
    let (one, two) = tokio::join!(complete(), complete());
    let (done, refused): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 1));
    assert_eq!(refused[0].as_ref().unwrap_err().code(), Code::NotFound);
    assert_eq!(complete().await.unwrap_err().code(), Code::NotFound);
    assert_eq!((fake.token_calls(), daemon.files().len()), (1, 1));
}

#[tokio::test]
async fn a_login_that_never_was_is_cancelled_or_is_over_is_not_found() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let begun = daemon.begin_login().await;
    for unknown in ["", "no-such-login", "018f0000-0000-7000-8000-000000000000"] {
        let status = daemon.complete_login(unknown, "code", &begun.state).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{unknown:?}");
    }
    // As proxyctl does once the person denied it in the browser.
    fake.browse(&begun.authorize_url, Decision::Deny).unwrap();
    let cancel = CancelLoginRequest { login_id: begun.login_id.clone() };
    for _ in 0..2 {
        daemon.logins_client().await.cancel_login(cancel.clone()).await.unwrap();
    }
    let status = daemon.complete_login(&begun.login_id, "code", &begun.state).await.unwrap_err();
    assert_eq!((status.code(), daemon.files().len(), fake.token_calls()), (Code::NotFound, 0, 0));
}

#[tokio::test]
async fn a_login_ends_after_five_minutes() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let daemon = TestDaemon::with(&fake, Setup { clock: clock.clock(), ..Setup::default() }, |_| {}).await;
    let (kept, over) = (daemon.begin_login().await, daemon.begin_login().await);
    clock.advance(SignedDuration::from_secs(299));
    daemon.complete_login(&kept.login_id, &allow(&fake, &kept), &kept.state).await.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    let status = daemon.complete_login(&over.login_id, &allow(&fake, &over), &over.state).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("5 minutes"), "{}", status.message());
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_code_the_provider_refuses_ends_the_login_with_the_providers_words() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let begun = daemon.begin_login().await;
    let status = daemon.complete_login(&begun.login_id, "code-FAKEwrong", &begun.state).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("Invalid authorization code"), "{}", status.message());
    assert!(!status.message().contains("code-FAKEwrong"));
    let status =
        daemon.complete_login(&begun.login_id, &allow(&fake, &begun), &begun.state).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(daemon.all_files(), [".lock"]);
}

#[tokio::test]
async fn a_provider_in_trouble_leaves_the_login_to_be_completed_afterwards() {
    let troubles = [
        ("502", Script::html_502()),
        ("529", Script::overloaded()),
        ("429", Script::rate_limited(1)),
        ("cannot be reached", Script::reset()),
        ("cannot be reached", Script::close()),
    ];
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for (words, trouble) in troubles {
        let begun = daemon.begin_login().await;
        let code = allow(&fake, &begun);
        fake.on(TOKEN_PATH).once(trouble);
        let status = daemon.complete_login(&begun.login_id, &code, &begun.state).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{words}");
        assert!(status.message().contains(words), "{}", status.message());
        let done = daemon.complete_login(&begun.login_id, &code, &begun.state).await;
        assert!(is_ready(&done.unwrap().account.unwrap()), "{words}");
    }
    assert_eq!(daemon.files().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_login_is_refused_before_it_begins() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for (provider, callback_port) in [("", 1), ("gemini", 1), ("claude", 0), ("claude", 65536)] {
        let request =
            BeginLoginRequest { provider: provider.to_owned(), callback_port, ..Default::default() };
        let status = daemon.logins_client().await.begin_login(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{provider} {callback_port}");
    }
    let good = BeginLoginRequest { provider: "claude".to_owned(), callback_port: 1, ..Default::default() };
    for (request, words) in [
        (BeginLoginRequest { label: "x".repeat(101), ..good.clone() }, "the label must be one line"),
        (BeginLoginRequest { label: "two\nlines".to_owned(), ..good.clone() }, "the label must be one line"),
        (
            BeginLoginRequest { priority: Some(1001), ..good.clone() },
            "the priority must be from -1000 to 1000",
        ),
        (BeginLoginRequest { redirect: 99, ..good.clone() }, "does not know the kind of redirect"),
    ] {
        let status = daemon.logins_client().await.begin_login(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(words), "{}", status.message());
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_during_the_exchange_still_has_its_account() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let begun = daemon.begin_login().await;
    let code = allow(&fake, &begun);
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    tokio::select! {
        done = daemon.complete_login(&begun.login_id, &code, &begun.state) => panic!("answered too early: {done:?}"),
        () = within("the code is exchanged", gate.reached_by(1)) => {}
    }
    gate.open();
    daemon.wait_for("the account is there", |list| list.accounts.iter().any(is_ready)).await;
    let number = fake.account("person@example.com").unwrap();
    let stored = daemon.read(&daemon.files()[0]);
    assert_eq!(stored["refresh_token"], json!(fake.current_refresh_token(number)));
}

#[tokio::test]
async fn stopping_during_an_exchange_waits_until_the_account_is_on_disk() {
    let fake = FakeClaude::start().await;
    let mut daemon = TestDaemon::start(&fake).await;
    let begun = daemon.begin_login().await;
    let code = allow(&fake, &begun);
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    tokio::select! {
        done = daemon.complete_login(&begun.login_id, &code, &begun.state) => panic!("answered too early: {done:?}"),
        () = within("the code is exchanged", gate.reached_by(1)) => {}
    }
    daemon.ask_to_stop();
    gate.open();
    let home = daemon.stop().await;
    let files = fs::read_dir(home.path().join("auth")).unwrap().map(|entry| entry.unwrap().path());
    let accounts: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    let number = fake.account("person@example.com").unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!(read(&accounts[0])["refresh_token"], json!(fake.current_refresh_token(number)));
}

#[tokio::test]
async fn logging_in_again_replaces_the_account_and_keeps_what_a_person_set() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let issued = fake.issue_account("person@example.com");
    fake.revoke(&issued.refresh_token);
    let mut document = expired(&issued);
    document["label"] = json!("work");
    document["priority"] = json!(3);
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, "claude-old.json", &document)).await;
    daemon.wait_for("it needs a login", |list| list.accounts[0].state() == AccountState::NeedsLogin).await;
    let before = daemon.only_account().await.id;
    clock.advance(SignedDuration::from_secs(1));
    let done = log_in(&daemon, &fake).await.unwrap();
    let account = daemon.only_account().await;
    assert!(done.replaced && is_ready(&account));
    assert_eq!((account.id, account.label.as_str()), (before, "work"));
    let files = daemon.files();
    assert_eq!((files.len(), files[0].contains("-20260601T120001Z")), (1, true), "{files:?}");
    let stored = daemon.read(&files[0]);
    assert_eq!((&stored["priority"], stored.get("needs_login")), (&json!(3), None));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    // And once more: what a login wrote itself is replaced as well.
    clock.advance(SignedDuration::from_secs(1));
    assert!(log_in(&daemon, &fake).await.unwrap().replaced);
    let files = daemon.files();
    assert_eq!((files.len(), &daemon.read(&files[0])["priority"]), (1, &json!(3)));
}

#[tokio::test]
async fn one_email_in_two_organizations_is_two_accounts() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for organization in ["Analytical", "Differential"] {
        fake.sign_in_as("ada@example.com", organization);
        assert!(!log_in(&daemon, &fake).await.unwrap().replaced);
    }
    let accounts = daemon.list().await.accounts;
    let names: Vec<_> = accounts.iter().map(|account| account.organization_name.as_str()).collect();
    assert!(names.contains(&"Analytical") && names.contains(&"Differential"), "{names:?}");
    assert_eq!((accounts.len(), daemon.files().len()), (2, 2));
}

#[tokio::test]
async fn a_file_that_knows_only_the_email_is_replaced_by_the_login() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let mut document = issued.auth_file();
    let fields = document.as_object_mut().unwrap();
    fields.retain(|key, _| !key.contains("uuid") && !key.starts_with("organization"));
    fields.insert("email".to_owned(), json!("Person@Example.com"));
    fields.insert("prefix".to_owned(), json!("mine"));
    let name = "claude-Person@Example.com.json";
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, name, &document)).await;
    assert!(log_in(&daemon, &fake).await.unwrap().replaced);
    let files = daemon.files();
    assert_eq!((files.len(), daemon.list().await.accounts.len()), (1, 1));
    assert_eq!(daemon.read(&files[0])["prefix"], Value::from("mine"));
}

#[tokio::test]
async fn a_login_during_a_refresh_of_the_same_account_is_what_stays() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &expired(&issued))).await;
    within("the refresh is under way", gate.reached_by(1)).await;
    assert!(log_in(&daemon, &fake).await.unwrap().replaced);
    gate.open();
    within("the refresh ends", async {
        while daemon.all_files().iter().any(|name| name.starts_with(".update-")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::OK);
    let files = daemon.files();
    assert_eq!((files.len(), daemon.list().await.accounts.len()), (1, 1));
    assert!(daemon.holds_newest(&fake, &issued, &files[0]));
}
