//! Everything Claude: the OAuth endpoints, model traffic, and what upstream's answers mean. The only module
//! that talks to the outside. Requests go as what they are: nothing here imitates another client.

mod answer;
pub mod api;
mod body;
mod chunks;
mod classify;
mod client;
mod connect;
mod driven;
mod exceptions;
mod idle;
mod merged;
pub mod oauth;
mod own;
mod ratelimit;
mod reach;
mod reads_on;
pub mod refusal;
mod transport;
mod usage;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::address::ProxyUrl;
pub use answer::{BodyError, UpstreamBody};
pub use api::Api;
pub use body::{CallBody, Upload, UploadBody};
pub use classify::{Outcome, Verdict, classify};
pub use driven::CallError;
pub use exceptions::Exceptions;
pub use oauth::OAuthClient;
pub use own::OwnCredential;
pub use ratelimit::readings;
pub use reach::{Answered, Miss, Unanswered, hosts};
#[cfg(feature = "otlp")]
pub use transport::collector_client;
pub use transport::{Tls, TransportError};
pub use usage::{UsageError, UsageWindow};
pub use ways::{Closed, Way};

/// How we name ourselves upstream, where no client's own name is to be passed on.
pub const USER_AGENT: &str = concat!("proxyd/", env!("CARGO_PKG_VERSION"));

/// Where Claude is and how to reach it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Model traffic; no path, no trailing slash.
    pub api_base_url: Url,
    pub oauth: oauth::Config,
    pub transport: TransportConfig,
}

/// The way to the outside.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// An http, https, socks5 or socks5h proxy for all traffic.
    pub proxy_url: Option<ProxyUrl>,
    /// Set where that is the environment's proxy, which is not for everything.
    pub exceptions: Option<Exceptions>,
    /// A PEM file of roots trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    pub timeouts: Timeouts,
}

/// How long upstream may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For the making of a connection: through the proxy, and TLS, too.
    pub connect: Duration,
    /// From a call to its answer's head. An upload may take longer for as long as it goes on.
    pub head: Duration,
    /// An answer's body of which nothing came for this long is given up.
    pub silence: Duration,
}
