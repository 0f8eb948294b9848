//! Scripted answers, gates, broken connections and the record.

use std::io::Read as _;
use std::sync::Arc;

use flate2::read::GzDecoder;
use http::{Method, StatusCode};
use proxy_tests::fake_claude::{
    Control, FakeClaude, Gate, OnSurprise, Options, Progress, Script, Step, Surprise, text_events,
};
use proxy_tests::wait::within;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Client, Failed, Reply, VERSION, hello};

const MESSAGES: &str = "/v1/messages";

/// Sends one request over a connection of its own and returns what comes until the end, and how it ends.
async fn raw(fake: &FakeClaude, key: &str) -> (String, std::io::Result<()>) {
    let mut stream = TcpStream::connect(fake.address()).await.unwrap();
    stream.write_all(raw_request(key).as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let end = within("the end of the connection", stream.read_to_end(&mut received)).await;
    (String::from_utf8(received).unwrap(), end.map(|_| ()))
}

fn raw_request(key: &str) -> String {
    let body = hello().to_string();
    format!(
        "POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn try_message(client: &Client, key: &str) -> Result<Reply, Failed> {
    let headers = [("content-type", "application/json"), ("x-api-key", key), VERSION];
    client.send(Method::POST, MESSAGES, &headers, &hello()).await
}

#[tokio::test]
async fn queued_scripts_answer_in_order_and_then_the_real_answer_comes() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    fake.on(MESSAGES).once(Script::rate_limited(7));
    fake.on(MESSAGES).once(Script::html_502());
    fake.on(MESSAGES).once(Script::overloaded());
    let limited = client.message(&key, &hello()).await;
    assert_eq!(
        (limited.status, limited.headers["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "7")
    );
    assert_eq!(limited.json()["error"]["type"], "rate_limit_error");
    let gateway = client.message(&key, &hello()).await;
    assert_eq!(
        (gateway.status, gateway.headers["content-type"].to_str().unwrap()),
        (StatusCode::BAD_GATEWAY, "text/html")
    );
    assert_eq!(client.message(&key, &hello()).await.status.as_u16(), 529);
    assert_eq!(client.message(&key, &hello()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_script_for_one_credential_leaves_the_others_alone() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let (a, b) = (fake.issue_account("a@example.com"), fake.issue_account("b@example.com"));
    fake.on(MESSAGES).from(a.account).always(Script::rate_limited(1));
    fake.on(MESSAGES).times(1, &Script::overloaded());
    assert_eq!(
        client.message_as(&b.access_token).await.status.as_u16(),
        529,
        "a queued script is for anybody"
    );
    for _ in 0..2 {
        assert_eq!(client.message_as(&a.access_token).await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(client.message_as(&b.access_token).await.status, StatusCode::OK);
    }
    fake.clear_scripts();
    assert_eq!(client.message_as(&a.access_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_script_nobody_asked_for_is_told() {
    let fake = FakeClaude::start().await;
    fake.on(MESSAGES).times(2, &Script::overloaded());
    let unused = Surprise::UnusedScript { path: MESSAGES.to_owned(), count: 2 };
    assert_eq!(fake.verify().unwrap_err(), [unused]);
    fake.clear_scripts();
}

#[tokio::test]
async fn a_held_answer_has_done_its_work_and_a_held_call_has_not() {
    let fake = Arc::new(FakeClaude::start().await);
    let login = fake.issue_account("a@example.com");
    let (before, after) = (Gate::new(), Gate::new());
    fake.on("/v1/oauth/token").once(Script::real().hold(&before).hold_answer(&after));
    let call = async { Client::of(&fake).refresh_login(&login).await };
    let watch = async {
        within("the call at the first gate", before.reached_by(1)).await;
        assert_eq!(fake.current_refresh_token(login.account), Some(login.refresh_token.clone()));
        before.open();
        within("the call at the second gate", after.reached_by(1)).await;
        assert_ne!(fake.current_refresh_token(login.account), Some(login.refresh_token.clone()));
        assert_eq!(fake.requests()[0].progress, Progress::Running);
        after.open();
    };
    let (reply, ()) = tokio::join!(call, watch);
    let current = fake.current_refresh_token(login.account);
    assert_eq!(reply.json()["refresh_token"].as_str(), current.as_deref());
    assert_eq!(fake.requests()[0].progress, Progress::Answered);
}

#[tokio::test]
async fn token_replies_can_be_patched() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let login = fake.issue_account("a@example.com");
    let patch =
        json!({"refresh_token": null, "expires_in": "soon", "account": {"email_address": "b@example.com"}});
    fake.on("/v1/oauth/token").once(Script::real().patch(patch).header("retry-after", "3"));
    let reply = client.refresh_login(&login).await;
    let body = reply.json();
    assert_eq!((body.get("refresh_token"), &body["expires_in"]), (None, &json!("soon")));
    assert_eq!(body["account"]["email_address"], "b@example.com");
    assert!(body["account"]["uuid"].is_string(), "the rest of a patched object stays");
    assert_eq!(reply.headers["retry-after"], "3");
    assert_eq!(reply.headers["content-length"].to_str().unwrap(), reply.body.len().to_string());
}

#[tokio::test]
async fn a_lost_answer_leaves_the_token_rotated() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let login = fake.issue_account("a@example.com");
    fake.on("/v1/oauth/token").once(Script::real().lose_answer());
    let body = super::client::refresh_request(&login.refresh_token);
    let headers = [("content-type", "application/json")];
    assert!(client.send(Method::POST, "/v1/oauth/token", &headers, &body).await.is_err());
    assert_eq!(fake.rotations(login.account), 1);
    assert_ne!(fake.current_refresh_token(login.account), Some(login.refresh_token));
}

#[tokio::test]
async fn connections_end_before_the_headers_as_scripted() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    fake.on(MESSAGES).once(Script::reset());
    let (received, end) = raw(&fake, &key).await;
    assert_eq!(received, "");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    fake.on(MESSAGES).once(Script::close());
    let (received, end) = raw(&fake, &key).await;
    assert_eq!(received, "");
    assert!(end.is_ok());
}

#[tokio::test]
async fn a_stream_is_paced_by_gates_and_broken_where_the_script_says() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    let gate = Gate::new();
    let mut steps = text_events("claude-haiku-4-5", &["Hel", "lo"]);
    steps.truncate(4);
    steps.insert(3, Step::gate(&gate));
    steps.push(Step::Reset);
    fake.on(MESSAGES).once(Script::stream(steps));
    let mut stream = TcpStream::connect(fake.address()).await.unwrap();
    stream.write_all(raw_request(&key).as_bytes()).await.unwrap();
    let mut received = Vec::new();
    within("the first half", async {
        while !String::from_utf8_lossy(&received).contains("Hel") {
            assert!(stream.read_buf(&mut received).await.unwrap() > 0);
        }
    })
    .await;
    assert!(!String::from_utf8_lossy(&received).contains("\"lo\""), "the rest waits at the gate");
    gate.open();
    let end = within("the reset", stream.read_to_end(&mut received)).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(String::from_utf8_lossy(&received).contains("\"lo\""), "what came before the reset arrived");
}

#[tokio::test]
async fn a_body_can_be_cut_and_says_how_long_it_should_have_been() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let whole = client.message(&key, &hello()).await;
    fake.on(MESSAGES).once(Script::real().cut_after(10));
    let (received, end) = raw(&fake, &key).await;
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", whole.body.len())), "{head}");
    assert_eq!(body.as_bytes(), &whole.body[..10]);
    assert!(end.is_ok(), "a close, not a reset");
    fake.on(MESSAGES).once(Script::stream([Step::data("event: ping\n"), Step::Cut]));
    let (received, end) = raw(&fake, &key).await;
    assert!(received.ends_with("event: ping\n\r\n"), "no final chunk: {received}");
    assert!(end.is_ok());
}

#[tokio::test]
async fn a_gzip_answer_decodes_to_the_plain_one() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let decode = |reply: &Reply| {
        assert_eq!(reply.headers["content-encoding"], "gzip");
        let mut plain = String::new();
        GzDecoder::new(reply.body.as_ref()).read_to_string(&mut plain).unwrap();
        plain
    };
    fake.on(MESSAGES).once(Script::real().gzip());
    let whole: Value = serde_json::from_str(&decode(&client.message(&key, &hello()).await)).unwrap();
    assert_eq!(whole["content"][0]["text"], "You said: Hello, café!");
    fake.on(MESSAGES).once(Script::stream(text_events("m", &["a", "b"])).gzip());
    let events = decode(&client.message(&key, &hello()).await);
    assert!(
        events.starts_with("event: message_start\n") && events.ends_with("\"message_stop\"}\n\n"),
        "{events}"
    );
}

#[tokio::test]
async fn an_error_event_can_come_first_in_a_stream() {
    let fake = FakeClaude::start().await;
    fake.on(MESSAGES).once(Script::error_event("overloaded_error", "Overloaded"));
    let reply = Client::of(&fake).message(&fake.add_api_key(), &hello()).await;
    assert_eq!(reply.status, StatusCode::OK);
    let events = reply.events();
    assert_eq!((events.len(), events[0].0.as_str()), (1, "error"));
    assert_eq!(events[0].1["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    let gate = Gate::new();
    let mut steps = text_events("m", &["a"]);
    steps.insert(2, Step::gate(&gate));
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    fake.on(MESSAGES).once(Script::stream(steps));
    for n in 1..=2 {
        let mut stream = TcpStream::connect(fake.address()).await.unwrap();
        stream.write_all(raw_request(&key).as_bytes()).await.unwrap();
        within("the request at the gate", gate.reached_by(n)).await;
        drop(stream);
        within("the hang-up", gate.left_by(n)).await;
        fake.wait_for("it to be recorded", |f| {
            f.requests().last().is_some_and(|r| r.progress == Progress::Abandoned)
        })
        .await;
    }
}

#[tokio::test]
async fn idle_connections_can_be_reset() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    client.message(&key, &hello()).await;
    client.message(&key, &hello()).await;
    assert_eq!(fake.requests()[0].connection, fake.requests()[1].connection, "kept alive");
    let mut idle = TcpStream::connect(fake.address()).await.unwrap();
    idle.write_all(raw_request(&key).as_bytes()).await.unwrap();
    fake.wait_for("the third answer", |f| {
        f.requests().get(2).is_some_and(|r| r.progress == Progress::Answered)
    })
    .await;
    fake.drop_connections();
    let mut rest = Vec::new();
    let end = within("the reset", idle.read_to_end(&mut rest)).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_request_is_recorded_as_it_came() {
    let fake = FakeClaude::start().await;
    let (client, key) = (Client::of(&fake), fake.add_api_key());
    let headers = [("x-api-key", key.as_str()), VERSION, ("anthropic-beta", "a,b"), ("anthropic-beta", "c")];
    client.post("/v1/messages?beta=true", &headers, &hello()).await;
    let requests = fake.requests_to(MESSAGES);
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", "beta=true"));
    assert_eq!(request.json(), hello());
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header_members("anthropic-beta"), ["a", "b", "c"]);
    assert_eq!(fake.count(MESSAGES), 1);
    fake.forget_requests();
    assert_eq!(fake.count(MESSAGES), 0);
}

#[tokio::test]
async fn dropping_the_fake_ends_its_connections() {
    let fake = FakeClaude::start().await;
    let (address, key) = (fake.address(), fake.add_api_key());
    let mut open = TcpStream::connect(address).await.unwrap();
    open.write_all(raw_request(&key).as_bytes()).await.unwrap();
    fake.wait_for("the answer", |f| f.requests().first().is_some_and(|r| r.progress == Progress::Answered))
        .await;
    drop(fake);
    let mut rest = Vec::new();
    within("the end", open.read_to_end(&mut rest)).await.unwrap();
    within("the port to refuse", async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test]
async fn only_loopback_is_served() {
    let options = Options { listen: "192.0.2.1:0".parse().unwrap(), ..Options::default() };
    let error = FakeClaude::serve(options).await.unwrap_err();
    assert!(error.to_string().contains("not a loopback address"), "{error}");
}

#[tokio::test]
async fn scripts_in_other_languages_drive_it_over_http() {
    let options = Options { control: Control::On, on_surprise: OnSurprise::Keep, ..Options::default() };
    let fake = FakeClaude::serve(options).await.unwrap();
    let client = Client::of(&fake);
    let key =
        client.post("/fake/api-keys", &[], &Value::Null).await.json()["key"].as_str().unwrap().to_owned();
    let file = client.post("/fake/accounts", &[], &json!({"email": "a@example.com"})).await.json();
    let access_token = file["access_token"].as_str().unwrap();
    assert_eq!((&file["type"], &file["email"]), (&json!("claude"), &json!("a@example.com")));

    let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "scripted"}});
    let script = json!({"path": MESSAGES, "email": "a@example.com", "status": 400, "headers": {"retry-after": 5}, "body": error});
    assert_eq!(client.post("/fake/script", &[], &script).await.status, StatusCode::OK);
    assert_eq!(client.message(&key, &hello()).await.status, StatusCode::OK);
    let scripted = client.message_as(access_token).await;
    assert_eq!((scripted.status, scripted.json()), (StatusCode::BAD_REQUEST, error));
    assert_eq!(scripted.headers["retry-after"], "5");

    assert_eq!(
        client.post("/fake/expire-access-tokens", &[], &Value::Null).await.json(),
        json!({"expired": 1})
    );
    assert_eq!(client.message_as(access_token).await.status, StatusCode::UNAUTHORIZED);
    client.refresh(file["refresh_token"].as_str().unwrap()).await;
    let state = client.get("/fake/state", &[]).await.json();
    assert_eq!(state, json!({"token_calls": 1, "lost_thoughts": 0, "surprises": []}));
    let seen = client.get("/fake/requests?path=/v1/messages", &[]).await.json();
    assert_eq!(seen.as_array().unwrap().len(), 3);
    assert_eq!(
        (&seen[1]["caller"]["email"], &seen[1]["progress"]),
        (&json!("a@example.com"), &json!("answered"))
    );

    assert_eq!(
        client.send(Method::DELETE, "/fake/requests", &[], &Value::Null).await.unwrap().json(),
        json!({})
    );
    assert_eq!(client.get("/fake/requests", &[]).await.json(), json!([]));
    for bad in
        [json!({"path": MESSAGES, "sleep": 3}), json!({"path": MESSAGES, "email": "nobody@example.com"})]
    {
        assert_eq!(client.post("/fake/script", &[], &bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let always = json!({"path": MESSAGES, "always": true, "chunks": ["data: 1\n", "\ndata: 2\n\n"]});
    client.post("/fake/script", &[], &always).await;
    assert_eq!(client.message(&key, &hello()).await.body, "data: 1\n\ndata: 2\n\n");
    client.send(Method::DELETE, "/fake/script", &[], &Value::Null).await.unwrap();
    assert_eq!(client.message(&key, &hello()).await.status, StatusCode::OK);
    assert!(try_message(&client, &key).await.is_ok());
}

#[tokio::test]
async fn without_control_the_endpoints_are_not_there() {
    let fake = FakeClaude::start().await;
    let reply = Client::of(&fake).post("/fake/api-keys", &[], &Value::Null).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(fake.take_surprises().len(), 1);
}
