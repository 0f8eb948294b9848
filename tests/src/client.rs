//! What a client sends and how it reads what comes back: events, frames, bytes as they arrive, and HTTP
//! written by hand where a client library would correct what a test wants to be wrong.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::daemon::TestDaemon;
use crate::wait::within;

impl TestDaemon {
    /// Any request, with these headers and this body as they are, until the answer's head.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        let request = self.http().request(method, self.url(path)).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        within("an answer", request.send()).await.expect("the daemon answers")
    }
}

/// The frames of a whole stream, without those that are comments.
fn spoken(stream: &str) -> impl Iterator<Item = &str> {
    stream.split_terminator("\n\n").filter(|frame| !frame.starts_with(':'))
}

/// Name and data of each event of a whole stream in the Anthropic API, or in the Responses API.
pub fn events(stream: &str) -> Vec<(String, Value)> {
    let event = |frame: &str| {
        let (name, data) = frame.split_once('\n').expect("two lines");
        let name = name.strip_prefix("event: ").expect("the event's name");
        let data = data.strip_prefix("data: ").expect("the event's data");
        (name.to_owned(), serde_json::from_str(data).expect("JSON"))
    };
    spoken(stream).map(event).collect()
}

/// The frames of a whole stream in the Chat Completions API; `[DONE]` is a string.
pub fn frames(stream: &str) -> Vec<Value> {
    let frame = |frame: &str| match frame.strip_prefix("data: ").expect("a data line") {
        "[DONE]" => Value::from("[DONE]"),
        data => serde_json::from_str(data).expect("JSON"),
    };
    spoken(stream).map(frame).collect()
}

/// An answer whose body is read piece by piece.
#[derive(Debug)]
pub struct Reading {
    response: reqwest::Response,
    seen: Vec<u8>,
}

impl Reading {
    pub fn new(response: reqwest::Response) -> Self {
        Self { response, seen: Vec::new() }
    }

    /// Reads until the body so far holds `text`.
    pub async fn until(&mut self, text: &str) {
        let wanted = text.as_bytes();
        within(text, async {
            while !self.seen.windows(wanted.len()).any(|window| window == wanted) {
                let chunk = self.response.chunk().await.expect("the body goes on");
                self.seen.extend_from_slice(&chunk.expect("the body has not ended"));
            }
        })
        .await;
    }

    /// What has been read so far.
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Reads to the end and returns the whole body; the error is a body that broke off.
    pub async fn finish(mut self) -> Result<Vec<u8>, reqwest::Error> {
        within("the end of the body", async {
            while let Some(chunk) = self.response.chunk().await? {
                self.seen.extend_from_slice(&chunk);
            }
            Ok(self.seen)
        })
        .await
    }

    /// The whole body of a stream, as text.
    pub async fn text(self) -> String {
        let body = self.finish().await.expect("the body ends");
        String::from_utf8(body).expect("text")
    }
}

/// An answer read from a connection that was written by hand.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Raw {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// Sends bytes over a connection of its own and reads until the daemon closes it. `request` asks for that.
pub async fn raw(address: &str, request: &[u8]) -> Raw {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    connection.write_all(request).await.expect("the request is sent");
    read_raw(&mut connection).await
}

/// Reads one answer up to the end of the connection.
pub async fn read_raw(connection: &mut TcpStream) -> Raw {
    let mut answer = Vec::new();
    within("an answer and its end", connection.read_to_end(&mut answer)).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Raw { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
