//! A connection to upstream without a task of its own: whoever waits for what comes by it drives it, and reads the socket by that.
//! A piece of an answer is then decoded where it is wanted. Between two tasks each piece would cost two turns of the scheduler,
//! and nothing that is ready could leave together.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::rt::{Read, Write};

use super::body::Outgoing;
use super::idle::{Host, Idle};
use super::merged::{Begins, Merged};
use super::transport::MOST_BUFFERED;

/// How often what comes by a connection is looked for at one go.
const MOST_ROUNDS: usize = 4;

/// What a connection runs over.
pub(super) trait Stream: Read + Write + Unpin + Send + Sync {}

impl<S: Read + Write + Unpin + Send + Sync> Stream for S {}

/// One connection.
pub(super) struct Driven {
    sender: SendRequest<Outgoing>,
    road: Road,
    begins: Begins,
}

/// What requests and answers go by.
struct Road {
    connection: Connection<Merged<Box<dyn Stream>>, Outgoing>,
    /// It has ended, and is not polled any more.
    is_over: bool,
    ear: Arc<Ear>,
    /// That `ear` hears.
    waker: Waker,
}

/// Hears what calls for attention. Both ends of what goes by a connection are held by one task, and each calls when it gives the
/// other something: as long as that task is here, it need not be woken for it.
#[derive(Debug, Default)]
struct Ear {
    /// The task, when it is not here.
    outside: AtomicWaker,
    is_here: AtomicBool,
    was_called: AtomicBool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The connection had ended before anything of the request went out.
    Unsent(Box<Request<Outgoing>>, hyper::Error),
    Failed(hyper::Error),
}

impl Driven {
    pub(super) async fn over(stream: Box<dyn Stream>) -> Result<Box<Self>, hyper::Error> {
        let begins = Begins::default();
        let stream = Merged::new(stream, begins.clone());
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MOST_BUFFERED).handshake(stream).await?;
        let ear = Arc::new(Ear::default());
        let waker = Waker::from(Arc::clone(&ear));
        Ok(Box::new(Self { sender, road: Road { connection, is_over: false, ear, waker }, begins }))
    }

    /// Whether it is open and takes a request, as far as is known here. Whoever was woken by it before no longer is.
    pub(super) fn is_free(&mut self) -> bool {
        self.road.drive(&mut Context::from_waker(Waker::noop()));
        !self.road.is_over && self.sender.is_ready()
    }

    /// Sends a request, and waits for its answer's head.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let Self { sender, road, begins } = self;
        // The answer to a HEAD has no body, whatever it says.
        if request.method() != Method::HEAD {
            begins.tell();
        }
        let mut answer = pin!(sender.try_send_request(request));
        let answer = poll_fn(|context| road.poll(context, |context| answer.as_mut().poll(context)));
        answer.await.map_err(|mut failed| match failed.take_message() {
            Some(request) => Unanswered::Unsent(Box::new(request), failed.into_error()),
            None => Unanswered::Failed(failed.into_error()),
        })
    }
}

impl Road {
    /// Goes on as far as it can. How it ended is told by what was under way.
    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.is_over {
            self.is_over = Pin::new(&mut self.connection).poll(context).is_ready();
        }
    }

    /// Looks whether there is what comes by it, and drives it until there is, or until only upstream can tell more.
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.ear.outside.register(context.waker());
        let waker = self.waker.clone();
        let mut inside = Context::from_waker(&waker);
        for _ in 0..MOST_ROUNDS {
            self.ear.begin();
            self.drive(&mut inside);
            let done = work(&mut inside);
            if !self.ear.end() || done.is_ready() {
                return done;
            }
        }
        // What calls again and again lets others have their turn.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Ear {
    fn begin(&self) {
        self.is_here.store(true, Ordering::SeqCst);
        self.was_called.store(false, Ordering::SeqCst);
    }

    /// Whether there was a call meanwhile. One that comes later goes on to the task.
    fn end(&self) -> bool {
        self.is_here.store(false, Ordering::SeqCst);
        self.was_called.load(Ordering::SeqCst)
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order: either this sees that nobody is here, or who leaves sees the call.
        self.was_called.store(true, Ordering::SeqCst);
        if !self.is_here.load(Ordering::SeqCst) {
            self.outside.wake();
        }
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").field("is_over", &self.road.is_over).finish_non_exhaustive()
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
}

impl Reading {
    pub(super) fn new(body: Incoming, driven: Box<Driven>, home: (Weak<Idle>, Host)) -> Self {
        Self { body, driven: Some(driven), home }
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
        let Self { body, driven, .. } = this;
        let frame = match driven {
            Some(driven) => driven.road.poll(context, |context| Pin::new(&mut *body).poll_frame(context)),
            None => Pin::new(body).poll_frame(context),
        };
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
