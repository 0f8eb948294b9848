//! Requests that bring a credential of the provider's of their own: they go upstream with exactly that and past the pool,
//! and what comes back is theirs.

use http::{HeaderMap, Method, StatusCode};
use proxy_proto::v1::{ExplainRequestRequest, ExplainRequestResponse};
use proxy_tests::daemon::{Setup, TestDaemon, message, put};
use proxy_tests::fake_claude::{Caller, FakeClaude, OAUTH_BETA, Recorded, Script};
use proxyd::keys::Rules;
use reqwest::Response;
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const FILES: &str = "/v1/files";
const MODELS: &str = "/v1/models";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const SONNET: &str = "claude-sonnet-4-5";

/// A daemon with no account at all.
async fn daemon(fake: &FakeClaude) -> TestDaemon {
    TestDaemon::with(fake, passing(), |_| {}).await
}

fn passing() -> Setup {
    Setup { settings: vec![("PROXYD_HTTP__PASSTHROUGH", "true".to_owned())], ..Setup::default() }
}

async fn send(
    daemon: &TestDaemon,
    method: Method,
    path: &str,
    sent: &[(&str, &str)],
    body: &Value,
) -> Response {
    let json = [("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    daemon.send(method, path, &[&json[..], sent].concat(), body).await
}

async fn told(answer: Response) -> (StatusCode, Value) {
    let (status, body) = (answer.status(), answer.text().await.expect("a body"));
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("JSON: {status} {body}")))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn only(fake: &FakeClaude, path: &str) -> Recorded {
    let mut requests = fake.requests_to(path);
    assert_eq!(requests.len(), 1, "{path}");
    requests.pop().expect("a request")
}

fn request_id(headers: &HeaderMap) -> String {
    headers["x-proxyd-request-id"].to_str().expect("text").to_owned()
}

async fn explained(daemon: &TestDaemon, id: &str) -> ExplainRequestResponse {
    let request = ExplainRequestRequest { request_id: id.to_owned() };
    daemon.daemon_client().await.explain_request(request).await.expect("it is remembered").into_inner()
}

#[tokio::test]
async fn a_native_request_goes_up_with_exactly_what_it_brought() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let (login, key) = (fake.issue_account("own@example.com"), fake.add_api_key());
    let (token, odd) = (bearer(&login.access_token), message("one").to_string() + " \n");
    for (sent, caller) in [
        (
            vec![("authorization", token.as_str()), ("anthropic-beta", OAUTH_BETA)],
            Caller::Account(login.account),
        ),
        (vec![("x-api-key", key.as_str())], Caller::ApiKey(key.clone())),
    ] {
        fake.forget_requests();
        let rest = [
            ("anthropic-version", "2023-06-01"),
            ("user-agent", "their-client/1"),
            ("cookie", "a=b"),
            ("content-type", "application/json"),
        ];
        let answer = daemon
            .send(Method::POST, "/v1/messages?beta=true", &[&sent[..], &rest].concat(), odd.clone())
            .await;
        assert_eq!(answer.status(), 200);
        let came = only(&fake, MESSAGES);
        assert_eq!((came.caller.as_ref(), came.query.as_str()), (Some(&caller), "beta=true"));
        assert_eq!(came.body, odd);
        for name in ["authorization", "x-api-key", "anthropic-beta", "user-agent", "anthropic-version"] {
            let wanted = sent.iter().chain(&rest).find(|(sent, _)| *sent == name).map(|(_, value)| *value);
            assert_eq!(came.header(name), wanted, "{name}");
        }
        assert!(came.header("cookie").is_none());
        assert_eq!(came.header("via"), Some("1.1 proxyd"));
        let story = explained(&daemon, &request_id(answer.headers())).await;
        let [attempt] = story.attempts.as_slice() else { panic!("{story:?}") };
        assert_eq!((attempt.account.as_str(), attempt.name.as_str()), ("", "the caller's own credential"));
        assert!(!format!("{story:?}").contains("sk-ant"));
    }
    // What it left out is upstream's to miss.
    let (status, error) =
        told(send(&daemon, Method::POST, MESSAGES, &[("x-api-key", &key)], &message("one")).await).await;
    assert_eq!(
        (status, &error["error"]["message"]),
        (StatusCode::BAD_REQUEST, &json!("anthropic-version: header is required"))
    );
}

