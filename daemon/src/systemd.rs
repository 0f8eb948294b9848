//! What we tell the service manager (`sd_notify(3)`). Without one it is told to nobody, and that is no error.

use std::time::Duration;

use sd_notify::NotifyState;

/// Up and serving, with the state of the accounts in one line.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// No new work is accepted from here on.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is open")]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(error = %error, "the service manager was not told");
    }
}

/// The service manager's watchdog, where it has one: it ends a service that it has not heard of for some time.
#[derive(Debug)]
pub struct Watchdog {
    limit: Duration,
}

impl Watchdog {
    /// `None` where nobody watches this process (`WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub fn of_process() -> Option<Self> {
        sd_notify::watchdog_enabled().map(|limit| Self { limit })
    }

    /// Still alive.
    pub fn feed(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// Between two feedings: half the limit, as sd_watchdog_enabled(3) advises.
    pub fn pause(&self) -> Duration {
        self.limit / 2
    }
}
