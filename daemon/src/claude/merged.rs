//! A connection whose answers' small chunks have become larger ones ([`Chunks`]) when they are read.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::chunks::Chunks;

/// As much is read at once, and where there is less room for it, so much.
const MOST_READ: usize = 32 * 1024;
const LEAST_READ: usize = 1024;

thread_local! {
    /// What has come, and what is read in its place. It says nothing to the next one who reads.
    static PLACE: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; MOST_READ], Vec::new()));
}

/// Tells a connection that the next bytes to come begin an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Begins(Arc<AtomicBool>);

impl Begins {
    /// Nothing may be on its way but what is asked for now.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Release);
    }
}

#[derive(Debug)]
pub(super) struct Merged<S> {
    stream: S,
    begins: Begins,
    chunks: Chunks,
    /// Merged, and not read yet for want of room.
    unread: Vec<u8>,
    /// How reading ended, behind what came before.
    failed: Option<io::Error>,
}

impl<S> Merged<S> {
    pub(super) fn new(stream: S, begins: Begins) -> Self {
        Self { stream, begins, chunks: Chunks::Raw, unread: Vec::new(), failed: None }
    }
}

impl<S: Read + Unpin> Read for Merged<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.unread.is_empty() {
            let rest = this.unread.split_off(this.unread.len().min(buf.remaining()));
            buf.put_slice(&std::mem::replace(&mut this.unread, rest));
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Err(error));
        }
        if this.begins.0.swap(false, Ordering::Acquire) {
            this.chunks = Chunks::Head;
        }
        if matches!(this.chunks, Chunks::Raw) {
            return Pin::new(&mut this.stream).poll_read(context, buf);
        }
        let room = buf.remaining().clamp(LEAST_READ, MOST_READ);
        PLACE.with_borrow_mut(|(came, merged)| {
            merged.clear();
            // Where as much came as there was room for, there may be more that has come.
            let mut is_more = true;
            while merged.is_empty() || (is_more && merged.len() < buf.remaining()) {
                let mut place = ReadBuf::new(came.get_mut(..room).unwrap_or_default());
                match Pin::new(&mut this.stream).poll_read(context, place.unfilled()) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => {
                        this.failed = Some(error);
                        break;
                    }
                    Poll::Pending if merged.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                }
                is_more = place.filled().len() == room;
                if place.filled().is_empty() {
                    this.chunks.end(merged);
                    break;
                }
                this.chunks.merge(place.filled(), merged);
                if this.chunks.is_broken() {
                    this.failed = Some(broken());
                    break;
                }
            }
            if let Some(error) = this.failed.take_if(|_| merged.is_empty()) {
                return Poll::Ready(Err(error));
            }
            let (fits, unread) = merged.split_at(merged.len().min(buf.remaining()));
            buf.put_slice(fits);
            this.unread.extend_from_slice(unread);
            Poll::Ready(Ok(()))
        })
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a chunk is longer than its size")
}

impl<S: Write + Unpin> Write for Merged<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future as _, poll_fn};

    use super::*;
    use http_body_util::BodyExt as _;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::Notify;

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    fn connection() -> (TokioIo<Merged<TokioIo<DuplexStream>>>, Begins, DuplexStream) {
        let ((ours, theirs), begins) = (duplex(64 * 1024), Begins::default());
        (TokioIo::new(Merged::new(TokioIo::new(ours), begins.clone())), begins, theirs)
    }

    #[tokio::test]
    async fn each_answer_is_merged_from_where_it_begins() {
        let (mut stream, begins, mut theirs) = connection();
        for _ in 0..2 {
            begins.tell();
            theirs.write_all(format!("{HEAD}1\r\na\r\n1\r\nb\r\n0\r\n\r\n").as_bytes()).await.unwrap();
            let all = format!("{HEAD}2\r\nab\r\n0\r\n\r\n");
            let mut read = vec![0; all.len()];
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), all);
            // What nobody asked for is nobody's to change.
            theirs.write_all(HEAD.as_bytes()).await.unwrap();
            let mut read = vec![0; HEAD.len()];
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(read, HEAD.as_bytes());
        }
    }

    #[tokio::test]
    async fn more_is_waited_for_where_a_size_has_not_come_whole() {
        let (mut stream, begins, mut theirs) = connection();
        begins.tell();
        theirs.write_all(HEAD.as_bytes()).await.unwrap();
        let mut head = vec![0; HEAD.len()];
        stream.read_exact(&mut head).await.unwrap();
        theirs.write_all(b"1").await.unwrap();
        let mut read = vec![0; 1024];
        {
            let mut reading = std::pin::pin!(stream.read(&mut read));
            let is_waiting = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context).is_pending()));
            assert!(is_waiting.await);
            theirs.write_all(b"\r\na\r\n2").await.unwrap();
            assert_eq!(reading.await.unwrap(), "1\r\na\r\n".len());
        }
        drop(theirs);
        // The end is told as it came, and then again.
        assert_eq!(stream.read(&mut read).await.unwrap(), 1);
        assert_eq!(stream.read(&mut read).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_chunk_that_is_too_long_breaks_the_answer_off_behind_what_came_before() {
        let (mut stream, begins, mut theirs) = connection();
        begins.tell();
        theirs.write_all(format!("{HEAD}1\r\na\r\n1\r\nbb\r\n").as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let error = stream.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(read.ends_with(b"2\r\nab\r\n"), "{}", String::from_utf8_lossy(&read));
    }

    #[tokio::test]
    async fn the_client_reads_one_frame_of_what_came_together_and_one_of_what_came_alone() {
        let (ours, mut theirs) = duplex(64 * 1024);
        let (begins, is_read) = (Begins::default(), Notify::new());
        let merged = Merged::new(TokioIo::new(ours), begins.clone());
        let (mut sender, mut connection) =
            hyper::client::conn::http1::handshake::<_, String>(merged).await.unwrap();
        let asking = async {
            for _ in 0..2 {
                begins.tell();
                let answer = sender.send_request(http::Request::new(String::new())).await.unwrap();
                let mut body = answer.into_body();
                let mut frames = Vec::new();
                while let Some(frame) = body.frame().await {
                    frames.push(frame.unwrap().into_data().unwrap());
                    if frames.len() == 1 {
                        is_read.notify_one();
                    }
                }
                let lengths: Vec<_> = frames.iter().map(bytes::Bytes::len).collect();
                assert_eq!(
                    (lengths.as_slice(), frames.concat()),
                    (&[100, 1][..], [vec![b'x'; 100], vec![b'y']].concat())
                );
            }
        };
        let answering = async {
            for _ in 0..2 {
                let mut asked = [0; 1024];
                assert!(theirs.read(&mut asked).await.unwrap() > 0);
                let chunks = "1\r\nx\r\n".repeat(100);
                theirs.write_all(format!("{HEAD}{chunks}").as_bytes()).await.unwrap();
                is_read.notified().await;
                theirs.write_all(b"1\r\ny\r\n0\r\n\r\n").await.unwrap();
            }
        };
        tokio::select! {
            biased;
            ((), ()) = async { tokio::join!(asking, answering) } => {}
            ended = &mut connection => ended.unwrap(),
        }
    }
}
