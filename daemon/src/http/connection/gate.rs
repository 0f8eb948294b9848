//! The stream of a connection as the server sees it: requests reach it only with heads that are complete and can be read in
//! one way ([`Framing`]), and what the client does not do in time is seen ([`Standing`]).
//!
//! A head that is refused is replaced by a request of our own that asks for nothing and closes the connection, so that
//! the refusal is an answer like any other.
//!
//! [`Framing`]: super::framing::Framing

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::framing::{Fault, Framing};
use super::standing::Standing;

const CHUNK: usize = 16 * 1024;
/// Stands in for a request that is refused.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
/// What was not read when the connection ends is read still, so much of it and for so long: most clients send all of a request
/// before they listen, and closing on bytes that were not read resets the connection, so that they would not hear why (RFC 9112,
/// section 9.6).
const MOST_LINGERING: usize = 256 * 1024 * 1024;
const LINGERING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Gate<S> {
    stream: S,
    standing: Arc<Standing>,
    framing: Framing,
    /// Read and not handed on.
    held: BytesMut,
    /// How much of that may be.
    released: usize,
    /// The server has a head whose body did not come to its end yet.
    in_body: bool,
    refused: bool,
    stuck: bool,
    lingering: Option<Lingering>,
}

#[derive(Debug)]
struct Lingering {
    left: usize,
    time: Pin<Box<Sleep>>,
}

impl<S> Gate<S> {
    pub(super) fn new(stream: S, standing: Arc<Standing>) -> Self {
        Self {
            stream,
            standing,
            framing: Framing::default(),
            held: BytesMut::new(),
            released: 0,
            in_body: false,
            refused: false,
            stuck: false,
            lingering: None,
        }
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let taken = self.released.min(buf.remaining());
        buf.put_slice(self.held.get(..taken).unwrap_or_default());
        self.held.advance(taken);
        self.released -= taken;
        if self.held.is_empty() {
            // Nothing is kept for a connection that waits.
            self.held = BytesMut::new();
        }
    }

    /// Judges what came, given that nothing is held: what may go on is in its place already, and only the rest is moved.
    fn judge(&mut self, before: usize, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let came = buf.filled().get(before..).unwrap_or_default();
        match self.framing.release(came) {
            Ok(released) => {
                self.held.extend_from_slice(came.get(released..).unwrap_or_default());
                buf.set_filled(before + released);
                self.in_body = !self.framing.is_in_head();
                Ok(())
            }
            Err(fault) => {
                buf.set_filled(before);
                self.refuse(fault)
            }
        }
    }

