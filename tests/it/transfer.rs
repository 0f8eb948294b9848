//! Accounts from another directory, and one account into a file.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use futures_util::FutureExt as _;
use proxy_proto::v1::{
    AccountState, ExportAccountRequest, ImportAccountsRequest, ImportOutcome, ImportedFile,
    RemoveAccountRequest,
};
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, key_file, private_dir, put, read};
use proxy_tests::fake_claude::{FakeClaude, Gate, Issued, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use proxyd::id::AccountId;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Status};

async fn import(daemon: &TestDaemon, dir: &Path, mv: bool) -> Result<Vec<ImportedFile>, Status> {
    let directory = dir.to_str().unwrap().to_owned();
    let request = ImportAccountsRequest { directory, r#move: mv };
    Ok(daemon.accounts_client().await.import_accounts(request).await?.into_inner().files)
}

async fn export(daemon: &TestDaemon, account: &str, path: &Path) -> Result<String, Status> {
    let request =
        ExportAccountRequest { account: account.to_owned(), path: path.to_str().unwrap().to_owned() };
    Ok(daemon.accounts_client().await.export_account(request).await?.into_inner().path)
}

fn outcomes(files: &[ImportedFile]) -> Vec<(&str, ImportOutcome)> {
    files.iter().map(|file| (file.path.rsplit('/').next().unwrap(), file.outcome())).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_of_the_go_implementation_are_copied_and_serve() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let source = TempDir::new().unwrap();
    let mut theirs = fake.issue_account("ada@example.com").auth_file();
    theirs["priority"] = json!(3);
    theirs["x-theirs"] = json!([1.0]);
    put(source.path(), "claude-ada@example.com.json", &theirs);
    put(source.path(), "notes.txt", &json!("no account"));
    let files = import(&daemon, source.path(), false).await.unwrap();
    assert_eq!(outcomes(&files), [("claude-ada@example.com.json", ImportOutcome::Added)]);
    assert_eq!(files[0].account.as_ref().unwrap().email, "ada@example.com");
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let ours = daemon.files();
    let written = daemon.read(&ours[0]);
    assert_eq!((&written["x-theirs"], &written["priority"]), (&json!([1.0]), &json!(3)));
    assert!(!ours[0].contains('@') && names(source.path()).len() == 2);
    let again = import(&daemon, source.path(), false).await.unwrap();
    assert_eq!(again[0].outcome(), ImportOutcome::Unchanged);
    assert_eq!(daemon.files().len(), 1);
}

#[tokio::test]
async fn what_is_moved_is_deleted_there_once_it_is_saved_here() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let source = TempDir::new().unwrap();
    put(source.path(), "claude-a.json", &fake.issue_account("ada@example.com").auth_file());
    put(source.path(), "claude-b.json", &json!({"type": "gemini", "access_token": "FAKE"}));
    let files = import(&daemon, source.path(), true).await.unwrap();
    let expected = [("claude-a.json", ImportOutcome::Added), ("claude-b.json", ImportOutcome::Refused)];
    assert_eq!(outcomes(&files), expected);
    assert_eq!(names(source.path()), ["claude-b.json"], "what is refused stays where it is");
    assert!(files[1].reason.contains("another provider"), "{}", files[1].reason);
    assert_eq!(daemon.only_account().await.email, "ada@example.com");
}

#[tokio::test]
async fn newer_tokens_win_and_what_a_person_set_here_stays() {
    let fake = FakeClaude::start().await;
    let (daemon, old) = TestDaemon::with_account(&fake).await;
    let mut here = old.auth_file();
    here["label"] = json!("mine");
    daemon.put("claude-a.json", &here);
    daemon.wait_for("the label", |list| list.accounts[0].label == "mine").await;
    let newer = fake.issue_account("person@example.com");
    let source = TempDir::new().unwrap();
    let mut theirs = newer.auth_file();
    theirs["label"] = json!("theirs");
    theirs["last_refresh"] = json!(newer.expires_at().to_string());
    put(source.path(), "claude-x.json", &theirs);
    let files = import(&daemon, source.path(), false).await.unwrap();
    assert_eq!(files[0].outcome(), ImportOutcome::Updated);
    let written = daemon.read("claude-a.json");
    assert_eq!((&written["label"], &written["access_token"]), (&json!("mine"), &json!(newer.access_token)));
    put(source.path(), "claude-x.json", &old.auth_file());
    let mut older = old.auth_file();
    older["last_refresh"] = json!("2019-01-01T00:00:00Z");
    put(source.path(), "claude-x.json", &older);
    assert_eq!(import(&daemon, source.path(), false).await.unwrap()[0].outcome(), ImportOutcome::Unchanged);
    assert_eq!(daemon.read("claude-a.json"), written);
}

