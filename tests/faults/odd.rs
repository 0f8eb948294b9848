//! An upstream at its worst: it reads a request and says what a case wants, byte by byte, or takes no connection at all.

use std::net::{SocketAddr, TcpStream as Blocking};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use nix::sys::socket::{Backlog, listen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::wire;

/// What it says to each request, in pieces that are repeated so often.
pub(crate) type Said = Vec<(Bytes, usize)>;

/// A listener that answers everything alike. Dropped, it and its connections end.
pub(crate) struct Odd {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Odd {
    pub(crate) async fn start(said: Said) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let calls = Arc::new(AtomicUsize::new(0));
        let (mut tasks, counted, said) = (JoinSet::new(), Arc::clone(&calls), Arc::new(said));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&said), Arc::clone(&counted)));
            }
        });
        Ok(Self { address, calls, _tasks: tasks })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections and requests that came.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, said: Arc<Said>, calls: Arc<AtomicUsize>) {
    calls.fetch_add(1, Ordering::SeqCst);
    let mut seen = Vec::new();
    // The head, and what of the body has come with it: what is said depends on neither.
    while wire::find(&seen, b"\r\n\r\n").is_none() {
        if !stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
            return;
        }
    }
    for (piece, times) in said.iter() {
        for _ in 0..*times {
            if stream.write_all(piece).await.is_err() {
                return;
            }
        }
    }
    let _gone = stream.shutdown().await;
    // Closing with something unread would be a reset.
    let _all = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut seen)).await;
}

/// The head of an answer.
pub(crate) fn head(status: &str, lines: &str) -> (Bytes, usize) {
    (Bytes::from(format!("HTTP/1.1 {status}\r\n{lines}\r\n")), 1)
}

/// Sends nobody away and takes nobody in: its queue is full, so a further connection waits for an answer of TCP.
pub(crate) struct Full {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<Blocking>,
}

impl Full {
    pub(crate) fn new() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(1)?;
        listen(&listener, Backlog::new(0)?)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while let Ok(waiting) = Blocking::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(waiting);
            anyhow::ensure!(queue.len() < 100, "the queue of a listener does not fill");
        }
        Ok(Self { address, _listener: listener, _queue: queue })
    }
}
