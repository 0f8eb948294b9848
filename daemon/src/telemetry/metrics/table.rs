//! Every metric that is served, once: its name, what its numbers mean, and its labels. The text that Prometheus reads,
//! `packaging/docs/metrics.md`, and the test of the dashboard and the alert rules all come from it.

use std::fmt::Write as _;

/// What a metric's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from zero at the start.
    Counter,
    /// It stands for what is now.
    Gauge,
    /// How often what was measured fell below each bound.
    Histogram,
}

/// A family of numbers, one for each combination of its labels' values.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// In the base units of Prometheus; its name ends with it.
    pub unit: Option<&'static str>,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: None, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: None, help, labels }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: Some("seconds"), help, labels }
}

const fn time(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Some("seconds"), help, labels }
}

macro_rules! metrics {
    ($($constant:ident = $metric:expr;)+) => {
        $(pub(super) const $constant: Metric = $metric;)+

        /// All of them, in the order in which they are served.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    BUILD_INFO = gauge("proxyd_build_info", &["version"], "Always 1; the labels say what runs.");
    START = time("process_start_time_seconds", &[], "When the process started, in seconds since 1970.");
    ACCOUNTS = gauge(
        "proxyd_accounts",
        &["state"],
        "Accounts by state: ready, partial (limited for some models only), cooling, needs_login, disabled, invalid.",
    );
    INVALID_FILES = gauge("proxyd_invalid_files", &[], "Files of the auth directory that cannot be used.");
    ACCOUNT_USABLE = gauge("proxyd_account_usable", &["account"], "Whether some request could be served by the account now: 1 or 0.");
    ACCOUNT_IN_FLIGHT = gauge("proxyd_account_requests_in_flight", &["account"], "Requests that use the account now.");
    ACCOUNT_ATTEMPTS = counter(
        "proxyd_account_attempts_total",
        &["account", "outcome"],
        "Calls by the account, over restarts: served, client_fault, limited, refused, failed.",
    );
    ACCOUNT_TOKEN_END = time(
        "proxyd_account_token_expires_timestamp_seconds",
        &["account"],
        "When the account's access token ends, in seconds since 1970.",
    );
    QUOTA_USED = Metric {
        name: "proxyd_quota_used_ratio",
        kind: Kind::Gauge,
        unit: Some("ratio"),
        help: "The used share of a quota window as upstream last told it, 0 to 1; of the buckets of an API key that of the fullest model.",
        labels: &["account", "window"],
    };
    QUOTA_RESET = time(
        "proxyd_quota_reset_timestamp_seconds",
        &["account", "window"],
        "When a quota window begins anew, in seconds since 1970.",
    );
    UNSAVED = gauge(
        "proxyd_unsaved_tokens",
        &[],
        "Accounts whose newest token is in memory only: it is lost with the process.",
    );
    REQUESTS = counter(
        "proxyd_requests_total",
        &["dialect", "endpoint", "status", "outcome"],
        "Requests that ended, by the status that went down (class where it is a rare one) and by whether the answer came to its end: \
         complete, broken_off, client_gone.",
    );
    DURATION = histogram(
        "proxyd_request_duration_seconds",
        &["endpoint"],
        "From a request's head to the last byte of its answer, or until its client left.",
    );
    FIRST_BYTE = histogram(
        "proxyd_time_to_first_byte_seconds",
        &["endpoint"],
        "From a request's head to the first byte of a model's answer (2xx), signs of life not counted.",
    );
    IN_FLIGHT = gauge("proxyd_requests_in_flight", &[], "Requests that are served now; those in line are not among them.");
    WAITING = gauge(
        "proxyd_requests_waiting",
        &["for"],
        "Requests in line: for a place (their key's limit, or room), or for an account that comes back from its limit.",
    );
    STREAMS = gauge("proxyd_streams_open", &[], "Answers that stream now.");
    CONNECTIONS = gauge("proxyd_connections_open", &[], "Connections of clients, those that read metrics among them.");
    REFUSALS = counter(
        "proxyd_refusals_total",
        &["reason"],
        "Requests that were refused before upstream was asked, by reason.",
    );
    ATTEMPTS = counter("proxyd_attempts_total", &["outcome"], "Calls upstream, by what their answers said.");
    ATTEMPT_DURATION = histogram("proxyd_attempt_duration_seconds", &[], "From a call upstream to its answer's head.");
    UPSTREAM_ERRORS = counter(
        "proxyd_upstream_errors_total",
        &["code"],
        "Calls upstream that had no answer, and answers that did not come to their end, by the code that clients are told.",
    );
    TOKENS = counter(
        "proxyd_tokens_total",
        &["kind", "model"],
        "Tokens of model traffic as upstream told them (input, cache_creation, cache_read, output), by the model's family.",
    );
    DROPPED_FIELDS = counter(
        "proxyd_dropped_fields_total",
        &["dialect", "field"],
        "Fields of translated requests that were not sent, by dialect and field; fields in no table are \"other\".",
    );
    REFRESHES = counter("proxyd_refreshes_total", &["result"], "Refreshes of tokens that ended, by result.");
    SAVE_FAILURES = counter(
        "proxyd_save_failures_total",
        &[],
        "New tokens that could not be saved at once and were kept in memory.",
    );
    LOG_LINES_DROPPED = counter(
        "proxyd_log_lines_dropped_total",
        &[],
        "Log lines that were given up since whoever takes them did not keep up.",
    );
    TRACES = counter(
        "proxyd_otlp_requests_total",
        &["result"],
        "Requests that were to be exported by OTLP: exported, dropped (too many at once), refused (the collector did not take them).",
    );
}

/// The page about them.
pub fn document() -> String {
    let mut page = String::from(
        "# Metrics\n\nWhat `GET /metrics` serves, in Prometheus' text format or, where it is asked for, as OpenMetrics. An account is named by its id, as \
         `proxyctl accounts list` shows it; no label holds an e-mail address, a name that a person gave, or a word of a client's.\n\n\
         | metric | kind | labels | |\n|---|---|---|---|\n",
    );
    for Metric { name, kind, help, labels, .. } in METRICS {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string cannot fail.
        let _written = writeln!(page, "| `{name}` | {} | {} | {help} |", kind.name(), labels.join(", "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_named_as_prometheus_wants_it() {
        for Metric { name, kind, unit, help, .. } in METRICS {
            assert!(name.starts_with("proxyd_") || *name == START.name, "{name}");
            assert!(!help.contains('\n') && !help.contains('|') && help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(unit.is_none_or(|unit| name.ends_with(unit)), "{name}");
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let names: std::collections::BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
    }
}