#[tokio::test]
async fn tokens_that_may_be_another_organizations_are_not_put_in_place_of_known_ones() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let before = daemon.read("claude-a.json");
    let elsewhere = fake.issue_account_in("person@example.com", "Another");
    let source = TempDir::new().unwrap();
    let mut vague = elsewhere.auth_file();
    for key in ["account_uuid", "organization_uuid", "organization_name"] {
        vague.as_object_mut().unwrap().remove(key);
    }
    put(source.path(), "claude-person@example.com.json", &vague);
    let files = import(&daemon, source.path(), true).await.unwrap();
    assert_eq!(files[0].outcome(), ImportOutcome::Refused);
    assert!(files[0].reason.contains("another organization"), "{}", files[0].reason);
    assert_eq!((daemon.read("claude-a.json"), names(source.path()).len()), (before, 1));
}

/// The login as a file that holds none of these.
fn without(issued: &Issued, keys: &[&str]) -> Value {
    let mut file = issued.auth_file();
    for key in keys {
        file.as_object_mut().unwrap().remove(*key);
    }
    file
}

#[tokio::test]
async fn an_account_that_is_named_in_full_is_told_from_one_that_is_only_like_it() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let source = TempDir::new().unwrap();
    let people: Vec<String> = (0..6).map(|n| format!("person{n}@example.com")).collect();
    // The order of the pool is that of the ids, so that in some of them the one that is only like it comes first.
    for (n, email) in people.iter().enumerate() {
        let elsewhere = fake.issue_account_in(email, "Another");
        let vague = without(&elsewhere, &["account_uuid", "organization_uuid", "organization_name"]);
        daemon.put(&format!("claude-vague{n}.json"), &vague);
        daemon.put(&format!("claude-full{n}.json"), &fake.issue_account(email).auth_file());
        let newer = fake.issue_account(email);
        let mut theirs = newer.auth_file();
        // Later by more than a clock can tell; what is here stays fresh, so that nothing refreshes it meanwhile.
        theirs["last_refresh"] = json!(newer.expires_at().to_string());
        put(source.path(), &format!("claude-{n}.json"), &theirs);
    }
    daemon.wait_for("all accounts", |list| list.accounts.len() == 2 * people.len()).await;
    for (n, file) in import(&daemon, source.path(), false).await.unwrap().iter().enumerate() {
        assert_eq!((file.outcome(), file.reason.as_str()), (ImportOutcome::Updated, ""));
        let theirs = read(&source.path().join(format!("claude-{n}.json")));
        assert_eq!(daemon.read(&format!("claude-full{n}.json"))["access_token"], theirs["access_token"]);
    }
}

#[tokio::test]
async fn a_file_that_says_nothing_of_whose_it_is_is_taken_over_once() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |_| {}).await;
    let issued = fake.issue_account("person@example.com");
    let keys = ["email", "account_uuid", "organization_uuid", "organization_name"];
    let source = TempDir::new().unwrap();
    put(source.path(), "claude-x.json", &without(&issued, &keys));
    for outcome in [ImportOutcome::Added, ImportOutcome::Unchanged] {
        assert_eq!(import(&daemon, source.path(), false).await.unwrap()[0].outcome(), outcome);
        clock.advance(SignedDuration::from_mins(1));
    }
    assert_eq!(daemon.files().len(), 1);
}

