//! Why an account served, asked with both real programs; and what a killed daemon still knows.

use nix::sys::signal::Signal;
use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::{FakeClaude, Script};
use proxy_tests::wait::within;

#[tokio::test]
async fn a_person_is_told_why_an_account_served_and_changes_how_they_are_chosen() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    for n in 0..2 {
        let issued = fake.issue_account_in(&format!("person{n}@example.com"), &format!("Org {n}"));
        machine.put(&format!("claude-{n}.json"), &issued.auth_file());
    }
    let daemon = machine.start().await;
    fake.on("/v1/messages").once(Script::rate_limited(3600));
    let answer = daemon.ask("hello").await;
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-proxyd-request-id"].to_str().unwrap().to_owned();
    let _read = answer.bytes().await.unwrap();

    let told = machine.proxyctl(&["explain", &id]).await;
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for words in
        ["status 429", "status 200", "how the conversation begins", "it is the only one that is ready"]
    {
        assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
    }
    let json = machine.proxyctl(&["explain", &id, "--json"]).await.json();
    assert_eq!(json["attempts"].as_array().unwrap().len(), 2);
    let unknown = machine.proxyctl(&["explain", "px_00000000000000000000000000000000"]).await;
    assert_eq!(unknown.code, Some(5));
    assert!(unknown.stderr.contains("x-proxyd-request-id"), "{}", unknown.stderr);

    let list = machine.proxyctl(&["accounts", "list", "--explain", "--model", "claude-sonnet-4-5"]).await;
    assert_eq!(list.code, Some(0), "{}", list.stderr);
    assert!(list.stdout.contains("upstream limits it (429)"), "{}", list.stdout);

    let set = machine.proxyctl(&["strategy", "fill-first"]).await;
    assert_eq!(set.code, Some(0), "{}", set.stderr);
    assert!(machine.proxyctl(&["strategy"]).await.stdout.contains("fill-first"));
    assert!(machine.proxyctl(&["status"]).await.stdout.contains("fill-first"));
    assert_eq!(machine.proxyctl(&["strategy", "best"]).await.code, Some(2));
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_limit_is_known_after_a_kill() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    machine.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    let daemon = machine.start().await;
    fake.on("/v1/messages").once(Script::rate_limited(3600));
    assert_eq!(daemon.ask("hello").await.status(), 429);
    let state = machine.auth_dir().join(".pool-state");
    within("what was learned is on disk", async {
        while !std::fs::read_to_string(&state).is_ok_and(|text| text.contains("rate_limit")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    daemon.signal(Signal::SIGKILL);
    daemon.end().await;
    fake.forget_requests();
    let daemon = machine.start().await;
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), fake.count("/v1/messages")), (429, 0));
    assert_eq!(daemon.stop().await.code, Some(0));
}
