//! What the daemon answers by itself: paths, methods, models, health, bodies it cannot take, and callers it
//! does not serve.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, StatusCode};
use proxy_tests::client::{Raw, raw, read_raw};
use proxy_tests::daemon::{Setup, TestDaemon};
use proxy_tests::fake_claude::{FakeClaude, Script, system_now};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MODELS: &str = "/v1/models";
const JSON_LINE: &str = "content-type: application/json";
const JSON: (&str, &str) = ("content-type", "application/json");
const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");

/// The largest body there may be.
const LIMIT: usize = 32 << 20;

fn request(path: &str) -> Value {
    let input = json!([{"role": "user", "content": "hi"}]);
    match path {
        RESPONSES => json!({"model": "claude-sonnet-4-5", "input": "hi"}),
        COUNT => json!({"model": "claude-sonnet-4-5", "messages": input}),
        _ => json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": input}),
    }
}

/// The message of an error in the shape that belongs to `path`.
fn message_of(body: &Value, path: &str) -> String {
    if path.starts_with(MESSAGES) {
        assert_eq!(body["type"], "error", "{path}: {body}");
        assert!(body["request_id"].is_string(), "{path}: {body}");
    } else {
        let keys: Vec<_> = body["error"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["message", "type", "param", "code"], "{path}: {body}");
        assert_eq!(body.as_object().unwrap().len(), 1, "{path}: {body}");
    }
    body["error"]["message"].as_str().unwrap().to_owned()
}

