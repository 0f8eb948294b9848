//! How many requests are served at once. Those above wait in line, first come, first served; where the line is full or long, a
//! request is refused at once and told when to come again: clients that wait without an answer pile up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
        Self { places, memory, most_waiting, waiting: AtomicUsize::new(0) }
    }

    /// Where the body of a request is counted as it comes.
    pub(super) fn room(&self) -> Room {
        let memory = Arc::clone(&self.memory);
        Room(Arc::new(Taken { memory, held: Mutex::default(), was_refused: AtomicBool::new(false) }))
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

/// Memory that one request has taken for its body, given back with the last clone of this: of whoever keeps the body, and of the
/// gatekeeper, until the answer begins.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    memory: Arc<Semaphore>,
    held: Mutex<Vec<OwnedSemaphorePermit>>,
    was_refused: AtomicBool,
}

impl Room {
    /// Waits until there are so many bytes more. What was announced and does not come takes nothing.
    pub(super) async fn take(&self, bytes: usize) -> Result<(), Overloaded> {
        let taken = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.memory).acquire_many_owned(kib(bytes)));
        match taken.await {
            Ok(Ok(permit)) => {
                self.hold(permit);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(self.refuse()),
        }
    }

    /// As much, at once or not at all.
    pub(super) fn try_take(&self, bytes: usize) -> Result<(), Overloaded> {
        match Arc::clone(&self.0.memory).try_acquire_many_owned(kib(bytes)) {
            Ok(permit) => {
                self.hold(permit);
                Ok(())
            }
            Err(_) => Err(self.refuse()),
        }
    }

    /// Whether there was not enough for it.
    pub(super) fn was_refused(&self) -> bool {
        self.0.was_refused.load(Ordering::Relaxed)
    }

    fn hold(&self, permit: OwnedSemaphorePermit) {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
    }

    fn refuse(&self) -> Overloaded {
        self.0.was_refused.store(true, Ordering::Relaxed);
        Overloaded
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
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
    async fn bodies_share_the_memory_there_is_and_give_it_back() {
        let admission = Admission::new(9, 0, 8);
        let (one, other) = (admission.room(), admission.room());
        one.take(4 * 1024).await.unwrap();
        one.take(2 * 1024).await.unwrap();
        assert_eq!(other.try_take(3 * 1024), Err(Overloaded));
        assert_eq!((one.was_refused(), other.was_refused()), (false, true));
        drop(one);
        other.take(8 * 1024).await.unwrap();
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
