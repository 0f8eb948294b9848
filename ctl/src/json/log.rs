//! What `logs` and `log-level` print.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proxy_proto::v1;
use proxy_proto::v1::watch_logs_response::What;
use serde::Serialize;

use super::text;
use crate::clock;

/// `logs`: one line of the daemon's log, one line each.
#[derive(Debug, Serialize)]
pub struct LogLine {
    pub at: Option<Timestamp>,
    /// `error`, `warn`, `info`, `debug` or `trace`; null where lines were missed.
    pub level: Option<&'static str>,
    pub message: String,
    /// The module of the daemon that wrote it.
    pub target: Option<String>,
    /// By names such as `request.id`, `account.id` and `status`; every value is text.
    pub fields: BTreeMap<String, String>,
    /// So many lines, of whatever kind, were lost here because they were read too slowly; null where this is a line.
    pub missed: Option<u64>,
}

/// `log-level`: how much is logged.
#[derive(Debug, Serialize)]
pub struct LogLevelShown {
    /// `error`, `warn`, `info`, `debug` or `trace`; null where nothing is.
    pub level: Option<&'static str>,
}

/// `log-level LEVEL`: holds until the next start or a reload with another log.level.
#[derive(Debug, Serialize)]
pub struct LogLevelSet {
    /// The one from now on.
    pub level: Option<&'static str>,
    /// The one until now.
    pub before: Option<&'static str>,
}

impl From<v1::WatchLogsResponse> for LogLine {
    fn from(told: v1::WatchLogsResponse) -> Self {
        match told.what {
            Some(What::Missed(missed)) => Self { missed: Some(missed), ..Self::from(v1::LogLine::default()) },
            Some(What::Line(line)) => line.into(),
            None => v1::LogLine::default().into(),
        }
    }
}

impl From<v1::LogLine> for LogLine {
    fn from(line: v1::LogLine) -> Self {
        Self {
            at: line.at.and_then(clock::from_proto),
            level: word(line.level),
            message: line.message,
            target: text(line.target),
            fields: line.fields.into_iter().collect(),
            missed: None,
        }
    }
}

impl From<v1::GetLogLevelResponse> for LogLevelShown {
    fn from(reply: v1::GetLogLevelResponse) -> Self {
        Self { level: word(reply.level) }
    }
}

impl LogLevelSet {
    pub(crate) fn new(now: v1::LogLevel, reply: v1::SetLogLevelResponse) -> Self {
        Self { level: word(now.into()), before: word(reply.before) }
    }
}

fn word(level: i32) -> Option<&'static str> {
    let word = match v1::LogLevel::try_from(level) {
        Ok(v1::LogLevel::Unspecified) => return None,
        Ok(v1::LogLevel::Error) => "error",
        Ok(v1::LogLevel::Warn) => "warn",
        Ok(v1::LogLevel::Info) => "info",
        Ok(v1::LogLevel::Debug) => "debug",
        Ok(v1::LogLevel::Trace) => "trace",
        Err(_) => "unknown",
    };
    Some(word)
}
