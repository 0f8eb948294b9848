//! The pool is what the auth directory says: files that come, change and go, files that may not be used, and
//! the directory itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use proxy_proto::v1::{InvalidFile, ListAccountsResponse};
use proxy_tests::daemon::{Setup, TestDaemon, is_ready, private_dir, put};
use proxy_tests::fake_claude::{Caller, FakeClaude};
use proxyd::clock::SignedDuration;
use serde_json::{Value, json};

/// What issue and README promise for a change on disk.
const PROMISED: Duration = Duration::from_secs(1);

/// Makes a file at a path.
type Make<'a> = Box<dyn Fn(&Path) + 'a>;

/// Waits for a change to take effect and holds it to the promise.
async fn soon(daemon: &TestDaemon, what: &str, condition: impl Fn(&ListAccountsResponse) -> bool) {
    let changed = Instant::now();
    daemon.wait_for(what, condition).await;
    let took = changed.elapsed();
    assert!(took < PROMISED, "{what} took {took:?}");
}

fn emails(list: &ListAccountsResponse) -> Vec<&str> {
    let mut emails: Vec<_> = list.accounts.iter().map(|account| account.email.as_str()).collect();
    emails.sort_unstable();
    emails
}

/// The reason why this file is not used.
fn reason<'a>(list: &'a ListAccountsResponse, name: &str) -> Option<&'a str> {
    let found = |file: &&InvalidFile| file.path.ends_with(&format!("/{name}"));
    list.invalid_files.iter().find(found).map(|file| file.reason.as_str())
}

/// Writes the file in place, as an editor might, with this mode.
fn write(path: &Path, text: &str, mode: u32) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).unwrap();
    // The mode at creation is subject to the umask.
    file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_file_that_comes_changes_or_goes_takes_effect_within_a_second() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let issued = fake.issue_account("person@example.com");
    daemon.put("claude-a.json", &issued.auth_file());
    soon(&daemon, "a new file", |list| list.accounts.iter().any(is_ready)).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let mut changed = issued.auth_file();
    changed["label"] = json!("work");
    write(&daemon.auth_dir().join("claude-a.json"), &changed.to_string(), 0o600);
    soon(&daemon, "a change", |list| list.accounts.iter().any(|account| account.label == "work")).await;
    changed["disabled"] = json!(true);
    daemon.put("claude-a.json", &changed);
    soon(&daemon, "a switch", |list| !list.accounts.iter().any(is_ready)).await;
    fs::rename(daemon.auth_dir().join("claude-a.json"), daemon.auth_dir().join("claude-b.json")).unwrap();
    soon(&daemon, "a new name", |list| {
        list.accounts.iter().any(|account| account.path.ends_with("claude-b.json"))
    })
    .await;
    fs::remove_file(daemon.auth_dir().join("claude-b.json")).unwrap();
    soon(&daemon, "a removal", |list| list.accounts.is_empty()).await;
}

#[tokio::test]
async fn a_changed_token_is_used_by_the_next_request() {
    let fake = FakeClaude::start().await;
    let (daemon, old) = TestDaemon::with_account(&fake).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    fake.revoke(&old.refresh_token);
    let new = fake.issue_account("person@example.com");
    let mut document = new.auth_file();
    document["label"] = json!("new");
    daemon.put("claude-a.json", &document);
    daemon.wait_for("the change", |list| list.accounts[0].label == "new").await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let bearer = fake.requests_to("/v1/messages").pop().unwrap().header("authorization").unwrap().to_owned();
    assert_eq!((bearer, fake.token_calls()), (format!("Bearer {}", new.access_token), 0));
}

