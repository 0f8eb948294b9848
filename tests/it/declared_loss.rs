//! What a translated request loses is told: in a header, in a metric, and in strict mode by a refusal.

use http::Method;
use proxy_tests::client::raw;
use proxy_tests::daemon::{Setup, TestDaemon, put};
use proxy_tests::fake_claude::FakeClaude;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const COMPLETIONS: &str = "/v1/completions";
const MESSAGES: &str = "/v1/messages";
const JSON: (&str, &str) = ("content-type", "application/json");
const STRICT: &str = "x-proxyd-strict";

/// A request of each dialect that loses `seed`, and the field of the first message that is lost.
fn lossy(path: &str) -> Value {
    match path {
        CHAT => json!({"model": "claude-sonnet-4-5", "seed": 7, "client_made": true,
            "messages": [{"role": "user", "name": "Ann", "content": "hi"}]}),
        RESPONSES => {
            json!({"model": "claude-sonnet-4-5", "seed": 7, "text": {"verbosity": "low"}, "input": "hi"})
        }
        _ => json!({"model": "claude-sonnet-4-5", "seed": 7, "prompt": "hi"}),
    }
}

async fn strict_daemon(fake: &FakeClaude) -> TestDaemon {
    let setup =
        Setup { settings: vec![("PROXYD_TRANSLATION__STRICT", "true".to_owned())], ..Setup::default() };
    let issued = fake.issue_account("person@example.com");
    TestDaemon::with(fake, setup, |dir| put(dir, "claude-a.json", &issued.auth_file())).await
}

async fn sent(daemon: &TestDaemon, path: &str, strict: Option<&str>) -> reqwest::Response {
    let mut headers = vec![JSON];
    headers.extend(strict.map(|value| (STRICT, value)));
    daemon.send(Method::POST, path, &headers, lossy(path).to_string()).await
}

async fn metrics(daemon: &TestDaemon) -> String {
    let answer = daemon.get("/metrics").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().get("content-type").unwrap(), "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_header_names_what_was_dropped_and_a_metric_counts_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let before = metrics(&daemon).await;
    assert!(
        before.contains("# TYPE proxyd_dropped_fields_total counter\n") && !before.contains("dialect="),
        "{before}"
    );
    assert!(before.contains(&format!("proxyd_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
    for (path, named) in [
        (CHAT, "seed, client_made, messages[].name"),
        (RESPONSES, "seed, text.verbosity"),
        (COMPLETIONS, "seed"),
    ] {
        for _ in 0..2 {
            let answer = sent(&daemon, path, None).await;
            assert_eq!(answer.status(), 200, "{path}");
            assert_eq!(answer.headers().get("x-proxyd-dropped-fields").unwrap(), named, "{path}");
        }
    }
    let after = metrics(&daemon).await;
    for line in [
        r#"{dialect="chat",field="seed"} 2"#,
        r#"{dialect="chat",field="messages[].name"} 2"#,
        r#"{dialect="chat",field="other"} 2"#,
        r#"{dialect="responses",field="text.verbosity"} 2"#,
        r#"{dialect="completions",field="seed"} 2"#,
    ] {
        assert!(after.contains(&format!("proxyd_dropped_fields_total{line}\n")), "{line} in {after}");
    }
    assert!(!after.contains("client_made"), "no name of a client's own making");
}

#[tokio::test]
async fn strict_mode_refuses_a_loss_in_the_dialects_own_shape() {
    let fake = FakeClaude::start().await;
    let daemon = strict_daemon(&fake).await;
    for path in [CHAT, RESPONSES, COMPLETIONS] {
        let answer = sent(&daemon, path, None).await;
        assert_eq!(answer.status(), 400, "{path}");
        let body: Value = answer.json().await.unwrap();
        let error = &body["error"];
        assert_eq!(
            (&error["type"], &error["param"]),
            (&json!("invalid_request_error"), &json!("seed")),
            "{path}: {error}"
        );
        assert!(error["message"].as_str().unwrap().contains("strict"), "{error}");
    }
    assert_eq!(fake.count(MESSAGES), 0, "nothing went up");
    let plain = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(daemon.post(CHAT, &plain).await.status(), 200, "nothing is lost here");
}

#[tokio::test]
async fn the_requests_header_decides_whatever_the_configuration_says() {
    let fake = FakeClaude::start().await;
    let (lenient, _) = TestDaemon::with_account(&fake).await;
    let strict = strict_daemon(&fake).await;
    for path in [CHAT, RESPONSES, COMPLETIONS] {
        assert_eq!(sent(&lenient, path, Some("true")).await.status(), 400, "{path}");
        assert_eq!(sent(&strict, path, Some("false")).await.status(), 200, "{path}");
        for odd in ["yes", "TRUE", "", "true, false"] {
            let answer = sent(&lenient, path, Some(odd)).await;
            assert_eq!(answer.status(), 400, "{path} {odd:?}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["error"]["param"], STRICT, "{path} {odd:?}: {body}");
        }
    }
    let up = fake.requests_to(MESSAGES).pop().unwrap();
    assert_eq!(up.header(STRICT), None, "it is for proxyd alone");
}

#[tokio::test]
async fn the_strict_header_stays_here_on_the_native_path_too() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let headers = [JSON, ("anthropic-version", "2023-06-01"), (STRICT, "true")];
    assert_eq!(daemon.send(Method::POST, MESSAGES, &headers, body.to_string()).await.status(), 200);
    assert_eq!(fake.requests_to(MESSAGES).pop().unwrap().header(STRICT), None);
}

#[tokio::test]
async fn metrics_are_for_those_whom_everything_else_is_for() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let foreign =
        raw(daemon.address(), b"GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
            .await;
    assert_eq!(foreign.status, 421);
    let page = daemon.send(Method::GET, "/metrics", &[("origin", "http://evil.example")], "").await;
    assert_eq!(page.status(), 403);
    assert_eq!(daemon.send(Method::POST, "/metrics", &[JSON], "{}").await.status(), 405);
}
