//! Keeps the pool what the auth directory says. inotify only *wakes* a reconcile; what is so comes from a
//! full scan. Where the watch fails (limits, a moved directory), a timer does the same every 30 s.

mod configuration;
mod diff;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Instrument as _;

pub use configuration::{
    Ask, Asked, Change, Configuration, ConfigurationWatch, Effect, InUse, Mistaken, Outcome, Stopping,
};
pub use watch::Watching;

use crate::chain::ErrorChain;
use crate::pool::{Changes, Pool};
use crate::refresh::Refresher;
use crate::store::Store;
use crate::tasks::Tasks;

/// Events within this time of one another cause one scan.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// A scan without any event, for what inotify missed.
const RESCAN: Duration = Duration::from_secs(30);

/// The reload component.
#[derive(Clone, Debug)]
pub struct Reloader {
    pub store: Store,
    pub pool: Arc<Pool>,
    pub refresher: Refresher,
    pub tasks: Tasks,
    pub watching: Watching,
}

impl Reloader {
    /// Scans once and makes the pool so. What changed is logged, a line per account and file.
    pub async fn reconcile(&self) -> std::io::Result<()> {
        let this = self.clone();
        let scanned = self.tasks.spawn_blocking(move || this.scan_and_apply()).await;
        let changes = scanned.map_err(std::io::Error::other)??;
        self.report(&changes);
        if changes != Changes::default() {
            self.refresher.wake();
        }
        Ok(())
    }

    /// Watches the directory from now on.
    pub fn start(&self) {
        let this = self.clone();
        let running = async move { this.run().await }.instrument(tracing::info_span!("reload"));
        self.tasks.spawn_vital("reload", running);
    }

    async fn run(self) {
        // One place is enough: an event says only that there is something to see.
        let (wake, mut woken) = mpsc::channel(1);
        // What changed between the first scan and the watch raises no event.
        let _first = wake.try_send(());
        let mut watch =
            watch::Watch::new(self.store.dir(), "the auth directory", wake, self.watching.clone());
        while !self.tasks.is_stopping() {
            tokio::select! {
                _ = woken.recv() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    // What came meanwhile is seen by the scan that follows.
                    let _seen = woken.try_recv();
                }
                () = tokio::time::sleep(RESCAN) => {}
                () = self.tasks.stopping() => return,
            }
            let _moved = watch.follow();
            if let Err(error) = self.reconcile().await {
                tracing::warn!(error = %ErrorChain(&error), "cannot read the auth directory: the pool stays as it is");
            }
        }
    }

    fn report(&self, changes: &Changes) {
        let snapshot = self.pool.snapshot();
        for id in &changes.added {
            let kind = snapshot.get(id).map_or("unknown", |member| diff::kind(&member.account));
            tracing::info!(account.id = %id, kind, "account registered");
        }
        for id in &changes.changed {
            tracing::info!(account.id = %id, "account changed on disk");
        }
        for id in &changes.removed {
            tracing::info!(account.id = %id, "account removed from disk");
        }
        for invalid in &changes.invalid {
            tracing::warn!(file = %invalid.file.masked(), reason = %invalid.reason, "file not used");
        }
    }

    /// A change made while the directory was read makes the view stale; then it is read again.
    fn scan_and_apply(&self) -> std::io::Result<Changes> {
        loop {
            let seen = self.pool.snapshot();
            let (accounts, invalid) = diff::desired(self.store.scan()?, &seen);
            // A token that is in memory only is newer than what the file says, and so is the one that an older copy
            // of the file lacks.
            let accounts = accounts.into_iter().map(|account| self.refresher.found(account)).collect();
            if let Ok(changes) = self.pool.reconcile(&seen, accounts, invalid) {
                return Ok(changes);
            }
        }
    }
}
