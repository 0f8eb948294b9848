//! How much is served at once: what the configuration says, and no more than there are descriptors for. What refreshing,
//! saving and the control plane need is set aside first. Pure.

/// As configured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of clients.
    pub connections: usize,
    /// Requests that are served at once.
    pub requests: usize,
    /// Requests that wait for their turn to be.
    pub waiting: usize,
    /// Memory that the bodies of requests may take together, in MiB.
    pub body_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 20_000, requests: 12_000, waiting: 1000, body_mib: 256 }
    }
}

/// Descriptors that are never a client's: standard streams, the runtime, sockets that listen, the control plane's connections,
/// the directory's lock and watch, what is read and written of tokens, and the calls for them.
const RESERVED: usize = 48;
/// Below this nothing is left to set aside.
const FEWEST: usize = 4;

impl Limits {
    /// That memory, in KiB.
    #[must_use]
    pub fn body_kib(self) -> u32 {
        self.body_mib.saturating_mul(1024)
    }

    /// Held to what `descriptors` (the limit of open files) allow. A request that is served may hold three: its client's, the one
    /// upstream, and for a moment one of the resolver or of a connection that was kept for the next request.
    #[must_use]
    pub fn within(self, descriptors: usize) -> Self {
        // The control plane may take 64 more, where there are that many.
        let ours = RESERVED + (descriptors / 16).min(64);
        let free = descriptors.saturating_sub(ours).max(3 * FEWEST);
        let requests = self.requests.min(free / 4).max(1);
        let connections = self.connections.min(free - 2 * requests).max(requests);
        // Who waits in line holds a connection, and some are left to who asks only how the daemon is.
        let waiting = self.waiting.min((connections - requests) / 2);
        Self { connections, requests, waiting, body_mib: self.body_mib }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_descriptors_change_nothing() {
        let Limits { connections, requests, .. } = Limits::default().within(65_536);
        assert_eq!((connections, requests), (20_000, 12_000));
    }

    #[test]
    fn with_few_descriptors_both_kinds_of_connections_and_the_reserve_fit() {
        for descriptors in [96, 128, 256, 1024, 4096, 20_000, 40_000] {
            let Limits { connections, requests, .. } = Limits::default().within(descriptors);
            assert!(connections >= requests && requests >= 1, "{descriptors}");
            assert!(
                connections + 2 * requests + RESERVED <= descriptors,
                "{descriptors}: {connections} {requests}"
            );
        }
    }

    #[test]
    fn what_was_configured_is_never_exceeded() {
        let few = Limits { connections: 7, requests: 3, waiting: 0, body_mib: 64 };
        let Limits { connections, requests, .. } = few.within(1_000_000);
        assert_eq!((connections, requests), (7, 3));
    }
}
