//! The upstream: as little as answers HTTP/1.1 at all, so that it is never what is measured. Bytes that were made beforehand are
//! written in as few calls as they fit into.

pub(crate) mod answers;
mod http2;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::{Buf as _, Bytes, BytesMut};
use proxyd::clock::Clock;
use proxyd::tasks::Tasks;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::now;
use answers::{Answers, Asked};

/// A larger body holds no word for the upstream.
const READ_FOR_ITS_WORD: usize = 64 * 1024;
const BUFFER: usize = 256 * 1024;
/// Crowds connect at once.
const BACKLOG: u32 = 4096;

/// How the upstream is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    /// HTTP/1.1 in TLS.
    Tls,
    /// HTTP/2 in TLS, of 100 streams a connection, where the caller offers it; otherwise HTTP/1.1.
    Http2,
}

/// What all connections share: the answers that were asked for so far.
#[derive(Debug)]
struct Shared {
    answers: Answers,
    small: Bytes,
    stream: Bytes,
    stream_events: usize,
    begin: Vec<u8>,
}

/// Serves until the process ends. Says where, in a line. With a file for its certificate it wants TLS.
pub(crate) async fn serve(certificate: Option<&Path>, protocols: &[&str]) -> Result<()> {
    let listener = listen()?;
    let answers = Answers::new(Clock::system().now());
    let stream_events = 200;
    let shared = Arc::new(Shared {
        small: answers.small(),
        stream: answers.stream(stream_events),
        begin: answers.stream_begin(),
        stream_events,
        answers,
    });
    let acceptor = certificate.map(|file| tls::acceptor(file, protocols)).transpose()?;
    crate::say(&listener.local_addr()?.to_string())?;
    let tasks = Tasks::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        // A caller that goes is none of the upstream's business: who measures sees what it got.
        tasks.spawn(async move {
            let _gone = connection(stream, acceptor, &shared).await;
        });
    }
}

fn listen() -> Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(BACKLOG).context("the upstream's listener")
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    shared: &Arc<Shared>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some(acceptor) = acceptor else { return Ok(talk(stream, shared).await?) };
    let stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return http2::serve(stream, Arc::clone(shared)).await;
    }
    Ok(talk(stream, shared).await?)
}

/// Answers one request after the other.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Shared) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    loop {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = buffer.split_to(end);
        let Some(length) = body_length(&head) else {
            return stream.write_all(b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n").await;
        };
        let asked = if length > READ_FOR_ITS_WORD {
            discard(&mut stream, &mut buffer, length).await?;
            Asked::Small
        } else {
            while buffer.len() < length {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            Asked::of(&buffer.split_to(length))
        };
        answer(&mut stream, asked, shared).await?;
        if asked == Asked::Held {
            // It holds until the caller goes.
            let _gone = stream.read_buf(&mut buffer).await?;
            return Ok(());
        }
    }
}

/// Reads a body of which nothing is kept.
async fn discard<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    length: usize,
) -> io::Result<()> {
    let mut left = length;
    buffer.reserve(BUFFER);
    loop {
        let here = buffer.len().min(left);
        buffer.advance(here);
        left -= here;
        if left == 0 {
            return Ok(());
        }
        buffer.reserve(BUFFER);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn answer<S: AsyncWrite + Unpin>(stream: &mut S, asked: Asked, shared: &Shared) -> io::Result<()> {
    match asked {
        Asked::Small => stream.write_all(&shared.small).await?,
        Asked::Stream(events) if events == shared.stream_events => stream.write_all(&shared.stream).await?,
        Asked::Stream(events) => stream.write_all(&shared.answers.stream(events)).await?,
        Asked::Held => {
            let mut begin = shared.begin.clone();
            begin.extend_from_slice(&answers::untimed());
            stream.write_all(&begin).await?;
        }
        Asked::Paced(events, gap) => {
            stream.write_all(&shared.begin).await?;
            stream.flush().await?;
            let mut ticks = tokio::time::interval(Duration::from_millis(gap));
            for _ in 0..events {
                ticks.tick().await;
                stream.write_all(&answers::timed(now())).await?;
                stream.flush().await?;
            }
            stream.write_all(&answers::stream_end()).await?;
        }
    }
    stream.flush().await
}

/// The length of the body behind a head; `None` of one that does not say it.
fn body_length(head: &[u8]) -> Option<usize> {
    let mut length = 0;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at_checked(colon)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok()?.trim_start_matches(':').trim().parse().ok()?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return None;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::body_length;

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        assert_eq!(body_length(b"POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 12\r\n\r\n"), Some(12));
        assert_eq!(body_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(0));
        assert_eq!(body_length(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"), None);
        assert_eq!(body_length(b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"), None);
    }
}
