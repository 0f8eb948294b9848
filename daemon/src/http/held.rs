//! An answer on its way, and what is held for as long as it goes on: its place among the requests that are served, and its key's.
//! What panics below it ends this one answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::admission::Admitted;
use super::connection::Busy;
use super::line::Line;
use crate::keys::Permit;
use crate::proxy::Observed;
use crate::proxy::activity::Served;
use crate::wire::error::ApiError;

/// All that is given back with the end of an answer.
#[derive(Debug)]
pub(super) struct Places {
    _busy: Busy,
    /// The request, as it is observed.
    pub(super) observed: Observed,
    pub(super) admitted: Option<Admitted>,
    pub(super) permit: Option<Arc<Permit>>,
    /// For the log; `None` where it has been told already.
    pub(super) line: Option<Line>,
    /// Shown to whoever watches.
    pub(super) served: Option<Served>,
}

impl Places {
    /// Those of a request that has come.
    pub(super) fn new(busy: Busy) -> Self {
        Self {
            _busy: busy,
            observed: Observed::default(),
            admitted: None,
            permit: None,
            line: None,
            served: None,
        }
    }

    /// All of the answer went down.
    fn completed(&mut self) {
        self.observed.measured.completed();
        if let Some(line) = &mut self.line {
            line.ended = true;
        }
    }
}

#[derive(Debug)]
pub(super) struct Held {
    // Goes before its places: it is over before it is shown so.
    body: Body,
    /// Bytes still to come, where their number is known: nobody asks for more after the last one.
    left: Option<u64>,
    places: Places,
}

impl Held {
    pub(super) fn new(body: Body, places: Places) -> Self {
        Self { left: http_body::Body::size_hint(&body).exact(), body, places }
    }

    /// Of an answer to HEAD, of which nothing more goes down than its head.
    pub(super) fn head_only(body: Body, places: Places) -> Self {
        let mut held = Self::new(body, places);
        held.left = Some(0);
        held
    }

    fn went_by(&mut self, frame: Option<&Result<Frame<Bytes>, axum::Error>>) {
        match frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.places.observed.sends(length);
                self.left = self.left.map(|left| left.saturating_sub(length as u64));
            }
            // The log was told why already.
            Some(Err(_)) => self.places.observed.measured.broke(),
            None => self.left = Some(0),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.left == Some(0) {
            self.places.completed();
        }
    }
}

/// The answer broke: its connection is cut.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Body(axum::Error),
    #[error("serving the answer panicked")]
    Panicked,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let body = Pin::new(&mut self.body);
        match catch_unwind(AssertUnwindSafe(|| body.poll_frame(context))) {
            Ok(frame) => {
                if let Poll::Ready(frame) = &frame {
                    self.went_by(frame.as_ref());
                }
                frame.map(|frame| frame.map(|frame| frame.map_err(Broken::Body)))
            }
            Err(panic) => {
                self.places.observed.breaks_off(&ApiError::internal(), None);
                tracing::error!(panic = what(&*panic), "an answer panicked: its connection is cut");
                self.body = Body::empty();
                Poll::Ready(Some(Err(Broken::Panicked)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a panic said, where that is text. It names a place in the code and never what a request holds: the lints let nothing
/// panic with data.
pub(super) fn what(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::Standing;
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn an_answer_that_panics_is_cut_and_is_over() {
        let panics = stream::poll_fn(|_| -> Poll<Option<Result<Bytes, std::io::Error>>> {
            panic!("as the test wants it");
        });
        let busy = Arc::new(Standing::new()).busy();
        let mut held = Held::new(Body::from_stream(panics), Places::new(busy));
        assert!(matches!(held.frame().await, Some(Err(Broken::Panicked))));
        assert!(held.frame().await.is_none());
    }
}
