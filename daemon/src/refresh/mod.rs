//! Keeps tokens fresh. One refresh per account is in flight at most, on a task of its own that no client's
//! hanging up and no SIGTERM cancels; what it will ask is on disk before it asks, and what it got before anyone
//! uses it.

mod error;
mod flight;
mod record;
mod schedule;
mod steps;
mod unsaved;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, watch};
use tracing::Instrument as _;

pub use error::RefreshError;
pub use schedule::Policy;

use crate::account::Account;
use crate::chain::ErrorChain;
use crate::claude::OAuthClient;
use crate::clock::{Clock, SignedDuration, SinceBoot, Timestamp, after};
use crate::events::Kind;
use crate::id::AccountId;
use crate::pool::{Member, Pool, Trouble};
use crate::secret::{AccessToken, RefreshToken};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use record::Record;

/// However far the next due time is, the loop looks at the clock this often: it may have jumped, or the
/// machine slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Token calls at once, over all accounts.
const CALLS_AT_ONCE: usize = 8;
/// Between two calls of the issuer for one account: what is wrong with tokens that end or are refused sooner is not
/// mended by more of them. A call that certainly did not get there is none, and a person who mended what failed
/// need not wait; for new tokens so soon after new ones a person waits, too.
const BETWEEN_CALLS: SignedDuration = SignedDuration::from_mins(1);

/// The refresher's handle; clones share everything.
#[derive(Clone, Debug)]
pub struct Refresher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: ArcSwap<Policy>,
    store: Store,
    pool: Arc<Pool>,
    oauth: OAuthClient,
    clock: Clock,
    tasks: Tasks,
    metrics: Arc<Metrics>,
    calls: Semaphore,
    records: Mutex<HashMap<AccountId, Record>>,
    /// By the fingerprint of a refresh token: the calls with it of which nothing is known, as they are on disk.
    tries: Mutex<HashMap<String, usize>>,
    wake: Notify,
}

type FlightResult = Result<(), Arc<RefreshError>>;
type Flight = watch::Receiver<Option<FlightResult>>;

impl Refresher {
    /// Reads from `store` what an earlier run was about to ask when it ended.
    pub fn new(
        policy: Policy,
        store: Store,
        pool: Arc<Pool>,
        oauth: OAuthClient,
        clock: Clock,
        tasks: Tasks,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let tries = Mutex::new(store.open_intents()?);
        Ok(Self(Arc::new(Inner {
            policy: ArcSwap::from_pointee(policy),
            store,
            pool,
            oauth,
            clock,
            tasks,
            metrics,
            calls: Semaphore::new(CALLS_AT_ONCE),
            records: Mutex::default(),
            tries,
            wake: Notify::new(),
        })))
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
        self.0.tasks.spawn_vital("refresh", looping.instrument(tracing::info_span!("refresh_loop")));
    }

    /// Refreshes at other times from now on.
    pub fn configure(&self, policy: Policy) {
        self.0.policy.store(Arc::new(policy));
        self.wake();
    }

    /// Looks at the pool now: an account came, changed, or the clock was moved.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Whether the account's token must, and can, be refreshed before it is used.
    pub fn is_stale(&self, account: &Account) -> bool {
        account.renewable().is_some() && self.0.is_stale(account)
    }

