//! Killed by the kernel on its way into a system call: each of those that a refresh makes, before the call of the issuer
//! and after it.

use proxy_tests::binaries::{Daemon, Machine};
use proxy_tests::fake_claude::{FakeClaude, Gate, Issued, Script, TOKEN_PATH};
use proxy_tests::faults::Fault;
use proxy_tests::wait::within;
use serde_json::json;

const FILE: &str = "claude-a.json";
const REFRESH: [&str; 3] = ["accounts", "refresh", "person@example.com"];

/// It died by the kill, and the next daemon has the newest token, serves, and refreshes when it is time.
async fn starts_again(
    fake: &FakeClaude,
    machine: &Machine,
    issued: &Issued,
    killed: Daemon,
    step: &str,
) -> Daemon {
    assert_eq!(killed.end().await.code, None, "{step}");
    let daemon = machine.start().await;
    assert_eq!(
        machine.read(FILE)["refresh_token"],
        json!(fake.current_refresh_token(issued.account)),
        "{step}"
    );
    assert_eq!(daemon.ask("hello").await.status(), 200, "{step}");
    assert!(
        !machine.files().iter().any(|name| name.starts_with(".update-")),
        "{step}: {:?}",
        machine.files()
    );
    daemon
}

#[tokio::test]
async fn killed_at_any_step_before_the_call_it_has_lost_nothing() {
    if !Fault::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    // The reservation and its sync; the intent's sync and the directory's.
    for step in [
        "fallocate:signal=KILL:when=1",
        "fsync:signal=KILL:when=1",
        "fsync:signal=KILL:when=2",
        "fsync:signal=KILL:when=3",
    ] {
        let machine = Machine::new(&fake);
        let issued = fake.issue_account_in("person@example.com", step);
        machine.put(FILE, &issued.auth_file());
        let daemon = machine.start().await;
        let fault = Fault::into(&daemon, step).await;
        machine.proxyctl(&REFRESH).await;
        assert_eq!(fake.rotations(issued.account), 0, "{step}");
        let daemon = starts_again(&fake, &machine, &issued, daemon, step).await;
        drop(fault);
        assert_eq!(machine.proxyctl(&REFRESH).await.code, Some(0), "{step}");
        assert_eq!(fake.rotations(issued.account), 1, "{step}");
        assert_eq!(daemon.stop().await.code, Some(0));
        assert_eq!(machine.files(), [".lock", FILE], "{step}");
    }
}

#[tokio::test]
async fn killed_at_any_step_after_the_answer_it_has_the_new_token() {
    if !Fault::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    // The new document is written and cut to its length, synced, put in place; the old one is removed, the directory
    // synced, the intent removed and the directory synced again.
    for step in [
        "ftruncate:signal=KILL:when=1",
        "fsync:signal=KILL:when=1",
        "renameat2:signal=KILL:when=1",
        "?unlink,?unlinkat:signal=KILL:when=1",
        "fsync:signal=KILL:when=2",
        "?unlink,?unlinkat:signal=KILL:when=2",
        "fsync:signal=KILL:when=3",
    ] {
        let machine = Machine::new(&fake);
        let issued = fake.issue_account_in("person@example.com", step);
        machine.put(FILE, &issued.auth_file());
        let daemon = machine.start().await;
        let gate = Gate::new();
        fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
        let (_cut_off, fault) = tokio::join!(machine.proxyctl(&REFRESH), async {
            within("the token is rotated", gate.reached_by(1)).await;
            let fault = Fault::into(&daemon, step).await;
            gate.open();
            fault
        });
        assert_eq!(fake.rotations(issued.account), 1, "{step}");
        let daemon = starts_again(&fake, &machine, &issued, daemon, step).await;
        drop(fault);
        assert_eq!(daemon.stop().await.code, Some(0));
        assert_eq!(machine.files(), [".lock", FILE], "{step}");
        assert_eq!(fake.rotations(issued.account), 1, "{step}");
    }
}
