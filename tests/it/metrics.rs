//! What `/metrics` says after traffic that is known, and who may read it where it is served alone.

use std::time::Duration;

use http::{Method, StatusCode};
use proxy_tests::client::{Raw, Reading, raw};
use proxy_tests::daemon::{Setup, TestDaemon, message, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, Step, TOKEN_PATH, system_now, text_events};
use proxy_tests::wait::within;
use proxyd::clock::ManualClock;
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const JSON: (&str, &str) = ("content-type", "application/json");

/// The number of a sample, 0 where it is not told.
fn number(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |number| number.parse().unwrap())
}

/// Waits until each sample has its number: a request counts once all have let go of it.
async fn until(daemon: &TestDaemon, expected: &[(&str, f64)]) {
    let mut last = String::new();
    let waiting = async {
        loop {
            last = daemon.get("/metrics").await.text().await.unwrap();
            #[expect(clippy::float_cmp, reason = "whole numbers")]
            if expected.iter().all(|(sample, expected)| number(&last, sample) == *expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let is_so = tokio::time::timeout(proxy_tests::wait::DEADLINE, waiting).await.is_ok();
    assert!(is_so, "{expected:#?} in {last}");
}

fn requests(dialect: &str, endpoint: &str, status: &str, outcome: &str) -> String {
    format!(
        "proxyd_requests_total{{dialect=\"{dialect}\",endpoint=\"{endpoint}\",status=\"{status}\",outcome=\"{outcome}\"}}"
    )
}

fn streaming(model: &str) -> Value {
    let mut body = message("hello");
    body["stream"] = json!(true);
    body["model"] = json!(model);
    body
}

#[tokio::test]
async fn answered_failed_over_streamed_and_refused_requests_are_counted_as_what_they_are() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    assert!(daemon.ask("hello").await.text().await.is_ok());
    // One account is limited, the other one answers.
    fake.on(MESSAGES).once(Script::rate_limited(3600));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    Reading::new(daemon.post(MESSAGES, &streaming("claude-opus-5")).await).finish().await.unwrap();
    Reading::new(daemon.post(CHAT, &streaming("claude-haiku-5-5")).await).finish().await.unwrap();
    // Upstream cuts one, which the client is told.
    fake.on(MESSAGES)
        .once(Script::stream(text_events("claude-opus-5", &["half"]).into_iter().take(3).chain([Step::Cut])));
    let cut = Reading::new(daemon.post(MESSAGES, &streaming("claude-opus-5")).await).text().await;
    assert!(cut.contains("event: error"), "{cut}");
    // Two are nobody's.
    let page = daemon.send(Method::POST, MESSAGES, &[JSON, ("origin", "https://evil.example")], "{}").await;
    assert_eq!(page.status(), 403);
    assert_eq!(
        daemon.send(Method::POST, MESSAGES, &[("content-type", "text/plain")], "hello").await.status(),
        415
    );
    assert_eq!(
        raw(daemon.address(), b"GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
            .await
            .status,
        421
    );
    assert_eq!(daemon.send(Method::HEAD, "/", &[("host", "evil.example")], "").await.status(), 421);
    assert_eq!(daemon.get("/v1/made-up-by-a-client").await.status(), 404);

    let ids: Vec<_> = daemon.list().await.accounts.into_iter().map(|account| account.id).collect();
    let limited =
        |id: &String| format!("proxyd_account_attempts_total{{account=\"{id}\",outcome=\"limited\"}}");
    let text = daemon.get("/metrics").await.text().await.unwrap();
    let sum: f64 = ids.iter().map(|id| number(&text, &limited(id))).sum();
    assert!((sum - 1.0).abs() < f64::EPSILON, "{text}");
    until(
        &daemon,
        &[
            (&requests("messages", "messages", "200", "complete"), 3.0),
            (&requests("messages", "messages", "200", "broken_off"), 1.0),
            (&requests("chat", "chat_completions", "200", "complete"), 1.0),
            (&requests("messages", "messages", "403", "complete"), 1.0),
            (&requests("messages", "messages", "415", "complete"), 1.0),
            (&requests("none", "status", "421", "complete"), 2.0),
            (&requests("none", "other", "404", "complete"), 1.0),
            ("proxyd_attempts_total{outcome=\"answered\"}", 5.0),
            ("proxyd_attempts_total{outcome=\"rate_limited\"}", 1.0),
            ("proxyd_attempt_duration_seconds_count", 6.0),
            ("proxyd_upstream_errors_total{code=\"upstream_disconnected\"}", 1.0),
            ("proxyd_refusals_total{reason=\"web_page\"}", 1.0),
            ("proxyd_refusals_total{reason=\"content_type\"}", 1.0),
            ("proxyd_refusals_total{reason=\"host\"}", 2.0),
            ("proxyd_request_duration_seconds_count{endpoint=\"messages\"}", 6.0),
            ("proxyd_request_duration_seconds_bucket{endpoint=\"messages\",le=\"+Inf\"}", 6.0),
            ("proxyd_time_to_first_byte_seconds_count{endpoint=\"messages\"}", 4.0),
            ("proxyd_time_to_first_byte_seconds_count{endpoint=\"chat_completions\"}", 1.0),
            ("proxyd_accounts{state=\"partial\"}", 1.0),
            ("proxyd_accounts{state=\"ready\"}", 1.0),
            ("proxyd_streams_open", 0.0),
            ("proxyd_requests_in_flight", 0.0),
        ],
    )
    .await;
    let text = daemon.get("/metrics").await.text().await.unwrap();
    for family in ["sonnet", "opus", "haiku"] {
        assert!(
            number(&text, &format!("proxyd_tokens_total{{kind=\"output\",model=\"{family}\"}}")) > 0.0,
            "{text}"
        );
    }
    assert!(!text.contains("evil") && !text.contains("made-up") && !text.contains("person"), "{text}");
    drop(issued);
}

#[tokio::test]
async fn what_goes_on_is_told_while_it_does_and_who_left_is_told_as_gone() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    let steps = text_events("claude-opus-5", &["half"]).into_iter().take(3).chain([Step::Gate(gate.clone())]);
    fake.on(MESSAGES).once(Script::stream(steps));
    let mut reading = Reading::new(daemon.post(MESSAGES, &streaming("claude-opus-5")).await);
    reading.until("half").await;
    let id = daemon.only_account().await.id;
    let of_account = format!("proxyd_account_requests_in_flight{{account=\"{id}\"}}");
    let now = [("proxyd_streams_open", 1.0), ("proxyd_requests_in_flight", 1.0), (of_account.as_str(), 1.0)];
    until(&daemon, &now).await;
    drop(reading);
    let gone = requests("messages", "messages", "200", "client_gone");
    until(&daemon, &[(&gone, 1.0), ("proxyd_streams_open", 0.0), ("proxyd_requests_in_flight", 0.0)]).await;
    // One that leaves before there is a head.
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let mut asking = Box::pin(daemon.ask("hello"));
    tokio::select! {
        _ = &mut asking => panic!("upstream is held"),
        () = within("it is upstream", gate.reached_by(2)) => {}
    }
    drop(asking);
    let gone = requests("messages", "messages", "none", "client_gone");
    until(&daemon, &[(&gone, 1.0), ("proxyd_attempts_total{outcome=\"given_up\"}", 1.0)]).await;
}

#[tokio::test]
async fn refreshes_quota_and_accounts_that_are_out_are_told() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let setup = Setup::of([("PROXYD_POOL__WAIT", "0s")]);
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
    let id = daemon.only_account().await.id;
    let window = ("anthropic-ratelimit-unified-5h-utilization", "0.25");
    fake.on(MESSAGES).once(
        Script::real()
            .header(window.0, window.1)
            .header("anthropic-ratelimit-unified-5h-reset", "4102444800"),
    );
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let (used, reset) = (
        format!("proxyd_quota_used_ratio{{account=\"{id}\",window=\"5h\"}}"),
        format!("proxyd_quota_reset_timestamp_seconds{{account=\"{id}\",window=\"5h\"}}"),
    );
    until(&daemon, &[(&used, 0.25), (&reset, 4_102_444_800.0), ("proxyd_accounts{state=\"ready\"}", 1.0)])
        .await;
    daemon.refresh(&id).await.unwrap();
    until(&daemon, &[("proxyd_refreshes_total{result=\"refreshed\"}", 1.0)]).await;
    // Its login is revoked, while its access token serves on.
    let clock = Setup { clock: ManualClock::at(system_now()).clock(), ..Setup::default() };
    let daemon = TestDaemon::with_account_and(&fake, clock).await;
    let refused = Script::oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", "gone");
    fake.on(TOKEN_PATH).once(refused);
    assert!(daemon.refresh(&daemon.only_account().await.id).await.is_err());
    let told = [
        ("proxyd_refreshes_total{result=\"needs_login\"}", 1.0),
        ("proxyd_accounts{state=\"needs_login\"}", 1.0),
    ];
    until(&daemon, &told).await;
    // Nobody is there.
    let daemon = TestDaemon::start(&fake).await;
    assert_eq!(daemon.ask("hello").await.status(), 403);
    until(&daemon, &[("proxyd_refusals_total{reason=\"no_account\"}", 1.0)]).await;
}

async fn alone(fake: &FakeClaude) -> TestDaemon {
    TestDaemon::with_account_and(
        fake,
        Setup::of([("PROXYD_METRICS__LISTEN", "127.0.0.1:0"), ("PROXYD_HTTP__AUTH", "key")]),
    )
    .await
}

async fn ask(daemon: &TestDaemon, line: &str, headers: &str) -> Raw {
    let address = daemon.metrics_address();
    let host = if headers.to_ascii_lowercase().contains("host:") {
        String::new()
    } else {
        format!("host: {address}\r\n")
    };
    raw(address, format!("{line} HTTP/1.1\r\n{host}{headers}connection: close\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn where_metrics_are_served_alone_they_need_no_key_and_nothing_else_is_served() {
    let fake = FakeClaude::start().await;
    let daemon = alone(&fake).await;
    assert_eq!(daemon.get("/metrics").await.status(), 401, "on the data plane they need what all needs");
    let scraped = ask(&daemon, "GET /metrics", "").await;
    assert!(scraped.status == 200 && scraped.body.contains("proxyd_build_info{"), "{scraped:?}");
    assert!(scraped.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{scraped:?}");
    let scraped =
        ask(&daemon, "GET /metrics", "accept: application/openmetrics-text; version=1.0.0\r\n").await;
    assert!(
        scraped.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{scraped:?}"
    );
    assert!(scraped.body.contains("# TYPE proxyd_requests counter\n"), "{scraped:?}");
    assert!(scraped.body.trim_end().ends_with("# EOF"), "{scraped:?}");
    assert_eq!(ask(&daemon, "GET /healthz", "").await.status, 200);
    for path in ["/", "/readyz", "/v1/models", "/v1/messages", "/metrics/more"] {
        assert_eq!(ask(&daemon, &format!("GET {path}"), "").await.status, 404, "{path}");
    }
    let posted =
        ask(&daemon, "POST /metrics", "content-type: application/json\r\ncontent-length: 2\r\n").await;
    assert_eq!(posted.status, 405);
    let body = message("hello").to_string();
    let sent = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    assert_eq!(ask(&daemon, "POST /v1/messages", &sent).await.status, 404);
    assert_eq!(fake.count(MESSAGES), 0);
}

#[tokio::test]
async fn where_metrics_are_served_alone_no_web_page_reads_them() {
    let fake = FakeClaude::start().await;
    let daemon = alone(&fake).await;
    let port = daemon.metrics_address().rsplit_once(':').unwrap().1;
    for (headers, expected) in [
        ("host: evil.example\r\n".to_owned(), 421),
        (format!("host: evil.example:{port}\r\n"), 421),
        (format!("host: localhost:{port}\r\n"), 200),
        ("origin: https://evil.example\r\n".to_owned(), 403),
        ("origin: null\r\n".to_owned(), 403),
        ("sec-fetch-site: cross-site\r\n".to_owned(), 403),
    ] {
        for path in ["/metrics", "/healthz"] {
            let answer = ask(&daemon, &format!("GET {path}"), &headers).await;
            assert_eq!(answer.status, expected, "{path} {headers}");
            assert!(!answer.head.contains("access-control-allow"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_address_of_metrics_that_is_taken_is_named() {
    use proxyd::admin::Outside;
    use proxyd::app::App;
    use proxyd::chain::ErrorChain;
    use proxyd::clock::Clock;
    use proxyd::config::{self, Environment, Flags};
    use proxyd::systemd::Given;

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let flags = Flags {
        auth_dir: Some(home.path().join("auth")),
        control_socket: Some(home.path().join("run/control.sock")),
        listen: vec!["127.0.0.1:0".to_owned()],
        ..Flags::default()
    };
    let environment: Environment = [
        ("PROXYD_METRICS__LISTEN", address.to_string()),
        ("CONFIGURATION_DIRECTORY", home.path().display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    let loaded = config::load(&flags, &environment).unwrap();
    proxy_tests::daemon::private_dir(home.path().join("auth"));
    let outside = Outside::start().unwrap();
    let error = App::start(loaded, Clock::system(), outside, Given::default()).await.unwrap_err();
    let told = ErrorChain(&error).to_string();
    assert!(told.contains(&format!("cannot listen on {address} (metrics.listen)")), "{told}");
}