#[tokio::test]
async fn files_of_the_go_implementation_serve_as_they_are_and_keep_their_keys() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let issued = fake.issue_account("Ada@Example.com");
    let text = format!(
        r#"{{"id_token":"","access_token":"{}","refresh_token":"{}","last_refresh":"2026-01-01T10:00:00+08:00",
            "email":"Ada@Example.com","type":"claude","expired":"2026-01-01T18:00:00+08:00","disabled":false,"priority":3,
            "weight":1.50,"note":"mine","prefix":"x","proxy_url":"","excluded_models":["a"],"headers":{{"X-A":"b"}}}}"#,
        issued.access_token, issued.refresh_token
    );
    let name = "claude-Ada@Example.com.json";
    write(&daemon.auth_dir().join(name), &text, 0o600);
    daemon.wait_until_saved(&fake, &issued, name, 1).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let (before, after): (Value, Value) = (serde_json::from_str(&text).unwrap(), daemon.read(name));
    let renewed = ["access_token", "refresh_token", "last_refresh", "expired"];
    for (key, value) in before.as_object().unwrap().iter().filter(|(key, _)| !renewed.contains(&key.as_str()))
    {
        assert_eq!(&after[key], value, "{key}");
    }
    let written = fs::read_to_string(daemon.auth_dir().join(name)).unwrap();
    assert!(written.contains("1.50"), "{written}");
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_account_and_is_shown_with_line_and_column() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let path = daemon.auth_dir().join("claude-a.json");
    let cases = [
        ("{\n  \"type\": \"claude\",\n  oops", "line 3, column 3"),
        ("", "line 1, column 0"),
        ("[]", "not a JSON object"),
        ("{\"type\":\"claude\"}", "access_token"),
        ("{\"type\":\"claude\",\"access_token\":7}", "`access_token` must be a text"),
    ];
    for (text, words) in cases {
        write(&path, text, 0o600);
        daemon
            .wait_for(words, |list| reason(list, "claude-a.json").is_some_and(|why| why.contains(words)))
            .await;
        assert!(is_ready(&daemon.only_account().await), "{words}");
        assert_eq!(daemon.ask("hello").await.status(), 200, "{words}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), cases[4].0);
    daemon.put("claude-a.json", &issued.auth_file());
    daemon.wait_for("it is mended", |list| list.invalid_files.is_empty() && list.accounts.len() == 1).await;
}

#[tokio::test]
async fn a_file_that_is_broken_from_the_start_is_shown_and_harms_nobody() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        put(dir, "claude-good.json", &issued.auth_file());
        write(&dir.join("claude-broken.json"), "{\"access_token\": \"sk-ant-oat01-FAKEbroken", 0o600);
    })
    .await;
    let list = daemon.list().await;
    let why = reason(&list, "claude-broken.json").unwrap();
    assert!(why.contains("line 1") && !why.contains("FAKEbroken"), "{why}");
    assert_eq!((list.accounts.len(), daemon.ask("hello").await.status().as_u16()), (1, 200));
}

#[tokio::test]
async fn a_file_that_may_not_be_used_is_shown_with_its_reason_and_left_as_it_is() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let dir = daemon.auth_dir();
    let elsewhere = tempfile::tempdir_in(dir.parent().unwrap()).unwrap();
    let document = |email: &str| fake.issue_account(email).auth_file().to_string();
    let outside = elsewhere.path().join("outside.json");
    write(&outside, &document("linked@example.com"), 0o600);
    let cases: Vec<(&str, &str, Make)> = vec![
        ("claude-world.json", "mode 0644", Box::new(|path| write(path, &document("w@example.com"), 0o644))),
        ("claude-group.json", "mode 0640", Box::new(|path| write(path, &document("g@example.com"), 0o640))),
        (
            "claude-link.json",
            "symbolic link",
            Box::new(|path| std::os::unix::fs::symlink(&outside, path).unwrap()),
        ),
        (
            "claude-dangling.json",
            "symbolic link",
            Box::new(|path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
        ),
        ("claude-hard.json", "2 hard links", Box::new(|path| fs::hard_link(&outside, path).unwrap())),
        ("claude-dir.json", "not a regular file", Box::new(|path| fs::create_dir(path).unwrap())),
        (
            "claude-fifo.json",
            "not a regular file",
            Box::new(|path| {
                nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)
                    .unwrap();
            }),
        ),
        (
            "claude-large.json",
            "larger than 1 MiB",
            Box::new(|path| write(path, &" ".repeat(1_100_000), 0o600)),
        ),
        (
            "gemini.json",
            "another provider",
            Box::new(|path| {
                write(path, r#"{"type":"gemini","access_token":"x"}"#, 0o600);
            }),
        ),
        (
            "claude-gemini.json",
            "another provider",
            Box::new(|path| {
                write(path, r#"{"type":"gemini","access_token":"x"}"#, 0o600);
            }),
        ),
    ];
    for (name, words, make) in &cases {
        make(&dir.join(name));
        soon(&daemon, name, |list| reason(list, name).is_some_and(|why| why.contains(words))).await;
    }
    let list = daemon.list().await;
    assert_eq!((emails(&list), list.invalid_files.len()), (vec!["person@example.com"], cases.len()));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    for (name, _, _) in &cases {
        assert!(dir.join(name).symlink_metadata().is_ok(), "{name} is still there");
    }
    // What is in the way of nobody any more is used.
    fs::set_permissions(dir.join("claude-world.json"), fs::Permissions::from_mode(0o600)).unwrap();
    soon(&daemon, "chmod", |list| emails(list).contains(&"w@example.com")).await;
    fs::remove_file(dir.join("claude-hard.json")).unwrap();
    fs::rename(&outside, dir.join("claude-hard.json")).unwrap();
    soon(&daemon, "one name only", |list| emails(list).contains(&"linked@example.com")).await;
}

#[tokio::test]
async fn a_file_opened_to_others_takes_its_account_out_until_it_is_closed_again() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let path = daemon.auth_dir().join("claude-a.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    soon(&daemon, "the account is out", |list| list.accounts.is_empty()).await;
    assert_eq!(daemon.ask("hello").await.status(), 403);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    soon(&daemon, "the account is back", |list| list.accounts.iter().any(is_ready)).await;
}

#[tokio::test]
async fn a_file_of_another_owner_is_shown_and_not_used() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let path = daemon.auth_dir().join("claude-foreign.json");
    daemon.put("claude-foreign.json", &fake.issue_account("foreign@example.com").auth_file());
    daemon.wait_for("the account", |list| list.accounts.len() == 2).await;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("only root can give a file away: the rest of this test needs root");
        return;
    }
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    soon(&daemon, "the file is not used", |list| list.accounts.len() == 1).await;
    let list = daemon.list().await;
    assert!(reason(&list, "claude-foreign.json").unwrap().contains("belongs to uid 65534"));
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    soon(&daemon, "the file is used again", |list| list.accounts.len() == 2).await;
}

