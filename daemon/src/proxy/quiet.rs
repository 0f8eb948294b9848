//! How long a stream's client was sent nothing, so that it is told in time that its stream lives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One stream's silence. Its timer is made when it is first silent, and set again only when it runs out: what flows costs
/// nothing.
#[derive(Debug)]
pub(super) struct Quiet {
    /// `None`: a sign of life is never due.
    interval: Option<Duration>,
    told: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Quiet {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        Self { interval, told: Instant::now(), timer: None }
    }

    /// Something goes to the client.
    pub(super) fn told(&mut self) {
        if self.interval.is_some() {
            self.told = Instant::now();
        }
    }

    /// Nothing is there to be sent: ready when a sign of life is due.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(interval) = self.interval else { return Poll::Pending };
        loop {
            let due = self.told + interval;
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(context));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn a_sign_of_life_is_due_an_interval_after_the_last_word() {
        let mut quiet = Quiet::new(Some(INTERVAL));
        for _ in 0..3 {
            quiet.told();
            let start = Instant::now();
            poll_fn(|context| quiet.poll(context)).await;
            assert!(start.elapsed() >= INTERVAL);
        }
    }

    #[tokio::test]
    async fn none_is_ever_due_where_they_are_switched_off() {
        let mut quiet = Quiet::new(None);
        let mut other = Quiet::new(Some(INTERVAL));
        tokio::select! {
            biased;
            () = poll_fn(|context| quiet.poll(context)) => panic!("it is switched off"),
            () = poll_fn(|context| other.poll(context)) => {}
        }
    }
}
