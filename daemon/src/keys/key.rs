//! One key at work: who is admitted by it, and what it has done since the start.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::document::{Entry, KeyHash, Rest};
use super::limit::{Arrival, Blocked, Limit, Limiter, Limits, Ticket, Turn};
use super::rules::Rules;
use crate::clock::{Clock, Moment, SinceBoot, Timestamp};
use crate::id::KeyId;

/// A client key: what it may do, and how much of it is done.
#[derive(Debug)]
pub struct Key {
    pub id: KeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub rules: Rules,
    pub(super) hash: KeyHash,
    rest: Rest,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limiter: Limiter<Arc<Notify>>,
    is_revoked: bool,
    counts: Counts,
    last_used_at: Option<Timestamp>,
}

/// What a key did since the daemon was started.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Admitted.
    pub requests: u64,
    pub tokens: u64,
    /// Not admitted.
    pub refused: u64,
    /// Right now.
    pub running: u32,
    pub waiting: u32,
}

/// A request that is not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", match limit {
    Limit::Ended => "this key was revoked or has expired".to_owned(),
    limit => format!("this key's limit of {limit} is reached"),
})]
pub struct Limited {
    pub limit: Limit,
    /// From when on it would be; `None`: when another request of the key ends.
    pub retry_at: Option<Timestamp>,
}

/// A request that was admitted, held for as long as its answer goes on. Dropped, its place is free again.
#[derive(Debug)]
pub struct Permit {
    key: Arc<Key>,
}

impl Key {
    pub(super) fn new(entry: Entry, clock: Clock) -> Self {
        let Entry { name, hash, created_at, expires_at, last_used_at, rules, rest } = entry;
        let limits = Limits {
            requests: rules.rpm,
            tokens: rules.tpm,
            concurrency: rules.concurrency,
            wait: rules.wait,
        };
        let limiter = Limiter::new(limits, clock.moment().boot);
        let state = State { limiter, is_revoked: false, counts: Counts::default(), last_used_at };
        let id = KeyId::of_hash(&hash.0);
        Self { id, name, created_at, expires_at, rules, hash, rest, clock, state: Mutex::new(state) }
    }

    /// What the file is to say of it.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            name: self.name.clone(),
            hash: self.hash,
            created_at: self.created_at,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at(),
            rules: self.rules.clone(),
            rest: self.rest.clone(),
        }
    }

    /// Whether a request may name this model.
    pub fn may_use(&self, model: &str) -> bool {
        self.rules.allows(model)
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    pub fn counts(&self) -> Counts {
        let state = self.lock();
        let waiting = u32::try_from(state.limiter.waiting().len()).unwrap_or(u32::MAX);
        Counts { running: state.limiter.running(), waiting, ..state.counts }
    }

    /// The last request by it, admitted or not. What it was before the last start is known as of the last time that a key was
    /// made or revoked.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.lock().last_used_at
    }

    /// Counts one more request, if the limits let it through. Where the key's requests may wait, it stands in line behind those
    /// that came before it, for as long as it may; whoever gives up waiting for this leaves the line.
    pub async fn admit(self: &Arc<Self>) -> Result<Permit, Limited> {
        let came_at = self.clock.moment();
        let bell = Arc::new(Notify::new());
        let waiting = match self.arrive(came_at, &bell) {
            Arrival::Admitted => return Ok(self.permit()),
            Arrival::Refused(blocked) => return Err(self.refused(blocked, came_at)),
            Arrival::Waits(ticket) => Waiting { key: self, ticket },
        };
        let latest = came_at.boot.after(self.rules.wait);
        let time_is_up = tokio::time::sleep(self.rules.wait.unsigned_abs());
        tokio::pin!(time_is_up);
        let mut is_up = false;
        loop {
            let now = self.clock.moment();
            let until = match self.turn(waiting.ticket, now) {
                Turn::Admitted => return Ok(self.permit()),
                Turn::Blocked(blocked) if blocked.limit == Limit::Ended => {
                    return Err(self.refused(blocked, now));
                }
                // What others took meanwhile makes it too late.
                Turn::Blocked(blocked) if blocked.until.is_some_and(|until| until > latest) => {
                    return Err(self.refused(blocked, now));
                }
                Turn::Blocked(blocked) => blocked.until,
                Turn::NotYet => None,
            };
            if is_up {
                let blocked = self.lock().limiter.held_by(waiting.ticket, now.boot);
                return Err(self.refused(blocked, now));
            }
            tokio::select! {
                () = bell.notified() => {}
                () = sleep_until(until, now.boot) => {}
                () = &mut time_is_up => is_up = true,
            }
        }
    }

    fn arrive(&self, now: Moment, bell: &Arc<Notify>) -> Arrival {
        let mut state = self.lock();
        state.last_used_at = Some(now.wall);
        if self.has_ended(&state, now) {
            return Arrival::Refused(ENDED);
        }
        state.limiter.arrive(now.boot, || Arc::clone(bell))
    }

    fn turn(&self, ticket: Ticket, now: Moment) -> Turn {
        let mut state = self.lock();
        if self.has_ended(&state, now) {
            return Turn::Blocked(ENDED);
        }
        state.limiter.turn(ticket, now.boot)
    }

    fn has_ended(&self, state: &State, now: Moment) -> bool {
        state.is_revoked || self.has_expired(now.wall)
    }

    /// The limiter has let it through.
    fn permit(self: &Arc<Self>) -> Permit {
        let mut state = self.lock();
        state.counts.requests += 1;
        // There may be room for the next one, too.
        state.call_first();
        drop(state);
        Permit { key: Arc::clone(self) }
    }

    fn refused(&self, Blocked { limit, until }: Blocked, now: Moment) -> Limited {
        self.lock().counts.refused += 1;
        Limited { limit, retry_at: until.map(|until| now.wall_at(until)) }
    }

    /// What runs may finish; nothing begins, not even what waits already.
    pub(super) fn revoke(&self) {
        let mut state = self.lock();
        state.is_revoked = true;
        state.limiter.waiting().for_each(|bell| bell.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ENDED: Blocked = Blocked { limit: Limit::Ended, until: None };

impl State {
    fn call_first(&self) {
        if let Some(bell) = self.limiter.first() {
            bell.notify_one();
        }
    }
}

/// A request in line. Dropped, it has left.
struct Waiting<'a> {
    key: &'a Key,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.key.lock();
        state.limiter.leave(self.ticket);
        state.call_first();
    }
}

impl Permit {
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// So many tokens were spent on the request. They are taken from what the key may spend, also where it has not as many
    /// left: then the next request waits or is refused until they are paid off.
    pub fn charge(&self, tokens: u64) {
        let now = self.key.clock.moment().boot;
        let mut state = self.key.lock();
        state.counts.tokens = state.counts.tokens.saturating_add(tokens);
        state.limiter.charge(tokens, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.key.lock();
        state.limiter.end();
        state.call_first();
    }
}

/// For ever, where no time is known.
async fn sleep_until(until: Option<SinceBoot>, now: SinceBoot) {
    match until {
        Some(until) => tokio::time::sleep(until.since(now).unsigned_abs()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
