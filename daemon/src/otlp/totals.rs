//! The metrics of the conventions, added up since the start. Pure. A model stands by its family, so that no word of a client's
//! makes one more series.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric,
};

use super::convention::{
    ANTHROPIC, ERROR_TYPE, OPERATION, PROVIDER, REQUEST_MODEL, failure, operation, text,
};
use crate::telemetry::metrics::{Family, Story, Used};

/// As the conventions advise.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// What tells one series from another: operation, model's family, and what it is of (a failure, a kind of token).
type Of = (&'static str, &'static str, Option<String>);

/// All there was so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
    durations: BTreeMap<Of, Sums>,
    first_chunks: BTreeMap<Of, Sums>,
    tokens: BTreeMap<Of, Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    buckets: [u64; 15],
    count: u64,
    sum: f64,
}

impl Sums {
    fn add(&mut self, value: f64, bounds: &[f64; 14]) {
        if let Some(bucket) = self.buckets.get_mut(bounds.partition_point(|bound| value > *bound)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += value;
    }
}

impl Totals {
    /// Takes one more request into account; those that ask no model do not count.
    pub(super) fn add(&mut self, story: &Story) {
        let Some(operation) = operation(story.endpoint) else { return };
        let model = story.attempts.last().map_or(story.model.as_str(), |attempt| attempt.model.as_str());
        let family = Family::of(model).called();
        let of = |what: Option<String>| (operation, family, what);
        self.durations.entry(of(failure(story))).or_default().add(story.took.as_secs_f64(), &SECONDS);
        if let Some(first) = story.first_byte.filter(|_| story.streams) {
            self.first_chunks.entry(of(None)).or_default().add(first.as_secs_f64(), &SECONDS);
        }
        let Some(Used { input, cache_creation, cache_read, output }) = story.used else { return };
        let prompt = input.saturating_add(cache_creation).saturating_add(cache_read);
        for (kind, number) in [("input", prompt), ("output", output)] {
            #[expect(
                clippy::cast_precision_loss,
                reason = "no answer has so many tokens that it would be lost"
            )]
            self.tokens.entry(of(Some(kind.to_owned()))).or_default().add(number as f64, &TOKENS);
        }
    }

    /// As they are sent.
    pub(super) fn metrics(&self, started: u64, now: u64) -> Vec<Metric> {
        let told = |name: &str,
                    unit: &str,
                    description: &str,
                    third: &str,
                    all: &BTreeMap<Of, Sums>,
                    bounds: &[f64; 14]| {
            let points = all.iter().map(|((operation, family, what), sums)| HistogramDataPoint {
                attributes: attributes(operation, family, what.as_deref().map(|what| text(third, what))),
                start_time_unix_nano: started,
                time_unix_nano: now,
                count: sums.count,
                sum: Some(sums.sum),
                bucket_counts: sums.buckets.to_vec(),
                explicit_bounds: bounds.to_vec(),
                ..HistogramDataPoint::default()
            });
            let aggregation_temporality = AggregationTemporality::Cumulative.into();
            let data = Data::Histogram(Histogram { data_points: points.collect(), aggregation_temporality });
            Metric {
                name: name.to_owned(),
                description: description.to_owned(),
                unit: unit.to_owned(),
                data: Some(data),
                ..Metric::default()
            }
        };
        let all = [
            told(
                "gen_ai.client.operation.duration",
                "s",
                "GenAI operation duration.",
                ERROR_TYPE,
                &self.durations,
                &SECONDS,
            ),
            told(
                "gen_ai.client.operation.time_to_first_chunk",
                "s",
                "Time to receive the first chunk of a streamed answer.",
                "",
                &self.first_chunks,
                &SECONDS,
            ),
            told(
                "gen_ai.client.token.usage",
                "{token}",
                "Number of input and output tokens used.",
                "gen_ai.token.type",
                &self.tokens,
                &TOKENS,
            ),
        ];
        all.into_iter().filter(has_points).collect()
    }
}

fn has_points(metric: &Metric) -> bool {
    matches!(&metric.data, Some(Data::Histogram(histogram)) if !histogram.data_points.is_empty())
}

fn attributes(operation: &str, family: &str, third: Option<KeyValue>) -> Vec<KeyValue> {
    let all = [text(OPERATION, operation), text(PROVIDER, ANTHROPIC), text(REQUEST_MODEL, family)];
    all.into_iter().chain(third).collect()
}
