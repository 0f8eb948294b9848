//! What we tell the service manager (`sd_notify(3)`), and what it hands to us (`sd_listen_fds(3)`). Without one nothing is
//! told or taken, and that is no error.

mod manager;
mod sockets;

use std::time::Duration;

use sd_notify::NotifyState;

pub use manager::{is_heard, open};
pub use sockets::{Announced, Given, GivenError, GivenHttp, GivenUnix};

/// Up and serving, with the state of the accounts in one line. Also ends what [`reloading`] began.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The state of the accounts in one line, as it is now.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The configuration is being read anew; [`ready`] says when that is over.
pub fn reloading() {
    // systemd 253 and later tell by the time which of several reloads this is.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(error = %error, "the service manager was not told of a reload"),
    }
}

/// No new work is accepted from here on.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is open")]);
}

fn tell(state: &[NotifyState<'_>]) {
    let lines = state.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
    if let Err(error) = manager::send(&lines) {
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
