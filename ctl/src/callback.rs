//! Receives the browser's answer on loopback. It serves one path, tells strangers to go away without ending
//! the login, bounds what it reads, keeps and waits for, and never shows, prints or stores anything of a
//! query.

mod page;
mod request;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::page::Page;
use crate::error::Error;
use crate::holder;
use crate::paste::Answer;

/// How many ports after the preferred one are tried before the system chooses.
const NEIGHBOURS: u16 = 16;
/// How often the system may choose a port that IPv6 has already given away.
const CHOICES: usize = 8;
/// How long a page that is being written may take once the login is over.
const FLUSH: Duration = Duration::from_secs(2);
/// The pause after a failed accept, which is most often a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Which port to listen on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Port {
    /// This one or none.
    Fixed(u16),
    /// This one, else one after it, else any. 0 is any.
    From(u16),
}

/// Bound, but not yet served: connections wait until the login's state is known.
#[derive(Debug)]
pub(crate) struct Bound {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// What the listener puts up with.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    /// From the connection to the end of the request's head.
    head: Duration,
    /// A whole connection; longer than the daemon may take to complete a login.
    connection: Duration,
    head_bytes: usize,
    headers: usize,
}

const LIMITS: Limits = Limits {
    connections: 32,
    head: Duration::from_secs(5),
    connection: Duration::from_mins(2),
    head_bytes: 16 * 1024,
    headers: 64,
};

/// The browser's answer, and where to send the page that shows how it ended.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) answer: Answer,
    pub(crate) page: oneshot::Sender<Page>,
}

/// A listener at work.
#[derive(Debug)]
pub(crate) struct Callback {
    arrivals: mpsc::Receiver<Arrival>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Listens on 127.0.0.1 and, where there is IPv6, on `[::1]` with the same port: a browser may take either
/// for `localhost`, and one held by a stranger would receive the code.
pub(crate) async fn bind(port: Port) -> Result<Bound, Error> {
    match port {
        Port::Fixed(port) => pair(port).await.map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => Error::PortInUse { port, holder: holder::of(port), source },
            _ => Error::Listen { source },
        }),
        Port::From(first) => {
            let near = (first != 0).then_some(first..=first.saturating_add(NEIGHBOURS));
            for port in near.into_iter().flatten().chain(std::iter::repeat_n(0, CHOICES)) {
                match pair(port).await {
                    Ok(bound) => return Ok(bound),
                    Err(err) if err.kind() == ErrorKind::AddrInUse => {}
                    Err(source) => return Err(Error::Listen { source }),
                }
            }
            Err(Error::Listen { source: ErrorKind::AddrInUse.into() })
        }
    }
}

async fn pair(port: u16) -> io::Result<Bound> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = v4.local_addr()?.port();
    let listeners = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => vec![v4, v6],
        Err(err) if err.kind() == ErrorKind::AddrInUse => return Err(err),
        // No IPv6 here: then no browser uses it either.
        Err(_) => vec![v4],
    };
    Ok(Bound { listeners, port })
}

impl Bound {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts to serve the login whose state this is.
    pub(crate) fn serve(self, state: SecretString) -> Callback {
        self.serve_within(state, LIMITS)
    }

    fn serve_within(self, state: SecretString, limits: Limits) -> Callback {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (sender, arrivals) = mpsc::channel(1);
        let site = Arc::new(request::Site::new(self.port, state));
        let places = Arc::new(Semaphore::new(limits.connections));
        for listener in self.listeners {
            let server = Server {
                site: Arc::clone(&site),
                arrivals: sender.clone(),
                places: Arc::clone(&places),
                stop: stop.clone(),
                tasks: tasks.clone(),
                limits,
            };
            tasks.spawn(async move { server.stop.run_until_cancelled(server.accept(listener)).await });
        }
        Callback { arrivals, stop, tasks }
    }
}

impl Callback {
    /// The next answer that is this login's.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The accept loops hold the other end until they are closed.
            None => std::future::pending().await,
        }
    }

    /// Closes the listener at once, and waits a moment for a page that is being written.
    pub(crate) async fn close(self) {
        drop(self.arrivals);
        self.stop.cancel();
        self.tasks.close();
        // What is still written after that is dropped with the runtime.
        let _flushed = tokio::time::timeout(FLUSH, self.tasks.wait()).await;
    }
}

/// What the accept loops share.
#[derive(Debug, Clone)]
struct Server {
    site: Arc<request::Site>,
    arrivals: mpsc::Sender<Arrival>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
    limits: Limits,
}

impl Server {
    async fn accept(&self, listener: TcpListener) {
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    self.tasks.spawn(self.clone().connection(stream, place));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// One request on one connection, within the limits.
    async fn connection(self, stream: TcpStream, _place: OwnedSemaphorePermit) {
        let limits = self.limits;
        let stop = self.stop.clone();
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, std::convert::Infallible>(server.answer(&request).await.into_response()) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes)
            .max_headers(limits.headers)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // What a browser does to its connection changes nothing about the login.
            _ended = connection.as_mut() => {}
            () = tokio::time::sleep(limits.connection) => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _flushed = tokio::time::timeout(FLUSH, connection).await;
            }
        }
    }

    async fn answer(&self, request: &hyper::Request<Incoming>) -> Page {
        let answer = match self.site.check(request) {
            Ok(answer) => answer,
            Err(stranger) => return stranger,
        };
        let (page, shown) = oneshot::channel();
        // A second answer waits here until the first one is judged.
        if self.arrivals.send(Arrival { answer, page }).await.is_err() {
            return Page::Over;
        }
        shown.await.unwrap_or(Page::Over)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn served(limits: Limits) -> (Callback, u16) {
        let bound = bind(Port::From(0)).await.unwrap();
        let port = bound.port();
        (bound.serve_within("FAKE-state".into(), limits), port)
    }

    async fn dial(port: u16) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap()
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed_and_gives_its_place_to_the_next() {
        let (callback, port) =
            served(Limits { connections: 2, head: Duration::from_millis(50), ..LIMITS }).await;
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(dial(port).await);
        }
        let mut half = dial(port).await;
        half.write_all(b"GET /callback HTTP/1.1\r\nHost: loc").await.unwrap();
        silent.push(half);
        let closed = async {
            for mut stream in silent {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), closed).await.unwrap();
        callback.close().await;
    }

    #[tokio::test]
    async fn the_port_is_free_again_once_the_listener_is_closed() {
        let (callback, port) = served(LIMITS).await;
        assert!(matches!(bind(Port::Fixed(port)).await, Err(Error::PortInUse { .. })));
        callback.close().await;
        bind(Port::Fixed(port)).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_gives_way_to_another_when_nobody_insists() {
        let taken = bind(Port::From(0)).await.unwrap();
        let other = bind(Port::From(taken.port())).await.unwrap();
        assert_ne!(other.port(), taken.port());
    }

    #[tokio::test]
    async fn a_port_whose_ipv6_side_is_a_strangers_counts_as_in_use() {
        let Ok(stranger) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
            return; // No IPv6 here, and so no such stranger.
        };
        let port = stranger.local_addr().unwrap().port();
        assert!(matches!(bind(Port::Fixed(port)).await, Err(Error::PortInUse { .. })));
    }
}