#[tokio::test]
async fn what_upstream_says_comes_back_word_for_word_after_one_attempt() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("pool@example.com");
    let daemon =
        TestDaemon::with(&fake, passing(), |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
    let key = fake.add_api_key();
    let sent = [("x-api-key", key.as_str()), ("anthropic-version", "2023-06-01")];
    let caller = || Caller::ApiKey(key.clone());
    let kinds = [
        (401, "authentication_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ];
    for (status, kind) in kinds {
        fake.forget_requests();
        let status = StatusCode::from_u16(status).expect("a status");
        let words = format!("the {kind} of this credential");
        fake.on(MESSAGES)
            .from(caller())
            .once(Script::api_error(status, kind, &words).header("retry-after", "7"));
        let answer = send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await;
        assert_eq!(
            (answer.status(), &answer.headers()["retry-after"]),
            (status, &"7".parse().expect("a value"))
        );
        assert!(!answer.headers().contains_key("x-should-retry"), "{kind}");
        let (_, error) = told(answer).await;
        let expected = json!({"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_FAKEscripted"});
        assert_eq!(error, expected);
        assert_eq!(only(&fake, MESSAGES).caller, Some(caller()));
    }
    // Nor is a page replaced by an error of ours.
    fake.on(MESSAGES).from(caller()).once(Script::html_502());
    let page = send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await;
    assert_eq!(
        (page.status(), page.headers()["content-type"].to_str().ok()),
        (StatusCode::BAD_GATEWAY, Some("text/html"))
    );
    fake.on(MESSAGES).from(caller()).once(Script::reset());
    let (status, _) = told(send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await).await;
    assert_eq!(status, 502);
    fake.on(MESSAGES).from(caller()).once(
        Script::body(StatusCode::TEMPORARY_REDIRECT, "text/plain", "")
            .header("location", "http://thief.example/"),
    );
    let (status, error) = told(send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await).await;
    assert_eq!((status, &error["error"]["type"]), (StatusCode::BAD_GATEWAY, &json!("api_error")));
    assert!(error["error"]["message"].as_str().is_some_and(|words| words.contains("redirect")), "{error}");
    // None of it is the account's.
    let account = daemon.only_account().await;
    assert!(proxy_tests::daemon::is_ready(&account), "{account:?}");
    assert_eq!(account.attempts.unwrap_or_default(), proxy_proto::v1::AttemptCounts::default());
    assert_eq!(daemon.ask("one").await.status(), 200);
}

#[tokio::test]
async fn a_translated_request_carries_the_credential_as_upstream_wants_it() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let (login, key) = (fake.issue_account("own@example.com"), fake.add_api_key());
    let turns = json!({"model": SONNET, "messages": [{"role": "user", "content": "one"}]});
    for (path, body) in [(CHAT, &turns), (RESPONSES, &json!({"model": SONNET, "input": "one"}))] {
        for (token, caller) in
            [(&login.access_token, Caller::Account(login.account)), (&key, Caller::ApiKey(key.clone()))]
        {
            fake.forget_requests();
            let sent = [("authorization", bearer(token))];
            let sent: Vec<_> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let (status, answer) = told(send(&daemon, Method::POST, path, &sent, body).await).await;
            assert_eq!(status, 200, "{answer}");
            let came = only(&fake, MESSAGES);
            let is_login = matches!(caller, Caller::Account(_));
            assert_eq!(came.caller, Some(caller));
            assert_eq!(came.header("authorization").is_some(), is_login);
            assert_eq!(came.header("x-api-key").is_some(), !is_login);
            assert_eq!(came.header_members("anthropic-beta").contains(&OAUTH_BETA.to_owned()), is_login);
        }
    }
    // What is said of its credential is for the client itself.
    let wrong = bearer("sk-ant-api03-FAKEwrong");
    fake.forget_requests();
    let (status, error) =
        told(send(&daemon, Method::POST, CHAT, &[("authorization", &wrong)], &turns).await).await;
    assert_eq!((status, &error["error"]["message"]), (StatusCode::UNAUTHORIZED, &json!("invalid x-api-key")));
    assert_eq!(fake.count(MESSAGES), 1);
}

#[tokio::test]
async fn names_and_owners_of_the_pool_are_not_its_own() {
    let fake = FakeClaude::start().await;
    let mut pooled = fake.issue_account("pool@example.com").auth_file();
    pooled["model_aliases"] = json!({"best": SONNET});
    let daemon = TestDaemon::with(&fake, passing(), |dir| put(dir, "claude-a.json", &pooled)).await;
    let key = fake.add_api_key();
    let sent = [("x-api-key", key.as_str()), ("anthropic-version", "2023-06-01")];
    let (_, file) =
        told(daemon.send(Method::POST, FILES, &[("content-type", "text/plain")], "the pool's").await).await;
    fake.forget_requests();
    let path = format!("{FILES}/{}", file["id"].as_str().expect("an id"));
    let (status, error) = told(send(&daemon, Method::GET, &path, &sent, &Value::Null).await).await;
    assert_eq!((status, &error["error"]["type"]), (StatusCode::NOT_FOUND, &json!("not_found_error")));
    assert_eq!(only(&fake, &path).caller, Some(Caller::ApiKey(key.clone())));
    let mut best = message("one");
    best["model"] = json!("best");
    let (status, error) = told(send(&daemon, Method::POST, MESSAGES, &sent, &best).await).await;
    assert_eq!(status, 404, "{error}");
    assert_eq!(only(&fake, MESSAGES).json()["model"], "best");
    assert_eq!(told(send(&daemon, Method::POST, MESSAGES, &[], &best).await).await.0, 200);
    // Its own files are its own.
    let upload = [sent[0], sent[1], ("content-type", "text/plain")];
    let (status, own) = told(daemon.send(Method::POST, FILES, &upload, "its own").await).await;
    assert_eq!(status, 200, "{own}");
    let path = format!("{FILES}/{}", own["id"].as_str().expect("an id"));
    assert_eq!(send(&daemon, Method::GET, &path, &sent, &Value::Null).await.status(), 200);
    assert_eq!(daemon.get(&path).await.status(), 404, "the pool does not have it");
}

#[tokio::test]
async fn its_models_are_what_upstream_lists_for_it() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let key = fake.add_api_key();
    let sent = [("x-api-key", key.as_str()), ("anthropic-version", "2023-06-01")];
    let direct = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (status, list) =
        told(send(&daemon, Method::GET, "/v1/models?limit=3", &sent, &Value::Null).await).await;
    let straight = direct.get(format!("{}/v1/models?limit=3", fake.url())).header("x-api-key", &key);
    let straight = straight.header("anthropic-version", "2023-06-01").send().await.expect("an answer");
    assert_eq!((status, list), told(straight).await);
    let (status, one) =
        told(send(&daemon, Method::GET, "/v1/models/claude-sonnet-4-5", &sent, &Value::Null).await).await;
    assert_eq!((status, &one["type"]), (StatusCode::OK, &json!("model")), "{one}");
    let openai = bearer(&key);
    let (status, list) =
        told(send(&daemon, Method::GET, MODELS, &[("authorization", &openai)], &Value::Null).await).await;
    assert_eq!((status, &list["object"]), (StatusCode::OK, &json!("list")));
    assert!(list["data"].as_array().is_some_and(|data| data.len() > 3), "{list}");
    assert!(
        fake.requests_to(MODELS).iter().all(|request| request.caller == Some(Caller::ApiKey(key.clone())))
    );
    // A key that may use some models only sees those of them.
    let rules = Rules { models: vec!["claude-haiku-*".to_owned()], ..Rules::default() };
    let limited = daemon.create_key("ci", rules);
    let sent = [sent[0], sent[1], ("x-proxyd-key", &limited)];
    let (_, list) = told(send(&daemon, Method::GET, MODELS, &sent, &Value::Null).await).await;
    let data = list["data"].as_array().expect("a list");
    assert!(
        !data.is_empty()
            && data.iter().all(|entry| entry["id"].as_str().unwrap_or_default().starts_with("claude-haiku-"))
    );
    assert_eq!(send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await.status(), 403);
}

