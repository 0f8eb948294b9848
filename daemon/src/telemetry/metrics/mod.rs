//! Everything that is counted and measured. [`table`] names it all; what is so at the moment of a scrape is in [`Live`].
//!
//! A label has few values, all of them ours: nothing that a client made up ever becomes one. Counting takes no lock that
//! requests share, and allocates nothing.

mod labels;
mod live;
mod numbers;
mod request;
mod story;
pub mod table;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

pub use labels::{
    AccountState, Awaited, Ending, Endpoint, Family, Outcome, Refresh, Refusal, Tokens, Trace, UpstreamError,
};
pub use live::{Account, Live, Window};
pub use request::{Attempt, Called, Connection, Request, Waiting};
pub use story::{Parent, Story, Try, Used};
pub use text::Format;

use crate::clock::{Clock, Timestamp};
use crate::wire::Dialect;
use labels::{DIALECTS, Label, STATUS_LABELS};
use numbers::{Counts, Histogram, zeros};
use text::Text;

/// In milliseconds: whole answers take from a moment to half an hour.
const DURATIONS: &[u64] = &[
    25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_800_000,
];
/// First bytes and heads come within minutes.
const FIRST_BYTES: &[u64] =
    &[25, 50, 100, 250, 500, 1000, 1500, 2500, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000];

/// Requests that wait to be exported; more are dropped.
const MOST_TO_EXPORT: usize = 4096;

/// A field's name by its dialect, and how often it was dropped.
type DroppedFields = BTreeMap<(&'static str, &'static str), AtomicU64>;

