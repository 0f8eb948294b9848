//! HTTP written by hand, where a client library would correct what is to be wrong.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::evidence;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(own, _)| *own == name).map(|(_, value)| value.trim())
    }
}

/// A connection that takes little at a time where it reads nothing.
pub(crate) async fn connect_small(address: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    Ok(socket.connect(address.parse()?).await?)
}

/// Sends bytes on a connection of their own and reads one answer.
pub(crate) async fn ask(address: &str, request: &[u8]) -> Result<Reply> {
    let mut stream = TcpStream::connect(address).await?;
    // Whoever refuses early may close before everything is sent.
    let _refused_early = stream.write_all(request).await;
    reply(&mut stream).await
}

/// Reads one answer: its head, and its body as that says.
pub(crate) async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<Reply> {
    let reading = tokio::time::timeout(PATIENCE, read(stream));
    let reply = reading.await.context("no answer in time")??;
    evidence::answer(reply.status, &http::HeaderMap::new(), &format!("{}\n{}", reply.head, reply.body));
    Ok(reply)
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Reply> {
    let mut seen = Vec::new();
    let end = loop {
        if let Some(at) = find(&seen, b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut seen).await.context("the connection broke")? == 0 {
            bail!("the connection was closed without an answer");
        }
    };
    let head = String::from_utf8_lossy(seen.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let mut body = seen.get(end + 4..).unwrap_or_default().to_vec();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status")?;
    let mut reply = Reply { status, head, body: String::new() };
    let length = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
    let is_chunked = reply.header("transfer-encoding") == Some("chunked");
    let is_whole = |body: &[u8]| match length {
        Some(length) => body.len() >= length,
        None if status == 204 => true,
        None => is_chunked && body.ends_with(b"0\r\n\r\n"),
    };
    while !is_whole(&body) && stream.read_buf(&mut body).await.unwrap_or(0) > 0 {}
    reply.body = String::from_utf8_lossy(&body).into_owned();
    Ok(reply)
}

/// Whether the other side closes the connection, with nothing more said.
pub(crate) async fn is_closed(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let ending = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
    ending.await.is_ok_and(|_| rest.is_empty())
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
