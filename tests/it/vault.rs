//! API keys that the service manager hands over, and tokens that are encrypted at rest: the daemon with real files, a real issuer's
//! rotation and real requests.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use http::StatusCode;
use proxy_proto::v1::{
    AccountChanges, AccountState, CredentialKind, DisableAccountRequest, ExportAccountRequest,
    ListAccountsResponse, RemoveAccountRequest, RevokeAccountRequest, UpdateAccountRequest,
};
use proxy_tests::daemon::{Setup, TestDaemon, expired, key_file, private_dir, put};
use proxy_tests::fake_claude::{Caller, Decision, FakeClaude, Issued, Script};
use serde_json::json;
use tempfile::TempDir;
use tonic::Code;

const FILE: &str = "claude-a.json";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The directory that the service manager would make.
struct Credentials(TempDir);

impl Credentials {
    fn of<const N: usize>(credentials: [(&str, &str); N]) -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for (name, text) in credentials {
            this.put(name, text);
        }
        this
    }

    fn put(&self, name: &str, text: &str) {
        let mut options = fs::OpenOptions::new();
        // As the service manager makes them.
        let file = options.write(true).create(true).truncate(true).mode(0o440).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn setup(&self) -> Setup {
        let directory = self.0.path().display().to_string();
        Setup { settings: vec![("CREDENTIALS_DIRECTORY", directory)], ..Setup::default() }
    }
}

/// Whether some file of the directory holds this text anywhere.
fn holds(dir: &Path, text: &str) -> bool {
    let files = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|file| fs::read(file).unwrap()).any(|bytes| String::from_utf8_lossy(&bytes).contains(text))
}

/// Logs the same person in again.
async fn log_in(fake: &FakeClaude, daemon: &TestDaemon, issued: &Issued) {
    fake.sign_in_as("person@example.com", &issued.identity.organization_name);
    let begun = daemon.begin_login().await;
    let answer = fake.browse(&begun.authorize_url, Decision::Allow).unwrap();
    let part = |name: &str| answer.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    daemon.complete_login(&begun.login_id, &part("code"), &part("state")).await.unwrap();
}

fn reasons(list: &ListAccountsResponse) -> Vec<&str> {
    list.invalid_files.iter().map(|file| file.reason.as_str()).collect()
}

