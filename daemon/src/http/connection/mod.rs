//! One connection and all of them: HTTP/1.1 over whatever stream was accepted, with deadlines, one way to read a request, and
//! never more connections than there are descriptors for.
//!
//! HTTP/2 is not served: every client speaks 1.1, and one connection that carries a hundred streams would have bounds,
//! deadlines and attacks of its own.

mod crowd;
mod framing;
mod gate;
mod socket;
mod standing;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub(super) use crowd::{Crowd, Place};
pub(super) use framing::Fault;
use gate::Gate;
pub(super) use socket::Socket;
pub(super) use standing::{Busy, Standing};

use super::held::Held;

/// The server holds no more of what is read, or is to be written, on one connection.
pub(super) const MOST_BUFFERED: usize = 128 * 1024;

/// How long a client may take over each part of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// To its first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// Between two pieces of a body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Taking nothing of what it is sent.
    pub send: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_mins(1),
            head: Duration::from_secs(30),
            body: Duration::from_mins(1),
            idle: Duration::from_mins(5),
            send: Duration::from_mins(1),
        }
    }
}

/// When connections end.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// Cancelled when each is to end after the request that it serves or that is on its way.
    pub(super) stopping: CancellationToken,
    /// Cancelled when each is to end whatever it does.
    pub(super) kill: CancellationToken,
}

/// How a connection is to end.
enum End {
    AfterRequest,
    Now,
}

/// Serves one connection to its end. Dropping the future closes it.
pub(super) async fn serve<S, H, F>(stream: S, place: &Place, ending: &Ending, handle: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(hyper::Request<Incoming>) -> F + Send,
    F: Future<Output = Response<Held>> + Send,
{
    let gate = Gate::new(stream, Arc::clone(&place.standing));
    let service = service_fn(|request| {
        // The server keeps a place of this size with each connection, through the whole answer: the work for its head is on the
        // heap for as long as it takes.
        let answer = Box::pin(handle(request));
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    // The gate sees to it that heads come in time.
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MOST_BUFFERED);
    let connection = builder.serve_connection(TokioIo::new(gate), service);
    let last = async {
        tokio::select! {
            () = ending.stopping.cancelled() => {}
            () = place.standing.leave.cancelled() => {}
        }
        place.standing.between_heads().await;
        End::AfterRequest
    };
    let now = async {
        tokio::select! {
            () = place.standing.end.cancelled() => {}
            () = ending.kill.cancelled() => {}
        }
        End::Now
    };
    // Neither is looked at before it calls: a connection is woken for each piece of an answer, and seldom to end.
    let mut ends: FuturesUnordered<_> = [last.left_future(), now.right_future()].into_iter().collect();
    tokio::pin!(connection);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            Some(end) = ends.next() => match end {
                End::AfterRequest => connection.as_mut().graceful_shutdown(),
                End::Now => return,
            },
        }
    }
}
