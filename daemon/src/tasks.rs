//! Every task the daemon runs. Nothing is spawned past this: after [`Tasks::finish`] nothing of ours runs.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// The handle through which everything is spawned; clones share one tracker.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    broken: CancellationToken,
}

/// Reports a loop that ends before its time, by a panic or otherwise.
struct Vital {
    tasks: Tasks,
    name: &'static str,
    /// Cancelled when it is to end before the daemon does.
    over: Option<CancellationToken>,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.tasks.is_stopping() && !self.over.as_ref().is_some_and(CancellationToken::is_cancelled) {
            tracing::error!(task = self.name, "a part of the daemon that must run has ended: it stops");
            self.tasks.broken.cancel();
        }
    }
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` to its end. A loop must watch [`Tasks::stopping`]; work that must finish simply finishes.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Runs a loop without which the daemon would be half dead: one that ends, by a panic or otherwise, before the daemon stops
    /// is told to whoever waits for [`Tasks::broken`].
    pub fn spawn_vital<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.spawn_with(Vital { tasks: self.clone(), name, over: None }, task)
    }

    /// The same for a loop that is not needed any more once `over` is cancelled.
    pub fn spawn_vital_until<F>(
        &self,
        name: &'static str,
        over: CancellationToken,
        task: F,
    ) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.spawn_with(Vital { tasks: self.clone(), name, over: Some(over) }, task)
    }

    fn spawn_with<F>(&self, vital: Vital, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.spawn(async move {
            let _vital = vital;
            task.await
        })
    }

    /// Resolves when a part that must run has ended.
    pub fn broken(&self) -> WaitForCancellationFuture<'_> {
        self.broken.cancelled()
    }

    /// Runs work that blocks (files, locks) off the runtime's own threads, tracked like any other.
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.tracker.spawn_blocking(work)
    }

    /// Resolves when the daemon stops.
    pub fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// Whether the daemon is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tells every loop to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops, then waits for every task to end.
    pub async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_panics_or_ends_early_is_told_and_one_that_was_told_to_end_is_not() {
        let tasks = Tasks::new();
        assert!(tasks.spawn_vital("panics", async { panic!("on purpose") }).await.is_err());
        tasks.broken().await;

        let tasks = Tasks::new();
        tasks.spawn_vital("ends", async {}).await.unwrap();
        tasks.broken().await;

        let (tasks, over) = (Tasks::new(), CancellationToken::new());
        over.cancel();
        tasks.spawn_vital_until("is over", over, async {}).await.unwrap();
        assert!(!tasks.broken.is_cancelled());
        tasks.spawn_vital_until("ends", CancellationToken::new(), async {}).await.unwrap();
        tasks.broken().await;

        let tasks = Tasks::new();
        let own = tasks.clone();
        let looping = tasks.spawn_vital("loops", async move { own.stopping().await });
        tasks.finish().await;
        looping.await.unwrap();
        assert!(!tasks.broken.is_cancelled());
    }
}
