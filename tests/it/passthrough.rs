//! `/v1/messages` and its token counting pass through: what a client sent goes up as it came, and so does the
//! answer come back, but for credentials and what belongs to a single connection.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proxy_tests::client::{Reading, events};
use proxy_tests::daemon::{Setup, TestDaemon, key_file, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, OAUTH_BETA, Script, Step, text_events};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Valid JSON that nobody would write, and that no parser and writer gives back as it was.
const ODD: &str = "\n{ \"model\" :\t\"claude-sonnet-4-5\",\r\n  \"zeta\": 1.0, \"max_tokens\":1e2, \
                   \"big\": 123456789012345678901234567890, \"twice\": 1, \"twice\": -0.0, \"alpha\": \"\\u00e9\\/\\u0041é\", \
                   \"metadata\": {\"user_id\": \"a\", \"x\" : []} , \"messages\": [ ] }\n ";

/// A stream with everything a reader of events might get wrong.
fn odd_stream() -> Vec<Step> {
    let long = format!("event: content_block_delta\ndata: {{\"text\":\"{}\"}}\n\n", "x".repeat(300_000));
    let mut steps: Vec<Step> = [
        ": a comment before anything\n\n",
        "event: message_start\r\ndata: {\"type\":\"message_start\"}\r\n\r\n",
        "id: 7\nretry: 10\nevent:ping\ndata:{\"type\":\"ping\"}\n\n",
        "event: something_new\ndata: {\"half\":\ndata: \"of it\"}\n\n",
        "event: content_block_delta\nda",
        "ta: {\"text\":\"caf",
    ]
    .map(Step::data)
    .into();
    // The two bytes of one character in chunks of their own.
    steps.extend([Step::data(&b"\xc3"[..]), Step::data(&b"\xa9\"}\n\n"[..]), Step::data(long)]);
    steps.push(Step::data("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    steps
}

fn bytes_of(steps: &[Step]) -> Vec<u8> {
    let data = steps.iter().map(|step| match step {
        Step::Data(bytes) => bytes.as_ref(),
        _ => &[],
    });
    data.collect::<Vec<_>>().concat()
}

fn ask_for_stream() -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true, "messages": [{"role": "user", "content": "hi"}]})
}

/// A megabyte that says everywhere where it is.
fn long_body() -> String {
    let places: Vec<_> = (0..150_000).map(|n| format!("{n:07}")).collect();
    format!("{{\"model\":\"m\",\"pad\":\"{}\"}}", places.concat())
}

#[tokio::test]
async fn a_long_body_is_sent_to_the_next_account_as_it_was_to_the_first() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let body = long_body();
    fake.on(MESSAGES).once(Script::rate_limited(30));
    fake.on(MESSAGES).once(Script::json(StatusCode::OK, &json!({})));
    let answer = daemon.send(Method::POST, MESSAGES, &[JSON], body.clone()).await;
    assert_eq!(answer.status(), 200);
    let sent = fake.requests_to(MESSAGES);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.body == body.as_str()), "the body was changed");
    assert_ne!(sent[0].caller, sent[1].caller);
}

#[tokio::test]
async fn a_body_reaches_upstream_byte_for_byte() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let large = long_body();
    for path in [MESSAGES, COUNT] {
        for body in [ODD, &large] {
            fake.on(path).once(Script::json(StatusCode::OK, &json!({})));
            let answer = daemon.send(Method::POST, path, &[JSON], body.to_owned()).await;
            assert_eq!(answer.status(), 200);
            let sent = fake.requests_to(path).pop().unwrap();
            assert!(sent.body == body, "{path}: the body was changed");
        }
    }
}

/// JSON as somebody else might write it: any order, space, escapes and numbers.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        "-?[1-9][0-9]{0,24}",
        "[0-9]\\.[0-9]{1,9}([eE][+-]?[0-9]{1,2})?",
        "[a-zé \u{1f600}]{0,6}(\\\\[nt\"/\\\\]|\\\\u00[4-7][0-9a-fA-F]){0,2}"
            .prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = proptest::collection::vec(("[a-z_]{1,8}", inner.clone(), "[ \n\t]{0,2}"), 0..4);
        let fields = fields.prop_map(|fields| {
            let field =
                |(name, value, space): (String, String, String)| format!("{space}\"{name}\"{space}:{value}");
            format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(","))
        });
        let list = proptest::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(" , ")));
        prop_oneof![fields, list]
    })
}

#[tokio::test]
async fn fields_that_nobody_knows_reach_upstream_byte_for_byte() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut runner = TestRunner::deterministic();
    let fields = [any_value(), any_value(), any_value()];
    for _ in 0..100 {
        let [top, block, late] =
            fields.each_ref().map(|value| value.new_tree(&mut runner).unwrap().current());
        let body = format!(
            "{{\"new_field\":{top},\"model\":\"claude-sonnet-4-5\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\
             [{{\"type\":\"text\",\"text\":\"hi\",\"x_new\":{block}}}]}}],\"later\" :{late} }}"
        );
        serde_json::from_str::<Value>(&body).unwrap();
        fake.on(MESSAGES).once(Script::json(StatusCode::OK, &json!({})));
        assert_eq!(daemon.send(Method::POST, MESSAGES, &[JSON], body.clone()).await.status(), 200, "{body}");
        assert_eq!(fake.requests_to(MESSAGES).pop().unwrap().body, body);
        fake.forget_requests();
    }
}

