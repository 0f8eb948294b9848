//! What we tell the service manager (`sd_notify(3)`). Without one it is told to nobody, and that is no error.

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
