//! Where requests wait for an account to come back, if the configuration lets them: first come, first served, among those that
//! wait for the same accounts, and no more of them than is bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::id::AccountId;
use crate::pool::{Asked, Bond, Endpoint};

/// The line.
#[derive(Debug)]
pub(super) struct Queue {
    most: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// By ticket, so oldest first.
    line: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    awaited: Arc<Awaited>,
    /// It became the first.
    first: Arc<Notify>,
}

/// What limits are told about. Requests with different ones come back at different times, and none waits behind another.
#[derive(PartialEq, Eq, Debug)]
struct Awaited {
    model: String,
    endpoint: Endpoint,
    owner: Option<AccountId>,
    /// Those that may serve; empty: all.
    accounts: Vec<AccountId>,
}

/// A place in the line. Dropped, it is somebody else's.
#[derive(Debug)]
pub(super) struct Place<'a> {
    queue: &'a Queue,
    ticket: u64,
    awaited: Arc<Awaited>,
    first: Arc<Notify>,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { most: AtomicUsize::new(most), waiting: Mutex::default() }
    }

    /// No more than these wait from now on. Those that do already stay.
    pub(super) fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The last place for such a request; `None` when the line is full.
    pub(super) fn join(&self, asked: &Asked<'_>) -> Option<Place<'_>> {
        let mut waiting = self.lock();
        if waiting.line.len() >= self.most.load(Ordering::Relaxed) {
            return None;
        }
        let ticket = waiting.next;
        waiting.next += 1;
        let owner = asked.owner.filter(|owner| owner.bond == Bond::Only);
        let awaited = Arc::new(Awaited {
            model: asked.model.to_owned(),
            endpoint: asked.endpoint,
            owner: owner.map(|owner| owner.account.clone()),
            accounts: asked.accounts.to_vec(),
        });
        let first = Arc::default();
        waiting.line.insert(ticket, Waiter { awaited: Arc::clone(&awaited), first: Arc::clone(&first) });
        Some(Place { queue: self, ticket, awaited, first })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn first(&self, awaited: &Awaited) -> Option<(u64, &Waiter)> {
        let found = self.line.iter().find(|(_, waiter)| *waiter.awaited == *awaited);
        found.map(|(ticket, waiter)| (*ticket, waiter))
    }
}

impl Place<'_> {
    /// Whether nobody else waits longer for the same.
    pub(super) fn is_first(&self) -> bool {
        self.queue.lock().first(&self.awaited).is_some_and(|(ticket, _)| ticket == self.ticket)
    }

    /// Waits until this may have become the first.
    pub(super) async fn moved(&self) {
        self.first.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.line.remove(&self.ticket);
        // Only the next one is woken: a long line that woke as a whole with each step would do little else.
        if let Some((_, next)) = waiting.first(&self.awaited) {
            next.first.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Owner;

    #[test]
    fn the_longest_waiting_of_each_model_is_first_and_the_line_is_bounded() {
        let queue = Queue::new(3);
        let join = |model| queue.join(&Asked::messages(model));
        let (a, b, other) = (join("m").unwrap(), join("m").unwrap(), join("n").unwrap());
        assert!(join("m").is_none());
        assert_eq!([a.is_first(), b.is_first(), other.is_first()], [true, false, true]);
        drop(a);
        assert!(b.is_first() && join("m").is_some());
        queue.bound(2);
        assert!(join("m").is_none() && b.is_first());
        queue.bound(4);
        assert!(join("m").is_some());
    }

    #[test]
    fn nobody_waits_behind_a_request_that_other_accounts_are_awaited_for() {
        let queue = Queue::new(8);
        let owner = Owner { account: AccountId::derive("test", &["a"]), bond: Bond::Only };
        let asked = Asked::messages("m");
        let accounts = [owner.account.clone()];
        let places = [
            Asked { accounts: &accounts, ..asked },
            Asked { owner: Some(&owner), ..asked },
            Asked { endpoint: Endpoint::CountTokens, ..asked },
            asked,
        ]
        .map(|asked| queue.join(&asked).unwrap());
        assert!(places.iter().all(Place::is_first));
    }

    #[tokio::test]
    async fn the_next_one_is_told_that_it_is_first_and_nobody_else() {
        let queue = Queue::new(8);
        let join = || queue.join(&Asked::messages("m")).unwrap();
        let (a, b, c) = (join(), join(), join());
        drop(a);
        // Told before it listens: it still hears it.
        b.moved().await;
        assert!(b.is_first());
        let told = tokio::select! {
            biased;
            () = c.moved() => true,
            () = std::future::ready(()) => false,
        };
        assert!(!told);
    }
}
