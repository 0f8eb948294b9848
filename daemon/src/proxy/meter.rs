//! How many tokens an answer took, as upstream tells it: in a stream's first and last events, or in a whole answer's
//! `usage`. What was told counts, also where the answer was cut off, and it counts once.

use std::sync::Arc;

use super::progress::BYTES_PER_TOKEN;
use super::{Caller, Exchange, Inner, Observed};
use crate::keys::Permit;
use crate::pool::Lease;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Family, Used};
use crate::wire::messages::{Usage, usage_in};
use crate::wire::sse;

/// A whole answer is kept up to this to be read at its end; a longer one is not counted.
const MOST_KEPT: usize = 4 * 1024 * 1024;

/// Counts one answer's tokens.
#[derive(Debug)]
pub(super) struct Meter {
    metrics: Arc<Metrics>,
    observed: Observed,
    /// The model's.
    family: Family,
    /// Of the key that is charged with them.
    permit: Option<Arc<Permit>>,
    usage: Usage,
    /// A whole answer so far; `None` where there is none to keep.
    whole: Option<Vec<u8>>,
    is_settled: bool,
    /// How often upstream told: a stream's first event knows nothing of the answer's length, its last one does.
    told: u32,
    /// Bytes that went by.
    passed: u64,
}

impl Meter {
    /// Of a stream.
    pub(super) fn new(inner: &Inner, exchange: &Exchange, lease: Option<&Lease>) -> Self {
        let mut meter = Self::with(&inner.metrics, &exchange.caller, None);
        meter.family = Family::of(lease.map_or(exchange.model.as_str(), Lease::model));
        meter
    }

    fn with(metrics: &Arc<Metrics>, caller: &Caller, whole: Option<Vec<u8>>) -> Self {
        let (metrics, usage) = (Arc::clone(metrics), Usage::default());
        Self {
            metrics,
            observed: caller.observed.clone(),
            family: Family::Other,
            permit: caller.permit.clone(),
            usage,
            whole,
            is_settled: false,
            told: 0,
            passed: 0,
        }
    }

    /// Of an answer that does not stream.
    pub(super) fn of_whole(inner: &Inner, exchange: &Exchange, lease: Option<&Lease>) -> Self {
        let mut meter = Self::new(inner, exchange, lease);
        meter.whole = Some(Vec::new());
        meter
    }

    /// Takes the next bytes of a whole answer.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.passed(bytes.len());
        match &mut self.whole {
            Some(whole) if whole.len() + bytes.len() <= MOST_KEPT => whole.extend_from_slice(bytes),
            whole => *whole = None,
        }
    }

    /// Takes what one more event told.
    pub(super) fn tell(&mut self, usage: &Usage) {
        self.told += 1;
        self.usage.merge(usage);
        self.observed.tells(&self.usage);
    }

    /// Takes an event of a stream, as upstream sent it.
    pub(super) fn on_event(&mut self, event: &sse::Event) {
        self.passed(event.data.len());
        if matches!(&*event.event, "message_start" | "message_delta")
            && let Some(usage) = usage_in(event.data.as_bytes())
        {
            self.tell(&usage);
        }
    }

    /// So many bytes of a stream went by.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(bytes as u64);
        self.observed.streamed(self.passed);
    }

    /// The answer has ended, whichever way.
    pub(super) fn settle(&mut self) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        if let Some(usage) = self.whole.take().and_then(|whole| usage_in(&whole)) {
            self.tell(&usage);
            self.told += 1;
        }
        let usage = &self.usage;
        let used = Used {
            input: usage.input(),
            cache_creation: usage.cache_write(),
            cache_read: usage.cache_read(),
            output: usage.output(),
        };
        self.metrics.tokens(self.family, used);
        if self.told > 0 {
            self.observed.used(usage, used);
        }
        // What counts towards the limit of the caller's key: the prompt as far as it was not read from a cache, and the
        // answer. One that was given up before it was counted is charged by its length: hanging up is no way around a limit.
        let unfinished = if self.told < 2 { self.passed / BYTES_PER_TOKEN } else { 0 };
        let output = usage.output().max(unfinished);
        let charged = usage.input().saturating_add(usage.cache_write()).saturating_add(output);
        if let Some(permit) = &self.permit {
            permit.charge(charged);
        }
        tracing::debug!(tokens.charged = charged, "answered");
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{Format, Live};

    fn counted(work: impl FnOnce(&mut Meter)) -> Vec<String> {
        let metrics = Arc::new(Metrics::default());
        let mut meter = Meter::with(&metrics, &Caller::default(), Some(Vec::new()));
        work(&mut meter);
        drop(meter);
        let text = metrics.render(&Live::default(), Format::Prometheus);
        let lines = text.lines().filter_map(|line| line.strip_prefix("proxyd_tokens_total{kind="));
        let counted =
            lines.filter(|line| !line.ends_with(" 0")).map(|line| line.replace(",model=\"other\"", ""));
        counted.collect()
    }

    fn event(name: &str, data: &str) -> sse::Event {
        sse::Event { event: name.into(), data: data.to_owned() }
    }

    const START: &str = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":3,
        "cache_read_input_tokens":500,"output_tokens":1}}}"#;

    #[test]
    fn a_streams_counts_are_cumulative_and_the_last_ones_count_once() {
        let told = counted(|meter| {
            meter.on_event(&event("message_start", START));
            meter.on_event(&event("content_block_delta", r#"{"usage":{"input_tokens":9999}}"#));
            meter.on_event(&event(
                "message_delta",
                r#"{"type":"message_delta","usage":{"output_tokens":42}}"#,
            ));
            meter.settle();
            meter.settle();
        });
        assert_eq!(told, ["\"input\"} 10", "\"cache_creation\"} 3", "\"cache_read\"} 500", "\"output\"} 42"]);
    }

    #[test]
    fn what_a_stream_told_before_it_was_cut_counts() {
        let told = counted(|meter| meter.on_event(&event("message_start", START)));
        assert_eq!(told, ["\"input\"} 10", "\"cache_creation\"} 3", "\"cache_read\"} 500", "\"output\"} 1"]);
    }

    #[test]
    fn a_whole_answer_is_read_at_its_end_and_one_too_long_is_not() {
        let whole = |parts: &[&[u8]]| {
            counted(|meter| {
                for part in parts {
                    meter.keep(part);
                }
            })
        };
        let told = whole(&[br#"{"content":[],"usage":{"input_tok"#, br#"ens":7,"output_tokens":8}}"#]);
        assert_eq!(told, ["\"input\"} 7", "\"output\"} 8"]);
        assert!(whole(&[&vec![b' '; MOST_KEPT], br#"{"usage":{"input_tokens":7}}"#]).is_empty());
        assert!(whole(&[br#"{"usage":{"input_tokens":7}"#]).is_empty());
    }
}
