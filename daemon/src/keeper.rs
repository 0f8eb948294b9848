//! Keeps what the pool learned (cooldowns, quota windows, counters) over a restart: reads it at the start, and writes it
//! when it changed, at most every other second, and at the end. While nothing changes it sleeps.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::pool::{Memory, Pool};
use crate::store::Store;
use crate::tasks::Tasks;

/// From a change to its writing, and so between two writes.
const PAUSE: Duration = Duration::from_secs(2);

/// The one that keeps it.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub store: Store,
    pub pool: Arc<Pool>,
    pub tasks: Tasks,
}

impl Keeper {
    /// Tells the pool what the last run learned. Before the accounts come.
    pub fn recall(&self) {
        let Some(bytes) = self.store.load_state() else { return };
        match serde_json::from_slice::<Memory>(&bytes) {
            Ok(memory) => self.pool.remember(memory),
            Err(error) => {
                tracing::warn!(error = %error, "what the last run learned about the accounts cannot be read: it is learned again");
            }
        }
    }

    /// Writes from now on what changed.
    pub fn start(&self) {
        let this = self.clone();
        let keeping = async move {
            let mut kept = Kept { revision: this.pool.revision(), is_warned: false };
            while !this.tasks.is_stopping() {
                let changed = async {
                    this.pool.changed_since(kept.revision).await;
                    // More comes with the rest of what is under way.
                    tokio::time::sleep(PAUSE).await;
                };
                tokio::select! {
                    () = changed => {}
                    () = this.tasks.stopping() => {}
                }
                this.keep(&mut kept).await;
            }
        };
        self.tasks.spawn_vital("keeper", keeping.instrument(tracing::info_span!("keeper")));
    }

    /// The last write, after the last request.
    pub async fn finish(&self) {
        self.keep(&mut Kept { revision: u64::MAX, is_warned: false }).await;
    }

    async fn keep(&self, kept: &mut Kept) {
        let revision = self.pool.revision();
        if revision == kept.revision {
            return;
        }
        let (pool, store) = (Arc::clone(&self.pool), self.store.clone());
        let write = move || store.save_state(&serde_json::to_vec(&pool.memory())?);
        match self.tasks.spawn_blocking(write).await {
            Ok(Ok(())) => *kept = Kept { revision, is_warned: false },
            // Said once: a full disk stays full for a while, and the tokens say what matters.
            Ok(Err(error)) if !kept.is_warned => {
                tracing::warn!(error = %error, "what was learned about the accounts cannot be saved: a restart forgets it");
                kept.is_warned = true;
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// What is on disk.
struct Kept {
    revision: u64,
    is_warned: bool,
}
