//! A body that is passed on while its client sends it: its start, which has been read, then the rest, cut where it
//! passes the limit. It is read only as fast as it is taken.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::body::{interrupted, too_large};
use crate::wire::error::ApiError;

pub(super) struct Incoming {
    start: Bytes,
    rest: Body,
    limit: usize,
    /// Bytes that may still come.
    left: usize,
}

impl Incoming {
    pub(super) fn new(start: Bytes, rest: Body, limit: usize) -> Self {
        let left = limit.saturating_sub(start.len());
        Self { start, rest, limit, left }
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
        let frame = ready!(Pin::new(&mut self.rest).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => match self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => {
                    self.left = left;
                    Some(Ok(frame))
                }
                None => Some(Err(too_large(self.limit))),
            },
            Some(Err(error)) => Some(Err(interrupted(error))),
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
    use futures_util::stream;
    use http_body_util::BodyExt as _;

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
        Incoming::new(Bytes::from_static(start.as_bytes()), rest, limit)
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
}