    /// When the account's token is refreshed next, to the second, unless something else happens; `None` for one that is
    /// not refreshed.
    pub fn next_refresh(&self, member: &Member) -> Option<Timestamp> {
        let tries = self.0.tries_of(&member.account);
        let due = schedule::due_at(&member.account, &self.0.policy.load(), tries)?;
        let now = self.0.clock.moment();
        let wait =
            self.0.records().get(&member.account.id).map_or(SignedDuration::ZERO, |record| record.wait(now));
        let soonest = after(now.wall, wait.max(SignedDuration::ZERO));
        Timestamp::from_second(due.max(soonest).as_second()).ok()
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
                self.0.permit(record)?;
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
            if let Some(flight) = &record.flight {
                flight.clone()
            } else {
                // Why nothing is asked while tokens are unsaved, the flight says.
                let last = record.refreshed_at.filter(|_| record.unsaved.is_none());
                self.0.permit_after(last)?;
                self.launch(id, record)
            }
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
        let now = self.0.clock.moment();
        let snapshot = self.0.pool.snapshot();
        let mut sleep = LONGEST_SLEEP;
        for member in &snapshot.members {
            let tries = self.0.tries_of(&member.account);
            show_doubt(member, tries);
            let Some(due) = schedule::due_at(&member.account, &self.0.policy.load(), tries) else { continue };
            let mut records = self.0.records();
            let record = records.entry(member.account.id.clone()).or_default();
            let due_in = due.duration_since(schedule::judged_at(&member.account, member.seen, now));
            let wait = record.wait(now).max(due_in);
            match Duration::try_from(wait) {
                Ok(wait) if !wait.is_zero() => sleep = sleep.min(wait),
                _ if record.flight.is_none() && !record.closed => {
                    drop(self.launch(&member.account.id, record));
                }
                _ => {}
            }
        }
        sleep.max(Duration::from_millis(100))
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

    fn is_stale(&self, account: &Account) -> bool {
        let now = self.clock.moment();
        let access = |account: &Account| account.oauth().map(|tokens| tokens.access.clone());
        let known = self.pool.get(&account.id).filter(|known| access(&known.account) == access(account));
        let seen = known.map_or(now, |known| known.seen);
        schedule::is_stale(account, schedule::judged_at(account, seen, now))
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tries_of(&self, account: &Account) -> usize {
        let tries = self.tries();
        let Some(token) = account.renewable().filter(|_| !tries.is_empty()) else { return 0 };
        tries.get(&token.fingerprint()).copied().unwrap_or(0)
    }

    fn remember_tries(&self, token: &RefreshToken, count: usize) {
        let mut tries = self.tries();
        match count {
            0 => drop(tries.remove(&token.fingerprint())),
            _ => drop(tries.insert(token.fingerprint(), count)),
        }
    }

    /// The issuer is about to be asked. Returns when it was the time before.
    fn mark_asked(&self, id: &AccountId) -> Option<SinceBoot> {
        self.records().entry(id.clone()).or_default().asked_at.replace(self.clock.moment().boot)
    }

    /// It was not asked after all.
    fn unmark_asked(&self, id: &AccountId, before: Option<SinceBoot>) {
        if let Some(record) = self.records().get_mut(id) {
            record.asked_at = before;
        }
    }

    /// Whether a request may start a refresh now.
    fn permit(&self, record: &Record) -> FlightResult {
        if record.closed {
            return Err(Arc::new(RefreshError::Gone));
        }
        let now = self.clock.moment().boot;
        match record.failure.as_ref().filter(|(retry_at, _)| *retry_at > now) {
            // What went wrong then is what is wrong now.
            Some((_, failure)) => Err(Arc::clone(failure)),
            None => self.permit_after(record.asked_at),
        }
    }

    /// Whether the account's last call is long enough ago.
    fn permit_after(&self, last: Option<SinceBoot>) -> FlightResult {
        let now = self.clock.moment();
        match last.map(|last| last.after(BETWEEN_CALLS)).filter(|next| *next > now.boot) {
            Some(next) => Err(Arc::new(RefreshError::TooSoon { retry_at: now.wall_at(next) })),
            None => Ok(()),
        }
    }

    /// Keeps the books after a flight, before anybody is told of its end. The loop looks again: what came due
    /// meanwhile was passed over for the flight's sake.
    fn landed(&self, id: &AccountId, result: &FlightResult) {
        let now = self.clock.moment();
        self.metrics.refresh(error::counted_as(result.as_ref().err().map(|error| &**error)));
        let mut records = self.records();
        let record = records.entry(id.clone()).or_default();
        record.flight = None;
        self.wake.notify_one();
        match result {
            Ok(()) => {
                tracing::info!("token refreshed");
                record.strikes = 0;
                record.failure = None;
                // Unless somebody else wrote the tokens.
                record.refreshed_at = record.asked_at.max(record.refreshed_at);
                self.tell(id, Kind::Refreshed, String::new);
            }
            Err(error) => {
                let named = error.named_wait().map(|named| named.duration_since(now.wall));
                let retry_at = now.boot.after(schedule::retry_wait(record.strikes, named, id));
                record.strikes = record.strikes.saturating_add(1);
                record.failure = Some((retry_at, Arc::clone(error)));
                let shown = after(now.wall, record.wait(now));
                tracing::warn!(error = %ErrorChain(&**error), retry_at = %shown, "token not refreshed");
                if !matches!(**error, RefreshError::NeedsLogin { .. } | RefreshError::Gone) {
                    self.tell(id, Kind::RefreshFailed, || ErrorChain(&**error).to_string());
                }
            }
        }
    }
}

/// What is shown of a token that may be spent.
const DOUBT: &str = "the answer to a refresh was lost, so its refresh token may be spent; it is tried once more when \
                     the access token ends, and a new login is the sure way: run `proxyctl login claude`";

/// Shows it to whoever lists the accounts, for as long as it is so.
fn show_doubt(member: &Member, tries: usize) {
    let trouble = member.trouble();
    let last_error = match trouble.last_error.as_deref() {
        None if tries > 0 => Some(DOUBT.to_owned()),
        Some(DOUBT) if tries == 0 => None,
        _ => return,
    };
    member.set_trouble(Trouble { last_error, ..trouble });
}

/// Waits for the end of a flight.
async fn landed(mut flight: Flight) -> FlightResult {
    match flight.wait_for(Option::is_some).await {
        Ok(result) => result.clone().unwrap_or(Ok(())),
        // The task is gone without a word: it panicked.
        Err(_) => Err(Arc::new(RefreshError::Aborted)),
    }
}