#[tokio::test]
async fn of_two_files_of_one_account_the_newer_is_used() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    // Not so old that it would be refreshed.
    let (older, newer) = (fake.issue_account("person@example.com"), fake.issue_account("person@example.com"));
    let mut old = older.auth_file();
    old["last_refresh"] = json!((older.issued_at - SignedDuration::from_hours(1)).to_string());
    daemon.put("claude-b-old.json", &old);
    daemon.put("claude-a-new.json", &newer.auth_file());
    soon(&daemon, "the older is left out", |list| {
        reason(list, "claude-b-old.json").is_some_and(|why| why.contains("another file of account"))
    })
    .await;
    assert!(daemon.only_account().await.path.ends_with("claude-a-new.json"));
    fs::remove_file(daemon.auth_dir().join("claude-a-new.json")).unwrap();
    soon(&daemon, "the older takes its place", |list| {
        list.invalid_files.is_empty() && list.accounts.iter().any(|a| a.path.ends_with("claude-b-old.json"))
    })
    .await;
}

#[tokio::test]
async fn two_hundred_files_at_once_are_two_hundred_accounts_and_then_none() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let keys: Vec<String> = (0..200).map(|_| fake.add_api_key()).collect();
    for (n, key) in keys.iter().enumerate() {
        daemon.put(&format!("claude-{n}.json"), &json!({"type": "claude", "api_key": key}));
    }
    soon(&daemon, "all are there", |list| list.accounts.len() == 200 && list.invalid_files.is_empty()).await;
    for _ in 0..3 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    let callers: Vec<_> =
        fake.requests_to("/v1/messages").into_iter().map(|request| request.caller).collect();
    assert!(callers.iter().all(|caller| matches!(caller, Some(Caller::ApiKey(_)))), "{callers:?}");
    for n in 0..200 {
        fs::remove_file(daemon.auth_dir().join(format!("claude-{n}.json"))).unwrap();
    }
    soon(&daemon, "all are gone", |list| list.accounts.is_empty()).await;
}

#[tokio::test]
async fn a_directory_that_was_moved_away_and_made_anew_is_watched_and_written_like_the_old_one() {
    let move_away = |dir: &Path| fs::rename(dir, dir.with_extension("old")).unwrap();
    let delete = |dir: &Path| fs::remove_dir_all(dir).unwrap();
    for away in [&move_away as &dyn Fn(&Path), &delete] {
        let fake = FakeClaude::start().await;
        let (daemon, _) = TestDaemon::with_account(&fake).await;
        let dir = daemon.auth_dir();
        away(&dir);
        private_dir(dir.clone());
        let issued = fake.issue_account_in("new@example.com", "New");
        daemon.put("claude-new.json", &issued.auth_file());
        soon(&daemon, "what the new directory holds", |list| emails(list) == ["new@example.com"]).await;
        let other = fake.issue_account_in("other@example.com", "Other");
        daemon.put("claude-other.json", &other.auth_file());
        let both = ["new@example.com", "other@example.com"];
        soon(&daemon, "what is added to it", |list| emails(list) == both).await;
        daemon.refresh("new@example.com").await.unwrap();
        assert!(daemon.holds_newest(&fake, &issued, "claude-new.json"));
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_for_a_while_leaves_the_pool_as_it_was() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let dir = daemon.auth_dir();
    fs::rename(&dir, dir.with_extension("old")).unwrap();
    for _ in 0..3 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    // Nothing can be saved: the issuer is not asked.
    assert_eq!(
        daemon.refresh("person@example.com").await.unwrap_err().code(),
        tonic::Code::ResourceExhausted
    );
    assert_eq!(fake.token_calls(), 0);
    fs::rename(dir.with_extension("old"), &dir).unwrap();
    daemon.put("claude-b.json", &fake.issue_account("b@example.com").auth_file());
    soon(&daemon, "it is watched again", |list| emails(list) == ["b@example.com", "person@example.com"])
        .await;
    daemon.refresh("person@example.com").await.unwrap();
}
