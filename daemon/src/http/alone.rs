//! How metrics are served where they are served alone (`metrics.listen`): to whoever reaches them, by few connections, and with
//! the rules against browsers that hold everywhere.

use std::net::SocketAddr;
use std::time::Duration;

use super::Config;
use super::auth::Auth;
use super::connection::Deadlines;
use super::limits::Limits;
use super::listener::Listen;

/// Connections of all that read them.
pub const METRICS_CONNECTIONS: usize = 32;

/// Small and short: a scrape is one request in a while, and whoever may not is refused like everywhere.
pub(super) fn config(listen: &[SocketAddr], hosts: &[String]) -> Config {
    let seconds = Duration::from_secs;
    Config {
        listen: listen.iter().copied().map(Listen::Tcp).collect(),
        auth: Auth::Nobody,
        users: Vec::new(),
        groups: Vec::new(),
        hosts: hosts.to_owned(),
        origins: Vec::new(),
        passthrough: false,
        tls: None,
        deadlines: Deadlines {
            first_byte: seconds(10),
            head: seconds(10),
            body: seconds(10),
            // Between two scrapes.
            idle: seconds(150),
            send: seconds(10),
        },
        limits: Limits { connections: METRICS_CONNECTIONS, requests: 1, waiting: 0, body_mib: 1 },
        drain: seconds(1),
    }
}
