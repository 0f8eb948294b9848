//! The listener and its connections.
//!
//! It is hyper and not a framework because a script must be able to end a connection in the middle of a body,
//! by a reset or by a plain close. Every task lives in a `JoinSet`: dropping the server ends all of them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::routes::Site;

/// How a connection is ended on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With RST; what the peer has not read yet may be lost to it.
    Reset,
    /// With FIN, as a process that died in the middle of an answer.
    Close,
}

/// A request's handle on the connection it came on.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    end: Arc<watch::Sender<Option<Ending>>>,
}

impl Connection {
    pub(super) fn end(&self, ending: Ending) {
        self.end.send_replace(Some(ending));
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Ends every open connection when it changes.
    drop_all: watch::Sender<()>,
    /// Owns the accept loop, which owns the connections.
    _tasks: JoinSet<()>,
}

impl Server {
    /// Serves on a listener that is already bound.
    pub(super) fn start(listener: TcpListener, site: Arc<Site>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let drop_all = watch::Sender::new(());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, site, drop_all.clone()));
        Ok(Self { address, drop_all, _tasks: tasks })
    }

    pub(super) fn drop_connections(&self) {
        self.drop_all.send_replace(());
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>, drop_all: watch::Sender<()>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept is the peer's trouble (it reset before we took it); the next one may work.
                let Ok((stream, _)) = accepted else { continue };
                number += 1;
                connections.spawn(connection(stream, number, Arc::clone(&site), drop_all.subscribe()));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, number: u64, site: Arc<Site>, mut drop_all: watch::Receiver<()>) {
    // Without it small events of a stream wait for the peer's delayed ACK; the fake works either way.
    let _slower_without = stream.set_nodelay(true);
    let end = Arc::new(watch::Sender::new(None));
    let mut ending = end.subscribe();
    let handle = Connection { number, end };
    let service = service_fn(move |request: Request<Incoming>| {
        let (site, handle) = (Arc::clone(&site), handle.clone());
        async move { Ok::<_, Infallible>(site.answer(request, handle).await) }
    });
    let mut http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let how = tokio::select! {
        biased;
        // A protocol error of the client ends only its own connection.
        _served = &mut http => return,
        asked = ending.wait_for(Option::is_some) => asked.ok().and_then(|e| *e).unwrap_or(Ending::Close),
        _all = drop_all.changed() => Ending::Reset,
    };
    let stream = http.into_parts().io.into_inner();
    if how == Ending::Reset {
        // If it fails the close is a FIN, which the scripts that ask for a reset accept as well.
        let _fin_instead = stream.set_zero_linger();
    }
}
