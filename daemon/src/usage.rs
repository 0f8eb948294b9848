//! How much of their plans the accounts have used, as the provider tells it. Asked only when somebody looks, and seldom: at
//! most every five minutes an account, unless a person wants it fresh. An endpoint that refuses is left alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument as _;

use crate::account::{Account, FileName, OAuth};
use crate::chain::ErrorChain;
use crate::claude::{OAuthClient, UsageError, UsageWindow, Way};
use crate::clock::{Clock, SignedDuration, Timestamp, after};
use crate::id::AccountId;
use crate::pool::{Member, Pool};
use crate::refresh::Refresher;
use crate::tasks::Tasks;

/// An answer is good for this long.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Between two asks because a person said so.
const FRESH_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// How long a look waits for the answer before it shows what is known.
const PATIENCE: Duration = Duration::from_secs(3);

/// The usage component; clones share everything.
#[derive(Clone, Debug)]
pub struct Usage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    oauth: OAuthClient,
    pool: Arc<Pool>,
    refresher: Refresher,
    clock: Clock,
    tasks: Tasks,
    records: Mutex<HashMap<AccountId, Record>>,
}

/// What is known of one login.
#[derive(Debug)]
struct Record {
    /// A new login has a file of its own, and starts afresh.
    file: FileName,
    report: Option<Report>,
    /// Not asked again before then; `None` for an endpoint that refused.
    next: Option<Timestamp>,
    asked_at: Timestamp,
    under_way: Option<watch::Receiver<()>>,
}

/// What the provider said last.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub windows: Vec<UsageWindow>,
    pub asked_at: Timestamp,
    /// Why there are no windows.
    pub refusal: Option<String>,
}

/// How new an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Not older than five minutes.
    Recent,
    /// Asked now: a person said so.
    Fresh,
}

impl Usage {
    pub fn new(
        oauth: OAuthClient,
        pool: Arc<Pool>,
        refresher: Refresher,
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        Self(Arc::new(Inner { oauth, pool, refresher, clock, tasks, records: Mutex::default() }))
    }

    /// What is known now.
    pub fn known(&self, account: &Account) -> Option<Report> {
        let records = self.0.records();
        let record = records.get(&account.id).filter(|record| record.file == account.file)?;
        record.report.clone()
    }

    /// Asks where that is due and does not wait for the answer.
    pub fn ask_in_passing(&self, member: &Member) {
        // Dropped: the asking goes on by itself.
        let _under_way = self.start(&member.account, Wanted::Recent);
    }

    /// Asks where that is due, and waits a moment for the answer.
    pub async fn ask(&self, member: &Member, wanted: Wanted) {
        if let Some(mut under_way) = self.start(&member.account, wanted) {
            // The sender goes away when the answer is there; what is late is seen by the next look.
            let _late =
                tokio::time::timeout(PATIENCE, async { while under_way.changed().await.is_ok() {} }).await;
        }
    }

    /// Joins the ask under way, or starts one where it is due.
    fn start(&self, account: &Account, wanted: Wanted) -> Option<watch::Receiver<()>> {
        if account.oauth().is_none()
            || account.disabled
            || account.is_closed()
            || account.needs_login.is_some()
        {
            return None;
        }
        let now = self.0.clock.now();
        let mut records = self.0.records();
        let known = records.get(&account.id).filter(|record| record.file == account.file);
        if let Some(record) = known {
            if let Some(under_way) = &record.under_way {
                return Some(under_way.clone());
            }
            let due = match wanted {
                Wanted::Recent => record.next.is_some_and(|next| next <= now),
                Wanted::Fresh => after(record.asked_at, FRESH_AGAIN) <= now,
            };
            // A clock that was set back makes nobody wait.
            if !due && record.asked_at <= now {
                return None;
            }
        }
        let report = known.and_then(|record| record.report.clone());
        let (done, under_way) = watch::channel(());
        let record = Record {
            file: account.file.clone(),
            report,
            next: Some(after(now, GOOD_FOR)),
            asked_at: now,
            under_way: Some(under_way.clone()),
        };
        // Now and then, so that nothing is kept of accounts that are gone.
        records.retain(|id, _| self.0.pool.get(id).is_some());
        records.insert(account.id.clone(), record);
        let (inner, id) = (Arc::clone(&self.0), account.id.clone());
        let span = tracing::info_span!("usage", account.id = %id);
        let asking = async move {
            inner.ask(&id).await;
            drop(done);
        };
        self.0.tasks.spawn(asking.instrument(span));
        Some(under_way)
    }
}

impl Inner {
    async fn ask(&self, id: &AccountId) {
        let answer = match self.fresh_tokens(id).await {
            Some((tokens, way)) => self.oauth.usage(&tokens.access, &way).await,
            None => Err(UsageError::Later { retry_at: None }),
        };
        let now = self.clock.now();
        let mut records = self.records();
        let Some(record) = records.get_mut(id) else { return };
        record.under_way = None;
        record.next = Some(after(now, GOOD_FOR));
        match answer {
            Ok(windows) => record.report = Some(Report { windows, asked_at: now, refusal: None }),
            Err(error @ UsageError::Refused(_)) => {
                if record.report.as_ref().is_none_or(|report| report.refusal.is_none()) {
                    tracing::info!(error = %error, "plan usage is not told for this account: not asking again");
                }
                let refusal = Some(error.to_string());
                record.report = Some(Report { windows: Vec::new(), asked_at: now, refusal });
                record.next = None;
            }
            Err(error @ UsageError::Later { retry_at }) => {
                tracing::debug!(error = %ErrorChain(&error), "no plan usage");
                record.next = Some(after(now, GOOD_FOR).max(retry_at.unwrap_or(now)));
            }
        }
    }

    /// Tokens that serve, where there are any, and the way they may take.
    async fn fresh_tokens(&self, id: &AccountId) -> Option<(OAuth, Way)> {
        let mut member = self.pool.get(id)?;
        if self.refresher.is_stale(&member.account) {
            self.refresher.renew(id, &member.account.oauth()?.access).await.ok()?;
            member = self.pool.get(id)?;
        }
        Some((member.account.oauth()?.clone(), Way::of(&member.account).ok()?))
    }

    fn records(&self) -> MutexGuard<'_, HashMap<AccountId, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
