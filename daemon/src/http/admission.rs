//! How many requests are served at once. Those above wait in line, first come, first served; where the line is full or long, a
//! request is refused at once and told when to come again: clients that wait without an answer pile up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::tasks::Tasks;

/// Nobody waits longer in line.
const PATIENCE: Duration = Duration::from_secs(10);
/// When who is refused may come again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    /// Memory for the bodies of requests, in KiB.
    memory: Arc<Semaphore>,
    most_waiting: AtomicUsize,
    waiting: AtomicUsize,
    /// As asked for last: where there are more still, they go as they become free.
    sizes: Mutex<Sizes>,
}

/// How many permits each semaphore is to have.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    places: usize,
    memory: usize,
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
        let sizes = Sizes::of(most, most_memory);
        Self {
            places: Arc::new(Semaphore::new(sizes.places)),
            memory: Arc::new(Semaphore::new(sizes.memory)),
            most_waiting: AtomicUsize::new(most_waiting),
            waiting: AtomicUsize::new(0),
            sizes: Mutex::new(sizes),
        }
    }

    /// Serves so many from now on. Where more are served than that, nobody comes in before enough of them are done.
    pub(super) fn resize(&self, most: usize, most_waiting: usize, most_memory: u32, tasks: &Tasks) {
        let wanted = Sizes::of(most, most_memory);
        let had = {
            let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *sizes, wanted)
        };
        resize(&self.places, had.places, wanted.places, tasks);
        resize(&self.memory, had.memory, wanted.memory, tasks);
        self.most_waiting.store(most_waiting, Ordering::Relaxed);
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
        let _in_line =
            InLine::join(&self.waiting, self.most_waiting.load(Ordering::Relaxed)).ok_or(Overloaded)?;
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

impl Sizes {
    fn of(most: usize, most_memory: u32) -> Self {
        Self { places: most.min(Semaphore::MAX_PERMITS), memory: most_memory as usize }
    }
}

/// What is in use cannot be taken away: a task stands in line for it, before everybody who comes later. Should there be more
/// again meanwhile, it gets those, which comes to the same.
fn resize(semaphore: &Arc<Semaphore>, had: usize, wanted: usize, tasks: &Tasks) {
    semaphore.add_permits(wanted.saturating_sub(had));
    let surplus = had.saturating_sub(wanted);
    let in_use = u32::try_from(surplus - semaphore.forget_permits(surplus)).unwrap_or(u32::MAX);
    if in_use == 0 {
        return;
    }
    let (semaphore, own) = (Arc::clone(semaphore), tasks.clone());
    tasks.spawn(async move {
        tokio::select! {
            freed = semaphore.acquire_many_owned(in_use) => freed.into_iter().for_each(OwnedSemaphorePermit::forget),
            () = own.stopping() => {}
        }
    });
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
    async fn a_smaller_number_holds_as_soon_as_enough_are_done_and_a_larger_one_at_once() {
        let (admission, tasks) = (Admission::new(3, 0, 8), Tasks::new());
        let [one, two] = [admission.admit().await.unwrap(), admission.admit().await.unwrap()];
        admission.resize(1, 0, 4, &tasks);
        tokio::task::yield_now().await;
        assert_eq!(admission.admit().await.unwrap_err(), Overloaded);
        drop(one);
        tokio::task::yield_now().await;
        assert_eq!(admission.admit().await.unwrap_err(), Overloaded);
        drop(two);
        let three = admission.admit().await.unwrap();
        assert_eq!(admission.admit().await.unwrap_err(), Overloaded);
        let room = admission.room();
        assert_eq!(room.try_take(5 * 1024), Err(Overloaded));
        admission.resize(2, 0, 8, &tasks);
        let four = admission.admit().await.unwrap();
        room.try_take(5 * 1024).unwrap();
        drop((three, four));
        tasks.finish().await;
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
