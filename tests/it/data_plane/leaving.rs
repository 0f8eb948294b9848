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
async fn one_that_waits_in_a_keys_line_with_a_large_body_leaves_the_line() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let wait = "10m".parse().unwrap();
    let key = daemon.create_key("one", Rules { concurrency: Some(1), wait, ..Rules::default() });
    let gate = Gate::new();
    fake.on("/v1/messages").once(Script::real().hold(&gate));
    let ask = async || {
        let request =
            daemon.http().post(daemon.url("/v1/messages")).header("x-api-key", &key).json(&message("hi"));
        request.send().await.unwrap().status()
    };
    let leaving = async {
        gate.reached_by(1).await;
        let waiting = async {
            // It has come when it counts.
            while daemon.keys().find("one").unwrap().counts().waiting == 0 {
                tokio::task::yield_now().await;
            }
        };
        let fields = format!("Content-Type: application/json\r\nx-api-key: {key}");
        send_and_leave(&daemon, &fields, &vec![b' '; BODY], waiting).await;
        within("nobody waits", async {
            while daemon.keys().find("one").unwrap().counts().waiting > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gate.open();
    };
    let (served, ()) = tokio::join!(ask(), leaving);
    assert_eq!(served, 200);
}

#[tokio::test]
async fn who_waits_in_a_keys_line_takes_nobody_elses_place() {
    let fake = FakeClaude::start().await;
    let setup = Setup::of([("PROXYD_HTTP__MAX_REQUESTS", "2"), ("PROXYD_HTTP__MAX_WAITING", "0")]);
    let daemon = TestDaemon::with_account_and(&fake, setup).await;
    let wait = "10m".parse().unwrap();
    let key = daemon.create_key("one", Rules { concurrency: Some(1), wait, ..Rules::default() });
    let gate = Gate::new();
    fake.on("/v1/messages").once(Script::real().hold(&gate));
    let ask = async || {
        let request =
            daemon.http().post(daemon.url("/v1/messages")).header("x-api-key", &key).json(&message("hi"));
        request.send().await.unwrap().status()
    };
    let others = async {
        gate.reached_by(1).await;
        while daemon.keys().find("one").unwrap().counts().waiting < 2 {
            tokio::task::yield_now().await;
        }
        let own = daemon.ask("hi").await.status();
        gate.open();
        own
    };
    let (one, two, three, own) =
        within("all are answered", async { tokio::join!(ask(), ask(), ask(), others) }).await;
    assert_eq!([one, two, three, own].map(|status| status.as_u16()), [200; 4]);
}
