//! The first bytes of the other side, kept so that something that is no daemon can be named for what it is: a
//! mail server, a web server, or a shell on another machine that prints a welcome.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How much is kept.
const KEPT: usize = 80;
/// The fourth byte of an HTTP/2 frame that holds settings, with which every server begins (RFC 9113, 3.4).
const SETTINGS: u8 = 4;

/// What the other side began with, on the newest connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Greeting(Arc<Mutex<Vec<u8>>>);

impl Greeting {
    /// The first line of something that does not speak HTTP/2.
    pub(super) fn foreign(&self) -> Option<String> {
        let bytes = self.0.lock().ok()?;
        if !is_foreign(&bytes) {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        Some(text.lines().next().unwrap_or_default().to_owned())
    }

    fn keep(&self, bytes: &[u8]) {
        if let Ok(mut kept) = self.0.lock() {
            let room = KEPT.saturating_sub(kept.len());
            kept.extend(bytes.iter().take(room));
        }
    }
}

/// The length of such a frame is small, so its first byte is zero, as that of no text is.
fn is_foreign(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first != 0) || bytes.get(3).is_some_and(|kind| *kind != SETTINGS)
}

/// A stream of bytes to a daemon.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// One whose beginning is kept.
pub(super) struct Watched {
    inner: Box<dyn Bytes>,
    /// Read before anybody asked.
    ahead: Vec<u8>,
    greeting: Greeting,
}

impl Watched {
    pub(super) fn new(inner: impl Bytes + 'static, greeting: &Greeting) -> Self {
        if let Ok(mut earlier) = greeting.0.lock() {
            earlier.clear();
        }
        Self { inner: Box::new(inner), ahead: Vec::new(), greeting: greeting.clone() }
    }

    /// Waits until the other side says something, or ends: `false`.
    pub(super) async fn is_greeted(&mut self) -> io::Result<bool> {
        let mut first = [0; KEPT];
        let read = self.inner.read(&mut first).await?;
        let first = first.get(..read).unwrap_or_default();
        self.greeting.keep(first);
        self.ahead.extend_from_slice(first);
        Ok(read > 0)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let ready = self.ahead.len().min(buf.remaining());
            for byte in self.ahead.drain(..ready) {
                buf.put_slice(&[byte]);
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.greeting.keep(buf.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn only_the_settings_of_http_2_are_a_daemons_greeting() {
        for (bytes, foreign) in [
            (&b""[..], false),
            (&[0, 0, 36, 4, 0, 0, 0, 0, 0], false),
            (&[0, 0], false),
            (&[0, 0, 0, 6], true),
            (b"2", true),
            (b"HTTP/1.1 400 Bad Request\r\n", true),
        ] {
            assert_eq!(is_foreign(bytes), foreign, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_was_read_ahead_is_read_again_and_kept() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let greeting = Greeting::default();
        let mut watched = Watched::new(ours, &greeting);
        theirs.write_all(b"Welcome to server\nmore").await.unwrap();
        assert!(watched.is_greeted().await.unwrap());
        drop(theirs);
        let mut all = String::new();
        watched.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "Welcome to server\nmore");
        assert_eq!(greeting.foreign().as_deref(), Some("Welcome to server"));
        assert!(!watched.is_greeted().await.unwrap());
    }
}
