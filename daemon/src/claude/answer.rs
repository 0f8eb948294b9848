//! An answer's body as it comes from the connection, of which the beginning can be looked at before it is passed on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Dropping it unread closes the connection.
#[derive(Debug)]
pub struct UpstreamBody {
    /// Looked at already, and next to be passed on.
    seen: BytesMut,
    rest: Incoming,
    /// How the rest broke off while it was looked at: told once what was seen has gone.
    broken: Option<hyper::Error>,
}

impl UpstreamBody {
    pub(super) fn new(body: Incoming) -> Self {
        Self { seen: BytesMut::new(), rest: body, broken: None }
    }

    /// Reads on until the end or until there are `most` bytes or a few more, and returns what there is. Dropping the future
    /// loses nothing.
    pub async fn look(&mut self, most: usize) -> &[u8] {
        while self.seen.len() < most && self.broken.is_none() {
            match self.rest.frame().await {
                Some(Ok(frame)) => self.seen.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => self.broken = Some(error),
                None => break,
            }
        }
        &self.seen
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if !self.seen.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.seen.split().freeze()))));
        }
        match self.broken.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => Pin::new(&mut self.rest).poll_frame(context),
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