/// Posts and expects an error: its status and message.
async fn refused(
    daemon: &TestDaemon,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> (u16, String) {
    let answer = daemon.send(Method::POST, path, headers, body).await;
    let status = answer.status().as_u16();
    assert!(answer.headers().contains_key("x-proxyd-request-id"), "{path}");
    (status, message_of(&answer.json().await.unwrap(), path))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One request by hand, with exactly these lines in its head.
async fn by_hand(daemon: &TestDaemon, lines: &[&str]) -> Raw {
    let head = lines.join("\r\n");
    raw(daemon.address(), format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await
}

async fn ids(daemon: &TestDaemon, query: &str) -> (Vec<String>, Value) {
    let answer = daemon.send(Method::GET, &format!("{MODELS}{query}"), &[ANTHROPIC], "").await;
    assert_eq!(answer.status(), 200, "{query}");
    let page: Value = answer.json().await.unwrap();
    let ids = page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
    (ids.collect(), page)
}

#[tokio::test]
async fn every_way_to_write_a_base_url_leads_to_the_same_api() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for api in [MESSAGES, COUNT, CHAT, RESPONSES] {
        let short = api.strip_prefix("/v1").unwrap();
        for path in [
            api.to_owned(),
            short.to_owned(),
            format!("/v1/v1{short}"),
            format!("/v1/{short}"),
            format!("/{api}"),
            format!("//v1//{short}//"),
            format!("{api}/"),
            format!("{short}/"),
            format!("{api}/?beta=true"),
        ] {
            let answer = daemon.post(&path, &request(api)).await;
            assert_eq!(answer.status(), 200, "{path}");
            let body: Value = answer.json().await.unwrap();
            let known = body.get("object").or(body.get("type")).unwrap_or(&body["input_tokens"]);
            let expected = match api {
                CHAT => *known == "chat.completion",
                RESPONSES => *known == "response",
                MESSAGES => *known == "message",
                _ => known.is_u64(),
            };
            assert!(expected, "{path}: {body}");
        }
    }
    for path in ["/v1/models", "/models", "/v1/v1/models", "//v1//models/", "/models/?limit=5"] {
        let list: Value = daemon.get(path).await.json().await.unwrap();
        assert_eq!(list["object"], "list", "{path}");
    }
    for path in ["/v1/models/claude-opus-5", "/models/claude-opus-5/", "/v1/v1/models//claude-opus-5"] {
        let model: Value = daemon.get(path).await.json().await.unwrap();
        assert_eq!(model["id"], "claude-opus-5", "{path}");
    }
}

#[tokio::test]
async fn probes_are_answered_without_an_account() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for path in ["/", "/api/hello", "//", "/api/hello/"] {
        let answer = daemon.send(Method::HEAD, path, &[], "").await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.bytes().await.unwrap().is_empty());
        assert_eq!(daemon.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_head_of_the_answer() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MODELS, "/v1/models/claude-opus-5", "/healthz", "/readyz"] {
        let length = daemon.get(path).await.headers().get("content-length").cloned();
        let answer = daemon.send(Method::HEAD, path, &[], "").await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get("content-length").cloned()),
            (200, length),
            "{path}"
        );
        assert!(answer.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_process_lives_from_the_start_and_is_ready_with_the_first_usable_account() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    let answer = daemon.get("/readyz").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.json::<Value>().await.unwrap()["reason"].as_str().unwrap().contains("proxyctl"));
    daemon.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    daemon.wait_for("the account is there", |list| list.accounts.len() == 1).await;
    assert_eq!(daemon.get("/readyz").await.status(), 200);
    assert_eq!(daemon.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn an_unknown_path_is_404_in_the_shape_of_whoever_asks() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for (path, headers, shape) in [
        ("/v1/nothing", &[][..], CHAT),
        ("/v1/nothing", &[ANTHROPIC][..], MESSAGES),
        ("/v1/messages/nothing", &[][..], MESSAGES),
        ("/v1/chat", &[][..], CHAT),
        ("/v1", &[][..], CHAT),
        ("/nothing/at/all", &[ANTHROPIC][..], MESSAGES),
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = daemon.send(method.clone(), path, headers, "").await;
            assert_eq!(answer.status(), 404, "{method} {path}");
            let message = message_of(&answer.json().await.unwrap(), shape);
            assert!(message.contains(&format!("{method} {path}")), "{message}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_right_one() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for (method, path, allowed) in [
        (Method::GET, MESSAGES, "POST"),
        (Method::DELETE, COUNT, "POST"),
        (Method::GET, CHAT, "POST"),
        (Method::PUT, RESPONSES, "POST"),
        (Method::POST, MODELS, "GET, HEAD"),
        (Method::DELETE, "/v1/models/claude-opus-5", "GET, HEAD"),
        (Method::POST, "/healthz", "GET, HEAD"),
    ] {
        let answer = daemon.send(method.clone(), path, &[], "").await;
        assert_eq!(answer.status(), 405, "{method} {path}");
        let allow: Vec<_> = answer.headers().get_all("allow").iter().collect();
        assert_eq!(allow, [allowed], "{method} {path}");
        let message = message_of(&answer.json().await.unwrap(), path);
        assert!(message.contains(allowed), "{message}");
    }
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_whoever_asks_and_upstream_is_asked_once() {
    let fake = FakeClaude::start().await;
    let clock = ManualClock::at(system_now());
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        proxy_tests::daemon::put(dir, "claude-a.json", &issued.auth_file());
    })
    .await;
    let anthropic = |header| [(header, "2023-06-01")];
    for header in ["anthropic-version", "x-api-key"] {
        let answer = daemon.send(Method::GET, MODELS, &anthropic(header), "").await;
        let list: Value = answer.json().await.unwrap();
        assert_eq!((&list["data"][0]["type"], &list["has_more"]), (&json!("model"), &json!(false)));
        // Whatever upstream says about a model is kept.
        assert_eq!(list["data"][0]["capabilities"]["batch"]["supported"], true);
    }
    let list: Value = daemon.get(MODELS).await.json().await.unwrap();
    let (models, first) = (list["data"].as_array().unwrap(), &list["data"][0]);
    assert_eq!((&list["object"], &first["object"]), (&json!("list"), &json!("model")));
    assert_eq!(first["created"], 1_790_812_800, "{first}");
    assert!(models.iter().any(|model| model["id"] == "claude-3-5-sonnet-20241022"));
    daemon.get("/v1/models/claude-opus-5").await;
    assert_eq!(fake.requests().len(), 1);
    assert_eq!(fake.requests()[0].query, "limit=1000");

    clock.advance(SignedDuration::from_mins(11));
    daemon.get(MODELS).await;
    assert_eq!(fake.count(MODELS), 2);
}

#[tokio::test]
async fn an_old_list_of_models_is_better_than_none() {
    let fake = FakeClaude::start().await;
    let clock = ManualClock::at(system_now());
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        proxy_tests::daemon::put(dir, "claude-a.json", &issued.auth_file());
    })
    .await;
    let fresh = daemon.get(MODELS).await.text().await.unwrap();
    clock.advance(SignedDuration::from_mins(11));
    fake.on(MODELS).once(Script::html_502());
    let answer = daemon.get(MODELS).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), fresh);
    assert_eq!(fake.count(MODELS), 2);
}