/// The numbers since the start.
#[derive(Debug)]
pub struct Metrics {
    clock: Clock,
    started: Timestamp,
    /// By endpoint, dialect, status and ending.
    requests: Box<[AtomicU64]>,
    durations: Vec<Histogram>,
    first_bytes: Vec<Histogram>,
    in_flight: AtomicU64,
    waiting: Counts<Awaited>,
    streams: AtomicU64,
    connections: AtomicU64,
    refusals: Counts<Refusal>,
    attempts: Counts<Outcome>,
    attempt_durations: Histogram,
    upstream_errors: Counts<UpstreamError>,
    /// By the model's family.
    tokens: Vec<Counts<Tokens>>,
    /// Written when a field is dropped for the first time.
    dropped_fields: RwLock<DroppedFields>,
    refreshes: Counts<Refresh>,
    save_failures: AtomicU64,
    traces: Counts<Trace>,
    exporter: OnceLock<SyncSender<Box<Story>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl Metrics {
    pub fn new(clock: Clock) -> Self {
        let requests = Endpoint::ALL.len() * DIALECTS.len() * STATUS_LABELS.len() * Ending::ALL.len();
        let by_endpoint = |bounds| Endpoint::ALL.iter().map(|_| Histogram::new(bounds)).collect();
        Self {
            started: clock.now(),
            clock,
            requests: zeros(requests),
            durations: by_endpoint(DURATIONS),
            first_bytes: by_endpoint(FIRST_BYTES),
            in_flight: AtomicU64::default(),
            waiting: Counts::default(),
            streams: AtomicU64::default(),
            connections: AtomicU64::default(),
            refusals: Counts::default(),
            attempts: Counts::default(),
            attempt_durations: Histogram::new(FIRST_BYTES),
            upstream_errors: Counts::default(),
            tokens: Family::ALL.iter().map(|_| Counts::default()).collect(),
            dropped_fields: RwLock::default(),
            refreshes: Counts::default(),
            save_failures: AtomicU64::default(),
            traces: Counts::default(),
            exporter: OnceLock::new(),
        }
    }

    /// Since when it counts.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// A request of `dialect` lost `field`, as its table names it.
    pub fn dropped_field(&self, dialect: &'static str, field: &'static str) {
        let known = self.dropped_fields.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.get(&(dialect, field)) {
            number.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(known);
        let mut fields = self.dropped_fields.write().unwrap_or_else(PoisonError::into_inner);
        fields.entry((dialect, field)).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// Upstream told what an answer of a model took.
    pub fn tokens(&self, family: Family, used: Used) {
        let Some(tokens) = self.tokens.get(family.place()) else { return };
        tokens.add(Tokens::Input, used.input);
        tokens.add(Tokens::CacheCreation, used.cache_creation);
        tokens.add(Tokens::CacheRead, used.cache_read);
        tokens.add(Tokens::Output, used.output);
    }

    /// A request was refused before upstream was asked.
    pub fn refused(&self, why: Refusal) {
        self.refusals.add(why, 1);
    }

    /// An answer is none, or did not come to its end. `code` is what clients are told; one that is not upstream's does not count.
    pub fn upstream_error(&self, code: &str) {
        if let Some(error) = UpstreamError::of_code(code) {
            self.upstream_errors.add(error, 1);
        }
    }

    /// A refresh ended.
    pub fn refresh(&self, result: Refresh) {
        self.refreshes.add(result, 1);
    }

    /// A new token could not be saved at once.
    pub fn save_failed(&self) {
        self.save_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is in line until what is returned is dropped.
    pub fn wait(&self, awaited: Awaited) -> Waiting<'_> {
        self.waiting.add(awaited, 1);
        Waiting { metrics: self, awaited }
    }

    /// Requests that are in line now.
    pub fn waiting(&self, awaited: Awaited) -> u64 {
        self.waiting.get(awaited)
    }

    /// Connections that are open now.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A connection is open until what is returned is dropped.
    pub fn connection(self: &Arc<Self>) -> Connection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connection(Arc::clone(self))
    }

    /// From now on each request is told when it is over. Asked a second time, nobody gets any: there is one exporter.
    pub fn exporter(&self) -> Receiver<Box<Story>> {
        let (sender, stories) = sync_channel(MOST_TO_EXPORT);
        let _only_one = self.exporter.set(sender);
        stories
    }

    /// So many requests that were to be exported had this result.
    pub fn traced(&self, result: Trace, number: usize) {
        self.traces.add(result, number as u64);
    }

    fn exports(&self) -> bool {
        self.exporter.get().is_some()
    }

    /// Never waits: what there is no room for is dropped.
    fn export(&self, story: Story) {
        let sent = self.exporter.get().map(|exporter| exporter.try_send(Box::new(story)));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.traces.add(Trace::Dropped, 1);
        }
    }

    fn request(&self, endpoint: Endpoint, dialect: Option<Dialect>, status: Option<u16>, ending: Ending) {
        let place = endpoint.place() * DIALECTS.len() + labels::dialect(dialect);
        let place =
            (place * STATUS_LABELS.len() + labels::status(status)) * Ending::ALL.len() + ending.place();
        if let Some(number) = self.requests.get(place) {
            number.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn duration(&self, endpoint: Endpoint, took: Duration) {
        if let Some(histogram) = self.durations.get(endpoint.place()) {
            histogram.observe(took);
        }
    }

    fn first_byte(&self, endpoint: Endpoint, took: Duration) {
        if let Some(histogram) = self.first_bytes.get(endpoint.place()) {
            histogram.observe(took);
        }
    }

    fn attempt(&self, outcome: Outcome, took: Duration) {
        self.attempts.add(outcome, 1);
        self.attempt_durations.observe(took);
    }

    /// All of them as text, with what is so now.
    pub fn render(&self, live: &Live, format: Format) -> String {
        let now = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let mut text = Text::new(format);
        text.all(&table::BUILD_INFO, [([env!("CARGO_PKG_VERSION")], 1)]);
        text.one(&table::START, self.started.as_duration().as_secs_f64());
        live.tell(&mut text);
        text.all(&table::REQUESTS, self.each_request());
        text.histograms(&table::DURATION, by_endpoint(&self.durations));
        text.histograms(&table::FIRST_BYTE, by_endpoint(&self.first_bytes));
        text.one(&table::IN_FLIGHT, now(&self.in_flight));
        text.all(&table::WAITING, one_by_one(&self.waiting));
        text.one(&table::STREAMS, now(&self.streams));
        text.one(&table::CONNECTIONS, now(&self.connections));
        text.all(&table::REFUSALS, one_by_one(&self.refusals));
        text.all(&table::ATTEMPTS, one_by_one(&self.attempts));
        text.histograms(&table::ATTEMPT_DURATION, [([], self.attempt_durations.observed())]);
        text.all(&table::UPSTREAM_ERRORS, one_by_one(&self.upstream_errors));
        let families = Family::ALL.iter().zip(&self.tokens);
        let tokens = families
            .flat_map(|(family, tokens)| tokens.each().map(|(kind, number)| ([kind, family.name()], number)));
        text.all(&table::TOKENS, tokens);
        let fields = self.dropped_fields.read().unwrap_or_else(PoisonError::into_inner);
        text.all(
            &table::DROPPED_FIELDS,
            fields.iter().map(|((dialect, field), number)| ([*dialect, *field], now(number))),
        );
        drop(fields);
        text.all(&table::REFRESHES, one_by_one(&self.refreshes));
        text.one(&table::SAVE_FAILURES, now(&self.save_failures));
        text.one(&table::LOG_LINES_DROPPED, super::dropped_lines());
        text.all(&table::TRACES, one_by_one(&self.traces));
        text.finish()
    }

    /// Those that were counted: most combinations never come.
    fn each_request(&self) -> impl Iterator<Item = ([&'static str; 4], u64)> {
        let labels = Endpoint::ALL.iter().flat_map(|endpoint| {
            DIALECTS.into_iter().flat_map(move |dialect| {
                STATUS_LABELS.iter().flat_map(move |status| {
                    Ending::ALL.iter().map(move |ending| [dialect, endpoint.name(), *status, ending.name()])
                })
            })
        });
        let numbers = self.requests.iter().map(|number| number.load(Ordering::Relaxed));
        labels.zip(numbers).filter(|(_, number)| *number > 0)
    }
}

fn one_by_one<L: Label>(counts: &Counts<L>) -> impl Iterator<Item = ([&'static str; 1], u64)> {
    counts.each().map(|(label, number)| ([label], number))
}

/// Those of the endpoints that were asked.
fn by_endpoint(histograms: &[Histogram]) -> impl Iterator<Item = ([&'static str; 1], numbers::Observed)> {
    let each = Endpoint::ALL.iter().zip(histograms);
    each.map(|(endpoint, histogram)| ([endpoint.name()], histogram.observed()))
        .filter(|(_, observed)| observed.count > 0)
}

#[cfg(test)]
mod tests;
