//! What is counted, and what is told of it.

use super::*;
use crate::id::AccountId;

fn text(metrics: &Metrics) -> String {
    metrics.render(&Live::default(), Format::Prometheus)
}

/// The number of this sample, if it is told.
fn number(metrics: &Metrics, sample: &str) -> Option<f64> {
    let text = text(metrics);
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

fn request(metrics: &Arc<Metrics>) -> Request {
    Request::new(metrics, Endpoint::Messages, Some(Dialect::Messages), "POST", None)
}

#[test]
fn each_metric_of_the_table_is_told_under_its_help_and_type() {
    let text = text(&Metrics::default());
    let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let expected: Vec<_> =
        table::METRICS.iter().map(|metric| format!("{} {}", metric.name, metric.kind.name())).collect();
    assert_eq!(told, expected);
    let build = format!("proxyd_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&build) && text.contains("# HELP proxyd_build_info Always 1;"), "{text}");
}

#[test]
fn a_request_counts_once_when_all_have_let_go_of_it() {
    let metrics = Arc::new(Metrics::default());
    let sample =
        r#"proxyd_requests_total{dialect="messages",endpoint="messages",status="200",outcome="complete"}"#;
    let request = request(&metrics);
    let other = request.clone();
    request.is_served();
    other.is_served();
    request.answers(200, true);
    request.first_byte();
    request.completed();
    drop(request);
    assert_eq!((number(&metrics, sample), number(&metrics, "proxyd_requests_in_flight")), (None, Some(1.0)));
    assert_eq!(number(&metrics, "proxyd_streams_open"), Some(1.0));
    drop(other);
    assert_eq!(
        (number(&metrics, sample), number(&metrics, "proxyd_requests_in_flight")),
        (Some(1.0), Some(0.0))
    );
    assert_eq!(number(&metrics, "proxyd_streams_open"), Some(0.0));
    for histogram in ["proxyd_request_duration_seconds", "proxyd_time_to_first_byte_seconds"] {
        assert_eq!(number(&metrics, &format!("{histogram}_count{{endpoint=\"messages\"}}")), Some(1.0));
        assert_eq!(
            number(&metrics, &format!("{histogram}_bucket{{endpoint=\"messages\",le=\"+Inf\"}}")),
            Some(1.0)
        );
    }
}

#[test]
fn how_an_answer_ended_is_told_and_a_refusal_has_no_first_byte() {
    let metrics = Arc::new(Metrics::default());
    drop(request(&metrics));
    let refused = request(&metrics);
    refused.answers(429, false);
    refused.first_frame();
    refused.completed();
    let broken = request(&metrics);
    broken.answers(200, true);
    broken.first_frame();
    broken.completed();
    broken.broke();
    drop((refused, broken));
    let of = |status: &str, outcome: &str| {
        let labels =
            format!("dialect=\"messages\",endpoint=\"messages\",status=\"{status}\",outcome=\"{outcome}\"");
        number(&metrics, &format!("proxyd_requests_total{{{labels}}}"))
    };
    assert_eq!(of("none", "client_gone"), Some(1.0));
    assert_eq!(of("429", "complete"), Some(1.0));
    assert_eq!(of("200", "broken_off"), Some(1.0));
    assert_eq!(number(&metrics, "proxyd_time_to_first_byte_seconds_count{endpoint=\"messages\"}"), None);
    assert_eq!(number(&metrics, "proxyd_request_duration_seconds_count{endpoint=\"messages\"}"), Some(3.0));
}

#[test]
fn an_attempt_that_nobody_waits_for_was_given_up() {
    let metrics = Arc::new(Metrics::default());
    let called = || unreachable!("nobody is told");
    Attempt::new(&metrics, &Request::default(), called).ended(Outcome::RateLimited, Some(429));
    drop(Attempt::new(&metrics, &Request::default(), called));
    assert_eq!(number(&metrics, "proxyd_attempts_total{outcome=\"rate_limited\"}"), Some(1.0));
    assert_eq!(number(&metrics, "proxyd_attempts_total{outcome=\"given_up\"}"), Some(1.0));
    assert_eq!(number(&metrics, "proxyd_attempt_duration_seconds_count"), Some(2.0));
}

#[test]
fn tokens_fields_waits_and_errors_are_counted_by_their_labels() {
    let metrics = Arc::new(Metrics::default());
    for _ in 0..2 {
        metrics.tokens(Family::Opus, Used { input: 5, output: 7, ..Used::default() });
        metrics.dropped_field("chat", "seed");
    }
    metrics.upstream_error("upstream_reset");
    metrics.upstream_error("no_code_of_upstream");
    let waiting = metrics.wait(Awaited::Account);
    let connection = metrics.connection();
    let expected = [
        (r#"proxyd_tokens_total{kind="input",model="opus"}"#, 10.0),
        (r#"proxyd_tokens_total{kind="output",model="opus"}"#, 14.0),
        (r#"proxyd_tokens_total{kind="output",model="haiku"}"#, 0.0),
        (r#"proxyd_dropped_fields_total{dialect="chat",field="seed"}"#, 2.0),
        (r#"proxyd_upstream_errors_total{code="upstream_reset"}"#, 1.0),
        (r#"proxyd_requests_waiting{for="account"}"#, 1.0),
        ("proxyd_connections_open", 1.0),
    ];
    for (sample, expected) in expected {
        assert_eq!(number(&metrics, sample), Some(expected), "{sample}");
    }
    drop((waiting, connection));
    assert_eq!(number(&metrics, r#"proxyd_requests_waiting{for="account"}"#), Some(0.0));
    assert_eq!(number(&metrics, "proxyd_connections_open"), Some(0.0));
}

#[test]
fn accounts_are_told_by_id_with_their_windows() {
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let id = AccountId::derive("test", &["one"]);
    let account = Account {
        id: id.clone(),
        state: AccountState::Cooling,
        usable: false,
        in_flight: 2,
        unsaved: true,
        token_ends: at(1000),
        attempts: [("served", 3), ("client_fault", 0), ("limited", 1), ("refused", 0), ("failed", 0)],
        windows: vec![Window { name: "5h".to_owned(), used: 0.25, resets_at: at(2000) }],
    };
    let live = Live { accounts: vec![account], invalid_files: 1 };
    let text = Metrics::default().render(&live, Format::Prometheus);
    let lines = [
        "proxyd_accounts{state=\"ready\"} 0",
        "proxyd_accounts{state=\"cooling\"} 1",
        "proxyd_invalid_files 1",
        "proxyd_account_usable{account=\"0123456789ab\"} 0",
        "proxyd_account_requests_in_flight{account=\"0123456789ab\"} 2",
        "proxyd_account_attempts_total{account=\"0123456789ab\",outcome=\"limited\"} 1",
        "proxyd_account_token_expires_timestamp_seconds{account=\"0123456789ab\"} 1000",
        "proxyd_quota_used_ratio{account=\"0123456789ab\",window=\"5h\"} 0.25",
        "proxyd_quota_reset_timestamp_seconds{account=\"0123456789ab\",window=\"5h\"} 2000",
        "proxyd_unsaved_tokens 1",
    ];
    for line in lines.map(|line| line.replace("0123456789ab", &id.to_string())) {
        assert!(text.lines().any(|told| told == line), "{line} in {text}");
    }
}

#[test]
fn who_is_over_is_told_to_the_exporter_and_never_waited_for() {
    let metrics = Arc::new(Metrics::default());
    let stories = metrics.exporter();
    let one = Request::new(&metrics, Endpoint::ChatCompletions, Some(Dialect::Chat), "POST", None);
    one.asks("claude-opus-5");
    let called = || Called { account: None, model: "claude-opus-5".to_owned(), server: None };
    Attempt::new(&metrics, &one, called).ended(Outcome::Answered, Some(200));
    one.used(Used { output: 3, ..Used::default() });
    one.answers(200, false);
    one.first_frame();
    one.completed();
    drop(one);
    let story = stories.try_recv().unwrap();
    assert_eq!(
        (story.model.as_str(), story.status, story.ending),
        ("claude-opus-5", Some(200), Ending::Complete)
    );
    assert_eq!((story.attempts.len(), story.used.unwrap().output), (1, 3));
    assert!(story.first_byte.unwrap() <= story.took);
    drop(Request::new(&metrics, Endpoint::Metrics, None, "GET", None));
    assert!(stories.try_recv().is_err());
    for _ in 0..MOST_TO_EXPORT + 3 {
        drop(request(&metrics));
    }
    assert_eq!(number(&metrics, "proxyd_otlp_requests_total{result=\"dropped\"}"), Some(3.0));
}
