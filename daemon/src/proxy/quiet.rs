//! How long a body has been quiet, in both directions: when its client is due a sign of life, and when upstream has said
//! nothing for too long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long a body may be quiet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A client that was sent nothing for this long gets a sign of life; `None`: never.
    pub(super) keep_alive: Option<Duration>,
    /// Upstream, while it is waited for.
    pub(super) silence: Duration,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    KeepAlive,
    /// Upstream is given up.
    Silence,
}

/// One body's silence. Its timer is set again only when it runs out: bodies that flow cost nothing.
#[derive(Debug)]
pub(super) struct Quiet {
    limits: Limits,
    /// When the client was last sent something.
    told: Instant,
    /// Since when upstream is waited for. The time in which the client takes nothing is not upstream's.
    waiting: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Quiet {
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let first = now + limits.keep_alive.unwrap_or(limits.silence).min(limits.silence);
        Self { limits, told: now, waiting: None, timer: Box::pin(sleep_until(first)) }
    }

    /// How long upstream may be silent.
    pub(super) fn silence(&self) -> Duration {
        self.limits.silence
    }

    /// Something came from upstream.
    pub(super) fn heard(&mut self) {
        self.waiting = None;
    }

    /// Something goes to the client.
    pub(super) fn told(&mut self) {
        if self.limits.keep_alive.is_some() {
            self.told = Instant::now();
        }
    }

    /// Upstream has nothing: waits for what is due next. `may_tell` says whether a sign of life could be sent now.
    pub(super) fn poll(&mut self, may_tell: bool, context: &mut Context<'_>) -> Poll<Due> {
        let keep_alive = self.limits.keep_alive.filter(|_| may_tell);
        loop {
            let now = Instant::now();
            let given_up = *self.waiting.get_or_insert(now) + self.limits.silence;
            let due = keep_alive.map_or(given_up, |interval| given_up.min(self.told + interval));
            if now >= due {
                return Poll::Ready(if due == given_up { Due::Silence } else { Due::KeepAlive });
            }
            if self.timer.is_elapsed() || self.timer.deadline() > due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(context));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMITS: Limits =
        Limits { keep_alive: Some(Duration::from_millis(10)), silence: Duration::from_millis(25) };

    async fn due(quiet: &mut Quiet, may_tell: bool) -> Due {
        poll_fn(|context| quiet.poll(may_tell, context)).await
    }

    #[tokio::test]
    async fn signs_of_life_come_until_upstream_is_given_up() {
        let mut quiet = Quiet::new(LIMITS);
        let mut told = 0;
        while due(&mut quiet, true).await == Due::KeepAlive {
            told += 1;
            quiet.told();
        }
        assert!((1..=2).contains(&told), "{told}");
    }

    #[tokio::test]
    async fn nothing_is_told_where_nothing_may_be() {
        assert_eq!(due(&mut Quiet::new(LIMITS), false).await, Due::Silence);
        let off = Limits { keep_alive: None, ..LIMITS };
        assert_eq!(due(&mut Quiet::new(off), true).await, Due::Silence);
    }

    #[tokio::test]
    async fn the_time_in_which_nobody_waits_for_upstream_is_not_its_silence() {
        let mut quiet = Quiet::new(LIMITS);
        let start = Instant::now();
        // The client takes nothing: upstream is not polled.
        tokio::time::sleep(LIMITS.silence * 2).await;
        quiet.told();
        assert_eq!(due(&mut quiet, true).await, Due::KeepAlive);
        quiet.heard();
        assert_eq!(due(&mut quiet, false).await, Due::Silence);
        assert!(start.elapsed() >= LIMITS.silence * 3);
    }
}
