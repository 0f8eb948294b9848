//! Keeps tokens fresh. One refresh per account is in flight at most, on a task of its own that no client's
//! hanging up and no SIGTERM cancels; what it got is on disk before anyone uses it.

mod error;
mod flight;
mod schedule;
mod unsaved;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tracing::Instrument as _;

pub use error::RefreshError;
pub use schedule::Policy;

use crate::account::Account;
use crate::chain::ErrorChain;
use crate::claude::OAuthClient;
use crate::clock::{Clock, SignedDuration, Timestamp, after};
use crate::events::Kind;
use crate::id::AccountId;
use crate::pool::Pool;
use crate::secret::AccessToken;
use crate::store::Store;
use crate::tasks::Tasks;
use unsaved::Unsaved;

/// However far the next due time is, the loop looks at the clock this often: it may have jumped, or the
/// machine slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Token calls at once, over all accounts.
const CALLS_AT_ONCE: usize = 8;
/// A token that was refused without ever having served is not refreshed again sooner: another one would fare
/// no better.
const UNPROVEN: SignedDuration = SignedDuration::from_mins(1);

/// The refresher's handle; clones share everything.
#[derive(Clone, Debug)]
pub struct Refresher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: Policy,
    store: Store,
    pool: Arc<Pool>,
    oauth: OAuthClient,
    clock: Clock,
    tasks: Tasks,
    calls: Semaphore,
    records: Mutex<HashMap<AccountId, Record>>,
    wake: Notify,
}

/// What is known about an account's refreshes.
#[derive(Debug, Default)]
struct Record {
    flight: Option<Flight>,
    strikes: u32,
    /// No refresh before then, after this failure.
    failure: Option<(Timestamp, Arc<RefreshError>)>,
    refreshed_at: Option<Timestamp>,
    /// Being revoked: no refresh starts any more.
    closed: bool,
    /// Tokens that were issued and are in memory only. They outlive the account's place in the pool: its
    /// file may come back.
    unsaved: Option<Arc<Unsaved>>,
}

type FlightResult = Result<(), Arc<RefreshError>>;
type Flight = watch::Receiver<Option<FlightResult>>;

