//! Clients that leave where nobody reads what they send: what was done for them ends all the same.

use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
use proxy_tests::wait::within;
use proxyd::keys::Rules;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// More than is read with the head, and less than the kernel keeps for a reader that does not read: behind what it does not
/// take, a client's end cannot be seen.
const BODY: usize = 64 * 1024;

/// A daemon, a key of which one request runs at a time and others wait, and a gate that holds the first one upstream.
async fn one_at_a_time(fake: &FakeClaude, setup: Setup) -> (TestDaemon, String, Gate) {
    let daemon = TestDaemon::with_account_and(fake, setup).await;
    let wait = "10m".parse().unwrap();
    let key = daemon.create_key("one", Rules { concurrency: Some(1), wait, ..Rules::default() });
    let gate = Gate::new();
    fake.on("/v1/messages").once(Script::real().hold(&gate));
    (daemon, key, gate)
}

async fn ask(daemon: &TestDaemon, key: &str) -> u16 {
    let request =
        daemon.http().post(daemon.url("/v1/messages")).header("x-api-key", key).json(&message("hi"));
    request.send().await.unwrap().status().as_u16()
}

/// Waits until so many requests of the key wait.
async fn waiting(daemon: &TestDaemon, number: u32) {
    within("the line of the key", async {
        while daemon.keys().find("one").unwrap().counts().waiting != number {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Sends a request whose body lies in the kernel unread, and leaves.
async fn send_and_leave(daemon: &TestDaemon, fields: &str, body: &[u8], until: impl Future<Output = ()>) {
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{fields}\r\n\r\n",
        daemon.address(),
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    within("all is sent", connection.write_all(body)).await.unwrap();
    until.await;
}

#[tokio::test]
async fn one_that_waits_in_a_keys_line_leaves_the_line() {
    let fake = FakeClaude::start().await;
    let (daemon, key, gate) = one_at_a_time(&fake, Setup::default()).await;
    let leaving = async {
        gate.reached_by(1).await;
        let fields = format!("Content-Type: application/json\r\nx-api-key: {key}");
        send_and_leave(&daemon, &fields, &vec![b' '; BODY], waiting(&daemon, 1)).await;
        waiting(&daemon, 0).await;
        gate.open();
    };
    let (served, ()) = tokio::join!(ask(&daemon, &key), leaving);
    assert_eq!(served, 200);
}

#[tokio::test]
async fn who_waits_in_a_keys_line_takes_nobody_elses_place() {
    let fake = FakeClaude::start().await;
    let setup = Setup::of([("PROXYD_HTTP__MAX_REQUESTS", "2"), ("PROXYD_HTTP__MAX_WAITING", "0")]);
    let (daemon, key, gate) = one_at_a_time(&fake, setup).await;
    let others = async {
        gate.reached_by(1).await;
        waiting(&daemon, 2).await;
        let own = daemon.ask("hi").await.status().as_u16();
        gate.open();
        own
    };
    let all = async { tokio::join!(ask(&daemon, &key), ask(&daemon, &key), ask(&daemon, &key), others) };
    assert_eq!(within("all are answered", all).await, (200, 200, 200, 200));
}