#[tokio::test]
async fn a_login_that_is_refused_gives_way_even_to_an_older_one() {
    let fake = FakeClaude::start().await;
    let (daemon, dead) = TestDaemon::with_account(&fake).await;
    fake.revoke(&dead.refresh_token);
    daemon.refresh("person@example.com").await.unwrap_err();
    let alive = fake.issue_account("person@example.com");
    let mut older = alive.auth_file();
    older["last_refresh"] = json!("2020-01-01T00:00:00Z");
    let source = TempDir::new().unwrap();
    put(source.path(), "claude-x.json", &older);
    let files = import(&daemon, source.path(), true).await.unwrap();
    assert_eq!(files[0].outcome(), ImportOutcome::Updated);
    assert_eq!(files[0].account.as_ref().unwrap().state(), AccountState::Ready);
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_refresh_that_ends_meanwhile_is_newer_than_the_file() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    // The same login twice, with the token that is being spent here.
    let (mut ours, mut copy) = (issued.auth_file(), issued.auth_file());
    ours["last_refresh"] = json!("2020-01-01T00:00:00Z");
    copy["last_refresh"] = json!("2021-01-01T00:00:00Z");
    // Tokens that old are refreshed at once, so the first call is the one to hold.
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &ours)).await;
    let source = TempDir::new().unwrap();
    put(source.path(), "claude-x.json", &copy);
    let who = ["account_uuid", "organization_uuid"].map(|key| ours[key].as_str().unwrap());
    let id = AccountId::derive("oauth", &who);
    assert_eq!(daemon.only_account().await.id, id.as_str());
    let opening = async {
        // A refresh that is let in would wait for the gate, too.
        within("no refresh is let in any more", async {
            while daemon.refresher().refresh_now(&id).now_or_never().is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gate.open();
    };
    let (refreshed, files) = tokio::join!(daemon.refresh("person@example.com"), async {
        within("the token is rotated", gate.reached_by(1)).await;
        let (files, ()) = tokio::join!(import(&daemon, source.path(), false), opening);
        files.unwrap()
    });
    refreshed.unwrap();
    assert_eq!(files[0].outcome(), ImportOutcome::Unchanged);
    assert!(daemon.holds_newest(&fake, &issued, "claude-a.json"));
    // Refreshes are let in again: what holds this one back is the minute between two of them.
    let too_soon = daemon.refresh("person@example.com").await.unwrap_err();
    assert!(too_soon.message().contains("less than a minute ago"), "{}", too_soon.message());
}

#[tokio::test]
async fn a_token_that_its_owner_may_have_spent_comes_with_the_doubt() {
    let fake = FakeClaude::start().await;
    let (first, issued) = TestDaemon::with_account(&fake).await;
    for answer in [Script::reset(), Script::close()] {
        fake.on(TOKEN_PATH).once(answer);
        first.refresh("person@example.com").await.unwrap_err();
    }
    let home = first.stop().await;
    let dir = home.path().join("auth");
    // What the first owner wrote down counts, whatever became of what it wrote into the file.
    put(&dir, "claude-a.json", &issued.auth_file());
    let daemon = TestDaemon::start(&fake).await;
    let files = import(&daemon, &dir, false).await.unwrap();
    assert_eq!(files[0].outcome(), ImportOutcome::Added);
    daemon.refresh("person@example.com").await.unwrap_err();
    assert_eq!(daemon.only_account().await.state(), AccountState::NeedsLogin);
    assert_eq!(fake.token_calls(), 2);
}

#[tokio::test]
async fn the_live_logins_of_other_programs_are_refused_with_the_reason() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let source = TempDir::new().unwrap();
    let claude_code =
        json!({"claudeAiOauth": {"accessToken": "FAKE", "refreshToken": "FAKE-canary", "expiresAt": 1}});
    let codex = json!({"OPENAI_API_KEY": null, "tokens": {"access_token": "FAKE-canary"}});
    put(source.path(), ".credentials.json", &claude_code);
    put(source.path(), "auth.json", &codex);
    let files = import(&daemon, source.path(), true).await.unwrap();
    assert_eq!(files.len(), 2);
    for (file, program) in files.iter().zip(["Claude Code", "Codex"]) {
        assert!(file.reason.contains(&format!("the login of {program} itself")), "{}", file.reason);
        assert!(file.reason.contains("log each other out") && !file.reason.contains("canary"));
    }
    assert_eq!(names(source.path()).len(), 2);
}