impl Refresher {
    pub fn new(
        policy: Policy,
        store: Store,
        pool: Arc<Pool>,
        oauth: OAuthClient,
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        Self(Arc::new(Inner {
            policy,
            store,
            pool,
            oauth,
            clock,
            tasks,
            calls: Semaphore::new(CALLS_AT_ONCE),
            records: Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// Starts the loop that refreshes each token before it ends.
    pub fn start(&self) {
        let this = self.clone();
        let looping = async move {
            while !this.0.tasks.is_stopping() {
                let sleep = this.refresh_due();
                tokio::select! {
                    () = tokio::time::sleep(sleep) => {}
                    () = this.0.wake.notified() => {}
                    () = this.0.tasks.stopping() => {}
                }
            }
        };
        self.0.tasks.spawn(looping.instrument(tracing::info_span!("refresh_loop")));
    }

    /// Looks at the pool now: an account came, changed, or the clock was moved.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Whether the account's token must, and can, be refreshed before it is used.
    pub fn is_stale(&self, account: &Account) -> bool {
        account.renewable().is_some() && schedule::is_stale(account, self.0.clock.now())
    }

    /// Waits until the account has another access token than `seen`, joining the refresh in flight or
    /// starting one. Dropping the future stops the waiting, never the refresh.
    pub async fn renew(&self, id: &AccountId, seen: &AccessToken) -> FlightResult {
        let flight = {
            let mut records = self.0.records();
            let record = records.entry(id.clone()).or_default();
            if self.0.holds_other_token(id, seen) {
                return Ok(());
            }
            if let Some(flight) = &record.flight {
                flight.clone()
            } else {
                self.0.permit(id, record)?;
                self.launch(id, record)
            }
        };
        landed(flight).await
    }

    /// Refreshes now because a person said so, whatever failed before.
    pub async fn refresh_now(&self, id: &AccountId) -> FlightResult {
        let flight = {
            let mut records = self.0.records();
            let record = records.entry(id.clone()).or_default();
            if record.closed {
                return Err(Arc::new(RefreshError::Gone));
            }
            record.flight.clone().unwrap_or_else(|| self.launch(id, record))
        };
        landed(flight).await
    }

    /// Lets no further refresh of the account start, and waits for the one in flight: afterwards its file
    /// holds the newest token.
    pub async fn close(&self, id: &AccountId) {
        let flight = {
            let mut records = self.0.records();
            let record = records.entry(id.clone()).or_default();
            record.closed = true;
            record.flight.clone()
        };
        if let Some(flight) = flight {
            // However it ended: what matters is that it ended.
            let _ended = landed(flight).await;
        }
    }

    /// Takes back [`Refresher::close`]: what it was closed for did not happen, and everything is as before.
    pub fn reopen(&self, id: &AccountId) {
        if let Some(record) = self.0.records().get_mut(id) {
            record.closed = false;
        }
        self.wake();
    }

    /// The account with its newest tokens, where those are in memory only and the file still holds the ones
    /// spent for them.
    #[must_use]
    pub fn newest(&self, account: Account) -> Account {
        let unsaved = self.0.records().get(&account.id).and_then(|record| record.unsaved.clone());
        match unsaved {
            Some(unsaved) if unsaved.applies_to(&account) => unsaved.apply(account),
            _ => account,
        }
    }

    /// Starts afresh with the account: it logged in again, or is gone for good. Tokens that are still to be
    /// saved belong to the past.
    pub fn reset(&self, id: &AccountId) {
        let mut records = self.0.records();
        // A flight that is still up keeps its record, or a second one could start beside it.
        let flight = records.remove(id).and_then(|record| record.flight);
        if flight.is_some() {
            records.insert(id.clone(), Record { flight, ..Record::default() });
        }
    }

    /// Starts every refresh that is due and says how long to sleep.
    fn refresh_due(&self) -> Duration {
        let now = self.0.clock.now();
        let snapshot = self.0.pool.snapshot();
        let mut next = after(now, SignedDuration::try_from(LONGEST_SLEEP).unwrap_or(SignedDuration::MAX));
        for member in &snapshot.members {
            let Some(mut due) = schedule::due_at(&member.account, &self.0.policy) else { continue };
            let mut records = self.0.records();
            let record = records.entry(member.account.id.clone()).or_default();
            due = record.failure.as_ref().map_or(due, |(retry_at, _)| due.max(*retry_at));
            if due > now {
                next = next.min(due);
            } else if record.flight.is_none() && !record.closed {
                drop(self.launch(&member.account.id, record));
            }
        }
        Duration::try_from(next.duration_since(now)).unwrap_or_default().max(Duration::from_millis(100))
    }

    fn launch(&self, id: &AccountId, record: &mut Record) -> Flight {
        let (landing, flight) = watch::channel(None);
        record.flight = Some(flight.clone());
        let inner = Arc::clone(&self.0);
        let span = tracing::info_span!("refresh", account.id = %id);
        let id = id.clone();
        let flying = async move {
            let result = flight::fly(&inner, &id).await.map_err(Arc::new);
            inner.landed(&id, &result);
            landing.send_replace(Some(result));
        };
        self.0.tasks.spawn(flying.instrument(span));
        flight
    }
}

impl Inner {
    fn records(&self) -> MutexGuard<'_, HashMap<AccountId, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: &AccountId, kind: Kind, detail: impl FnOnce() -> String) {
        if let Some(member) = self.pool.get(id) {
            self.pool.events().tell(|| member.event(kind, detail(), self.clock.now()));
        }
    }

    fn holds_other_token(&self, id: &AccountId, seen: &AccessToken) -> bool {
        self.pool
            .get(id)
            .is_some_and(|member| member.account.oauth().is_some_and(|tokens| tokens.access != *seen))
    }

    /// Whether a request may start a refresh now.
    fn permit(&self, id: &AccountId, record: &Record) -> FlightResult {
        let now = self.clock.now();
        if record.closed {
            return Err(Arc::new(RefreshError::Gone));
        }
        if let Some((_, failure)) = record.failure.as_ref().filter(|(retry_at, _)| *retry_at > now) {
            // What went wrong then is what is wrong now.
            return Err(Arc::clone(failure));
        }
        let served_at = self.pool.get(id).and_then(|member| member.served_at());
        match record.refreshed_at {
            Some(at) if served_at < Some(at) && after(at, UNPROVEN) > now => {
                Err(Arc::new(RefreshError::TooSoon { retry_at: after(at, UNPROVEN) }))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the books after a flight, before anybody is told of its end. The loop looks again: what came due
    /// meanwhile was passed over for the flight's sake.
    fn landed(&self, id: &AccountId, result: &FlightResult) {
        let now = self.clock.now();
        let mut records = self.records();
        let record = records.entry(id.clone()).or_default();
        record.flight = None;
        self.wake.notify_one();
        match result {
            Ok(()) => {
                tracing::info!("token refreshed");
                record.strikes = 0;
                record.failure = None;
                record.refreshed_at = Some(now);
                self.tell(id, Kind::Refreshed, String::new);
            }
            Err(error) => {
                let retry_at = schedule::retry_at(now, record.strikes, error.named_wait(), id);
                record.strikes = record.strikes.saturating_add(1);
                record.failure = Some((retry_at, Arc::clone(error)));
                tracing::warn!(error = %ErrorChain(&**error), retry_at = %retry_at, "token not refreshed");
                if !matches!(**error, RefreshError::NeedsLogin { .. } | RefreshError::Gone) {
                    self.tell(id, Kind::RefreshFailed, || ErrorChain(&**error).to_string());
                }
            }
        }
    }
}

/// Waits for the end of a flight.
async fn landed(mut flight: Flight) -> FlightResult {
    match flight.wait_for(Option::is_some).await {
        Ok(result) => result.clone().unwrap_or(Ok(())),
        // The task is gone without a word: it panicked.
        Err(_) => Err(Arc::new(RefreshError::Aborted)),
    }
}
