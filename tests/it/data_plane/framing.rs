//! Requests whose end could be read in two ways: each is refused in words, its connection closed, and nothing of it goes upstream.

use proxy_tests::client::{Raw, read_raw};
use proxy_tests::daemon::{TestDaemon, message};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::wait::within;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// What the daemon answers to these bytes, to the end of the connection, which it closes by itself.
async fn answer(daemon: &TestDaemon, bytes: &[u8]) -> Raw {
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    within("all is sent", connection.write_all(bytes)).await.unwrap();
    read_raw(&mut connection).await
}

fn post(daemon: &TestDaemon, fields: &str, body: &str) -> Vec<u8> {
    let host = daemon.address();
    format!("POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{fields}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_reaches_nobody() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = message("hi").to_string();
    let (length, chunked) = (body.len(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    for (fields, body) in [
        (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"), &chunked),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"), &chunked),
        (format!("Content-Length: {length}\r\nContent-Length: {length}"), &body),
        (format!("Content-Length: {length}, {length}"), &body),
        (format!("Content-Length: +{length}"), &body),
        (format!("Content-Length : {length}"), &body),
        (format!("Content-Length: {length}\r\n X: folded"), &body),
        ("Transfer-Encoding: gzip, chunked".to_owned(), &chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".to_owned(), &chunked),
        (format!("Content-Length: {length}\nX: bare"), &body),
    ] {
        let refused = answer(&daemon, &post(&daemon, &fields, body)).await;
        assert_eq!(refused.status, 400, "{fields:?}: {}", refused.head);
        assert!(refused.head.contains("connection: close"), "{}", refused.head);
        let words = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(words.starts_with("the request cannot be read"), "{words}");
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_chunk_that_is_no_chunk_ends_its_request_and_reaches_nobody() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = message("hi").to_string();
    for chunks in [
        format!("{:x};ext=1\r\n{body}\r\n0\r\n\r\n", body.len()),
        format!("0x{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        format!("{:x}\n{body}\r\n0\r\n\r\n", body.len()),
        format!("{:x}\r\n{body}X\r\n0\r\n\r\n", body.len()),
    ] {
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        // In two pieces, so that the request has begun when the chunk is seen.
        connection.write_all(&post(&daemon, "Transfer-Encoding: chunked", "")).await.unwrap();
        connection.write_all(chunks.as_bytes()).await.unwrap();
        assert_eq!(read_raw(&mut connection).await.status, 400, "{chunks:?}");
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_request_hidden_behind_another_is_not_served() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let hidden = format!("GET /v1/models HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.address());
    let chunked = format!("0\r\n\r\n{hidden}");
    let fields = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", chunked.len());
    let refused = answer(&daemon, &post(&daemon, &fields, &chunked)).await;
    assert_eq!((refused.status, refused.body.matches("HTTP/1.1").count()), (400, 0), "{}", refused.body);
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn what_is_no_http_1_is_named() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for (bytes, status) in [
        (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], 505),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\n", 400),
    ] {
        assert_eq!(answer(&daemon, bytes).await.status, status, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let host = daemon.address();
    let long = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_eq!(answer(&daemon, long.as_bytes()).await.status, 431);
    let many = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: a\r\n".repeat(200));
    assert_eq!(answer(&daemon, many.as_bytes()).await.status, 431);
}

#[tokio::test]
async fn sound_requests_follow_each_other_on_one_connection_however_they_are_cut() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = message("hi").to_string();
    let (head, tail) = body.split_at(body.len() / 2);
    let chunks = format!("{:x}\r\n{head}\r\n{:X}\r\n{tail}\r\n0\r\nX-Sum: 1\r\n\r\n", head.len(), tail.len());
    let mut all = post(&daemon, "Transfer-Encoding: chunked", &chunks);
    all.extend(post(&daemon, &format!("Content-Length: {}\r\nConnection: close", body.len()), &body));
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    connection.set_nodelay(true).unwrap();
    for piece in all.chunks(7) {
        connection.write_all(piece).await.unwrap();
    }
    let both = read_raw(&mut connection).await;
    assert_eq!(both.status, 200);
    assert_eq!(both.body.matches("HTTP/1.1 200 OK").count(), 1, "{}", both.body);
    assert_eq!(fake.requests().len(), 2);
}
