//! What each group of keys changes, as requests see it.

use std::collections::HashSet;
use std::time::Duration;

use http::Method;
use proxy_proto::v1::{GetAccountRequest, GetStatusRequest};
use proxy_tests::daemon::{Setup, TestDaemon, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
use proxy_tests::wait::within;
use serde_json::{Value, json};

use super::daemon;

const MODEL: &str = "claude-sonnet-4-5";
const MESSAGES: &str = "/v1/messages";

#[tokio::test]
async fn accounts_are_chosen_as_the_pool_is_told() {
    let fake = FakeClaude::start().await;
    let in_turns = "[pool]\nstrategy = \"weighted\"\naffinity = false\n";
    let daemon = TestDaemon::with(&fake, Setup::file(in_turns), |dir| {
        for name in ["one", "two"] {
            let issued = fake.issue_account_in(&format!("{name}@example.com"), name);
            put(dir, &format!("claude-{name}.json"), &issued.auth_file());
        }
    })
    .await;
    let callers = async || {
        fake.forget_requests();
        for _ in 0..6 {
            assert_eq!(daemon.ask("hi").await.status(), 200);
        }
        let requests = fake.requests_to(MESSAGES);
        let tokens = requests.iter().map(|request| request.header("authorization").map(str::to_owned));
        tokens.collect::<HashSet<_>>().len()
    };
    assert_eq!(callers().await, 2);
    daemon.reconfigure("[pool]\nstrategy = \"fill-first\"\naffinity = false\n").await;
    assert_eq!(callers().await, 1);
    daemon.reconfigure(in_turns).await;
    assert_eq!(callers().await, 2);
}

#[tokio::test]
async fn a_strategy_that_a_person_chose_since_stays_until_another_is_configured() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let chosen = async || {
        let status = daemon.daemon_client().await.get_status(GetStatusRequest {}).await.unwrap().into_inner();
        (daemon.pool().strategy(), status.affinity)
    };
    daemon.pool().set_strategy(proxyd::pool::Strategy::RoundRobin);
    daemon.reconfigure("[pool]\naffinity = false\n").await;
    assert_eq!(chosen().await, (proxyd::pool::Strategy::RoundRobin, false));
    daemon.reconfigure("[pool]\nstrategy = \"weighted\"\n").await;
    assert_eq!(chosen().await, (proxyd::pool::Strategy::Weighted, true));
}

#[tokio::test]
async fn requests_are_translated_as_they_are_told_to_be() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let lossy = json!({"model": MODEL, "seed": 7, "messages": [{"role": "user", "content": "hi"}]});
    let ask = async || daemon.post("/v1/chat/completions", &lossy).await;
    let served = ask().await;
    assert_eq!(
        (served.status(), &served.headers()["x-proxyd-dropped-fields"]),
        (200.try_into().unwrap(), &"seed".parse::<http::HeaderValue>().unwrap())
    );
    daemon.reconfigure("[translation]\nstrict = true\n").await;
    assert_eq!(ask().await.status(), 400);
    daemon.reconfigure("").await;
    assert_eq!(ask().await.status(), 200);
}

#[tokio::test]
async fn a_silent_stream_gets_signs_of_life_once_that_is_configured() {
    let fake = FakeClaude::start().await;
    let setup =
        Setup { late_head: Some(Duration::from_millis(1)), ..Setup::file("[http]\nkeep_alive = \"0s\"\n") };
    let daemon = TestDaemon::with_account_and(&fake, setup).await;
    daemon.reconfigure("[http]\nkeep_alive = \"20ms\"\n").await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::real().hold_answer(&gate));
    let body = json!({"model": MODEL, "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let asking = daemon.post(MESSAGES, &body);
    let (mut answer, ()) = tokio::join!(asking, async {
        within("the request is upstream", gate.reached_by(1)).await;
        gate.open();
    });
    assert_eq!(answer.status(), 200);
    let first = within("a first piece", answer.chunk()).await.unwrap();
    assert!(first.is_some());
}

#[tokio::test]
async fn responses_are_stored_as_long_as_they_are_to_be() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let body = json!({"model": MODEL, "input": "hi"});
    let stored: Value = daemon.post("/v1/responses", &body).await.json().await.unwrap();
    let path = format!("/v1/responses/{}", stored["id"].as_str().unwrap());
    assert_eq!(daemon.get(&path).await.status(), 200);
    daemon.reconfigure("[responses]\nstore = false\n").await;
    assert_eq!(daemon.get(&path).await.status(), 404);
    daemon.reconfigure("").await;
    assert_eq!(daemon.get(&path).await.status(), 200);
}

#[tokio::test]
async fn tokens_are_refreshed_as_early_as_is_wanted() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let due = async || {
        let account = daemon.only_account().await.id;
        let request = GetAccountRequest { account, fresh: false };
        let shown = daemon.accounts_client().await.get_account(request).await.unwrap().into_inner();
        shown.account.unwrap().refresh_due_at.unwrap().seconds
    };
    let before = due().await;
    daemon.reconfigure("[refresh]\nlead = \"7h\"\n").await;
    assert!(due().await < before);
}

#[tokio::test]
async fn upstream_has_the_time_that_it_is_given() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    assert_eq!(daemon.ask("hi").await.status(), 200);
    daemon.reconfigure("[upstream]\nhead_timeout = \"50ms\"\nconnect_timeout = \"3s\"\n").await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(9, &Script::real().hold(&gate));
    let answer = daemon
        .send(
            Method::POST,
            MESSAGES,
            &[("content-type", "application/json")],
            proxy_tests::daemon::message("hi").to_string(),
        )
        .await;
    assert_eq!(answer.status(), 504);
    gate.open();
    fake.clear_scripts();
    daemon.reconfigure("").await;
    assert_eq!(daemon.ask("hi").await.status(), 200);
}
