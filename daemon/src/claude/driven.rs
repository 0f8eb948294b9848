//! A connection to upstream without a task of its own: whoever waits for what comes by it drives it, and reads the socket by that.
//! A piece of an answer is then decoded where it is wanted. Between two tasks each piece would cost two turns of the scheduler,
//! and nothing that is ready could leave together.

use std::fmt;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::rt::{Read, Write};

use super::body::Outgoing;
use super::idle::{Host, Idle};
use super::transport::MOST_BUFFERED;

/// What a connection runs over.
pub(super) trait Stream: Read + Write + Unpin + Send + Sync {}

impl<S: Read + Write + Unpin + Send + Sync> Stream for S {}

/// One connection.
pub(super) struct Driven {
    sender: SendRequest<Outgoing>,
    connection: Connection<Box<dyn Stream>, Outgoing>,
    /// It has ended, and is not polled any more.
    is_over: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The connection had ended before anything of the request went out.
    Unsent(Request<Outgoing>, hyper::Error),
    Failed(hyper::Error),
}

impl Driven {
    pub(super) async fn over(stream: Box<dyn Stream>) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MOST_BUFFERED).handshake(stream).await?;
        Ok(Box::new(Self { sender, connection, is_over: false }))
    }

    /// Goes on as far as it can. How it ended is told by what was under way.
    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.is_over {
            self.is_over = Pin::new(&mut self.connection).poll(context).is_ready();
        }
    }

    /// Whether it is open and takes a request, as far as is known here. Whoever was woken by it before no longer is.
    pub(super) fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.is_over && self.sender.is_ready()
    }

    /// Sends a request, and waits for its answer's head.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let Self { sender, connection, is_over } = self;
        let answer = sender.try_send_request(request);
        let mut answer = std::pin::pin!(answer);
        let answer = std::future::poll_fn(|context| {
            if !*is_over {
                *is_over = Pin::new(&mut *connection).poll(context).is_ready();
            }
            answer.as_mut().poll(context)
        });
        answer.await.map_err(|mut failed| match failed.take_message() {
            Some(request) => Unanswered::Unsent(request, failed.into_error()),
            None => Unanswered::Failed(failed.into_error()),
        })
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

/// An answer's body, which reads its connection. At its end the connection is free for the next request; dropped before, it
/// closes.
#[derive(Debug)]
pub(super) struct Reading {
    body: Incoming,
    driven: Option<Box<Driven>>,
    /// Where the connection goes then.
    home: (Weak<Idle>, Host),
    /// The connection knows that its body is wanted.
    is_wanted: bool,
}

impl Reading {
    pub(super) fn new(body: Incoming, driven: Box<Driven>, home: (Weak<Idle>, Host)) -> Self {
        Self { body, driven: Some(driven), home, is_wanted: false }
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(driven) = &mut self.driven {
            driven.drive(context);
        }
    }

    /// The body has ended as it should.
    fn give_back(&mut self) {
        let (idle, host) = &self.home;
        if let Some(mut driven) = self.driven.take()
            && let Some(idle) = idle.upgrade()
            && driven.is_free()
        {
            idle.put(host, driven);
        }
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        this.drive(context);
        let mut frame = Pin::new(&mut this.body).poll_frame(context);
        if frame.is_pending() && !std::mem::replace(&mut this.is_wanted, true) {
            // It has just been told, and has more to say.
            this.drive(context);
            frame = Pin::new(&mut this.body).poll_frame(context);
        }
        match &frame {
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Err(_))) => this.driven = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // A body of a known length is over with its last byte, and nobody asks for more.
        if self.driven.is_some() && self.body.is_end_stream() {
            self.give_back();
        }
    }
}

/// No connection could be made, or the one that there was gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no connection was made")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the connection gave no answer")]
    Http(#[source] hyper::Error),
}

impl CallError {
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_))
    }
}
