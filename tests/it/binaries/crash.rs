//! Killed without a word, at the worst moments: the next start makes the best of what is on disk, and says
//! what it did.

use std::fs;

use nix::sys::signal::Signal;
use proxy_tests::binaries::{Daemon, Machine, browser};
use proxy_tests::daemon::expired;
use proxy_tests::fake_claude::{CLIENT_ID, FakeClaude, Gate, Issued, Script, Surprise, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::{Value, json};

const FILE: &str = "claude-a.json";
const ORPHAN: &str = ".update-018f00000000700080000000000000aa.claude-a.json";

async fn kill(daemon: Daemon) {
    daemon.signal(Signal::SIGKILL);
    assert_eq!(daemon.end().await.code, None);
}

/// Refreshes past the daemon: what a refresh had got and written when the daemon was killed.
async fn refreshed(fake: &FakeClaude, issued: &Issued) -> Value {
    let body =
        json!({"grant_type": "refresh_token", "refresh_token": issued.refresh_token, "client_id": CLIENT_ID});
    let reply: Value = browser()
        .post(format!("{}{TOKEN_PATH}", fake.url()))
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut document = issued.auth_file();
    for key in ["access_token", "refresh_token"] {
        document[key] = reply[key].clone();
    }
    document["last_refresh"] = json!("2030-01-01T00:00:00Z");
    document["expired"] = json!("2030-01-01T08:00:00Z");
    document
}

fn put_text(machine: &Machine, name: &str, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = machine.auth_dir().join(name);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn killed_before_a_rotated_token_came_it_starts_again_and_asks_for_a_login() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &expired(&issued));
    machine.put("claude-b.json", &fake.issue_account_in("other@example.com", "Other").auth_file());
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let daemon = machine.start().await;
    within("the token is rotated", gate.reached_by(1)).await;
    kill(daemon).await;
    gate.open();
    assert!(machine.control_socket().exists(), "left behind, and no hindrance");
    assert!(machine.files().iter().any(|name| name.starts_with(".update-")), "{:?}", machine.files());

    let daemon = machine.start().await;
    within("it is told that the token is spent", async {
        while !machine.proxyctl(&["accounts", "list"]).await.stdout.contains("needs login") {}
    })
    .await;
    assert!(matches!(fake.take_surprises()[..], [Surprise::RefreshTokenReused { .. }]));
    within("nothing else is left behind", async {
        while machine.files() != [".lock", FILE, "claude-b.json"] {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), 200, "the other account serves");
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn killed_before_the_issuer_did_anything_it_starts_again_and_loses_nothing() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &expired(&issued));
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold(&gate));
    let daemon = machine.start().await;
    within("the issuer is asked", gate.reached_by(1)).await;
    kill(daemon).await;
    let daemon = machine.start().await;
    within("the token is refreshed and saved", async {
        while machine.read(FILE)["refresh_token"] == json!(issued.refresh_token) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(machine.read(FILE)["refresh_token"], json!(fake.current_refresh_token(issued.account)));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(daemon.stop().await.code, Some(0));
    assert_eq!(machine.files(), [".lock", FILE]);
}

#[tokio::test]
async fn killed_during_the_last_try_too_it_asks_for_a_login_and_never_again_with_that_token() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    // The access token still serves; it is a person who asks for the refreshes.
    machine.put(FILE, &issued.auth_file());
    for tries in 1..=2 {
        let gate = Gate::new();
        fake.on(TOKEN_PATH).once(Script::real().hold(&gate));
        let daemon = machine.start().await;
        let (_cut_off, ()) =
            tokio::join!(machine.proxyctl(&["accounts", "refresh", "person@example.com"]), async {
                within("the issuer is asked", gate.reached_by(1)).await;
                kill(daemon).await;
            });
        assert_eq!(fake.token_calls(), tries);
    }
    let daemon = machine.start().await;
    within("it asks for a login", async {
        while machine.read(FILE)["needs_login"]["serving"] != json!(true) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), 200, "the access token serves on");
    assert!(machine.proxyctl(&["accounts", "list"]).await.stdout.contains("needs login"));
    assert_eq!(machine.proxyctl(&["accounts", "refresh", "person@example.com"]).await.code, Some(15));
    assert_eq!(fake.token_calls(), 2);
}

#[tokio::test]
async fn a_token_that_was_written_but_not_in_place_yet_is_adopted_by_the_next_start() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &expired(&issued));
    let newer = refreshed(&fake, &issued).await;
    put_text(&machine, ORPHAN, &newer.to_string());
    let daemon = machine.start().await;
    assert!(daemon.log().contains("adopted a token"), "{}", daemon.log());
    assert_eq!(machine.read(FILE), newer);
    assert_eq!(machine.files(), [".lock", FILE]);
    assert_eq!((daemon.ask("hello").await.status().as_u16(), fake.token_calls()), (200, 1));
}

#[tokio::test]
async fn a_new_account_that_was_written_but_not_in_place_yet_is_adopted_by_the_next_start() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &json!({"type": "claude", "api_key": fake.add_api_key(), "disabled": true}));
    put_text(&machine, ".create-018f00000000700080000000000000aa.json", &issued.auth_file().to_string());
    let daemon = machine.start().await;
    assert_eq!(machine.files().len(), 3, "{:?}", machine.files());
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn what_is_half_written_older_or_of_another_account_is_swept_away_and_changes_nothing() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &issued.auth_file());
    let mut older = issued.auth_file();
    older["last_refresh"] = json!("2020-01-01T00:00:00Z");
    let mut other = fake.issue_account_in("other@example.com", "Other").auth_file();
    other["last_refresh"] = json!("2030-01-01T00:00:00Z");
    let whole = issued.auth_file().to_string();
    let padded = format!("{{}}{}", "\0".repeat(16 * 1024));
    for (n, text) in
        ["", &whole[..whole.len() / 2], &padded, &older.to_string(), &other.to_string()].iter().enumerate()
    {
        put_text(&machine, &format!(".update-{n}.{FILE}"), text);
    }
    put_text(&machine, ".create-1.json", "{\"type\":\"cla");
    put_text(&machine, ".update-9.claude-gone.json", &other.to_string());
    let daemon = machine.start().await;
    assert_eq!(machine.files(), [".lock", FILE]);
    assert_eq!(machine.read(FILE), issued.auth_file());
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn whose_file_it_is_outlives_a_kill() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    for n in 0..3 {
        machine.put(&format!("claude-{n}.json"), &json!({"type": "claude", "api_key": fake.add_api_key()}));
    }
    let daemon = machine.start().await;
    let made = browser().post(daemon.url("/v1/files")).body("x").send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    let journal = machine.auth_dir().join(".owners.jsonl");
    within("it is noted", async {
        while !fs::read_to_string(&journal).is_ok_and(|text| text.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    kill(daemon).await;
    let daemon = machine.start().await;
    for _ in 0..4 {
        let found = daemon.get(&format!("/v1/files/{}", made["id"].as_str().unwrap())).await;
        assert_eq!(found.json::<Value>().await.unwrap(), made);
    }
}
