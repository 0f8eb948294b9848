//! Web pages and other strangers by their headers, on every route: refused before the body is read, and nothing of them
//! reaches upstream.

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bench::{Bench, Setup, body};
use crate::case::Shown;
use crate::wire::{self, Reply};

/// Method and path of each route, and one that there is not.
pub(crate) const ROUTES: [(&str, &str); 24] = [
    ("GET", "/"),
    ("GET", "/api/hello"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/claude-sonnet-4-5"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/v1/messages/batches"),
    ("POST", "/v1/messages/batches"),
    ("GET", "/v1/messages/batches/msgbatch_1/results"),
    ("GET", "/v1/files"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files/file_1/content"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses/input_tokens"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("GET", "/v1/responses/resp_1/input_items"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/nothing/here"),
];

/// A request up to and without its body, with these lines in its head. One that has a body names its length.
fn head(method: &str, path: &str, lines: &str) -> String {
    let body =
        if method == "POST" { "content-type: application/json\r\ncontent-length: 100000\r\n" } else { "" };
    format!("{method} {path} HTTP/1.1\r\n{lines}{body}\r\n")
}

/// Sends a head alone: whoever answers has not waited for the body.
async fn refused(bench: &Bench, request: &str, status: u16) -> Result<Reply> {
    let mut stream = TcpStream::connect(bench.address()).await?;
    stream.write_all(request.as_bytes()).await?;
    let reply = wire::reply(&mut stream).await?;
    let what = request.lines().next().unwrap_or_default();
    ensure!(reply.status == status, "{what}: {} instead of {status} for {request:?}", reply.status);
    ensure!(!reply.head.contains("access-control-"), "{what}: a CORS header: {}", reply.head);
    Ok(reply)
}

fn nothing_went_up(bench: &Bench) -> Result<()> {
    let seen = bench.fake.requests();
    ensure!(
        seen.is_empty(),
        "upstream saw {} requests, first {}",
        seen.len(),
        seen.first().map_or("", |r| &r.path)
    );
    Ok(())
}

/// The lines of a head that name the host, by whether they name this daemon.
fn host_lines(port: &str) -> [(bool, String); 16] {
    let host = |host: String| format!("host: {host}\r\n");
    [
        (true, host(format!("127.0.0.1:{port}"))),
        (true, host(format!("LocalHost:{port}"))),
        (false, String::new()),
        (false, host(String::new())),
        (false, host(format!("127.0.0.1:{port}")).repeat(2)),
        (false, host(format!("127.0.0.1:{port}")) + &host("evil.example".to_owned())),
        (false, host("127.0.0.1".to_owned())),
        (false, host("127.0.0.1:1".to_owned())),
        (false, host(format!("evil.example:{port}"))),
        (false, host(format!("127.0.0.1.evil.example:{port}"))),
        (false, host(format!("localhost.:{port}"))),
        (false, host(format!("me@127.0.0.1:{port}"))),
        (false, host(format!("127.0.0.1:{port},evil.example"))),
        (false, host(format!("127.1:{port}"))),
        (false, host(format!("[::ffff:127.0.0.1]:{port}"))),
        (false, host(format!("0.0.0.0:{port}"))),
    ]
}

pub(crate) async fn host_forms() -> Shown {
    let bench = Setup::new().await?.start().await;
    let port = bench.address().rsplit(':').next().unwrap_or_default().to_owned();
    let mut tried = 0;
    for (method, path) in ROUTES {
        for (is_ours, lines) in host_lines(&port) {
            if is_ours {
                // Whatever it is told, it is not that this is another host's.
                let request = format!("{method} {path} HTTP/1.1\r\n{lines}content-length: 0\r\n\r\n");
                let reply = wire::ask(bench.address(), request.as_bytes()).await?;
                ensure!(reply.status != 421, "{method} {path}: 421 for {lines:?}");
            } else {
                // A request of HTTP/1.1 without a host, or with two, is malformed (RFC 9112, section 3.2), and may be told so.
                let mut stream = TcpStream::connect(bench.address()).await?;
                stream.write_all(head(method, path, &lines).as_bytes()).await?;
                let reply = wire::reply(&mut stream).await?;
                ensure!(reply.status == 421, "{method} {path}: {} for {lines:?}", reply.status);
            }
            tried += 1;
        }
    }
    let seen = bench.fake.count("/v1/messages") + bench.fake.count("/v1/messages/count_tokens");
    ensure!(seen == 0, "upstream saw {seen} requests");
    bench.serves().await?;
    bench.stop().await?;
    Ok(format!("{tried} requests"))
}

pub(crate) async fn origins_and_preflights() -> Shown {
    let bench = Setup::new().await?.start().await;
    let address = bench.address().to_owned();
    let own = format!("host: {address}\r\n");
    let pages = [
        "origin: https://evil.example\r\n".to_owned(),
        "origin: null\r\n".to_owned(),
        "origin: \r\n".to_owned(),
        format!("origin: http://{address}\r\n"),
        "sec-fetch-site: cross-site\r\n".to_owned(),
        "sec-fetch-site: same-site\r\n".to_owned(),
        "sec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n".to_owned(),
    ];
    let mut tried = 0;
    for (method, path) in ROUTES {
        for page in &pages {
            refused(&bench, &head(method, path, &format!("{own}{page}")), 403).await?;
        }
        let preflight = format!(
            "{own}origin: https://evil.example\r\naccess-control-request-method: {method}\r\naccess-control-request-headers: content-type\r\n"
        );
        refused(&bench, &head("OPTIONS", path, &preflight), 403).await?;
        tried += pages.len() + 1;
    }
    nothing_went_up(&bench)?;
    bench.serves().await?;
    bench.stop().await?;
    Ok(format!("{tried} requests"))
}

pub(crate) async fn configured_page() -> Shown {
    let page = "http://localhost:3000";
    let bench = Setup::new().await?.set("http.origins", page).start().await;
    let own = format!("host: {}\r\n", bench.address());
    for (method, path) in ROUTES {
        let lines = format!("{own}origin: {page}\r\naccess-control-request-method: {method}\r\n");
        let request = format!("OPTIONS {path} HTTP/1.1\r\n{lines}\r\n");
        let reply = wire::ask(bench.address(), request.as_bytes()).await?;
        let allowed = reply.header("access-control-allow-origin");
        ensure!(reply.status == 204 && allowed == Some(page), "{path}: {} for {allowed:?}", reply.status);
        ensure!(reply.header("access-control-allow-credentials").is_none(), "{path}: with credentials");
        for other in
            ["http://localhost:3001", "https://localhost:3000", "http://localhost:3000.evil.example", "null"]
        {
            refused(&bench, &head(method, path, &format!("{own}origin: {other}\r\n")), 403).await?;
        }
    }
    nothing_went_up(&bench)?;
    let body = body("/v1/messages", false).to_string();
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\n{own}origin: {page}\r\nsec-fetch-site: cross-site\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = wire::ask(bench.address(), request.as_bytes()).await?;
    ensure!(
        reply.status == 200 && reply.header("access-control-allow-origin") == Some(page),
        "{}",
        reply.head
    );
    bench.stop().await?;
    Ok("the one that is listed, and no other".to_owned())
}

pub(crate) async fn content_types() -> Shown {
    let bench = Setup::new().await?.start().await;
    let mut tried = 0;
    let json_routes = ROUTES.iter().filter(|(method, path)| *method == "POST" && *path != "/v1/files");
    for (_, path) in json_routes {
        for kind in [
            "",
            "content-type: text/plain\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
            "content-type: multipart/form-data; boundary=x\r\n",
            "content-type: application/json-seq\r\n",
        ] {
            let body = body(path, false).to_string();
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: {}\r\n{kind}content-length: {}\r\n\r\n{body}",
                bench.address(),
                body.len()
            );
            let reply = wire::ask(bench.address(), request.as_bytes()).await?;
            ensure!(reply.status == 415, "POST {path}: {} instead of 415 for {kind:?}", reply.status);
            tried += 1;
        }
    }
    nothing_went_up(&bench)?;
    bench.serves().await?;
    bench.stop().await?;
    Ok(format!("{tried} requests"))
}
