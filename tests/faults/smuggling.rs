//! Requests whose end could be read in two ways, and what is no request of HTTP/1.1 to a server at all: each is refused, its
//! connection closed, and nothing of it, nor of what stands behind it, reaches upstream.

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bench::{Bench, Setup, body};
use crate::case::Shown;
use crate::wire;

/// A whole request that would be served if it were let through.
fn hidden(address: &str) -> String {
    let body = body("/v1/messages", false).to_string();
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The forms, each with a whole request behind it where one could hide. `HOST`, `HIDDEN` and `LENGTH` (of what is hidden) are
/// put in.
const FORMS: &[(&str, &str)] = &[
    (
        "length, then encoding",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "encoding, then length",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\ncontent-length: LENGTH\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "two lengths",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 0\r\ncontent-length: LENGTH\r\n\r\nHIDDEN",
    ),
    (
        "the same length twice",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}HIDDEN",
    ),
    (
        "a list of lengths",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 2, 2\r\n\r\n{}HIDDEN",
    ),
    (
        "a length with a sign",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: +2\r\n\r\n{}HIDDEN",
    ),
    ("a negative length", "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: -1\r\n\r\nHIDDEN"),
    ("a length in hex", "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 0x2\r\n\r\n{}HIDDEN"),
    (
        "a length that overflows",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 18446744073709551618\r\n\r\n{}HIDDEN",
    ),
    ("an empty length", "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: \r\n\r\nHIDDEN"),
    (
        "a chain of encodings",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "chunked, then another",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "chunked twice",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "an encoding that is none",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "identity beside a length",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: identity\r\ncontent-length: 2\r\n\r\n{}HIDDEN",
    ),
    (
        "an encoding in HTTP/1.0",
        "POST /v1/messages HTTP/1.0\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "a folded encoding",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    ("a folded line", "GET /healthz HTTP/1.1\r\nHOST\r\nx-a: 1\r\n\tb\r\n\r\nHIDDEN"),
    ("bare LF ends lines", "POST /v1/messages HTTP/1.1\nHOST\nJSON\ncontent-length: 2\n\n{}HIDDEN"),
    ("bare LF in one line", "GET /healthz HTTP/1.1\r\nHOST\nx-a: 1\r\n\r\nHIDDEN"),
    (
        "bare CR in a value",
        "GET /healthz HTTP/1.1\r\nHOST\r\nx-a: 1\rtransfer-encoding: chunked\r\n\r\nHIDDEN",
    ),
    ("a zero byte in a value", "GET /healthz HTTP/1.1\r\nHOST\r\nx-a: 1\0\r\n\r\nHIDDEN"),
    (
        "a space before the colon",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\nHIDDEN",
    ),
    ("a space before the first name", "GET /healthz HTTP/1.1\r\n HOST\r\nx-a: 1\r\n\r\nHIDDEN"),
    ("a name that is none", "GET /healthz HTTP/1.1\r\nHOST\r\nx(a): 1\r\n\r\nHIDDEN"),
    ("a line without a colon", "GET /healthz HTTP/1.1\r\nHOST\r\nnothing\r\n\r\nHIDDEN"),
    (
        "a chunk size with a sign",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "a chunk size with 0x",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "a chunk size that overflows",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "a chunk longer than its size",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "a chunk size that ends with LF",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\nHIDDEN",
    ),
    (
        "a chunk extension with LF",
        "POST /v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ntransfer-encoding: chunked\r\n\r\n2;a=\n\r\n{}\r\n0\r\n\r\nHIDDEN",
    ),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0HIDDEN"),
    ("a tunnel", "CONNECT 127.0.0.1:443 HTTP/1.1\r\nHOST\r\n\r\nHIDDEN"),
    (
        "a tunnel to upstream",
        "CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: api.anthropic.com:443\r\n\r\nHIDDEN",
    ),
    ("HTTP/0.9", "GET /healthz\r\nHIDDEN"),
    ("a version that there is not", "GET /healthz HTTP/1.2\r\nHOST\r\n\r\nHIDDEN"),
    ("two spaces in the first line", "GET  /healthz  HTTP/1.1\r\nHOST\r\n\r\nHIDDEN"),
];

/// What is refused without the connection's end: it can be read in one way only.
const MISDIRECTED: &[(&str, &str)] = &[
    (
        "an absolute form of another host",
        "POST http://evil.example/v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "an absolute form against its Host",
        "POST http://ADDRESS/v1/messages HTTP/1.1\r\nhost: evil.example\r\nJSON\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "an absolute form with a user",
        "POST http://me@ADDRESS/v1/messages HTTP/1.1\r\nHOST\r\nJSON\r\ncontent-length: 0\r\n\r\n",
    ),
];

fn put_in(form: &str, address: &str) -> String {
    let hidden = hidden(address);
    form.replace("HOST", &format!("host: {address}"))
        .replace("JSON", "content-type: application/json")
        .replace("LENGTH", &hidden.len().to_string())
        .replace("ADDRESS", address)
        .replace("HIDDEN", &hidden)
}

/// The answer's status and whether the connection was closed behind it, with nothing else said.
async fn tried(bench: &Bench, form: &str) -> Result<(u16, bool)> {
    let mut stream = TcpStream::connect(bench.address()).await?;
    let _refused_early = stream.write_all(put_in(form, bench.address()).as_bytes()).await;
    let reply = wire::reply(&mut stream).await?;
    Ok((reply.status, wire::is_closed(&mut stream).await))
}

pub(crate) async fn smuggling_forms() -> Shown {
    let bench = Setup::new().await?.start().await;
    let mut wrong = Vec::new();
    for (name, form) in FORMS {
        match tried(&bench, form).await {
            Ok((400..=599, true)) => {}
            Ok((status, is_closed)) => wrong.push(format!("{name}: {status}, closed: {is_closed}")),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
        let seen = bench.fake.requests().len();
        if seen > 0 {
            wrong.push(format!("{name}: upstream saw {seen} requests"));
            bench.fake.forget_requests();
        }
    }
    for (name, form) in MISDIRECTED {
        let reply = wire::ask(bench.address(), put_in(form, bench.address()).as_bytes()).await?;
        if !(400..500).contains(&reply.status) || !bench.fake.requests().is_empty() {
            wrong.push(format!("{name}: {}", reply.status));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    bench.serves().await?;
    bench.stop().await?;
    Ok(format!("{} forms", FORMS.len() + MISDIRECTED.len()))
}
