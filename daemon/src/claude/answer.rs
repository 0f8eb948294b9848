//! An answer's body as it comes from the connection, of which the beginning can be looked at before it is passed on, and
//! which is given up when nothing more comes.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::driven::Reading;
use crate::clock::in_words;

/// Dropping it unread closes the connection.
#[derive(Debug)]
pub struct UpstreamBody {
    /// Looked at already, and next to be passed on.
    seen: BytesMut,
    rest: Reading,
    /// How the rest broke off while it was looked at: told once what was seen has gone.
    broken: Option<BodyError>,
    silence: Silence,
}

/// How an answer's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("upstream closed the connection before its answer was complete")]
    BrokenOff(#[source] hyper::Error),
    #[error("upstream reset the connection before its answer was complete")]
    Reset(#[source] hyper::Error),
    /// The bytes are no HTTP body.
    #[error("upstream's answer cannot be read")]
    Garbled(#[source] hyper::Error),
    #[error("upstream sent nothing of its answer for {}", in_words(*.0))]
    Silent(Duration),
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        match io_kind(&error) {
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Self::Reset(error),
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Garbled(error),
            _ => Self::BrokenOff(error),
        }
    }
}

/// What the operating system, or the framing, said.
pub(super) fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = cause.source();
    }
    None
}

impl UpstreamBody {
    /// `silence` is how long it may be waited for without a byte.
    pub(super) fn new(body: Reading, silence: Duration) -> Self {
        Self { seen: BytesMut::new(), rest: body, broken: None, silence: Silence::new(silence) }
    }

    /// Reads on until the end or until there are `most` bytes or a few more, and returns what there is. Dropping the future
    /// loses nothing.
    pub async fn look(&mut self, most: usize) -> &[u8] {
        while self.seen.len() < most && self.broken.is_none() {
            match std::future::poll_fn(|context| self.poll_rest(context)).await {
                Some(Ok(frame)) => self.seen.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => self.broken = Some(error),
                None => break,
            }
        }
        &self.seen
    }

    /// Waits for the first byte, or the end.
    pub async fn begin(&mut self) -> Result<(), BodyError> {
        self.look(1).await;
        if self.seen.is_empty() { self.broken.take().map_or(Ok(()), Err) } else { Ok(()) }
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.rest).poll_frame(context) {
            Poll::Ready(frame) => {
                self.silence.ends();
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
            Poll::Pending => self.silence.poll(context).map(|limit| Some(Err(BodyError::Silent(limit)))),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.seen.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.seen.split().freeze()))));
        }
        match self.broken.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => self.poll_rest(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && self.broken.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (seen, rest) = (self.seen.len() as u64, self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(seen));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(seen));
        }
        hint
    }
}

/// How long nothing has come. It counts from when upstream was first waited for: the time in which the client takes
/// nothing, so that nothing is asked of upstream, is not its silence.
#[derive(Debug)]
struct Silence {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self { limit, since: None, timer: None }
    }

    fn ends(&mut self) {
        self.since = None;
    }

    /// Ready with the limit when it is reached. The timer is set again only when it runs out: what flows costs nothing.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        loop {
            let now = Instant::now();
            let end = *self.since.get_or_insert(now) + self.limit;
            if now >= end {
                return Poll::Ready(self.limit);
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if timer.is_elapsed() {
                timer.as_mut().reset(end);
            }
            std::task::ready!(timer.as_mut().poll(context));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn the_time_in_which_nobody_waits_is_no_silence() {
        let limit = Duration::from_millis(20);
        let mut silence = Silence::new(limit);
        // As long as another one has become too much, twice.
        for _ in 0..2 {
            let mut other = Silence::new(limit);
            poll_fn(|context| other.poll(context)).await;
        }
        let start = Instant::now();
        assert_eq!(poll_fn(|context| silence.poll(context)).await, limit);
        assert!(start.elapsed() >= limit);
        silence.ends();
        let start = Instant::now();
        assert_eq!(poll_fn(|context| silence.poll(context)).await, limit);
        assert!(start.elapsed() >= limit);
    }
}
