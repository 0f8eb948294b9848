//! Client keys over the real daemon: made, listed, shown and revoked with `proxyctl`; kept over a restart, on a disk that
//! cannot be written, and where their file is broken.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use proxy_proto::v1::keys_client::KeysClient;
use proxy_proto::v1::{CreateKeyRequest, KeyRules};
use proxy_tests::binaries::{Done, Machine};
use proxy_tests::daemon::channel;
use proxy_tests::fake_claude::FakeClaude;
use serde_json::{Value, json};

fn file(machine: &Machine) -> PathBuf {
    machine.auth_dir().join(".keys.json")
}

async fn create(machine: &Machine, args: &[&str]) -> Done {
    machine.proxyctl(&[&["keys", "create"], args].concat()).await
}

async fn list(machine: &Machine) -> Value {
    machine.proxyctl(&["keys", "list", "--json"]).await.json()["keys"].clone()
}

fn machine(fake: &FakeClaude) -> Machine {
    let machine = Machine::new(fake);
    for (name, organization, label) in [("a", "One", "work"), ("b", "Two", "home")] {
        let mut document = fake.issue_account_in("ada@example.com", organization).auth_file();
        document["label"] = json!(label);
        machine.put(&format!("claude-{name}.json"), &document);
    }
    machine
}