#[tokio::test]
async fn unsafe_and_broken_files_are_refused_one_by_one() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let source = TempDir::new().unwrap();
    put(source.path(), "claude-a.json", &key_file(&fake.add_api_key()));
    put(source.path(), "claude-b.json", &key_file(&fake.add_api_key()));
    fs::set_permissions(source.path().join("claude-b.json"), Permissions::from_mode(0o644)).unwrap();
    put(source.path(), "claude-c.json", &json!([]));
    symlink(source.path().join("claude-a.json"), source.path().join("claude-d.json")).unwrap();
    let files = import(&daemon, source.path(), false).await.unwrap();
    let reasons: Vec<&str> = files.iter().map(|file| file.reason.as_str()).collect();
    assert_eq!(files[0].outcome(), ImportOutcome::Added);
    assert!(reasons[1].contains("chmod 600"), "{reasons:?}");
    assert_eq!((reasons[2], reasons[3].contains("symbolic link")), ("not a JSON object", true));
}

#[tokio::test]
async fn a_directory_that_cannot_be_taken_from_says_why() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let (other, empty) = (TestDaemon::start(&fake).await, TempDir::new().unwrap());
    for (dir, code, words) in [
        (empty.path().join("none"), Code::InvalidArgument, "cannot read the directory"),
        ("relative".into(), Code::InvalidArgument, "not absolute"),
        (daemon.auth_dir(), Code::FailedPrecondition, "own auth directory"),
        (other.auth_dir(), Code::FailedPrecondition, "in use by another proxyd"),
    ] {
        let refused = import(&daemon, &dir, false).await.unwrap_err();
        assert_eq!(refused.code(), code, "{dir:?}");
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    assert_eq!(import(&daemon, empty.path(), false).await.unwrap(), []);
}

#[tokio::test]
async fn an_account_is_exported_to_a_new_private_file_and_comes_back() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let target = private_dir(TempDir::new().unwrap().keep().join("out"));
    let path = target.join("claude-ada.json");
    assert_eq!(export(&daemon, "person@example.com", &path).await.unwrap(), path.to_str().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(read(&path), daemon.read("claude-a.json"));
    let request = RemoveAccountRequest { account: "person@example.com".to_owned() };
    let removed = daemon.accounts_client().await.remove_account(request).await.unwrap().into_inner();
    assert!(removed.path.ends_with("claude-a.json") && daemon.files().is_empty());
    assert!(fake.has_live_login(issued.account), "the provider was told nothing");
    assert_eq!(import(&daemon, &target, true).await.unwrap()[0].outcome(), ImportOutcome::Added);
    assert_eq!(daemon.ask("hello").await.status(), 200);
    fs::remove_dir_all(target.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn nothing_is_overwritten_by_an_export() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let dir = TempDir::new().unwrap();
    let there = dir.path().join("there.json");
    File::create(&there).unwrap();
    let link = dir.path().join("link.json");
    symlink(dir.path().join("elsewhere.json"), &link).unwrap();
    for (path, code) in [
        (there.clone(), Code::AlreadyExists),
        (link, Code::AlreadyExists),
        (daemon.auth_dir().join("claude-copy.json"), Code::InvalidArgument),
        (private_dir(daemon.auth_dir().join("deeper")).join("claude-copy.json"), Code::InvalidArgument),
        (dir.path().join("none/a.json"), Code::InvalidArgument),
        ("a.json".into(), Code::InvalidArgument),
    ] {
        let refused = export(&daemon, "person@example.com", &path).await.unwrap_err();
        assert_eq!(refused.code(), code, "{path:?}: {}", refused.message());
    }
    assert_eq!(fs::metadata(&there).unwrap().len(), 0);
    assert_eq!(names(dir.path()), ["link.json", "there.json"]);
    assert_eq!(daemon.files(), ["claude-a.json", "deeper"]);
    assert!(names(&daemon.auth_dir().join("deeper")).is_empty());
}

#[tokio::test]
async fn no_reply_holds_a_token() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let issued = fake.issue_account("ada@example.com");
    let source = TempDir::new().unwrap();
    put(source.path(), "claude-a.json", &issued.auth_file());
    let files = import(&daemon, source.path(), false).await.unwrap();
    let path = source.path().join("out.json");
    let reply = format!("{files:?}{:?}", export(&daemon, "ada@example.com", &path).await);
    for secret in [&issued.access_token, &issued.refresh_token] {
        assert!(!reply.contains(secret.as_str()));
    }
    let held: Value = read(&path);
    assert_eq!(held["refresh_token"], json!(issued.refresh_token));
}
