//! What a collector is sent: decoded by a stand-in on loopback. With the feature `otlp` only.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Said;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use proxy_tests::client::Reading;
use proxy_tests::daemon::{Setup, TestDaemon, message, put};
use proxy_tests::fake_claude::{FakeClaude, Script};
use proxy_tests::wait::{DEADLINE, within};
use proxyd::tasks::Tasks;
use serde_json::json;

const MESSAGES: &str = "/v1/messages";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Takes what it is sent, or answers nothing.
#[derive(Clone)]
struct Collector {
    url: String,
    taken: Arc<Mutex<Taken>>,
    tasks: Tasks,
}

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    /// The newest.
    metrics: Vec<Metric>,
    headers: Vec<HeaderMap>,
    bytes: Vec<u8>,
    hangs: bool,
    refuses: bool,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/prefix", listener.local_addr().unwrap());
        let collector = Self { url, taken: Arc::default(), tasks: Tasks::new() };
        let router = Router::new()
            .route("/prefix/v1/traces", post(traces))
            .route("/prefix/v1/metrics", post(metrics))
            .with_state(collector.clone());
        collector.tasks.spawn(async move { axum::serve(listener, router).await });
        collector
    }

    fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap().spans.clone()
    }

    fn points(&self, name: &str) -> Vec<HistogramDataPoint> {
        let taken = self.taken.lock().unwrap();
        let metric = taken.metrics.iter().find(|metric| metric.name == name);
        match metric.and_then(|metric| metric.data.clone()) {
            Some(Data::Histogram(histogram)) => histogram.data_points,
            _ => Vec::new(),
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        within(what, async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    async fn take(&self, headers: HeaderMap, body: &Bytes) -> StatusCode {
        let (hangs, refuses) = {
            let mut taken = self.taken.lock().unwrap();
            taken.headers.push(headers);
            taken.bytes.extend_from_slice(body);
            (taken.hangs, taken.refuses)
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        if refuses { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }
}

async fn traces(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = collector.take(headers, &body).await;
    let sent = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = sent.resource_spans.into_iter().flat_map(|of| of.scope_spans);
    if status == StatusCode::OK {
        collector.taken.lock().unwrap().spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    status
}

async fn metrics(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = collector.take(headers, &body).await;
    let sent = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = sent.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
    if status == StatusCode::OK {
        collector.taken.lock().unwrap().metrics = scopes.flat_map(|scope| scope.metrics).collect();
    }
    status
}

fn said(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match attribute.value.clone()?.value? {
        Said::StringValue(text) => text,
        Said::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

fn exporting(collector: &Collector, interval: &str) -> Setup {
    let settings = [("PROXYD_OTLP__ENDPOINT", collector.url.as_str()), ("PROXYD_OTLP__INTERVAL", interval)];
    let pool = [("PROXYD_POOL__STRATEGY", "weighted"), ("PROXYD_POOL__AFFINITY", "false")];
    Setup {
        settings: settings.into_iter().chain(pool).map(|(name, value)| (name, value.to_owned())).collect(),
        ..Setup::default()
    }
}

async fn daemon(fake: &FakeClaude, setup: Setup, accounts: usize) -> TestDaemon {
    TestDaemon::with(fake, setup, |dir| {
        for n in 0..accounts {
            let issued =
                fake.issue_account_in(&format!("person{n}@example.com"), &format!("Organization {n}"));
            put(dir, &format!("claude-{n}.json"), &issued.auth_file());
        }
    })
    .await
}

#[tokio::test]
async fn a_request_is_a_trace_and_its_tokens_and_times_are_metrics() {
    let (fake, collector) = (FakeClaude::start().await, Collector::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), b"# for the collector\nx-collector-key: FAKE-SECRET\n")
        .unwrap();
    let mut setup = exporting(&collector, "20ms");
    setup.settings.push(("PROXYD_OTLP__HEADERS_FILE", file.path().display().to_string()));
    let daemon = daemon(&fake, setup, 2).await;
    fake.on(MESSAGES).once(Script::rate_limited(3600));
    let mut body = message("what nobody is to be told");
    body["stream"] = json!(true);
    let headers =
        [("content-type", "application/json"), ("anthropic-version", "2023-06-01"), ("traceparent", PARENT)];
    let answer = daemon.send(Method::POST, MESSAGES, &headers, body.to_string()).await;
    Reading::new(answer).finish().await.unwrap();
    collector.until("three spans", |collector| collector.spans().len() == 3).await;
    let spans = collector.spans();
    let server = spans.iter().find(|span| span.name == "POST /v1/messages").unwrap();
    assert_eq!((server.kind, server.trace_id[0], server.parent_span_id[0]), (2, 0x0a, 0xb7));
    assert_eq!(said(&server.attributes, "gen_ai.request.model").as_deref(), Some("claude-sonnet-4-5"));
    assert_eq!(said(&server.attributes, "http.response.status_code").as_deref(), Some("200"));
    let calls: Vec<_> = spans.iter().filter(|span| span.name == "chat claude-sonnet-4-5").collect();
    assert_eq!(calls.len(), 2);
    let fake_port = fake.address().port().to_string();
    for call in &calls {
        assert_eq!((call.kind, &call.parent_span_id, &call.trace_id), (3, &server.span_id, &server.trace_id));
        assert_eq!(said(&call.attributes, "server.address").as_deref(), Some("127.0.0.1"));
        assert_eq!(said(&call.attributes, "server.port"), Some(fake_port.clone()));
        assert!(said(&call.attributes, "proxyd.account.id").is_some());
    }
    let of = |status: &str| {
        let is_it =
            |call: &&&Span| said(&call.attributes, "http.response.status_code").as_deref() == Some(status);
        calls.iter().find(is_it).copied().unwrap()
    };
    assert_eq!(said(&of("429").attributes, "error.type").as_deref(), Some("429"));
    let output = said(&of("200").attributes, "gen_ai.usage.output_tokens").unwrap();
    assert!(output.parse::<u64>().unwrap() > 0);
    collector
        .until("metrics", |collector| !collector.points("gen_ai.client.operation.duration").is_empty())
        .await;
    let tokens = collector.points("gen_ai.client.token.usage");
    let kinds: Vec<_> =
        tokens.iter().map(|point| said(&point.attributes, "gen_ai.token.type").unwrap()).collect();
    assert_eq!(kinds, ["input", "output"]);
    assert_eq!(tokens[1].sum.map(|sum| sum.to_string()), Some(output));
    for name in ["gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk"] {
        let points = collector.points(name);
        assert_eq!(
            (points.len(), points[0].count, points[0].bucket_counts.iter().sum::<u64>()),
            (1, 1, 1),
            "{name}"
        );
        assert_eq!(said(&points[0].attributes, "gen_ai.request.model").as_deref(), Some("sonnet"));
    }
    daemon.stop().await;
    let taken = collector.taken.lock().unwrap();
    assert!(taken.headers.iter().all(|headers| headers.get("x-collector-key").unwrap() == "FAKE-SECRET"));
    assert!(
        taken.headers.iter().all(|headers| headers.get("content-type").unwrap() == "application/x-protobuf")
    );
    let text = String::from_utf8_lossy(&taken.bytes);
    for secret in ["nobody is to be told", "example.com", "sk-ant", "FAKE-SECRET", "Organization"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_collector_that_hangs_slows_no_request_and_holds_up_no_stop() {
    let (fake, collector) = (FakeClaude::start().await, Collector::start().await);
    collector.taken.lock().unwrap().hangs = true;
    let daemon = daemon(&fake, exporting(&collector, "10ms"), 1).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let is_asked = |collector: &Collector| !collector.taken.lock().unwrap().headers.is_empty();
    collector.until("the collector hangs", is_asked).await;
    for _ in 0..20 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    assert!(collector.spans().is_empty());
    // Waits for the end, which does not wait for the collector.
    let began = std::time::Instant::now();
    daemon.stop().await;
    assert!(began.elapsed() < DEADLINE / 2);
}

#[tokio::test]
async fn what_is_left_is_sent_before_the_end_and_what_is_refused_is_counted() {
    let (fake, collector) = (FakeClaude::start().await, Collector::start().await);
    let daemon = daemon(&fake, exporting(&collector, "1h"), 1).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    daemon.stop().await;
    assert_eq!(collector.spans().len(), 2);

    collector.taken.lock().unwrap().refuses = true;
    let daemon = self::daemon(&fake, exporting(&collector, "10ms"), 1).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    within("it is counted", async {
        while !daemon
            .get("/metrics")
            .await
            .text()
            .await
            .unwrap()
            .contains("proxyd_otlp_requests_total{result=\"refused\"} 1\n")
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