#[tokio::test]
async fn the_list_of_models_is_paged_both_ways() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let (all, page) = ids(&daemon, "?limit=1000").await;
    assert!(all.len() > 5);
    assert_eq!((&page["first_id"], &page["last_id"]), (&json!(all[0]), &json!(all[all.len() - 1])));

    let (first, page) = ids(&daemon, "?limit=2").await;
    assert_eq!((&first[..], &page["has_more"]), (&all[..2], &json!(true)));
    let (second, page) = ids(&daemon, &format!("?limit=2&after_id={}", first[1])).await;
    assert_eq!((&second[..], &page["has_more"]), (&all[2..4], &json!(true)));
    let (back, page) = ids(&daemon, &format!("?limit=2&before_id={}", second[0])).await;
    assert_eq!((&back[..], &page["has_more"]), (&all[..2], &json!(false)));
    let (rest, page) = ids(&daemon, &format!("?limit=1000&after_id={}", all[3])).await;
    assert_eq!((&rest[..], &page["has_more"]), (&all[4..], &json!(false)));
    assert_eq!(fake.count(MODELS), 1);

    for query in
        ["?limit=0", "?limit=1001", "?limit=few", "?limit=%FF", "?after_id=nobody", "?after_id=a&before_id=b"]
    {
        let answer = daemon.send(Method::GET, &format!("{MODELS}{query}"), &[ANTHROPIC], "").await;
        assert_eq!(answer.status(), 400, "{query}");
        assert_eq!(
            answer.json::<Value>().await.unwrap()["error"]["type"],
            "invalid_request_error",
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_asked_for_upstream_and_its_404_passes_in_shape() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    // An alias is not in the list, and yet a model.
    let alias: Value = daemon.get("/v1/models/claude-sonnet-4-5").await.json().await.unwrap();
    assert_eq!((&alias["id"], &alias["object"]), (&json!("claude-sonnet-4-5-20250929"), &json!("model")));

    for (headers, shape) in [(&[][..], CHAT), (&[ANTHROPIC][..], MESSAGES)] {
        let answer = daemon.send(Method::GET, "/v1/models/nobody", headers, "").await;
        assert_eq!(answer.status(), 404);
        assert!(message_of(&answer.json().await.unwrap(), shape).contains("nobody"));
    }
    assert_eq!(fake.count("/v1/models/nobody"), 2);
}

#[tokio::test]
async fn a_model_name_with_strange_characters_stays_one_name() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for (asked, upstream) in [
        ("/v1/models/a%2Fb", "/v1/models/a%2Fb"),
        ("/v1/models/a/b", "/v1/models/a%2Fb"),
        ("/v1/models/a%20b", "/v1/models/a%20b"),
        ("/v1/models/caf%C3%A9%3Fx=1", "/v1/models/caf%C3%A9%3Fx%3D1"),
    ] {
        fake.on(upstream).once(Script::api_error(StatusCode::NOT_FOUND, "not_found_error", "model: it"));
        assert_eq!(daemon.get(asked).await.status(), 404, "{asked}");
        assert_eq!(fake.count(upstream), 1, "{asked}");
        fake.forget_requests();
    }
    let answer = daemon.get("/v1/models/%FF").await;
    assert_eq!(answer.status(), 400);
    message_of(&answer.json().await.unwrap(), CHAT);
}

