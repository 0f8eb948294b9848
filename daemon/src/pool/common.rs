//! What the keys of one organization have in common upstream: the buckets that all of them draw from. They are kept once, so that
//! what an answer says to one key is known of all without a word to each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::quota::Quota;

/// No state of the pool.
const NEVER: u64 = u64::MAX;

/// The buckets of one limit.
#[derive(Debug)]
pub(super) struct Common {
    /// Whose they are; `None` as long as no answer told of any.
    pub(super) limit: Option<u64>,
    quota: Mutex<Quota>,
    /// The state of the pool in which everybody with this limit was given it.
    given: AtomicU64,
}

/// All that are in use, by their limits.
#[derive(Debug, Default)]
pub(super) struct Commons(Mutex<HashMap<u64, Weak<Common>>>);

impl Common {
    pub(super) fn of(quota: Quota) -> Self {
        Self { limit: None, quota: Mutex::new(quota), given: AtomicU64::new(NEVER) }
    }

    pub(super) fn quota(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everybody is to be given it in this state of the pool; told once.
    pub(super) fn is_news(&self, generation: u64) -> bool {
        self.given.swap(generation, Ordering::Relaxed) != generation
    }
}

impl Default for Common {
    fn default() -> Self {
        Self::of(Quota::default())
    }
}

impl Commons {
    /// The one of a limit.
    pub(super) fn of(&self, limit: u64) -> Arc<Common> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&limit).and_then(Weak::upgrade) {
            return known;
        }
        if all.len() == all.capacity() {
            all.retain(|_, common| common.strong_count() > 0);
        }
        let common = Arc::new(Common { limit: Some(limit), ..Common::default() });
        all.insert(limit, Arc::downgrade(&common));
        common
    }
}
