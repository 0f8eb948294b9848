//! Signals: one stops in order, a second at once.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use proxy_tests::binaries::{Machine, browser};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::json;

#[tokio::test]
async fn a_signal_stops_it_with_code_0_and_its_socket_is_gone() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = machine.start().await;
        let address = daemon.address().to_owned();
        assert!(machine.control_socket().exists());
        daemon.signal(signal);
        assert_eq!(daemon.end().await.code, Some(0), "{signal}");
        assert!(!machine.control_socket().exists());
        assert!(TcpStream::connect(address).is_err());
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_on_the_control_socket_does_not_hold_up_the_end() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    let silent = UnixStream::connect(machine.control_socket()).unwrap();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end().await.code, Some(0));
    drop(silent);
}

#[tokio::test]
async fn one_signal_lets_a_request_end_and_a_second_does_not_wait_for_it() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    machine.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    for signals in [1, 2] {
        let gate = Gate::new();
        fake.on("/v1/messages").once(Script::real().hold(&gate));
        let mut daemon = machine.start().await;
        let request = browser().post(daemon.url("/v1/messages"));
        let asking = request.json(&proxy_tests::daemon::message("hello")).send();
        let ending = async {
            within("the request is upstream", gate.reached_by(1)).await;
            daemon.signal(Signal::SIGTERM);
            daemon.log_line("proxyd is stopping").await;
            if signals == 2 {
                daemon.signal(Signal::SIGTERM);
            } else {
                gate.open();
            }
            let done = daemon.end().await;
            gate.open();
            done
        };
        let (answer, done) = tokio::join!(asking, ending);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(answer.is_ok_and(|answer| answer.status() == 200), signals == 1);
    }
}

#[tokio::test]
async fn stopping_saves_the_refresh_that_is_under_way() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("person@example.com");
    machine.put("claude-a.json", &proxy_tests::daemon::expired(&issued));
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let mut daemon = machine.start().await;
    within("the token is rotated", gate.reached_by(1)).await;
    daemon.signal(Signal::SIGTERM);
    daemon.log_line("proxyd is stopping").await;
    gate.open();
    assert_eq!(daemon.end().await.code, Some(0));
    assert_eq!(
        machine.read("claude-a.json")["refresh_token"],
        json!(fake.current_refresh_token(issued.account))
    );
}
