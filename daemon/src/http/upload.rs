//! A body that is passed on while its client sends it: its start, which has been read, then the rest, cut where it
//! passes the limit or where nothing comes any more. It is read only as fast as it is taken.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::body::{broke_off, stalled, too_large};
use crate::wire::error::ApiError;

pub(super) struct Incoming {
    start: Bytes,
    rest: Body,
    limit: usize,
    /// Bytes that may still come.
    left: usize,
    /// How long nothing may come.
    patience: Duration,
    /// Runs while the client is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(start: Bytes, rest: Body, limit: usize, patience: Duration) -> Self {
        let left = limit.saturating_sub(start.len());
        Self { start, rest, limit, left, patience, waiting: None }
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
            let patience = self.patience;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
            return waiting.as_mut().poll(context).map(|()| Some(Err(stalled(patience))));
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::HttpBody as _;
    use futures_util::stream::{self, StreamExt as _};
    use http_body_util::BodyExt as _;

    const LONG: Duration = Duration::from_mins(1);

    fn rest(parts: &[Result<&'static str, &'static str>]) -> Body {
        let parts: Vec<_> = parts.iter().map(|part| part.map_err(std::io::Error::other)).collect();
        Body::from_stream(stream::iter(parts))
    }

    /// What comes, up to the end or the fault.
    async fn read(mut incoming: Incoming) -> (String, Option<u16>) {
        let mut text = String::new();
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => text.push_str(str::from_utf8(frame.data_ref().unwrap()).unwrap()),
                Err(fault) => return (text, Some(fault.status)),
            }
        }
        (text, None)
    }

    fn after(start: &'static str, rest: Body, limit: usize) -> Incoming {
        Incoming::new(Bytes::from_static(start.as_bytes()), rest, limit, LONG)
    }

    #[tokio::test]
    async fn the_start_comes_first_and_counts() {
        assert_eq!(read(after("ab", rest(&[Ok("c"), Ok("de")]), 5)).await, ("abcde".to_owned(), None));
        assert_eq!(read(after("ab", rest(&[Ok("c"), Ok("def")]), 5)).await, ("abc".to_owned(), Some(413)));
        assert_eq!(read(after("ab", rest(&[Ok("c"), Err("gone")]), 5)).await, ("abc".to_owned(), Some(400)));
    }

    #[tokio::test]
    async fn a_length_that_is_known_is_that_of_all_of_it() {
        assert_eq!(after("ab", Body::from("cde"), 9).size_hint().exact(), Some(5));
        assert_eq!(after("ab", rest(&[Ok("cde")]), 9).size_hint().exact(), None);
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_more_is_given_up() {
        let stalls = Body::from_stream(rest(&[Ok("c")]).into_data_stream().chain(stream::pending()));
        let incoming = Incoming::new(Bytes::from_static(b"ab"), stalls, 9, Duration::from_millis(1));
        assert_eq!(read(incoming).await, ("abc".to_owned(), Some(408)));
    }
}