#[tokio::test]
async fn a_refresh_with_a_seal_key_leaves_no_token_in_clear() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let api_key = fake.add_api_key();
    let credentials = Credentials::of([("proxyd.seal-key", KEY)]);
    let daemon = TestDaemon::with(&fake, credentials.setup(), |dir| {
        put(dir, FILE, &expired(&issued));
        put(dir, "claude-k.json", &key_file(&api_key));
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let id = daemon.account_of(FILE).await.id;
    daemon.wait_for("it is refreshed", |_| fake.rotations(issued.account) == 1).await;
    let second = fake.current_refresh_token(issued.account).unwrap();
    daemon
        .wait_for("it is saved", |list| {
            list.accounts
                .iter()
                .any(|account| account.id == id && account.last_error.is_empty() && !account.degraded)
        })
        .await;
    for secret in [&issued.access_token, &issued.refresh_token, &second, &api_key] {
        assert!(!holds(&daemon.auth_dir(), secret), "{secret}");
    }
    assert!(holds(&daemon.auth_dir(), "person@example.com"), "only secrets are sealed");
    let access = daemon.read(FILE)["access_token"].as_str().unwrap().to_owned();
    assert!(access.starts_with("proxyd-sealed:v1:"), "{access}");
    let sent: Vec<_> = fake.requests().into_iter().map(|request| format!("{:?}", request.headers)).collect();
    assert!(!sent.concat().contains("proxyd-sealed"), "nothing sealed is sent");

    // The next start opens what this one sealed, and the account goes on.
    let home = daemon.stop().await;
    fake.expire_access_tokens();
    let daemon = TestDaemon::start_in(&fake, credentials.setup(), home).await;
    assert!(reasons(&daemon.list().await).is_empty());
    assert!(daemon.refresh(&id).await.is_ok());
    assert_eq!(fake.rotations(issued.account), 2);
    assert!(!holds(&daemon.auth_dir(), &fake.current_refresh_token(issued.account).unwrap()));
    assert!(!holds(&daemon.auth_dir(), &second));
}

#[tokio::test]
async fn without_its_key_an_account_waits_and_a_new_login_leaves_its_file() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let with_key = Credentials::of([("proxyd.seal-key", KEY)]);
    let mut file = issued.auth_file();
    file["last_refresh"] = json!("2026-01-01T00:00:00Z");
    let daemon = TestDaemon::with(&fake, with_key.setup(), |dir| put(dir, FILE, &file)).await;
    let sealed = daemon.read(FILE);
    let mut home = daemon.stop().await;
    let other_key = Credentials::of([("proxyd.seal-key", OTHER)]);
    for setup in [Setup::default(), other_key.setup()] {
        let daemon = TestDaemon::start_in(&fake, setup, home).await;
        let list = daemon.list().await;
        assert!(list.accounts.is_empty() && reasons(&list)[0].contains("is sealed with the key"), "{list:?}");
        assert_eq!(daemon.ask("hello").await.status(), StatusCode::FORBIDDEN);
        assert_eq!(daemon.read(FILE), sealed);
        home = daemon.stop().await;
    }
    // Logged in again without the key: the older file stays, and is superseded once its key is back.
    let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
    log_in(&fake, &daemon, &issued).await;
    assert_eq!((daemon.files().len(), daemon.read(FILE)), (2, sealed));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, with_key.setup(), home).await;
    let list = daemon.list().await;
    assert_eq!((list.accounts.len(), list.invalid_files.len()), (1, 1), "{list:?}");
    assert!(!list.accounts[0].path.ends_with(FILE));
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_file_that_another_key_sealed_is_put_in_its_place_and_a_login_leaves_it_there() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let mut file = issued.auth_file();
    file["last_refresh"] = json!("2026-01-01T00:00:00Z");
    let other = Credentials::of([("proxyd.seal-key", OTHER)]);
    let theirs = TestDaemon::with(&fake, other.setup(), |dir| put(dir, FILE, &file)).await.read(FILE);
    let key = Credentials::of([("proxyd.seal-key", KEY)]);
    let daemon = TestDaemon::with(&fake, key.setup(), |dir| put(dir, FILE, &file)).await;
    daemon.put(FILE, &theirs);
    daemon.wait_for("it is seen", |list| list.invalid_files.len() == 1).await;
    assert!(reasons(&daemon.list().await)[0].ends_with("the account goes on with what the file said before"));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    log_in(&fake, &daemon, &issued).await;
    assert_eq!((daemon.files().len(), daemon.read(FILE)), (2, theirs));
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn the_way_back_leaves_everything_in_clear() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let key = Credentials::of([("proxyd.seal-key", KEY)]);
    let daemon = TestDaemon::with(&fake, key.setup(), |dir| put(dir, FILE, &issued.auth_file())).await;
    assert!(!holds(&daemon.auth_dir(), &issued.refresh_token));
    let home = daemon.stop().await;
    let mut setup = key.setup();
    setup.settings.push(("PROXYD_AUTH__SEAL", "false".to_owned()));
    let daemon = TestDaemon::start_in(&fake, setup, home).await;
    assert_eq!(daemon.read(FILE), issued.auth_file());
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn an_api_key_of_the_service_manager_serves_and_is_never_written() {
    let fake = FakeClaude::start().await;
    let (named, nameless) = (fake.add_api_key(), fake.add_api_key());
    let credentials = Credentials::of([
        ("proxyd.api-key", &format!("{nameless}\n")),
        ("proxyd.api-key.work", &named),
        ("proxyd.api-key.bad", "two FAKE-words"),
        ("proxyd.other", "not ours"),
    ]);
    let daemon = TestDaemon::with(&fake, credentials.setup(), |_| {}).await;
    let list = daemon.list().await;
    assert_eq!(list.accounts.len(), 2, "{list:?}");
    let work = daemon.account_of("proxyd.api-key.work").await;
    assert_eq!((work.label.as_str(), work.path.as_str()), ("work", "credential proxyd.api-key.work"));
    assert_eq!((work.kind(), work.state()), (CredentialKind::ApiKey, AccountState::Ready));
    assert_eq!(daemon.account_of("proxyd.api-key").await.label, "");
    assert_eq!(list.invalid_files.len(), 1);
    assert_eq!(list.invalid_files[0].path, "credential proxyd.api-key.bad");
    let reason = &list.invalid_files[0].reason;
    assert!(reason.contains("printable ASCII") && !reason.contains("FAKE"), "{reason}");

    for _ in 0..2 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    let callers = fake.requests_to("/v1/messages").into_iter().map(|request| request.caller.unwrap());
    assert!(
        callers
            .into_iter()
            .all(|caller| [&named, &nameless].iter().any(|key| caller == Caller::ApiKey((*key).clone())))
    );
    assert_eq!(daemon.files(), Vec::<String>::new());
    assert!(!holds(&daemon.auth_dir(), &named) && !holds(&daemon.auth_dir(), &nameless));
}