    /// Judges what is held, with what came.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        match self.framing.release(&self.held) {
            Ok(released) => {
                self.released = released;
                self.in_body = !self.framing.is_in_head();
                Ok(())
            }
            Err(fault) => self.refuse(fault),
        }
    }

    fn refuse(&mut self, fault: Fault) -> io::Result<()> {
        self.refused = true;
        self.held = BytesMut::new();
        if self.in_body {
            // Its request is being served: its body ends here, and not as it should.
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault.to_string()));
        }
        self.standing.refuse(fault);
        self.held.extend_from_slice(REFUSED);
        self.released = REFUSED.len();
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            this.hand_on(buf);
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.refused {
                return Poll::Pending;
            }
            if let Some(fault) = this.framing.fault() {
                this.refuse(fault)?;
                continue;
            }
            if this.standing.is_late(context) {
                this.refuse(Fault::Late)?;
                continue;
            }
            if this.held.is_empty() {
                // The usual case: straight on, without a copy.
                ready!(Pin::new(&mut this.stream).poll_read(context, buf))?;
                if buf.filled().len() == before {
                    return Poll::Ready(Ok(()));
                }
                this.judge(before, buf)?;
                continue;
            }
            let mut chunk = [const { MaybeUninit::uninit() }; CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, &mut chunk) else {
                this.standing.begins();
                return Poll::Pending;
            };
            read?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.take(chunk.filled())?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.stream).poll_write(context, buf);
        this.standing.sending(&sent, &mut this.stuck);
        sent
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.stream).poll_write_vectored(context, bufs);
        this.standing.sending(&sent, &mut this.stuck);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.stream).poll_flush(context);
        this.standing.sending(&sent, &mut this.stuck);
        sent
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        if !this.refused && !this.in_body {
            return Poll::Ready(Ok(()));
        }
        let linger = || Lingering { left: MOST_LINGERING, time: Box::pin(sleep(LINGERING)) };
        let lingering = this.lingering.get_or_insert_with(linger);
        loop {
            let mut chunk = [const { MaybeUninit::uninit() }; CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            match Pin::new(&mut this.stream).poll_read(context, &mut chunk) {
                Poll::Pending => return lingering.time.as_mut().poll(context).map(Ok),
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => match lingering.left.checked_sub(chunk.filled().len()) {
                    Some(left) => lingering.left = left,
                    None => return Poll::Ready(Ok(())),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::Deadlines;
    use crate::http::connection::standing::Due;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    fn gate() -> (Gate<DuplexStream>, DuplexStream, Arc<Standing>) {
        let (ours, theirs) = duplex(1024);
        let standing = Arc::new(Standing::new());
        (Gate::new(ours, Arc::clone(&standing)), theirs, standing)
    }

    async fn read(gate: &mut Gate<DuplexStream>, most: usize) -> Vec<u8> {
        let mut buf = vec![0; most];
        let length = gate.read(&mut buf).await.unwrap();
        buf.truncate(length);
        buf
    }

    #[tokio::test]
    async fn what_is_sound_passes_through_a_small_buffer_unchanged() {
        let (mut gate, mut client, _) = gate();
        let text = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /x HTTP/1.1\r\n\r\n";
        client.write_all(text).await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = Vec::new();
        loop {
            match read(&mut gate, 7).await {
                some if some.is_empty() => break,
                some => all.extend(some),
            }
        }
        assert_eq!(all, text);
    }

    #[tokio::test]
    async fn a_request_that_is_refused_never_reaches_the_server() {
        let (mut gate, mut client, standing) = gate();
        client.write_all(b"GET / HTTP/1.1\r\nX : secret\r\n\r\n").await.unwrap();
        assert_eq!(read(&mut gate, 1024).await, REFUSED);
        assert!(matches!(standing.fault(), Some(Fault::Malformed(_))));
    }

    #[tokio::test]
    async fn a_body_that_is_no_body_ends_its_request() {
        let (mut gate, mut client, standing) = gate();
        client.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n").await.unwrap();
        assert!(read(&mut gate, 1024).await.ends_with(b"3\r\n"));
        client.write_all(b"abcX").await.unwrap();
        assert_eq!(gate.read(&mut [0; 9]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(standing.fault(), None);
    }

    #[tokio::test]
    async fn a_late_head_is_answered_and_the_reader_woken_for_it() {
        let (mut gate, mut client, standing) = gate();
        client.write_all(b"GET / HT").await.unwrap();
        let mut buf = [0; 1024];
        let reading = gate.read(&mut buf);
        tokio::pin!(reading);
        tokio::select! {
            biased;
            _ = &mut reading => panic!("half a head was handed on"),
            () = std::future::ready(()) => {}
        }
        let now = tokio::time::Instant::now();
        assert_eq!(standing.due(now, &Deadlines::default()), Due::Nothing);
        assert_eq!(standing.due(now + Deadlines::default().head, &Deadlines::default()), Due::Tell);
        standing.tell();
        assert_eq!(reading.await.unwrap(), REFUSED.len());
        assert_eq!(standing.fault(), Some(Fault::Late));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_seen() {
        let (mut gate, mut client, standing) = gate();
        let _busy = standing.busy();
        let now = tokio::time::Instant::now;
        let later = || now() + Deadlines::default().send;
        assert_eq!(gate.write(&[0; 2048]).await.unwrap(), 1024);
        assert_eq!(standing.due(later(), &Deadlines::default()), Due::Nothing);
        let more = gate.write(&[0; 1]);
        tokio::pin!(more);
        tokio::select! {
            biased;
            _ = &mut more => panic!("there was no room"),
            () = std::future::ready(()) => {}
        }
        assert!(matches!(standing.due(later(), &Deadlines::default()), Due::End(_)));
        client.read_exact(&mut [0; 1024]).await.unwrap();
        assert_eq!(more.await.unwrap(), 1);
        assert_eq!(standing.due(later(), &Deadlines::default()), Due::Nothing);
    }
}
