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
    pace: Pace,
    /// Runs while the client is waited for.
    waiting: Option<Waiting>,
    cut: CancellationToken,
    came: Came,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    patience: Pin<Box<Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// How long a client may still be waited for.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// For each pause.
    patience: Duration,
    /// What came so far, and how long it was waited for altogether.
    bytes: u64,
    waited: Duration,
}

impl Pace {
    fn left(&self) -> Duration {
        let altogether = self.patience.saturating_add(Duration::from_secs(self.bytes / LEAST_PER_SECOND));
        self.patience.min(altogether.saturating_sub(self.waited))
    }

    /// So many bytes came after a pause. What is longer than was left is not the client's: nobody asked for more meanwhile.
    fn came(&mut self, bytes: usize, pause: Duration) {
        self.waited = self.waited.saturating_add(pause.min(self.left()));
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
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
        let pace = Pace { patience, bytes: 0, waited: Duration::ZERO };
        Self { body, pace, waiting: None, cut, came }
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
            let pause = self.waiting.take().map_or(Duration::ZERO, |waiting| waiting.since.elapsed());
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.pace.came(data.map_or(0, Bytes::len), pause);
            if let Some(came) = self.came.0.as_ref().filter(|_| frame.is_none() || self.body.is_end_stream())
            {
                came.store(true, Ordering::Relaxed);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::Broken)));
        }
        let Self { pace, waiting, cut, .. } = &mut *self;
        let waiting = waiting.get_or_insert_with(|| Waiting {
            since: Instant::now(),
            patience: Box::pin(sleep(pace.left())),
            cut: Box::pin(cut.clone().cancelled_owned()),
        });
        let over = waiting.patience.as_mut().poll(context).is_ready();
        let is_cut = waiting.cut.as_mut().poll(context).is_ready();
        if is_cut {
            Poll::Ready(Some(Err(Interrupted::Stopping)))
        } else if over {
            Poll::Ready(Some(Err(Interrupted::Stalled(Stalled(pace.patience)))))
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

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace { patience: 60 * SECOND, bytes: 0, waited: Duration::ZERO }
    }

    #[test]
    fn a_body_that_trickles_is_given_up_although_it_never_pauses_long() {
        let mut pace = pace();
        pace.came(1, 59 * SECOND);
        assert_eq!(pace.left(), SECOND);
        pace.came(1, SECOND);
        assert_eq!(pace.left(), Duration::ZERO);
    }

    #[test]
    fn a_body_that_comes_slowly_but_steadily_may_take_its_time() {
        let mut pace = pace();
        for _ in 0..100_000 {
            pace.came(2048, SECOND);
            assert_eq!(pace.left(), 60 * SECOND);
        }
    }

    #[test]
    fn the_time_in_which_nobody_asked_for_more_is_not_the_clients() {
        let mut pace = pace();
        pace.came(64 * 1024, 3600 * SECOND);
        assert_eq!(pace.left(), 60 * SECOND);
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
