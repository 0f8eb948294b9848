//! Web pages: those of a configured origin may call and read, as the CORS protocol asks; nobody else is told anything.

use http::Method;
use proxy_tests::client::read_raw;
use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::{FakeClaude, Script};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const PAGE: &str = "http://localhost:3000";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn daemon(fake: &FakeClaude) -> TestDaemon {
    TestDaemon::with_account_and(fake, Setup::of([("PROXYD_HTTP__ORIGINS", PAGE)])).await
}

fn said<'a>(answer: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_page_that_is_listed_asks_first_and_may_read_the_answer() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let asked = [
        ("origin", PAGE),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-api-key"),
        ("sec-fetch-site", "cross-site"),
    ];
    let preflight = daemon.send(Method::OPTIONS, "/v1/messages", &asked, "").await;
    assert_eq!(preflight.status(), 204);
    assert_eq!(said(&preflight, "access-control-allow-origin"), Some(PAGE));
    assert_eq!(said(&preflight, "access-control-allow-headers"), Some("content-type,x-api-key"));
    assert_eq!(said(&preflight, "vary"), Some("origin"));
    let headers = [("origin", PAGE), ("sec-fetch-site", "cross-site"), JSON];
    let answer = daemon.send(Method::POST, "/v1/messages", &headers, message("hi").to_string()).await;
    assert_eq!((answer.status().as_u16(), said(&answer, "access-control-allow-origin")), (200, Some(PAGE)));
    assert_eq!(said(&answer, "access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_page_that_is_not_listed_is_refused_before_its_body_has_come() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    for line in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: {}\r\n{line}\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n",
            daemon.address()
        );
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        // Nothing of the body was sent, and nothing is waited for.
        let mut answer = [0; 12];
        let reading = tokio::io::AsyncReadExt::read_exact(&mut connection, &mut answer);
        proxy_tests::wait::within("the refusal", reading).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403", "{line}");
        connection.shutdown().await.unwrap();
        drop(connection);
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn what_upstream_says_to_browsers_stays_with_us() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let open = || Script::real().header("access-control-allow-origin", "*").header("set-cookie", "a=b");
    fake.on("/v1/messages").once(open());
    let answer = daemon.ask("hi").await;
    assert_eq!((said(&answer, "access-control-allow-origin"), said(&answer, "set-cookie")), (None, None));
    fake.on("/v1/messages").once(open());
    let body = message("hi").to_string();
    let answer = daemon.send(Method::POST, "/v1/messages", &[("origin", PAGE), JSON], body).await;
    assert_eq!(said(&answer, "access-control-allow-origin"), Some(PAGE));
}

#[tokio::test]
async fn a_body_that_does_not_say_that_it_is_json_is_refused() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    for path in [
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/completions",
    ] {
        for kind in [&[("content-type", "text/plain")][..], &[]] {
            let body = message("hi").to_string();
            let answer = daemon.send(Method::POST, path, kind, body).await;
            assert_eq!(answer.status(), 415, "{path} {kind:?}");
        }
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_connection_goes_on_after_an_answer_and_ends_after_a_refusal() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let host = daemon.address();
    let mut connection = TcpStream::connect(host).await.unwrap();
    let requests = format!(
        "GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\nGET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    );
    connection.write_all(requests.as_bytes()).await.unwrap();
    let both = read_raw(&mut connection).await;
    assert!(both.status == 200 && both.body.contains("HTTP/1.1 421"), "{}", both.body);
}
