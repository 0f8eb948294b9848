//! Where requests wait for an account to come back, if the configuration lets them: first come, first served, for each model,
//! and no more of them than is bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The line.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    waiting: Mutex<Waiting>,
    /// Somebody left the line.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// By ticket, oldest first.
    line: VecDeque<(u64, String)>,
}

/// A place in the line. Dropped, it is somebody else's.
#[derive(Debug)]
pub(super) struct Place<'a> {
    queue: &'a Queue,
    ticket: u64,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default(), moved: Notify::new() }
    }

    /// The last place for this model; `None` when the line is full.
    pub(super) fn join(&self, model: &str) -> Option<Place<'_>> {
        let mut waiting = self.lock();
        if waiting.line.len() >= self.most {
            return None;
        }
        let ticket = waiting.next;
        waiting.next += 1;
        waiting.line.push_back((ticket, model.to_owned()));
        Some(Place { queue: self, ticket })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Whether nobody else waits longer for the same model.
    pub(super) fn is_first(&self) -> bool {
        let waiting = self.queue.lock();
        let own = waiting.line.iter().find(|(ticket, _)| *ticket == self.ticket);
        let first = own.and_then(|(_, model)| waiting.line.iter().find(|(_, other)| other == model));
        first.is_some_and(|(ticket, _)| *ticket == self.ticket)
    }

    /// Waits until somebody left the line.
    pub(super) async fn moved(&self) {
        self.queue.moved.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.lock().line.retain(|(ticket, _)| *ticket != self.ticket);
        self.queue.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_waiting_of_each_model_is_first_and_the_line_is_bounded() {
        let queue = Queue::new(3);
        let (a, b, other) = (queue.join("m").unwrap(), queue.join("m").unwrap(), queue.join("n").unwrap());
        assert!(queue.join("m").is_none());
        assert_eq!([a.is_first(), b.is_first(), other.is_first()], [true, false, true]);
        drop(a);
        assert!(b.is_first() && queue.join("m").is_some());
    }
}
