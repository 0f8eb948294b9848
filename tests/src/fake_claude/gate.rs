//! A gate holds an answer until the test opens it, so that tests wait for states and never for a time.

use std::sync::Arc;

use tokio::sync::watch;

/// Clones are one gate. It starts closed; once open it stays open.
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    seen: Arc<watch::Sender<Seen>>,
}

/// How many have come to the gate, and how many of those went away without having passed it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    arrived: usize,
    gave_up: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    pub fn new() -> Self {
        Self {
            open: Arc::new(watch::Sender::new(false)),
            seen: Arc::new(watch::Sender::new(Seen::default())),
        }
    }

    /// Lets everybody pass, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns once `n` answers in all have come to this gate. Give it a deadline with
    /// [`within`](crate::wait::within).
    pub async fn reached_by(&self, n: usize) {
        let mut seen = self.seen.subscribe();
        drop(seen.wait_for(|s| s.arrived >= n).await);
    }

    /// Returns once `n` of them have been dropped while they waited: their client hung up.
    pub async fn left_by(&self, n: usize) {
        let mut seen = self.seen.subscribe();
        drop(seen.wait_for(|s| s.gave_up >= n).await);
    }

    /// How many have come so far.
    pub fn arrivals(&self) -> usize {
        self.seen.borrow().arrived
    }

    pub(super) async fn pass(self) {
        self.seen.send_modify(|s| s.arrived += 1);
        let leaving = Leaving(Some(&self.seen));
        let mut open = self.open.subscribe();
        // It cannot fail: the sender is ours. The guard it returns locks the gate and must not outlive this
        // line.
        drop(open.wait_for(|open| *open).await);
        leaving.passed();
    }
}

/// Counts a wait that is dropped before it ended.
struct Leaving<'a>(Option<&'a watch::Sender<Seen>>);

impl Leaving<'_> {
    fn passed(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(seen) = self.0 {
            seen.send_modify(|s| s.gave_up += 1);
        }
    }
}
