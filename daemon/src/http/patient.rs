//! A request's body as it comes, given up when nothing of it comes for too long.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

#[derive(Debug)]
pub(super) struct Patient<B> {
    body: B,
    patience: Duration,
    /// Runs while the client is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
    came: Came,
}

/// Whether all of a body has come.
#[derive(Clone, Debug)]
pub(super) struct Came(Option<Arc<AtomicBool>>);

impl Came {
    pub(super) fn all(&self) -> bool {
        self.0.as_ref().is_none_or(|came| came.load(Ordering::Relaxed))
    }
}

/// How a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interrupted<E> {
    #[error("the body broke off")]
    Broken(#[source] E),
    #[error(transparent)]
    Stalled(Stalled),
}

/// Nothing came for so long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body made no progress for {0:?}")]
pub(super) struct Stalled(pub(super) Duration);

impl<B: Body> Patient<B> {
    pub(super) fn new(body: B, patience: Duration) -> Self {
        let came = Came((!body.is_end_stream()).then(Arc::default));
        Self { body, patience, waiting: None, came }
    }

    pub(super) fn came(&self) -> Came {
        self.came.clone()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Patient<B> {
    type Data = Bytes;
    type Error = Interrupted<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            if let Some(came) = self.came.0.as_ref().filter(|_| frame.is_none() || self.body.is_end_stream())
            {
                came.store(true, Ordering::Relaxed);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::Broken)));
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        waiting.as_mut().poll(context).map(|()| Some(Err(Interrupted::Stalled(Stalled(patience)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::{self, StreamExt as _};
    use http_body_util::{BodyExt as _, Full, StreamBody};

    #[tokio::test]
    async fn what_comes_passes_and_what_does_not_come_is_given_up() {
        let some = stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"a")))]);
        let body = StreamBody::new(some.chain(stream::pending()));
        let mut patient = Patient::new(body, Duration::from_millis(1));
        assert!(patient.frame().await.unwrap().is_ok());
        assert!(matches!(patient.frame().await, Some(Err(Interrupted::Stalled(_)))));
        assert!(!patient.came().all());
    }

    #[tokio::test]
    async fn whether_all_has_come_is_known() {
        let mut patient = Patient::new(Full::new(Bytes::from_static(b"a")), Duration::from_secs(1));
        assert!(!patient.came().all());
        assert!(patient.frame().await.is_some());
        assert!(patient.came().all());
        assert!(Patient::new(Full::new(Bytes::new()), Duration::from_secs(1)).came().all());
    }
}
