//! The data plane: accepts connections, refuses who does not belong, and turns requests into exchanges.
//! Handlers are thin; errors become responses in one place.

mod body;
mod error;
mod guard;
mod paths;
mod peer;
mod routes;
mod server;
mod upload;

use std::sync::Arc;

pub use server::{BindError, Server, Stop};

use crate::clock::Clock;
use crate::pool::Pool;
use crate::proxy::Proxy;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct State {
    pub proxy: Proxy,
    pub pool: Arc<Pool>,
    pub clock: Clock,
    pub tasks: Tasks,
    pub metrics: Arc<Metrics>,
}
