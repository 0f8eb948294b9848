//! Every metric, in one table, and how they are told: in Prometheus' text format.
//!
//! A label has few values, all of them ours: nothing that a client made up ever becomes one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// The format of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It only grows, from zero at the start.
    Counter,
    /// It stands for what is now.
    Gauge,
}

/// A family of numbers, one for each combination of its labels' values.
#[derive(Debug)]
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
}

const BUILD_INFO: usize = 0;
const DROPPED_FIELDS: usize = 1;
const TOKENS: usize = 2;

/// Places are named by the constants above.
const FAMILIES: [Family; 3] = [
    Family {
        name: "proxyd_build_info",
        kind: Kind::Gauge,
        help: "Always 1; the labels say what runs.",
        labels: &["version"],
    },
    Family {
        name: "proxyd_dropped_fields_total",
        kind: Kind::Counter,
        help: "Fields of translated requests that were not sent, by dialect and field; fields in no table are \"other\".",
        labels: &["dialect", "field"],
    },
    Family {
        name: "proxyd_tokens_total",
        kind: Kind::Counter,
        help: "Tokens of model traffic as upstream told them: input, cache_creation, cache_read, output.",
        labels: &["kind"],
    },
];

/// A family's numbers by the values of its labels.
type Numbers = BTreeMap<Vec<&'static str>, u64>;

/// The numbers since the start.
#[derive(Debug)]
pub struct Metrics {
    families: Mutex<[Numbers; FAMILIES.len()]>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self { families: Mutex::default() };
        metrics.add(BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1);
        metrics
    }
}

impl Metrics {
    /// A request of `dialect` lost `field`, as its table names it.
    pub fn dropped_field(&self, dialect: &'static str, field: &'static str) {
        self.add(DROPPED_FIELDS, &[dialect, field], 1);
    }

    /// Upstream told of so many tokens of a kind.
    pub fn tokens(&self, kind: &'static str, number: u64) {
        if number > 0 {
            self.add(TOKENS, &[kind], number);
        }
    }

    fn add(&self, family: usize, labels: &[&'static str], more: u64) {
        // Numbers are whole whatever else broke.
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(numbers) = families.get_mut(family) {
            let number = numbers.entry(labels.to_vec()).or_default();
            *number = number.saturating_add(more);
        }
    }

    /// All of them as text.
    pub fn render(&self) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        for (family, numbers) in FAMILIES.iter().zip(families) {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            // Writing to a string cannot fail.
            let _written = write!(text, "# HELP {0} {1}\n# TYPE {0} {kind}\n", family.name, family.help);
            for (values, number) in numbers {
                let labels: Vec<_> = family
                    .labels
                    .iter()
                    .zip(values)
                    .map(|(label, value)| format!("{label}=\"{value}\""))
                    .collect();
                let _written = writeln!(text, "{}{{{}}} {number}", family.name, labels.join(","));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_under_its_help_and_type() {
        let metrics = Metrics::default();
        metrics.dropped_field("chat", "seed");
        metrics.dropped_field("chat", "seed");
        metrics.dropped_field("responses", "tools[].defer_loading");
        metrics.tokens("input", 5);
        metrics.tokens("input", 7);
        metrics.tokens("output", 0);
        let expected = format!(
            "# HELP proxyd_build_info Always 1; the labels say what runs.\n\
             # TYPE proxyd_build_info gauge\n\
             proxyd_build_info{{version=\"{}\"}} 1\n\
             # HELP proxyd_dropped_fields_total Fields of translated requests that were not sent, by dialect and field; \
             fields in no table are \"other\".\n\
             # TYPE proxyd_dropped_fields_total counter\n\
             proxyd_dropped_fields_total{{dialect=\"chat\",field=\"seed\"}} 2\n\
             proxyd_dropped_fields_total{{dialect=\"responses\",field=\"tools[].defer_loading\"}} 1\n\
             # HELP proxyd_tokens_total Tokens of model traffic as upstream told them: input, cache_creation, cache_read, output.\n\
             # TYPE proxyd_tokens_total counter\n\
             proxyd_tokens_total{{kind=\"input\"}} 12\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(metrics.render(), expected);
    }

    #[test]
    fn every_family_is_named_as_prometheus_wants_it() {
        for family in FAMILIES {
            assert!(family.name.starts_with("proxyd_") && !family.help.contains('\n'), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
        }
    }
}