#[tokio::test]
async fn what_would_write_a_credentials_file_says_what_to_do_instead() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    let credentials = Credentials::of([("proxyd.api-key.work", &key)]);
    let daemon = TestDaemon::with(&fake, credentials.setup(), |_| {}).await;
    let mut client = daemon.accounts_client().await;
    let account = || "work".to_owned();
    let changes = AccountChanges { label: Some("home".to_owned()), ..AccountChanges::default() };
    let path = daemon.auth_dir().parent().unwrap().join("out.json");
    let refusals = [
        client
            .update_account(UpdateAccountRequest { account: account(), changes: Some(changes) })
            .await
            .err(),
        client.disable_account(DisableAccountRequest { account: account() }).await.err(),
        client.remove_account(RemoveAccountRequest { account: account() }).await.err(),
        client.revoke_account(RevokeAccountRequest { account: account() }).await.err(),
        client
            .export_account(ExportAccountRequest { account: account(), path: path.display().to_string() })
            .await
            .err(),
    ];
    for refusal in refusals {
        let refusal = refusal.unwrap();
        assert_eq!(refusal.code(), Code::FailedPrecondition);
        let said = refusal.message();
        assert!(said.contains("proxyd.api-key.work") && said.contains("systemctl edit"), "{said}");
        assert!(!said.contains(&key));
    }
    assert!(!path.exists());
    assert_eq!(daemon.only_account().await.label, "work");
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn credentials_are_read_again_and_what_was_learned_of_one_stays() {
    let fake = FakeClaude::start().await;
    let (first, second) = (fake.add_api_key(), fake.add_api_key());
    let credentials = Credentials::of([("proxyd.api-key.work", &first)]);
    let daemon = TestDaemon::with(&fake, credentials.setup(), |_| {}).await;
    fake.on("/v1/messages").once(Script::rate_limited(600));
    assert_eq!(daemon.ask("hello").await.status(), StatusCode::TOO_MANY_REQUESTS);
    let limited = daemon.only_account().await;
    assert_eq!(limited.state(), AccountState::Cooling);
    let daemon = TestDaemon::start_in(&fake, credentials.setup(), daemon.stop().await).await;
    assert_eq!(daemon.only_account().await.state(), AccountState::Cooling);

    // A key that has a file, too, is one account, the file's; and what comes wakes the scan.
    credentials.put("proxyd.api-key.home", &second);
    let mut file = key_file(&first);
    file["label"] = json!("in the directory");
    daemon.put("claude-k.json", &file);
    daemon
        .wait_for("both are seen", |list| {
            let has_file = list.accounts.iter().any(|account| account.path.ends_with("claude-k.json"));
            list.accounts.len() == 2 && has_file
        })
        .await;
    let own = daemon.account_of("claude-k.json").await;
    assert_eq!(
        (&own.id, own.label.as_str(), own.state()),
        (&limited.id, "in the directory", AccountState::Cooling)
    );
    let list = daemon.list().await;
    assert_eq!(list.invalid_files.len(), 1, "{list:?}");
    assert_eq!(list.invalid_files[0].path, "credential proxyd.api-key.work");
    assert!(list.invalid_files[0].reason.contains("another file of account"), "{list:?}");
    assert_eq!(daemon.ask("hello").await.status(), 200);

    // Without its file, the credential is the account again.
    fs::remove_file(daemon.auth_dir().join("claude-k.json")).unwrap();
    daemon
        .wait_for("the credential stands for it", |list| {
            list.accounts.iter().any(|account| account.id == limited.id && account.label == "work")
        })
        .await;
    fs::remove_file(credentials.path("proxyd.api-key.home")).unwrap();
    daemon.put("claude-wakes.json", &json!({}));
    daemon.wait_for("the key is gone", |list| list.accounts.len() == 1).await;
}

#[tokio::test]
async fn an_import_takes_what_this_key_sealed_and_refuses_what_another_did() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let key = Credentials::of([("proxyd.seal-key", KEY)]);
    let daemon = TestDaemon::with(&fake, key.setup(), |dir| put(dir, FILE, &issued.auth_file())).await;
    let home = daemon.stop().await;
    let source = private_dir(home.path().join("elsewhere"));
    fs::rename(home.path().join("auth").join(FILE), source.join(FILE)).unwrap();
    let import = async |daemon: &TestDaemon| {
        let directory = source.display().to_string();
        let request = proxy_proto::v1::ImportAccountsRequest { directory, r#move: false };
        let imported = daemon.accounts_client().await.import_accounts(request).await.unwrap();
        imported.into_inner().files.pop().unwrap()
    };
    let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
    let refused = import(&daemon).await;
    assert!(refused.account.is_none() && refused.reason.contains("there is no seal key"), "{refused:?}");
    let daemon = TestDaemon::start_in(&fake, key.setup(), daemon.stop().await).await;
    assert!(import(&daemon).await.account.is_some());
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert!(!holds(&daemon.auth_dir(), &issued.refresh_token));
}