#[tokio::test]
async fn a_stored_response_is_its_credentials() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    let keys = [bearer(&fake.add_api_key()), bearer(&fake.add_api_key())];
    let body = json!({"model": SONNET, "input": "one"});
    let (status, made) =
        told(send(&daemon, Method::POST, RESPONSES, &[("authorization", &keys[0])], &body).await).await;
    assert_eq!(status, 200, "{made}");
    let path = format!("{RESPONSES}/{}", made["id"].as_str().expect("an id"));
    let mine = send(&daemon, Method::GET, &path, &[("authorization", &keys[0])], &Value::Null).await;
    assert_eq!(mine.status(), 200);
    let theirs = send(&daemon, Method::GET, &path, &[("authorization", &keys[1])], &Value::Null).await;
    assert_eq!(theirs.status(), 404);
    assert_eq!(daemon.get(&path).await.status(), 404);
    let home = daemon.stop().await;
    let stored = std::fs::read_dir(home.path().join("auth/.responses")).expect("the directory");
    let stored: Vec<_> =
        stored.map(|entry| std::fs::read_to_string(entry.expect("an entry").path())).collect();
    let [Ok(stored)] = stored.as_slice() else { panic!("{stored:?}") };
    assert!(stored.contains("\"credential:") && !stored.contains("sk-ant"), "{stored}");
}

#[tokio::test]
async fn where_nothing_listens_it_is_tried_twice_and_no_more() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake).await;
    drop(fake);
    let sent = [("x-api-key", "sk-ant-api03-FAKE"), ("anthropic-version", "2023-06-01")];
    let answer = send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await;
    assert_eq!(answer.status(), 502);
    let story = explained(&daemon, &request_id(answer.headers())).await;
    assert_eq!(story.attempts.len(), 2, "{story:?}");
}

#[tokio::test]
async fn without_the_setting_it_is_a_clients_own_header_and_goes_nowhere() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let sent = [("x-api-key", "sk-ant-api03-FAKE"), ("anthropic-version", "2023-06-01")];
    assert_eq!(send(&daemon, Method::POST, MESSAGES, &sent, &message("one")).await.status(), 200);
    assert_eq!(only(&fake, MESSAGES).caller, Some(Caller::Account(issued.account)));
}
