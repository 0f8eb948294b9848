//! A disk on which nothing can be written: no token is spent for nothing, and one that came all the same is
//! not lost.
//!
//! A limit on the size of files, set from outside, makes every write fail for a while; it needs no rights.

use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::{Value, json};

const FILE: &str = "claude-a.json";
const NOT_SAVED: Option<i32> = Some(16);

async fn show(machine: &Machine) -> Value {
    machine.proxyctl(&["accounts", "show", "person@example.com", "--json"]).await.json()["account"].clone()
}

#[tokio::test]
async fn no_token_is_spent_while_nothing_can_be_saved() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &issued.auth_file());
    let daemon = machine.start_limitable().await;
    daemon.limit_files(Some(0)).await;
    let refused = machine.proxyctl(&["accounts", "refresh", "person@example.com"]).await;
    assert_eq!(refused.code, NOT_SAVED, "{}", refused.stderr);
    assert!(show(&machine).await["last_error"].as_str().unwrap().contains("cannot be saved"));
    assert_eq!(daemon.ask("hello").await.status(), 200, "the token there is serves on");
    fake.expire_access_tokens();
    assert_eq!(daemon.ask("hello").await.status(), 401);
    assert_eq!(fake.token_calls(), 0);
    daemon.limit_files(None).await;
    assert_eq!(machine.proxyctl(&["accounts", "refresh", "person@example.com"]).await.code, Some(0));
    assert_eq!(machine.read(FILE)["refresh_token"], json!(fake.current_refresh_token(issued.account)));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_token_that_cannot_be_saved_serves_from_memory_and_is_saved_once_there_is_space() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &issued.auth_file());
    let daemon = machine.start_limitable().await;
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let refresh = ["accounts", "refresh", "person@example.com"];
    let (refreshed, ()) = tokio::join!(machine.proxyctl(&refresh), async {
        within("the token is rotated", gate.reached_by(1)).await;
        daemon.limit_files(Some(0)).await;
        gate.open();
    });
    assert_eq!(refreshed.code, Some(0), "{}", refreshed.stderr);
    assert_eq!(machine.read(FILE)["refresh_token"], json!(issued.refresh_token));
    assert_eq!(show(&machine).await["degraded"], json!(true));
    let status = machine.proxyctl(&["status", "--json"]).await.json();
    assert!(status["problems"][0].as_str().unwrap().contains("cannot save"), "{status}");
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let bearer = fake.requests_to("/v1/messages").pop().unwrap().header("authorization").unwrap().to_owned();
    assert_ne!(bearer, format!("Bearer {}", issued.access_token));
    // The successor of a token that is in memory only is not risked.
    assert_eq!(machine.proxyctl(&refresh).await.code, NOT_SAVED);
    assert_eq!(fake.token_calls(), 1);
    daemon.limit_files(None).await;
    within("the token is saved", async {
        while machine.read(FILE)["refresh_token"] != json!(fake.current_refresh_token(issued.account)) {
            tokio::task::yield_now().await;
        }
        while show(&machine).await["degraded"] != json!(false) {}
    })
    .await;
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_token_that_could_not_be_saved_is_tried_once_more_when_it_stops() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &issued.auth_file());
    let daemon = machine.start_limitable().await;
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let refresh = ["accounts", "refresh", "person@example.com"];
    let (refreshed, ()) = tokio::join!(machine.proxyctl(&refresh), async {
        within("the token is rotated", gate.reached_by(1)).await;
        daemon.limit_files(Some(0)).await;
        gate.open();
    });
    assert_eq!(refreshed.code, Some(0));
    daemon.limit_files(None).await;
    assert_eq!(daemon.stop().await.code, Some(0));
    assert_eq!(machine.read(FILE)["refresh_token"], json!(fake.current_refresh_token(issued.account)));
}

#[tokio::test]
async fn a_login_that_cannot_be_saved_spends_no_code() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start_limitable().await;
    daemon.limit_files(Some(0)).await;
    let mut command = machine.command(&proxy_tests::binaries::programs().proxyctl);
    command.args(["login", "claude", "--no-browser"]);
    let mut live = proxy_tests::binaries::Live::start(command);
    let url = live.stdout_line("http").await;
    let page = within("the page", proxy_tests::binaries::browser().get(url).send()).await.unwrap();
    assert!(page.text().await.unwrap().len() > 10);
    let done = live.finish().await;
    assert_eq!((done.code, fake.token_calls()), (NOT_SAVED, 0), "{}", done.stderr);
    assert!(!done.stdout.contains("successful"));
}
