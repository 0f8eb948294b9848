//! A body that is passed on while its client sends it: its start, which has been read, then the rest, cut where it
//! passes the limit or where nothing comes any more. It is read only as fast as it is taken.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::{STALLED, broke_off, stalled, too_large};
use crate::wire::error::ApiError;

pub(super) struct Incoming {
    start: Bytes,
    rest: Body,
    limit: usize,
    /// Bytes that may still come.
    left: usize,
    /// Runs while the client is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(start: Bytes, rest: Body, limit: usize) -> Self {
        let left = limit.saturating_sub(start.len());
        Self { start, rest, limit, left, waiting: None }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(context) else {
            let since = self.waiting.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALLED)));
            return since.as_mut().poll(context).map(|()| Some(Err(stalled())));
        };
        self.waiting = None;
        Poll::Ready(match frame {
            Some(Ok(frame)) => match self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => {
                    self.left = left;
                    Some(Ok(frame))
                }
                None => Some(Err(too_large(self.limit))),
            },
            Some(Err(_)) => Some(Err(broke_off())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, start) = (self.rest.size_hint(), self.start.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(start));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(start));
        }
        hint
    }
}
