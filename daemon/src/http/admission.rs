//! How many requests are served at once. Those above wait in line, first come, first served; where the line is full or long, a
//! request is refused at once and told when to come again: clients that wait without an answer pile up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Nobody waits longer in line.
const PATIENCE: Duration = Duration::from_secs(10);
/// When who is refused may come again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    most_waiting: usize,
    waiting: AtomicUsize,
}

/// A request's place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    _permit: OwnedSemaphorePermit,
}

/// There are too many requests already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Overloaded;

impl Admission {
    pub(super) fn new(most: usize, most_waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { places, most_waiting, waiting: AtomicUsize::new(0) }
    }

    pub(super) async fn admit(&self) -> Result<Admitted, Overloaded> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Admitted { _permit: permit });
        }
        let _in_line = InLine::join(&self.waiting, self.most_waiting).ok_or(Overloaded)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned());
        match turn.await {
            Ok(Ok(permit)) => Ok(Admitted { _permit: permit }),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(Overloaded),
        }
    }
}

/// A place in line, left when this is dropped, also with its client.
struct InLine<'a>(&'a AtomicUsize);

impl<'a> InLine<'a> {
    fn join(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let joined = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(joined)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_above_the_bound_wait_in_turn_and_those_above_the_line_are_refused() {
        let admission = Arc::new(Admission::new(1, 2));
        let first = admission.admit().await.unwrap();
        let (second, third) = (admission.admit(), admission.admit());
        tokio::pin!(second, third);
        for waiting in [&mut second, &mut third] {
            tokio::select! {
                biased;
                _ = waiting => panic!("there is one place"),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(admission.admit().await.unwrap_err(), Overloaded);
        drop(first);
        let second = second.await.unwrap();
        tokio::select! {
            biased;
            _ = &mut third => panic!("it is the second's place"),
            () = std::future::ready(()) => {}
        }
        drop(second);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn who_leaves_the_line_leaves_room_in_it() {
        let admission = Admission::new(1, 1);
        let _first = admission.admit().await.unwrap();
        {
            let waits = admission.admit();
            tokio::pin!(waits);
            tokio::select! {
                biased;
                _ = &mut waits => panic!("there is one place"),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }
}
