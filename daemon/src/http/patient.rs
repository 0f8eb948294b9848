//! A request's body as it comes, given up when nothing of it comes for too long, when too little of it comes, or when the daemon's
//! grace period is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

#[derive(Debug)]
pub(super) struct Patient<B> {
    body: B,
    patience: Duration,
    /// Runs while the client is waited for.
    waiting: Option<Waiting>,
    /// What came so far, and how long it was waited for altogether.
    bytes: u64,
    waited: Duration,
    cut: CancellationToken,
    came: Came,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    patience: Pin<Box<Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Beyond a pause, a client is waited for a second for so many bytes: one that sends a byte a minute holds a request's place, too.
const LEAST_PER_SECOND: u64 = 1024;

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
    #[error("the daemon stops")]
    Stopping,
}

/// Nothing came for so long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body made no progress for {0:?}")]
pub(super) struct Stalled(pub(super) Duration);

impl<B: Body> Patient<B> {
    /// `cut` ends it, too.
    pub(super) fn new(body: B, patience: Duration, cut: CancellationToken) -> Self {
        let came = Came((!body.is_end_stream()).then(Arc::default));
        Self { body, patience, waiting: None, bytes: 0, waited: Duration::ZERO, cut, came }
    }

    /// How long it may be waited for altogether.
    fn allowance(&self) -> Duration {
        self.patience.saturating_add(Duration::from_secs(self.bytes / LEAST_PER_SECOND))
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
            if let Some(waiting) = self.waiting.take() {
                self.waited = self.waited.saturating_add(waiting.since.elapsed());
            }
            if let Some(Ok(frame)) = &frame {
                self.bytes = self.bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            if let Some(came) = self.came.0.as_ref().filter(|_| frame.is_none() || self.body.is_end_stream())
            {
                came.store(true, Ordering::Relaxed);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::Broken)));
        }
        let left = self.patience.min(self.allowance().saturating_sub(self.waited));
        let cut = self.cut.clone();
        let begin = move || Waiting {
            since: Instant::now(),
            patience: Box::pin(sleep(left)),
            cut: Box::pin(cut.cancelled_owned()),
        };
        let mut waiting = self.waiting.take().unwrap_or_else(begin);
        let over = waiting.patience.as_mut().poll(context).is_ready();
        let is_cut = waiting.cut.as_mut().poll(context).is_ready();
        self.waiting = Some(waiting);
        if is_cut {
            Poll::Ready(Some(Err(Interrupted::Stopping)))
        } else if over {
            Poll::Ready(Some(Err(Interrupted::Stalled(Stalled(self.patience)))))
        } else {
            Poll::Pending
        }
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
        let mut patient = Patient::new(body, Duration::from_millis(1), CancellationToken::new());
        assert!(patient.frame().await.unwrap().is_ok());
        assert!(matches!(patient.frame().await, Some(Err(Interrupted::Stalled(_)))));
        assert!(!patient.came().all());
    }

    #[tokio::test]
    async fn whether_all_has_come_is_known() {
        let mut patient = Patient::new(
            Full::new(Bytes::from_static(b"a")),
            Duration::from_secs(1),
            CancellationToken::new(),
        );
        assert!(!patient.came().all());
        assert!(patient.frame().await.is_some());
        assert!(patient.came().all());
        assert!(
            Patient::new(Full::new(Bytes::new()), Duration::from_secs(1), CancellationToken::new())
                .came()
                .all()
        );
    }

    /// One byte, again and again, each after a pause.
    struct Trickle(Option<Pin<Box<Sleep>>>);

    impl Body for Trickle {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let pause = self.0.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(2))));
            std::task::ready!(pause.as_mut().poll(context));
            self.0 = None;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a")))))
        }
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_given_up_although_it_never_pauses_long() {
        let mut patient = Patient::new(Trickle(None), Duration::from_millis(50), CancellationToken::new());
        let mut bytes = 0;
        while let Some(Ok(_)) = patient.frame().await {
            bytes += 1;
        }
        assert!((1..1024).contains(&bytes), "{bytes}");
    }

    #[tokio::test]
    async fn what_is_waited_for_ends_with_the_daemon() {
        let cut = CancellationToken::new();
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        let mut patient = Patient::new(body, Duration::from_mins(1), cut.clone());
        cut.cancel();
        assert!(matches!(patient.frame().await, Some(Err(Interrupted::Stopping))));
    }
}
