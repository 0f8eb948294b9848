//! The signals that end a command early. Caught, so that the daemon can be told before the program ends.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// Ctrl-C, a request to terminate, and a terminal that was closed.
#[derive(Debug)]
pub(crate) struct Interrupt {
    signals: [Signal; 3],
}

impl Interrupt {
    pub(crate) fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|source| Error::Signals { source });
        Ok(Self {
            signals: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
        })
    }

    /// Waits for the first of them.
    pub(crate) async fn caught(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
