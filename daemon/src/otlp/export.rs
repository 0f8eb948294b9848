//! The task that takes what is over and sends it, a batch at a time. A collector that is gone or hangs costs what could not be
//! sent, is said once, and keeps nobody waiting: not a request, and the end of the daemon for a moment only.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use reqwest::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Config;
use super::convention::{resource, scope};
use super::spans::{self, Ids, nanos};
use super::totals::Totals;
use crate::claude::{Tls, TransportError, collector_client};
use crate::clock::Clock;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Story, Trace};

/// A collector that has not answered by then does not.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is sent last, when the daemon ends, may take this long.
const LAST: Duration = Duration::from_secs(3);
/// Requests whose spans are sent at once.
const BATCH: usize = 512;
/// Requests that are held while a collector answers; the queue before it holds as many more.
const MOST_HELD: usize = 4096;
/// How often the queue is emptied, at the latest.
const LOOK: Duration = Duration::from_secs(1);

/// Why a batch was not taken. Neither an address nor a header is in it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the collector cannot be reached")]
    Transport(#[source] reqwest::Error),
    #[error("the collector answered with status {0}")]
    Refused(StatusCode),
}

/// Sends what is measured; nothing is sent before it is started.
pub struct Exporter {
    collector: Collector,
    interval: Duration,
    stories: Receiver<Box<Story>>,
    pending: Vec<Story>,
    totals: Totals,
    /// It was said that the collector takes nothing.
    is_said: bool,
}

/// Where it goes, and from whom.
struct Collector {
    client: reqwest::Client,
    traces: Url,
    metrics_at: Url,
    headers: HeaderMap,
    clock: Clock,
    metrics: Arc<Metrics>,
    resource: Resource,
}

/// One that runs.
#[derive(Debug)]
pub struct Exporting {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Exporter {
    pub fn new(
        config: Config,
        tls: &Tls,
        metrics: &Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, TransportError> {
        let Config { endpoint, headers, interval } = config;
        let mut all: HeaderMap = headers.into_iter().collect();
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let collector = Collector {
            client: collector_client(tls, TIMEOUT)?,
            traces: below(&endpoint, "v1/traces"),
            metrics_at: below(&endpoint, "v1/metrics"),
            headers: all,
            clock,
            metrics: Arc::clone(metrics),
            resource: resource(&uuid::Uuid::now_v7().to_string()),
        };
        let (stories, pending, totals) = (metrics.exporter(), Vec::new(), Totals::default());
        Ok(Self { collector, interval, stories, pending, totals, is_said: false })
    }

    /// Sends from now on.
    pub fn start(self, tasks: &Tasks) -> Exporting {
        let stop = CancellationToken::new();
        let running = tasks.spawn(self.run(stop.clone()));
        Exporting { stop, running }
    }

    async fn run(mut self, stop: CancellationToken) {
        let look = self.interval.min(LOOK);
        let mut sent = Instant::now();
        loop {
            let is_last = tokio::select! {
                () = sleep(look) => false,
                () = stop.cancelled() => true,
            };
            self.take();
            if is_last || sent.elapsed() >= self.interval || self.pending.len() >= BATCH {
                sent = Instant::now();
                self.send().await;
            }
            if is_last {
                return;
            }
        }
    }

    /// Takes what came meanwhile, as far as there is room.
    fn take(&mut self) {
        while self.pending.len() < MOST_HELD
            && let Ok(story) = self.stories.try_recv()
        {
            self.totals.add(&story);
            self.pending.push(*story);
        }
    }

    /// Sends all there is. What is refused is not sent again: a later batch is worth more than this one twice.
    async fn send(&mut self) {
        let mut result = Ok(());
        while !self.pending.is_empty() {
            let batch: Vec<_> = self.pending.drain(..self.pending.len().min(BATCH)).collect();
            result = self.collector.send_spans(&batch).await;
            let outcome = if result.is_ok() { Trace::Exported } else { Trace::Refused };
            self.collector.metrics.traced(outcome, batch.len());
            if result.is_err() {
                self.collector.metrics.traced(Trace::Refused, self.pending.len());
                self.pending.clear();
            }
        }
        if result.is_ok() {
            result = self.collector.send_totals(&self.totals).await;
        }
        match result {
            Ok(()) if self.is_said => {
                tracing::info!("the collector takes telemetry again");
                self.is_said = false;
            }
            Ok(()) => {}
            Err(error) if self.is_said => tracing::debug!(error = %error, "telemetry was not sent"),
            Err(error) => {
                tracing::warn!(error = %error, "telemetry cannot be sent (otlp.endpoint): what comes is dropped until it can");
                self.is_said = true;
            }
        }
    }
}

impl Collector {
    async fn send_spans(&self, batch: &[Story]) -> Result<(), Failure> {
        let spans: Vec<_> = batch.iter().flat_map(|story| spans::of(story, &mut Random)).collect();
        if spans.is_empty() {
            return Ok(());
        }
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        self.post(&self.traces, &ExportTraceServiceRequest { resource_spans }).await
    }

    async fn send_totals(&self, totals: &Totals) -> Result<(), Failure> {
        let (started, now) = (self.metrics.started(), self.clock.now());
        let metrics = totals.metrics(nanos(started, Duration::ZERO), nanos(now, Duration::ZERO));
        if metrics.is_empty() {
            return Ok(());
        }
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics =
            vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        self.post(&self.metrics_at, &ExportMetricsServiceRequest { resource_metrics }).await
    }

    async fn post(&self, url: &Url, message: &impl Message) -> Result<(), Failure> {
        let request =
            self.client.post(url.clone()).headers(self.headers.clone()).body(message.encode_to_vec());
        let answer = request.send().await.map_err(|error| Failure::Transport(error.without_url()))?;
        if answer.status().is_success() { Ok(()) } else { Err(Failure::Refused(answer.status())) }
    }
}

impl Exporting {
    /// Sends what is left, if the collector takes it at once.
    pub async fn finish(self) {
        let Self { stop, mut running } = self;
        stop.cancel();
        if timeout(LAST, &mut running).await.is_err() {
            tracing::warn!("the collector does not answer: the last telemetry is lost");
            running.abort();
            let _ended = running.await;
        }
    }
}

/// Says nothing of what it sends, nor by which headers.
impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("interval", &self.interval).finish_non_exhaustive()
    }
}

fn below(endpoint: &Url, path: &str) -> Url {
    let mut url = endpoint.clone();
    url.set_path(&format!("{}/{path}", endpoint.path().trim_end_matches('/')));
    url
}

/// Drawn by the kernel. An id that is all zeros is none (W3C Trace Context); one is drawn about never.
struct Random;

impl Ids for Random {
    fn trace(&mut self) -> [u8; 16] {
        drawn()
    }

    fn span(&mut self) -> [u8; 8] {
        drawn()
    }
}

fn drawn<const N: usize>() -> [u8; N] {
    let mut id = [1; N];
    // Without randomness traces run together, and nothing else breaks.
    let _drawn = getrandom::fill(&mut id);
    id
}
