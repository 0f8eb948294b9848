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
    /// Memory for the bodies of requests, in KiB.
    memory: Arc<Semaphore>,
    most_memory: u32,
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
    /// `most_memory` is in KiB.
    pub(super) fn new(most: usize, most_waiting: usize, most_memory: u32) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let memory = Arc::new(Semaphore::new(most_memory as usize));
        Self { places, memory, most_memory, most_waiting, waiting: AtomicUsize::new(0) }
    }

    /// Room in memory for a body of so many bytes. One that is larger than all there is takes all.
    pub(super) async fn room(&self, bytes: u64) -> Result<Admitted, Overloaded> {
        let wanted = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.most_memory);
        if let Ok(permit) = Arc::clone(&self.memory).try_acquire_many_owned(wanted) {
            return Ok(Admitted { _permit: permit });
        }
        let _in_line = InLine::join(&self.waiting, self.most_waiting).ok_or(Overloaded)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.memory).acquire_many_owned(wanted));
        match turn.await {
            Ok(Ok(permit)) => Ok(Admitted { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(Overloaded),
        }
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
        let admission = Arc::new(Admission::new(1, 2, 1));
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
    async fn bodies_share_the_memory_there_is_and_the_largest_is_not_shut_out() {
        let admission = Admission::new(9, 0, 8);
        let small = admission.room(6 * 1024).await.unwrap();
        assert_eq!(admission.room(3 * 1024).await.unwrap_err(), Overloaded);
        assert!(admission.room(0).await.is_ok());
        drop(small);
        assert!(admission.room(u64::MAX).await.is_ok());
    }

    #[tokio::test]
    async fn who_leaves_the_line_leaves_room_in_it() {
        let admission = Admission::new(1, 1, 1);
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
