//! Accounts from another directory, and one account into a file.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use proxy_proto::v1::{
    ExportAccountRequest, ImportAccountsRequest, ImportOutcome, ImportedFile, RemoveAccountRequest,
};
use proxy_tests::daemon::{TestDaemon, key_file, private_dir, put, read};
use proxy_tests::fake_claude::FakeClaude;
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
    here["last_refresh"] = json!("2020-01-01T00:00:00Z");
    daemon.put("claude-a.json", &here);
    daemon.wait_for("the label", |list| list.accounts[0].label == "mine").await;
    let newer = fake.issue_account("person@example.com");
    let source = TempDir::new().unwrap();
    let mut theirs = newer.auth_file();
    theirs["label"] = json!("theirs");
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
        (daemon.auth_dir().join("claude-copy.json"), Code::FailedPrecondition),
        (dir.path().join("none/a.json"), Code::InvalidArgument),
        ("a.json".into(), Code::InvalidArgument),
    ] {
        let refused = export(&daemon, "person@example.com", &path).await.unwrap_err();
        assert_eq!(refused.code(), code, "{path:?}: {}", refused.message());
    }
    assert_eq!(fs::metadata(&there).unwrap().len(), 0);
    assert_eq!(names(dir.path()), ["link.json", "there.json"]);
    assert_eq!(daemon.files(), ["claude-a.json"]);
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
