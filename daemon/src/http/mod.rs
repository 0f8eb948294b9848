//! The data plane: accepts connections, refuses who does not belong, and turns requests into exchanges.
//! Handlers are thin; errors become responses in one place.

mod admission;
mod alone;
mod auth;
mod body;
mod connection;
mod cors;
mod doors;
mod error;
mod gatekeeper;
mod guard;
mod held;
mod limits;
mod line;
mod listener;
mod measured;
mod paths;
mod patient;
mod peer;
mod routes;
mod server;
mod serving;
mod throttle;
mod tls;
mod trust;
mod upload;

use std::sync::Arc;
use std::time::Duration;

pub use alone::METRICS_CONNECTIONS;
pub use auth::Auth;
pub use connection::Deadlines;
pub use limits::Limits;
pub use listener::{BindError, Listen};
pub use server::{Server, StartError, Stop};
pub use serving::{ListenError, Reconfigured, Serving};
pub use tls::{TlsError, TlsFiles};

use crate::clock::Clock;
use crate::keys::Keys;
use crate::pool::Pool;
use crate::proxy::Proxy;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// How HTTP is served, and to whom.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: Vec<Listen>,
    pub auth: Auth,
    /// Users, by name or number, whose programs need no key.
    pub users: Vec<String>,
    /// Groups whose members' programs need none.
    pub groups: Vec<String>,
    /// Names of this machine that requests may be for, beside the addresses.
    pub hosts: Vec<String>,
    /// Web pages that may call.
    pub origins: Vec<String>,
    /// Whether a request may bring a credential of the provider's of its own, to go upstream with.
    pub passthrough: bool,
    pub tls: Option<TlsFiles>,
    pub deadlines: Deadlines,
    pub limits: Limits,
    /// The grace period of the streams still open when the daemon stops.
    pub drain: Duration,
}

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct State {
    pub proxy: Proxy,
    pub pool: Arc<Pool>,
    pub keys: Keys,
    pub clock: Clock,
    pub tasks: Tasks,
    pub metrics: Arc<Metrics>,
}