#[tokio::test]
async fn a_key_is_made_listed_shown_and_revoked_and_is_nowhere_but_on_standard_output() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start_with(&["--log-level", "trace"]).await;
    let none = machine.proxyctl(&["keys", "list"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    let made = create(&machine, &["ci"]).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let key = made.stdout.trim_end().to_owned();
    assert!(key.starts_with("sk-proxyd-") && key.len() == 53 && made.stdout.lines().count() == 1, "{key}");
    assert!(made.stderr.contains(&format!("ANTHROPIC_BASE_URL={}", daemon.url(""))), "{}", made.stderr);
    let rules = [
        "guest",
        "--expires",
        "30d",
        "--models",
        "claude-haiku-*,claude-sonnet-*",
        "--accounts",
        "work,home,work",
        "--rpm",
        "60",
        "--tpm",
        "100000",
        "--concurrency",
        "4",
        "--wait",
        "1500ms",
        "--json",
    ];
    let guest = create(&machine, &rules).await.json();
    let secret = guest["secret"].as_str().unwrap().to_owned();

    let keys = list(&machine).await;
    assert_eq!(
        (&keys[0]["name"], &keys[0]["state"], &keys[0]["expires_at"]),
        (&json!("ci"), &json!("active"), &Value::Null)
    );
    assert_eq!(keys[1], guest["key"]);
    let shown = machine.proxyctl(&["keys", "show", "guest", "--json"]).await.json();
    assert_eq!(shown["key"], guest["key"]);
    let names: Vec<_> =
        shown["key"]["accounts"].as_array().unwrap().iter().map(|account| &account["name"]).collect();
    assert_eq!(names, ["work", "home"]);
    let key_of_guest = &shown["key"];
    assert_eq!(
        ["rpm", "tpm", "concurrency", "wait_ms"].map(|rule| key_of_guest[rule].as_u64()),
        [Some(60), Some(100_000), Some(4), Some(1_500)]
    );
    let human = machine.proxyctl(&["keys", "list"]).await.stdout;
    assert!(
        human.contains("60 rpm, 100000 tpm, 4 at a time, waits 1s") && human.contains("work,home"),
        "{human}"
    );

    let written = fs::read_to_string(file(&machine)).unwrap();
    assert_eq!(fs::metadata(file(&machine)).unwrap().mode() & 0o777, 0o600);
    let id = shown["key"]["id"].as_str().unwrap();
    let revoked = machine.proxyctl(&["keys", "revoke", id, "--yes"]).await;
    assert_eq!((revoked.code, revoked.stdout), (Some(0), format!("Revoked guest ({id}).\n")));
    assert_eq!(list(&machine).await.as_array().unwrap().len(), 1);
    let gone = machine.proxyctl(&["keys", "show", "guest"]).await;
    assert_eq!(gone.code, Some(5));
    assert!(gone.stderr.contains("`proxyctl keys list`"), "{}", gone.stderr);

    let done = daemon.stop().await;
    assert_eq!(done.code, Some(0));
    assert!(
        done.stderr.contains("a client key was made") && done.stderr.contains("a client key was revoked")
    );
    for secret in [&key, &secret] {
        // Without what every key begins with, however it is written.
        let secret = &secret["sk-proxyd-".len()..];
        for text in [&written, &done.stderr, &made.stderr, &human] {
            assert!(!text.contains(secret), "a key is in:\n{text}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_meant_makes_no_key() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let _daemon = machine.start().await;
    assert_eq!(create(&machine, &["ci"]).await.code, Some(0));
    for (args, code, words) in [
        (&["ci"][..], 2, "there is a key ci already"),
        (&["c i"], 2, "letters, digits"),
        (&["key_1"], 2, "does not begin with key_"),
        (&["x", "--wait", "1s"], 2, "the key has no limit"),
        (&["x", "--models", "a b"], 2, "no pattern of a model"),
        (&["x", "--expires", "2020-01-01"], 2, "is over already"),
        (&["x", "--accounts", "nobody"], 5, "there is no account \"nobody\""),
        // Two accounts of one person: the answer names both.
        (&["x", "--accounts", "ada@example.com"], 2, "(home, ada@example.com"),
    ] {
        let refused = create(&machine, args).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(code), ""), "{args:?}: {}", refused.stderr);
        let lines: Vec<_> = refused.stderr.lines().collect();
        assert!(lines[1].contains(words) && lines[2].starts_with("  try: "), "{}", refused.stderr);
    }
    assert_eq!(list(&machine).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_restart_keeps_the_keys_and_what_a_later_release_wrote_beside_them() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start().await;
    let made = create(&machine, &["ci", "--accounts", "work", "--rpm", "5", "--json"]).await.json();
    let before = list(&machine).await;
    assert_eq!(daemon.stop().await.code, Some(0));
    let mut written: Value = serde_json::from_slice(&fs::read(file(&machine)).unwrap()).unwrap();
    written["keys"][0]["team"] = json!({"size": 4});
    rewrite(&machine, &written.to_string());

    let daemon = machine.start().await;
    assert_eq!(list(&machine).await, before);
    assert_eq!(create(&machine, &["ci"]).await.code, Some(2), "its name is taken");
    assert_eq!(create(&machine, &["other"]).await.code, Some(0));
    let again: Value = serde_json::from_slice(&fs::read(file(&machine)).unwrap()).unwrap();
    assert_eq!(again["keys"][0], written["keys"][0]);
    assert_eq!(made["key"]["id"], before[0]["id"]);
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn on_a_disk_that_cannot_be_written_nothing_changes_and_the_error_says_so() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start_limitable().await;
    assert_eq!(create(&machine, &["ci"]).await.code, Some(0));
    let before = fs::read(file(&machine)).unwrap();
    daemon.limit_files(Some(0)).await;
    let refused = create(&machine, &["late"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(16), ""));
    assert!(refused.stderr.contains("cannot be saved, so there is none"), "{}", refused.stderr);
    let refused = machine.proxyctl(&["keys", "revoke", "ci", "--yes"]).await;
    assert_eq!(refused.code, Some(16));
    assert!(refused.stderr.contains("the key goes on being accepted"), "{}", refused.stderr);
    assert_eq!(list(&machine).await[0]["name"], "ci");
    assert_eq!(fs::read(file(&machine)).unwrap(), before);
    daemon.limit_files(None).await;
    assert_eq!(machine.proxyctl(&["keys", "revoke", "ci", "--yes"]).await.code, Some(0));
    assert_eq!(create(&machine, &["late"]).await.code, Some(0));
    let files = fs::read_dir(machine.auth_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(files.into_iter().all(|name| name != ".keys.next"));
}

#[tokio::test]
async fn a_file_that_is_broken_stops_the_start_and_is_named_with_what_to_do() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let daemon = machine.start().await;
    assert_eq!(create(&machine, &["ci"]).await.code, Some(0));
    assert_eq!(daemon.stop().await.code, Some(0));
    let whole = fs::read_to_string(file(&machine)).unwrap();
    for broken in [&whole[..whole.len() / 2], "", &whole.replace("\"version\": 1", "\"version\": 2")] {
        rewrite(&machine, broken);
        let done = machine.proxyd(&["--listen", "127.0.0.1:0"]).await;
        assert_eq!(done.code, Some(1), "{}", done.stderr);
        let path = file(&machine).display().to_string();
        assert!(done.stderr.contains(&path) && done.stderr.contains("put back the file"), "{}", done.stderr);
        assert_eq!(fs::read_to_string(file(&machine)).unwrap(), broken, "it is left as it is");
    }
    rewrite(&machine, &whole);
    let _daemon = machine.start().await;
    assert_eq!(list(&machine).await[0]["name"], "ci");
}

/// A caller that is no `proxyctl` may ask for anything.
#[tokio::test]
async fn the_daemon_itself_refuses_what_proxyctl_would_not_ask_for() {
    let fake = FakeClaude::start().await;
    let machine = machine(&fake);
    let _daemon = machine.start().await;
    let mut keys = KeysClient::new(channel(&machine.control_socket()).await);
    let wait = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    for rules in [
        KeyRules { requests_per_minute: Some(0), ..KeyRules::default() },
        KeyRules { tokens_per_minute: Some(u64::MAX), ..KeyRules::default() },
        KeyRules { concurrency: Some(0), ..KeyRules::default() },
        KeyRules { concurrency: Some(1), wait: wait(-1, 0), ..KeyRules::default() },
        KeyRules { concurrency: Some(1), wait: wait(i64::MAX, 999_999_999), ..KeyRules::default() },
        KeyRules { concurrency: Some(1), wait: wait(0, -1), ..KeyRules::default() },
        KeyRules { models: vec![String::new()], ..KeyRules::default() },
    ] {
        let request = CreateKeyRequest {
            name: "x".to_owned(),
            rules: Some(rules.clone()),
            ..CreateKeyRequest::default()
        };
        let refused = keys.create_key(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{rules:?}");
    }
    let expires_at = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let request = CreateKeyRequest { name: "x".to_owned(), expires_at, ..CreateKeyRequest::default() };
    assert_eq!(keys.create_key(request).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    let made =
        keys.create_key(CreateKeyRequest { name: "x".to_owned(), ..CreateKeyRequest::default() }).await;
    let made = made.unwrap().into_inner();
    assert!(!format!("{made:?}").contains(&made.secret), "a reply does not print its secret");
}

fn rewrite(machine: &Machine, text: &str) {
    let opened = fs::OpenOptions::new().write(true).truncate(true).open(file(machine));
    std::io::Write::write_all(&mut opened.unwrap(), text.as_bytes()).unwrap();
}