#[tokio::test]
async fn a_body_that_comes_in_chunks_goes_up_whole_with_its_length() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.on(MESSAGES).once(Script::json(StatusCode::OK, &json!({})));
    let chunks: Vec<_> =
        ODD.as_bytes().chunks(7).map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(chunk)))).collect();
    let body = reqwest::Body::wrap(StreamBody::new(tokio_stream::iter(chunks)));
    assert_eq!(daemon.send(Method::POST, MESSAGES, &[JSON], body).await.status(), 200);
    let sent = fake.requests_to(MESSAGES).pop().unwrap();
    assert_eq!(sent.body, ODD);
    assert_eq!(sent.header("content-length"), Some(ODD.len().to_string().as_str()));
    assert_eq!(sent.header("transfer-encoding"), None);
}

#[tokio::test]
async fn query_and_headers_reach_upstream_as_they_were_sent() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let headers = [
        JSON,
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "one-2026-01-01,two-2026-01-01"),
        ("anthropic-beta", "three-2026-01-01"),
        ("anthropic-something-new", "kept"),
        ("user-agent", "their-client/1.2 (external)"),
        ("x-claude-code-session-id", "session-1"),
        ("x-unknown", "a"),
        ("x-unknown", "b"),
        ("x-stainless-lang", "python"),
    ];
    for (path, query) in [(MESSAGES, "beta=true&x=%2F+%C3%A9"), (COUNT, "beta=true")] {
        fake.on(path).once(Script::json(StatusCode::OK, &json!({})));
        daemon.send(Method::POST, &format!("{path}?{query}"), &headers, ODD).await;
        let sent = fake.requests_to(path).pop().unwrap();
        assert_eq!(sent.query, query);
        let betas = sent.header_members("anthropic-beta");
        assert_eq!(betas, ["one-2026-01-01", "two-2026-01-01", "three-2026-01-01", OAUTH_BETA]);
        let unknown: Vec<_> = sent.headers.get_all("x-unknown").iter().collect();
        assert_eq!(unknown, ["a", "b"]);
        for (name, value) in
            headers.iter().filter(|(name, _)| !["anthropic-beta", "x-unknown"].contains(name))
        {
            assert_eq!(sent.header(name), Some(*value), "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_the_callers_own_stays_here_and_the_daemon_names_itself() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let own = [
        ("authorization", "Bearer sk-ant-api03-FAKEcallers"),
        ("x-api-key", "sk-ant-api03-FAKEcallers"),
        ("cookie", "session=theirs"),
        ("proxy-authorization", "Basic theirs"),
        ("x-forwarded-for", "10.1.2.3"),
        ("x-real-ip", "10.1.2.3"),
        ("forwarded", "for=10.1.2.3"),
        ("x-proxyd-anything", "1"),
        ("te", "trailers"),
        ("accept-encoding", "gzip, br"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
    ];
    let headers: Vec<_> = own.into_iter().chain([JSON, ("via", "1.1 before-us")]).collect();
    daemon.send(Method::POST, MESSAGES, &headers, ask_for_stream().to_string()).await;
    let sent = fake.requests_to(MESSAGES).pop().unwrap();
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {}", issued.access_token).as_str()));
    assert_eq!(sent.header("accept-encoding"), Some("identity"));
    assert_eq!(sent.header("host"), Some(fake.address().to_string().as_str()));
    for (name, _) in own.iter().filter(|(name, _)| !["authorization", "accept-encoding"].contains(name)) {
        assert_eq!(sent.header(name), None, "{name}");
    }
    assert_eq!(sent.header_members("via"), ["1.1 proxyd"]);
}

#[tokio::test]
async fn a_key_goes_up_as_a_key_without_the_beta_of_tokens() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    let file = key_file(&key);
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-key.json", &file)).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let sent = fake.requests_to(MESSAGES).pop().unwrap();
    assert_eq!(sent.header("x-api-key"), Some(key.as_str()));
    assert_eq!((sent.header("authorization"), sent.header("anthropic-beta")), (None, None));
}

#[tokio::test]
async fn an_answer_comes_back_byte_for_byte_with_its_headers() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let script = Script::body(StatusCode::OK, "application/json; charset=utf-8", ODD)
        .header("request-id", "req_FAKE1")
        .header("anthropic-ratelimit-unified-status", "allowed")
        .header("x-unknown", "kept")
        .header("set-cookie", "theirs=1")
        .header("strict-transport-security", "max-age=1")
        .header("alt-svc", "h3=\":443\"");
    for path in [MESSAGES, COUNT] {
        fake.on(path).once(script.clone());
        let answer = daemon.send(Method::POST, path, &[JSON], ask_for_stream().to_string()).await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        assert_eq!(answer.bytes().await.unwrap(), ODD);
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("content-length", ODD.len().to_string().as_str()),
            ("request-id", "req_FAKE1"),
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("x-unknown", "kept"),
        ] {
            assert_eq!(headers.get(name).unwrap(), value, "{name}");
        }
        for name in ["set-cookie", "strict-transport-security", "alt-svc"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert!(!headers.get("x-proxyd-request-id").unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stream_comes_back_byte_for_byte_whatever_is_in_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.on(MESSAGES).once(Script::stream(odd_stream()).header("request-id", "req_FAKE2"));
    let answer = daemon.post(MESSAGES, &ask_for_stream()).await;
    assert_eq!(answer.headers().get("content-type").unwrap(), "text/event-stream; charset=utf-8");
    assert_eq!(answer.headers().get("request-id").unwrap(), "req_FAKE2");
    let body = Reading::new(answer).finish().await.unwrap();
    assert!(body == bytes_of(&odd_stream()), "the stream was changed: {} bytes came", body.len());
}

#[tokio::test]
async fn each_event_comes_as_soon_as_upstream_sends_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut steps = text_events("claude-sonnet-4-5", &["first", "second"]);
    let whole = bytes_of(&steps);
    let (first, early, late) = (Gate::new(), Gate::new(), Gate::new());
    steps.insert(3, Step::gate(&late));
    steps.insert(1, Step::gate(&early));
    steps.insert(0, Step::gate(&first));
    fake.on(MESSAGES).once(Script::stream(steps));
    // The head comes before there is any event.
    let mut reading = Reading::new(daemon.post(MESSAGES, &ask_for_stream()).await);
    first.open();
    reading.until("message_start\"").await;
    assert!(!String::from_utf8_lossy(reading.seen()).contains("first"));
    early.open();
    reading.until("first").await;
    assert!(!String::from_utf8_lossy(reading.seen()).contains("second"));
    late.open();
    assert_eq!(reading.finish().await.unwrap(), whole);
}

#[tokio::test]
async fn an_error_comes_back_as_upstream_wrote_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = "{\"type\":\"error\",  \"error\":{\"type\":\"rate_limit_error\",\"message\":\"Caf\\u00e9 is full\",\
                \"details\":{\"error_code\":\"x\", \"n\":1.0}},\"request_id\":\"req_FAKE3\"}";
    for (path, status) in [(MESSAGES, 400), (COUNT, 413), (MESSAGES, 529), (COUNT, 429), (MESSAGES, 429)] {
        let code = StatusCode::from_u16(status).unwrap();
        fake.on(path).once(
            Script::body(code, "application/json", body)
                .header("retry-after", "17")
                .header("request-id", "req_FAKE3")
                .header("x-should-retry", "true"),
        );
        let answer = daemon.post(path, &ask_for_stream()).await;
        assert_eq!(answer.status(), status, "{path}");
        for (name, value) in [("retry-after", "17"), ("request-id", "req_FAKE3"), ("x-should-retry", "true")]
        {
            assert_eq!(answer.headers().get(name).unwrap(), value, "{path} {status} {name}");
        }
        assert_eq!(answer.text().await.unwrap(), body, "{path} {status}");
    }
}

