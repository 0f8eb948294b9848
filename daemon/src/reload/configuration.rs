//! The configuration that is in use, and the way to have it read anew: what the control plane, a signal and the watch ask
//! with. Who reads and applies it is at the other end.

mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot};

pub use watch::ConfigurationWatch;

/// Calls that wait for their turn; more wait for a place.
const MOST_WAITING: usize = 16;

/// A key as it is in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InUse {
    pub key: &'static str,
    /// As TOML, and without a password.
    pub value: String,
    /// In words.
    pub origin: String,
    /// Why a change of it waits for the next start; `None` where it does not.
    pub restart: Option<&'static str>,
}

/// A key that is wanted otherwise than it is in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub key: &'static str,
    /// As TOML, and without a password.
    pub before: String,
    pub after: String,
    /// Of the value that is wanted, in words.
    pub origin: String,
    pub effect: Effect,
}

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    Applied,
    /// Why it waits for the next start.
    NeedsRestart(String),
    /// Why it could not be had. The next reload tries again.
    Failed(String),
}

/// The configuration is not valid: everything that is wrong with it, with its place. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistaken(pub Vec<String>);

pub type Outcome = Result<Vec<Change>, Mistaken>;

/// Nobody reloads any more: the daemon stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the daemon is stopping")]
pub struct Stopping;

/// The asking end; clones share it.
#[derive(Clone, Debug)]
pub struct Configuration {
    asked: mpsc::Sender<oneshot::Sender<Outcome>>,
    nudged: Arc<Notify>,
    in_use: Arc<ArcSwap<Vec<InUse>>>,
}

/// The end that reads and applies: one reload after the other.
#[derive(Debug)]
pub struct Asked {
    asked: mpsc::Receiver<oneshot::Sender<Outcome>>,
    nudged: Arc<Notify>,
}

/// Somebody wants a reload.
#[derive(Debug)]
pub struct Ask(Option<oneshot::Sender<Outcome>>);

impl Configuration {
    pub fn new(in_use: Vec<InUse>) -> (Self, Asked) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let nudged = Arc::new(Notify::new());
        let in_use = Arc::new(ArcSwap::from_pointee(in_use));
        let asked = Asked { asked: receiver, nudged: Arc::clone(&nudged) };
        (Self { asked: sender, nudged, in_use }, asked)
    }

    /// Reads it anew and waits for what comes of it.
    pub async fn reload(&self) -> Result<Outcome, Stopping> {
        let (reply, replied) = oneshot::channel();
        self.asked.send(reply).await.map_err(|_| Stopping)?;
        replied.await.map_err(|_| Stopping)
    }

    /// Has it read anew, and does not wait. One that is asked for while another runs comes after that one; of several, one.
    pub fn nudge(&self) {
        self.nudged.notify_one();
    }

    /// Every key, in the order of the manual.
    pub fn in_use(&self) -> Arc<Vec<InUse>> {
        self.in_use.load_full()
    }

    pub fn set_in_use(&self, in_use: Vec<InUse>) {
        self.in_use.store(Arc::new(in_use));
    }
}

impl Asked {
    /// The next that is asked for; `None` where nobody is left who could.
    pub async fn next(&mut self) -> Option<Ask> {
        tokio::select! {
            reply = self.asked.recv() => reply.map(|reply| Ask(Some(reply))),
            () = self.nudged.notified() => Some(Ask(None)),
        }
    }
}

impl Ask {
    /// Tells whoever waits for it.
    pub fn answer(self, outcome: Outcome) {
        if let Some(reply) = self.0 {
            // Who asked may have gone.
            let _gone = reply.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_while_one_runs_comes_after_it_and_once() {
        let (configuration, mut asked) = Configuration::new(Vec::new());
        configuration.nudge();
        let running = asked.next().await.unwrap();
        configuration.nudge();
        configuration.nudge();
        running.answer(Ok(Vec::new()));
        asked.next().await.unwrap().answer(Ok(Vec::new()));
        let again = tokio::select! {
            biased;
            _ = asked.next() => true,
            () = std::future::ready(()) => false,
        };
        assert!(!again);
    }

    #[tokio::test]
    async fn who_asks_is_told_and_is_told_when_nobody_answers_any_more() {
        let (configuration, mut asked) = Configuration::new(Vec::new());
        let mistaken = Mistaken(vec!["x".to_owned()]);
        let answering = async { asked.next().await.unwrap().answer(Err(mistaken.clone())) };
        let (outcome, ()) = tokio::join!(configuration.reload(), answering);
        assert_eq!(outcome, Ok(Err(mistaken)));
        drop(asked);
        assert_eq!(configuration.reload().await, Err(Stopping));
    }
}
