//! The coalescing floor: whatever is ready at one poll leaves as one frame. Its connections have no tasks of their own: the body that
//! is read drives its connection, so that the socket is read where the frames are gathered.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, ensure};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::uri::{Authority, Scheme};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use axum::Router;

use super::{authority, redirect};

/// No frame gets larger than this by gathering.
const FRAME: usize = 64 * 1024;

/// Connections that wait for a request.
#[derive(Debug)]
struct Pool {
    upstream: SocketAddr,
    authority: Authority,
    idle: Mutex<Vec<Held>>,
}

/// A connection that nobody drives but who holds it.
#[derive(Debug)]
struct Held {
    sender: SendRequest<Body>,
    connection: Pin<Box<Connection<TokioIo<TcpStream>, Body>>>,
}

/// An answer's body, and the connection that it comes by.
struct Gathering {
    incoming: Incoming,
    held: Option<Held>,
    pool: Arc<Pool>,
    is_over: bool,
}

pub(super) fn routes(upstream: SocketAddr) -> Router {
    let pool = Pool { upstream, authority: authority(upstream), idle: Mutex::default() };
    Router::new().fallback(answer).with_state(Arc::new(pool))
}

async fn answer(State(pool): State<Arc<Pool>>, request: Request) -> Response {
    match pool.forward(request).await {
        Ok(response) => response,
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Pool {
    async fn forward(self: Arc<Self>, mut request: Request) -> Result<Response> {
        redirect(&mut request, Scheme::HTTP, &self.authority);
        // A connection of one's own takes the path alone.
        if let Some(path) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = path.into();
        }
        let mut held = self.ready().await?;
        let mut answered = pin!(held.sender.send_request(request));
        let connection = &mut held.connection;
        let response = poll_fn(|cx| {
            let _over = connection.as_mut().poll(cx);
            answered.as_mut().poll(cx)
        })
        .await?;
        Ok(response
            .map(|incoming| Body::new(Gathering { incoming, held: Some(held), pool: self, is_over: false })))
    }

    /// A connection that takes a request.
    async fn ready(&self) -> Result<Held> {
        loop {
            let (mut held, is_new) = match self.take() {
                Some(held) => (held, false),
                None => (self.connect().await?, true),
            };
            let is_ready = poll_fn(|cx| {
                if held.connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                held.sender.poll_ready(cx).map(|ready| ready.is_ok())
            })
            .await;
            if is_ready {
                return Ok(held);
            }
            ensure!(!is_new, "the upstream closes connections at once");
        }
    }

    fn take(&self) -> Option<Held> {
        self.idle.lock().ok()?.pop()
    }

    async fn connect(&self) -> Result<Held> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("the upstream")?;
        Ok(Held { sender, connection: Box::pin(connection) })
    }
}

impl http_body::Body for Gathering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut gathered = BytesMut::new();
        let mut is_driven = false;
        while gathered.len() < FRAME && !this.is_over {
            match Pin::new(&mut this.incoming).poll_frame(cx)? {
                Poll::Ready(Some(frame)) => {
                    is_driven = false;
                    // No upstream of a bench sends trailers.
                    if let Ok(data) = frame.into_data() {
                        gathered.extend_from_slice(&data);
                    }
                }
                Poll::Ready(None) => this.is_over = true,
                Poll::Pending if is_driven => break,
                Poll::Pending => {
                    is_driven = true;
                    if let Some(held) = &mut this.held {
                        let _over = held.connection.as_mut().poll(cx);
                    }
                }
            }
        }
        match (gathered.is_empty(), this.is_over) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(gathered.freeze())))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let is_over = self.is_over || self.incoming.is_end_stream();
        if let (true, Some(held), Ok(mut idle)) = (is_over, self.held.take(), self.pool.idle.lock()) {
            idle.push(held);
        }
    }
}