#[tokio::test]
async fn an_error_page_becomes_an_error_that_clients_can_read() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, COUNT] {
        fake.on(path).once(Script::html_502().header("retry-after", "3"));
        let answer = daemon.post(path, &ask_for_stream()).await;
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.headers().get("content-type").unwrap(), "application/json");
        assert_eq!(answer.headers().get("retry-after").unwrap(), "3");
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("api_error")));
        assert!(body["error"]["message"].as_str().unwrap().contains("502"), "{body}");
    }
}

#[tokio::test]
async fn a_gzipped_answer_is_decoded() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, COUNT] {
        fake.on(path).once(Script::body(StatusCode::OK, "application/json", ODD).gzip());
        let answer = daemon.post(path, &ask_for_stream()).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("content-encoding")), (200, None));
        assert_eq!(answer.bytes().await.unwrap(), ODD);
    }
}

#[tokio::test]
async fn a_gzipped_stream_is_decoded_as_it_comes() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    let mut steps = text_events("claude-sonnet-4-5", &["first", "second"]);
    let whole = bytes_of(&steps);
    steps.insert(3, Step::gate(&gate));
    fake.on(MESSAGES).once(Script::stream(steps).gzip());
    let answer = daemon.post(MESSAGES, &ask_for_stream()).await;
    assert_eq!(answer.headers().get("content-encoding"), None);
    let mut reading = Reading::new(answer);
    reading.until("first").await;
    gate.open();
    assert_eq!(reading.finish().await.unwrap(), whole);
}

#[tokio::test]
async fn a_whole_conversation_comes_through_with_every_event_in_order() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let stream = Reading::new(daemon.post(MESSAGES, &ask_for_stream()).await).text().await;
    let names: Vec<String> = events(&stream).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.first().unwrap(), "message_start");
    assert_eq!(names.last().unwrap(), "message_stop");
    assert!(names.iter().any(|name| name == "ping"), "{names:?}");
}
