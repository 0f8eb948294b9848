//! `proxyctl logs` and `proxyctl log-level`: what they take.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::request_id;

#[derive(Debug, Args)]
pub struct Logs {
    /// Go on with what is logged from now on, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// So many of the lines that the daemon holds and that fit, the newest
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    pub lines: u32,
    /// Only lines about this account: its id, label, e-mail address or file, or the unique beginning of one of the first
    /// three
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), add = crate::complete::accounts())]
    pub account: Option<String>,
    /// Only lines about this request: the header x-proxyd-request-id of its answer
    #[arg(long, value_name = "REQUEST_ID", value_parser = request_id)]
    pub request: Option<String>,
    /// Only lines that matter as much as this
    #[arg(long)]
    pub level: Option<Level>,
}

/// How much a line matters; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
