//! The accept loop. `axum::serve` leaves silent and half-open connections standing, so connections are served
//! here: a deadline for the first byte, one for the headers, and an end when the daemon stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::guard::{Guard, Peer};
use super::{State, body, error, paths, peer, routes};
use crate::id::RequestId;
use crate::tasks::Tasks;

/// A client may connect ahead of its first request, but not for ever.
const FIRST_BYTE: Duration = Duration::from_mins(1);
const HEADERS: Duration = Duration::from_secs(30);
/// After the cut, streams get this long to write their last event.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// After a failed accept (no descriptors left) the loop waits this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (http.listen){}", hint(source))]
pub struct BindError {
    pub address: SocketAddr,
    pub source: io::Error,
}

/// Bound listeners; nothing is served before [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

/// How a stop goes.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Cancelled when accepting is to end.
    pub stopping: CancellationToken,
    /// The grace period of the streams still open.
    pub drain: Duration,
    /// Cancelled by the server when that is over.
    pub cut: CancellationToken,
}

impl Server {
    pub async fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        let mut bound = Vec::new();
        for &address in addresses {
            let listener =
                TcpListener::bind(address).await.map_err(|source| BindError { address, source })?;
            bound.push(listener.local_addr().map_err(|source| BindError { address, source })?);
            listeners.push(listener);
        }
        Ok(Self { listeners, addresses: bound })
    }

    /// The addresses as bound, with real port numbers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until told to stop, then drains. When it returns every connection is closed.
    pub async fn serve(self, state: State, stop: Stop) {
        let tasks = state.tasks.clone();
        let guard = Arc::new(Guard::new(&self.addresses, nix::unistd::geteuid().as_raw()));
        let service = Arc::new(Service { router: routes::router(state), guard });
        let graceful = Arc::new(GracefulShutdown::new());
        let connections = Connections { service, tasks: tasks.clone(), kill: CancellationToken::new() };
        let accepting: Vec<_> = self
            .listeners
            .into_iter()
            .map(|listener| {
                tasks.spawn(accept(
                    listener,
                    connections.clone(),
                    Arc::clone(&graceful),
                    stop.stopping.clone(),
                ))
            })
            .collect();
        for loops in accepting {
            // A loop ends when it is told to; one that panicked has closed its listener all the same.
            let _ended = loops.await;
        }
        // Every loop has ended, and with it every other holder.
        let drained = async {
            if let Some(graceful) = Arc::into_inner(graceful) {
                graceful.shutdown().await;
            }
        };
        tokio::pin!(drained);
        if tokio::time::timeout(stop.drain, &mut drained).await.is_err() {
            tracing::warn!("the grace period is over: open streams end with an error event");
            stop.cut.cancel();
            let _last_words = tokio::time::timeout(LAST_WORDS, &mut drained).await;
        }
        connections.kill.cancel();
    }
}

#[derive(Clone)]
struct Connections {
    service: Arc<Service>,
    tasks: Tasks,
    /// Cancelled when connections end whatever they do.
    kill: CancellationToken,
}

struct Service {
    router: Router,
    guard: Arc<Guard>,
}

async fn accept(
    listener: TcpListener,
    connections: Connections,
    graceful: Arc<GracefulShutdown>,
    stopping: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let connection = connection(stream, remote, connections.clone(), graceful.watcher());
                connections.tasks.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, remote: SocketAddr, connections: Connections, watcher: Watcher) {
    let Connections { service, kill, tasks } = connections;
    // Without it a client on the same machine may wait 40 ms for the end of an answer.
    let _best_effort = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let mut first = [0];
    let spoke = tokio::select! {
        spoke = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first)) => spoke,
        () = tasks.stopping() => return,
    };
    if !matches!(spoke, Ok(Ok(1))) {
        return;
    }
    let peer = peer::owner(remote, local);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new());
    let handler = service_fn(move |request| handle(Arc::clone(&service), peer, request));
    let serving = watcher.watch(builder.serve_connection(TokioIo::new(stream), handler).into_owned());
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!(error = %error, "connection ended");
        },
        () = kill.cancelled() => {}
    }
}

async fn handle(
    service: Arc<Service>,
    peer: Peer,
    request: hyper::Request<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let mut request: Request = request.map(axum::body::Body::new);
    paths::canonicalize(request.uri_mut());
    if let Err(refusal) = service.guard.check(peer, request.uri(), request.headers()) {
        let (id, dialect) = (RequestId::new(), error::dialect(request.uri().path(), request.headers()));
        tracing::warn!(request.id = %id, status = refusal.status, reason = %refusal, "caller refused");
        let (head, body) = request.into_parts();
        body::discard(&head.headers, body).await;
        return Ok(error::refuse(&refusal, dialect, id));
    }
    service.router.clone().oneshot(request).await
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another program listens there; stop it, or choose another address with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need a privilege; choose another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
        _ => "",
    }
}
