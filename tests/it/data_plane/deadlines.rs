//! Clients that do not go on: each is given up at its own deadline, told why where it can be told, and holds nobody else up.

use futures_util::future::join_all;
use proxy_tests::client::read_raw;
use proxy_tests::daemon::{Setup, TestDaemon};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, Step, text_events};
use proxy_tests::wait::within;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MODEL: &str = "claude-sonnet-4-5";
const SHORT: &str = "50ms";

async fn with(fake: &FakeClaude, key: &'static str) -> TestDaemon {
    TestDaemon::with_account_and(fake, Setup::of([(key, SHORT)])).await
}

async fn opened(daemon: &TestDaemon, bytes: &str) -> TcpStream {
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    connection.write_all(bytes.as_bytes()).await.unwrap();
    connection
}

/// Reads to the end, which the daemon makes, and returns what came.
async fn rest(connection: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    within("the daemon closes the connection", connection.read_to_end(&mut rest)).await.unwrap();
    rest
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let fake = FakeClaude::start().await;
    let daemon = with(&fake, "PROXYD_HTTP__FIRST_BYTE_TIMEOUT").await;
    assert_eq!(rest(&mut opened(&daemon, "").await).await, b"");
}

#[tokio::test]
async fn half_a_head_is_answered_and_closed() {
    let fake = FakeClaude::start().await;
    let daemon = with(&fake, "PROXYD_HTTP__HEADER_TIMEOUT").await;
    let mut connection = opened(&daemon, "GET /healthz HTTP/1.1\r\nHo").await;
    let answer = read_raw(&mut connection).await;
    assert_eq!(answer.status, 408, "{}", answer.head);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("in time"));
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_and_closed() {
    let fake = FakeClaude::start().await;
    let daemon = with(&fake, "PROXYD_HTTP__BODY_TIMEOUT").await;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        daemon.address()
    );
    let answer = read_raw(&mut opened(&daemon, &head).await).await;
    assert_eq!(answer.status, 408, "{}", answer.head);
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let fake = FakeClaude::start().await;
    let daemon = with(&fake, "PROXYD_HTTP__IDLE_TIMEOUT").await;
    let mut connection =
        opened(&daemon, &format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.address())).await;
    assert!(rest(&mut connection).await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_and_its_upstream_call_closed() {
    let fake = FakeClaude::start().await;
    let daemon = with(&fake, "PROXYD_HTTP__SEND_TIMEOUT").await;
    // More than every buffer on the way holds, and then a gate.
    let gate = Gate::new();
    let mut steps = text_events(MODEL, &[&"x".repeat(64 << 20)]);
    steps.push(Step::gate(&gate));
    fake.on("/v1/messages").once(Script::stream(steps));
    let body = format!(
        r#"{{"model":"{MODEL}","max_tokens":9,"stream":true,"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        daemon.address(),
        body.len()
    );
    let mut connection = opened(&daemon, &head).await;
    within("the request is over", async {
        while fake.requests().is_empty()
            || daemon.pool().snapshot().members.iter().any(|member| member.in_flight() > 0)
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What was underway can be read, and then the connection is found cut.
    let mut some = Vec::new();
    let _reset_or_end = within("the end", connection.read_to_end(&mut some)).await;
    assert!(some.len() < 64 << 20, "all of it came: {}", some.len());
}

#[tokio::test]
async fn those_that_do_not_go_on_hold_nobody_up() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let head = format!("POST /v1/messages HTTP/1.1\r\nHost: {}\r\n", daemon.address());
    let stalled = format!("{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{");
    let starts = ["", head.as_str(), stalled.as_str()];
    let held = join_all((0..150).map(|n| opened(&daemon, starts[n % starts.len()]))).await;
    assert_eq!(daemon.ask("hi").await.status(), 200);
    drop(held);
}