#[tokio::test]
async fn a_body_that_is_no_request_is_400_and_names_the_place() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        for (body, names) in [
            ("", &["line 1", "column 0"][..]),
            ("{\n  \"model\": nope}", &["line 2", "column 13"]),
            ("{\"model\": \"m\"", &["line 1"]),
            ("{\n\"max_tokens\": 5}", &["model"]),
            ("{\"model\": 5}", &["model"]),
            ("{\"model\": \"\"}", &["model"]),
            ("[1, 2]", &["line 1"]),
            ("\"text\"", &["line 1"]),
            ("\u{feff}{}", &["line 1"]),
        ] {
            let (status, message) = refused(&daemon, path, &[JSON], body).await;
            assert_eq!(status, 400, "{path} {body:?}: {message}");
            for name in names {
                assert!(message.contains(name), "{path} {body:?}: {message}");
            }
        }
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let padded = |length: usize| {
        let start = "{\"model\":\"m\"}";
        format!("{start}{}", " ".repeat(length - start.len()))
    };
    let too_large = bytes::Bytes::from(padded(LIMIT + 1));
    fake.on(MESSAGES).once(Script::json(StatusCode::OK, &json!({})));
    let answer = daemon.send(Method::POST, MESSAGES, &[JSON], padded(LIMIT)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(fake.requests()[0].body.len(), LIMIT);
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        let (status, message) = refused(&daemon, path, &[JSON], too_large.clone()).await;
        assert_eq!(status, 413, "{path}");
        assert!(message.contains("32 MiB"), "{message}");
    }
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_413_too() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let chunk = bytes::Bytes::from(vec![b' '; 1 << 20]);
    for path in [MESSAGES, CHAT] {
        let chunks = std::iter::repeat_n(Ok::<_, std::convert::Infallible>(chunk.clone()), 34);
        let body = reqwest::Body::wrap(http_body_util::StreamBody::new(tokio_stream::iter(
            chunks.map(|chunk| chunk.map(http_body::Frame::data)),
        )));
        let (status, message) = refused(&daemon, path, &[JSON], body).await;
        assert_eq!(status, 413, "{path}");
        assert!(message.contains("32 MiB"), "{message}");
    }
}

/// Most client libraries are like this one.
#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_hears_why_it_is_refused() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let host = format!("host: {}", daemon.address());
    let body = vec![b' '; LIMIT + (8 << 20)];
    for (line, headers, expected) in [
        ("POST /v1/messages", &[host.as_str(), JSON_LINE][..], 413),
        ("POST /v1/messages", &[&host, JSON_LINE, "content-encoding: zstd"], 415),
        ("POST /v1/messages", &[&host], 415),
        ("POST /v1/nothing", &[&host, JSON_LINE], 404),
        ("PUT /v1/messages", &[&host, JSON_LINE], 405),
        ("POST /v1/messages", &["host: evil.example"], 421),
    ] {
        let head =
            format!("{line} HTTP/1.1\r\n{}\r\ncontent-length: {}\r\n", headers.join("\r\n"), body.len());
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        connection.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
        within("all is sent", connection.write_all(&body)).await.unwrap();
        assert_eq!(read_raw(&mut connection).await.status, expected, "{line} {headers:?}");
    }
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_too_much_is_told_at_once() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let host = format!("host: {}", daemon.address());
    let length = format!("content-length: {}", LIMIT + 1);
    let answer =
        by_hand(&daemon, &["POST /v1/messages HTTP/1.1", &host, JSON_LINE, &length, "expect: 100-continue"])
            .await;
    assert_eq!(answer.status, 413, "{}", answer.head);
}

