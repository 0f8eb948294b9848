//! System calls that fail: nothing is asked while nothing can be saved, and what was received is not lost.

use std::time::Duration;

use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::faults::Fault;
use proxy_tests::wait::within;
use serde_json::{Value, json};

const FILE: &str = "claude-a.json";
const REFRESH: [&str; 3] = ["accounts", "refresh", "person@example.com"];
const NOT_SAVED: Option<i32> = Some(16);

async fn show(machine: &Machine) -> Value {
    machine.proxyctl(&["accounts", "show", "person@example.com", "--json"]).await.json()["account"].clone()
}

#[tokio::test]
async fn the_issuer_is_not_asked_while_a_reservation_or_an_intent_cannot_be_written() {
    if !Fault::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &issued.auth_file());
    let daemon = machine.start().await;
    // The last two: the intent's own sync, and the directory's.
    for what in
        ["fallocate:error=ENOSPC", "fsync:error=EIO", "fsync:error=EROFS:when=2", "fsync:error=EIO:when=3"]
    {
        let fault = Fault::into(&daemon, what).await;
        let refused = machine.proxyctl(&REFRESH).await;
        assert_eq!(refused.code, NOT_SAVED, "{what}: {}", refused.stderr);
        assert!(show(&machine).await["last_error"].as_str().unwrap().contains("cannot be saved"), "{what}");
        assert_eq!(daemon.ask("hello").await.status(), 200, "{what}");
        fault.lift().await;
    }
    assert_eq!(fake.token_calls(), 0);
    assert_eq!(machine.proxyctl(&REFRESH).await.code, Some(0));
    assert_eq!(machine.read(FILE)["refresh_token"], json!(fake.current_refresh_token(issued.account)));
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_token_that_was_received_outlives_a_disk_that_fails_and_is_saved_when_it_recovers() {
    if !Fault::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    for what in ["fsync:error=EIO", "ftruncate:error=ENOSPC", "renameat2:error=EROFS"] {
        let machine = Machine::new(&fake);
        let issued = fake.issue_account_in("person@example.com", what);
        machine.put(FILE, &issued.auth_file());
        let daemon = machine.start().await;
        let gate = Gate::new();
        fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
        let (refreshed, fault) = tokio::join!(machine.proxyctl(&REFRESH), async {
            within("the token is rotated", gate.reached_by(1)).await;
            let fault = Fault::into(&daemon, what).await;
            gate.open();
            fault
        });
        assert_eq!(refreshed.code, Some(0), "{what}: {}", refreshed.stderr);
        assert_eq!(show(&machine).await["degraded"], json!(true), "{what}");
        assert_eq!(machine.read(FILE)["refresh_token"], json!(issued.refresh_token), "{what}");
        fake.forget_requests();
        assert_eq!(daemon.ask("hello").await.status(), 200, "{what}");
        let sent = fake.requests_to("/v1/messages").remove(0);
        assert_ne!(sent.header("authorization"), Some(format!("Bearer {}", issued.access_token).as_str()));
        fault.lift().await;
        within("the token is saved", async {
            while machine.read(FILE)["refresh_token"] != json!(fake.current_refresh_token(issued.account)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            while show(&machine).await["degraded"] != json!(false) {}
        })
        .await;
        assert_eq!(fake.rotations(issued.account), 1, "{what}");
        assert_eq!(daemon.stop().await.code, Some(0), "{what}");
    }
}
