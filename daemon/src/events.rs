//! What happens to the accounts, told to whoever watches. Telling never waits and never fails: without a reader an
//! event is dropped at once, and a reader that is too slow is told how many it missed.
//!
//! Events are for people and scripts. Nothing in the daemon acts on one but to look at what is so now.

use std::fmt;

use tokio::sync::broadcast;

use crate::clock::Timestamp;
use crate::id::AccountId;

/// Events a reader may be behind before it misses some.
const BACKLOG: usize = 512;

/// The handle through which everything is told; clones share one stream.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

/// One thing that happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub kind: Kind,
    /// `None` where it is about a file that is no account's.
    pub account: Option<AccountId>,
    /// The account as a person calls it. May be an e-mail address: never for a log.
    pub name: String,
    /// In words, without any secret; empty where the kind says it all.
    pub detail: String,
}

impl fmt::Debug for Event {
    /// Leaves out the name, which may be an e-mail address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, kind, account, name: _, detail } = self;
        let mut shown = f.debug_struct("Event");
        shown.field("at", at).field("kind", kind).field("account", account).field("detail", detail);
        shown.finish_non_exhaustive()
    }
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Added,
    /// Its file or its settings changed.
    Changed,
    Removed,
    /// A file of the auth directory, or a setting of an account, cannot be used.
    Invalid,
    Refreshed,
    RefreshFailed,
    /// Upstream named a time before which it is not to be used.
    Cooling,
    Recovered,
    NeedsLogin,
    /// A window of its plan is nearly used up.
    QuotaLow,
    /// A new token is in memory only.
    Unsaved,
    Saved,
    /// A token that cannot be renewed ends soon.
    EndsSoon,
}

/// What a reader gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    Event(Event),
    /// The reader was too slow for this many.
    Missed(u64),
}

/// Everything told from the subscription on.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Event>);

impl Events {
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Tells everybody who listens. `event` is made only if somebody does.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        if self.is_heard() {
            // The last reader may have gone in between: then nobody wants it.
            let _unheard = self.0.send(event());
        }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscription {
    /// The next thing told; `None` once nobody can tell anything any more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(event) => Some(News::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(News::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: i64) -> Event {
        Event {
            at: Timestamp::from_second(n).unwrap(),
            kind: Kind::Added,
            account: None,
            name: String::new(),
            detail: String::new(),
        }
    }

    #[tokio::test]
    async fn a_reader_gets_what_is_told_after_it_came() {
        let events = Events::new();
        events.tell(|| panic!("nobody listens, so no event is made"));
        let mut reader = events.subscribe();
        events.tell(|| event(1));
        assert_eq!(reader.next().await, Some(News::Event(event(1))));
        drop(events);
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
        let events = Events::new();
        let mut slow = events.subscribe();
        for n in 0..i64::try_from(BACKLOG).unwrap() + 7 {
            events.tell(|| event(n));
        }
        assert_eq!(slow.next().await, Some(News::Missed(7)));
        assert_eq!(slow.next().await, Some(News::Event(event(7))));
    }
}