#[tokio::test]
async fn a_gzipped_request_is_decoded() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        for encoding in ["gzip", "x-gzip", "GZIP"] {
            let body = gzip(request(path).to_string().as_bytes());
            let headers = [JSON, ANTHROPIC, ("content-encoding", encoding)];
            let answer = daemon.send(Method::POST, path, &headers, body).await;
            assert_eq!(answer.status(), 200, "{path} {encoding}");
        }
    }
    assert!(fake.requests().iter().all(|request| request.header("content-encoding").is_none()));
    assert_eq!(fake.requests_to(COUNT)[0].json(), request(COUNT));
}

#[tokio::test]
async fn an_encoding_that_cannot_be_read_is_refused() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let packed = gzip(request(CHAT).to_string().as_bytes());
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        for (encoding, body, expected) in [
            ("zstd", packed.clone(), 415),
            ("br", packed.clone(), 415),
            ("gzip, gzip", packed.clone(), 415),
            ("gzip", b"no gzip".to_vec(), 400),
            ("gzip", packed[..packed.len() - 4].to_vec(), 400),
        ] {
            let headers = [JSON, ("content-encoding", encoding)];
            let (status, message) = refused(&daemon, path, &headers, body).await;
            assert_eq!(status, expected, "{path} {encoding}: {message}");
        }
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_gzip_that_grows_beyond_the_limit_is_too_large() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let bomb = gzip(&vec![b' '; LIMIT + 1]);
    let (status, message) = refused(&daemon, MESSAGES, &[JSON, ("content-encoding", "gzip")], bomb).await;
    assert_eq!(status, 413, "{message}");
}

#[tokio::test]
async fn a_foreign_host_or_a_web_page_is_refused_on_every_route() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let host = format!("host: {}", daemon.address());
    let port = daemon.address().rsplit_once(':').unwrap().1;
    let localhost = format!("host: LOCALHOST:{port}");
    let evil = format!("host: evil.example:{port}");
    let routes = [
        "POST /v1/messages",
        "POST /messages/count_tokens",
        "POST /v1/chat/completions",
        "POST /v1/responses",
        "GET /v1/models",
        "GET /v1/models/claude-opus-5",
        "GET /healthz",
        "GET /readyz",
        "GET /",
        "HEAD /api/hello",
        "OPTIONS /v1/messages",
        "GET /nothing",
    ];
    for route in routes {
        let line = format!("{route} HTTP/1.1");
        for (lines, expected) in [
            (&[evil.as_str()][..], 421),
            (&["host: localhost"][..], 421),
            (&[][..], 421),
            (&[host.as_str(), &host][..], 421),
            (&[&host, "host: evil.example"][..], 421),
            (&[&host, "origin: https://evil.example"][..], 403),
            (&[&host, "origin: null"][..], 403),
            (&[&host, "sec-fetch-site: cross-site"][..], 403),
            (&[&host, "sec-fetch-site: same-site"][..], 403),
        ] {
            let lines: Vec<&str> = [line.as_str()].into_iter().chain(lines.iter().copied()).collect();
            let answer = by_hand(&daemon, &lines).await;
            assert_eq!(answer.status, expected, "{lines:?}");
            assert!(!answer.head.contains("access-control-"), "{}", answer.head);
        }
    }
    // A target that names a host of its own.
    let elsewhere = by_hand(&daemon, &["GET http://evil.example/v1/models HTTP/1.1", &host]).await;
    assert_eq!(elsewhere.status, 421);
    assert_eq!(fake.requests().len(), 0);
    for lines in [&[host.as_str()][..], &[&localhost], &[&host, "sec-fetch-site: none"]] {
        let lines: Vec<&str> = ["GET /v1/models HTTP/1.1"].into_iter().chain(lines.iter().copied()).collect();
        assert_eq!(by_hand(&daemon, &lines).await.status, 200, "{lines:?}");
    }
}

#[tokio::test]
async fn a_refused_caller_is_told_in_its_own_shape() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    for path in [MESSAGES, CHAT, RESPONSES] {
        let answer = by_hand(&daemon, &[&format!("POST {path} HTTP/1.1"), "host: evil.example"]).await;
        assert!(message_of(&answer.json(), path).contains("Host"));
    }
}
