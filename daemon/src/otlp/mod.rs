//! Traces and metrics of requests, sent to a collector by OTLP over HTTP, with the names of OpenTelemetry's conventions for
//! generative AI. Only in a daemon that is built with the feature `otlp`.
//!
//! Nothing here slows a request: what is over is told through a bounded queue, and what does not fit is dropped and counted.
//! No prompt, answer, token, e-mail address or name that a person gave is in what is sent; models are, as clients call them,
//! in traces.

#[cfg(feature = "otlp")]
mod convention;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod spans;
#[cfg(feature = "otlp")]
mod totals;

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use url::Url;

#[cfg(feature = "otlp")]
pub use export::{Exporter, Exporting};

/// Where to, and how often.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without `/v1/traces`.
    pub endpoint: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub interval: Duration,
}
