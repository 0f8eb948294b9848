//! One connection to the control socket and who is at its other end. Who that is is asked of the kernel once
//! a connection, and of the user database at most once, at the first call that needs to know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::unistd::{Gid, Uid};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use tonic::transport::server::Connected;

use super::incoming::Place;

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// `None` where the kernel does not tell: such a caller has no rights.
    pub(super) identity: Option<(Uid, Gid)>,
    /// Whether it is a member of the configured group, once somebody asked.
    pub(super) member: Arc<OnceCell<bool>>,
}

/// A stream of bytes whose caller is known.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    _place: Place,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, place: Place) -> Self {
        Self { stream, _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        let peer = self.stream.peer_cred().ok();
        let identity = peer.map(|peer| (Uid::from_raw(peer.uid()), Gid::from_raw(peer.gid())));
        Caller { identity, member: Arc::default() }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
