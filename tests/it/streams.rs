//! Streams under stress: cut ones are never silent, abandoned ones stop upstream, none waits for another, and
//! a stop of the daemon lets them finish or says that it did not.

use std::time::Duration;

use futures_util::future::join_all;
use proxy_tests::client::{Reading, events, frames, read_raw};
use proxy_tests::daemon::{Setup, TestDaemon, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Progress, Script, Step, text_events};
use proxy_tests::wait::within;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MODEL: &str = "claude-sonnet-4-5";

/// Between two looks at what tells nobody when it changes.
const LOOK: Duration = Duration::from_millis(5);

fn request(path: &str, stream: bool) -> Value {
    if path == RESPONSES {
        return json!({"model": MODEL, "stream": stream, "input": "hi"});
    }
    let input = json!([{"role": "user", "content": "hi"}]);
    json!({"model": MODEL, "max_tokens": 100, "stream": stream, "messages": input})
}

/// Two deltas, and between them what `middle` says.
fn interrupted(middle: impl IntoIterator<Item = Step>) -> Script {
    let mut steps = text_events(MODEL, &["first", "second"]);
    steps.splice(3..3, middle);
    Script::stream(steps)
}

async fn open(daemon: &TestDaemon, path: &str) -> Reading {
    let answer = daemon.post(path, &request(path, true)).await;
    assert_eq!(answer.status(), 200, "{path}");
    Reading::new(answer)
}

async fn with_drain(fake: &FakeClaude, drain: &str) -> TestDaemon {
    let file = fake.issue_account("person@example.com").auth_file();
    let setup = Setup { settings: vec![("PROXYD_HTTP__DRAIN", drain.to_owned())], ..Setup::default() };
    TestDaemon::with(fake, setup, |dir| put(dir, "claude-a.json", &file)).await
}

/// Waits until the daemon takes no connections any more.
async fn refuses_connections(daemon: &TestDaemon) {
    within("the listener closes", async {
        while TcpStream::connect(daemon.address()).await.is_ok() {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

async fn is_idle(daemon: &TestDaemon) {
    within("no request is in flight", async {
        while daemon.pool().snapshot().members.iter().any(|member| member.in_flight() > 0) {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

/// A request as it stands on a connection.
fn written(daemon: &TestDaemon, path: &str, body: &Value) -> String {
    let (host, body) = (daemon.address(), body.to_string());
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_cut_messages_stream_ends_with_an_error_event() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for half_an_event in [false, true] {
        for end in [Step::Cut, Step::Reset] {
            let gate = Gate::new();
            let half =
                half_an_event.then(|| Step::data("event: content_block_delta\ndata: {\"type\":\"HALF"));
            fake.on(MESSAGES).once(interrupted(half.into_iter().chain([Step::gate(&gate), end])));
            let mut reading = open(&daemon, MESSAGES).await;
            reading.until(if half_an_event { "HALF" } else { "first" }).await;
            gate.open();
            let stream = reading.text().await;
            let (_, error) = stream.rsplit_once("\n\nevent: error\ndata: ").unwrap();
            let error: Value = serde_json::from_str(error.trim_end()).unwrap();
            assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("api_error")));
            assert!(!stream.contains("message_stop") && stream.ends_with("\n\n"), "{stream}");
        }
    }
    is_idle(&daemon).await;
}

#[tokio::test]
async fn a_stream_that_ends_too_early_without_a_word_ends_with_an_error_event() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.on(MESSAGES).once(Script::stream(text_events(MODEL, &["first"]).into_iter().take(3)));
    let stream = open(&daemon, MESSAGES).await.text().await;
    assert_eq!(events(&stream).last().unwrap().0, "error", "{stream}");
}

/// What goes wrong in the middle of a stream, and what a client is told.
fn faults() -> Vec<(Vec<Step>, &'static str)> {
    let error =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Too many at once."}});
    let half = Step::data("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"ind");
    vec![
        (vec![Step::Cut], "closed the connection"),
        (vec![Step::Reset], "reset the connection"),
        (vec![half.clone(), Step::Cut], "closed the connection"),
        (vec![half, Step::Reset], "reset the connection"),
        (vec![Step::event("error", &error)], "Too many at once."),
        (vec![Step::data("event: content_block_delta\ndata: nonsense\n\n")], "cannot be read"),
    ]
}

#[tokio::test]
async fn a_chat_stream_that_is_interrupted_ends_with_an_error_frame_and_never_as_done() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for (fault, told) in faults() {
        let gate = Gate::new();
        fake.on(MESSAGES).once(interrupted([Step::gate(&gate)].into_iter().chain(fault)));
        let mut reading = open(&daemon, CHAT).await;
        reading.until("first").await;
        gate.open();
        let mut frames = frames(&reading.text().await);
        let last = frames.pop().unwrap();
        assert_eq!(last["error"]["type"], "server_error", "{last}");
        assert!(last["error"]["message"].as_str().unwrap().contains(told), "{told}: {last}");
        for frame in &frames {
            assert_eq!(frame["choices"][0]["finish_reason"], Value::Null, "{frame}");
        }
        assert!(!frames.is_empty() && !frames.contains(&json!("[DONE]")), "{frames:?}");
    }
}

#[tokio::test]
async fn a_responses_stream_that_is_interrupted_ends_as_failed() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for (fault, told) in faults() {
        let gate = Gate::new();
        fake.on(MESSAGES).once(interrupted([Step::gate(&gate)].into_iter().chain(fault)));
        let mut reading = open(&daemon, RESPONSES).await;
        reading.until("first").await;
        gate.open();
        let stream = reading.text().await;
        let (name, data) = events(&stream).pop().unwrap();
        assert_eq!((name.as_str(), &data["response"]["status"]), ("response.failed", &json!("failed")));
        let message = data["response"]["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{told}: {stream}");
    }
}

#[tokio::test]
async fn a_translated_stream_without_its_end_is_no_finished_one() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let whole = text_events(MODEL, &["first"]);
    // Without message_stop, also where the reason to stop was told already.
    for kept in 1..whole.len() {
        fake.on(MESSAGES).times(2, &Script::stream(whole.iter().take(kept).cloned()));
        let chat = frames(&open(&daemon, CHAT).await.text().await);
        assert!(chat.last().unwrap()["error"].is_object(), "{kept}: {chat:?}");
        assert!(chat.iter().all(|frame| frame["choices"][0]["finish_reason"].is_null()), "{kept}: {chat:?}");
        let responses = events(&open(&daemon, RESPONSES).await.text().await);
        assert_eq!(responses.last().unwrap().0, "response.failed", "{kept}");
    }
}

#[tokio::test]
async fn what_upstream_pings_keeps_clients_of_the_other_apis_awake() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [CHAT, RESPONSES] {
        let gate = Gate::new();
        let ping = Step::event("ping", &json!({"type": "ping"}));
        fake.on(MESSAGES).once(interrupted([ping, Step::gate(&gate)]));
        let mut reading = open(&daemon, path).await;
        // While upstream says nothing else.
        reading.until("\n\n: keep-alive\n\n").await;
        assert!(!String::from_utf8_lossy(reading.seen()).contains("second"), "{path}");
        gate.open();
        assert!(reading.text().await.contains("second"), "{path}");
    }
}

#[tokio::test]
async fn a_whole_answer_that_breaks_off_is_never_passed_off_as_complete() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.on(MESSAGES).times(3, &Script::real().cut_after(20));
    let broken = Reading::new(daemon.post(MESSAGES, &request(MESSAGES, false)).await);
    assert!(broken.finish().await.is_err());
    for path in [CHAT, RESPONSES] {
        let answer = daemon.post(path, &request(path, false)).await;
        assert_eq!(answer.status(), 502, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["type"], "server_error", "{path}");
    }
}

#[tokio::test]
async fn an_error_in_place_of_the_first_event_passes_in_its_own_api() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.on(MESSAGES).once(Script::error_event("overloaded_error", "Overloaded"));
    let stream = open(&daemon, MESSAGES).await.text().await;
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert_eq!(events(&stream), [("error".to_owned(), error)]);
}

#[tokio::test]
async fn an_error_in_place_of_the_first_event_becomes_a_status_in_the_other_apis() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [CHAT, RESPONSES] {
        for (kind, status, shown) in [
            ("overloaded_error", 503, "server_error"),
            ("rate_limit_error", 429, "rate_limit_error"),
            ("api_error", 500, "server_error"),
            ("invalid_request_error", 400, "invalid_request_error"),
        ] {
            fake.on(MESSAGES).once(Script::error_event(kind, "It is what it is."));
            let answer = daemon.post(path, &request(path, true)).await;
            assert_eq!(answer.status(), status, "{path} {kind}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["error"]["type"], shown, "{path} {kind}");
            assert_eq!(body["error"]["message"], "It is what it is.", "{path} {kind}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_takes_the_call_upstream_with_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, CHAT, RESPONSES] {
        let gate = Gate::new();
        fake.on(MESSAGES).once(interrupted([Step::gate(&gate)]));
        let mut reading = open(&daemon, path).await;
        reading.until("first").await;
        drop(reading);
        within("upstream sees the client leave", gate.left_by(1)).await;
        is_idle(&daemon).await;
    }
    assert!(fake.requests_to(MESSAGES).iter().all(|request| request.progress == Progress::Abandoned));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_takes_the_call_upstream_with_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, CHAT, RESPONSES, "/v1/messages/count_tokens"] {
        let gate = Gate::new();
        let upstream = if path.ends_with("count_tokens") { path } else { MESSAGES };
        fake.on(upstream).once(Script::real().hold(&gate));
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        let request = written(&daemon, path, &request(path, false));
        connection.write_all(request.as_bytes()).await.unwrap();
        within("upstream is asked", gate.reached_by(1)).await;
        drop(connection);
        within("upstream sees the client leave", gate.left_by(1)).await;
        is_idle(&daemon).await;
    }
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_hundred_streams_are_open_at_once_and_none_waits_for_another() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(100, &interrupted([Step::gate(&gate)]));
    let mut streams = join_all((0..100).map(|_| open(&daemon, MESSAGES))).await;
    for stream in &mut streams {
        stream.until("first").await;
    }
    within("all are at the gate", gate.reached_by(100)).await;
    assert_eq!(daemon.ask("one more").await.status(), 200);
    gate.open();
    for stream in join_all(streams.into_iter().map(Reading::text)).await {
        assert!(stream.contains("second") && stream.contains("message_stop"));
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_holds_up_upstream_and_nobody_else() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    // More than all the buffers on the way hold together.
    let event =
        Step::data(format!("event: content_block_delta\ndata: {{\"x\":\"{}\"}}\n\n", "x".repeat(1 << 20)));
    fake.on(MESSAGES).once(interrupted(vec![event; 64]));
    let mut slow = open(&daemon, MESSAGES).await;
    slow.until("first").await;
    for _ in 0..20 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    assert_eq!(fake.requests_to(MESSAGES)[0].progress, Progress::Running);
    let whole = slow.finish().await.unwrap();
    assert!(whole.len() > 64 << 20 && whole.ends_with(b"{\"type\":\"message_stop\"}\n\n"));
}

#[tokio::test]
async fn a_stop_lets_open_streams_finish_and_takes_no_new_connections() {
    let fake = FakeClaude::start().await;
    let mut daemon = with_drain(&fake, "30s").await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(2, &interrupted([Step::gate(&gate)]));
    let mut streams = [open(&daemon, MESSAGES).await, open(&daemon, CHAT).await];
    for stream in &mut streams {
        stream.until("first").await;
    }
    daemon.ask_to_stop();
    refuses_connections(&daemon).await;
    gate.open();
    let [messages, chat] = streams;
    assert_eq!(events(&messages.text().await).last().unwrap().0, "message_stop");
    assert_eq!(frames(&chat.text().await).last().unwrap(), "[DONE]");
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_still_open_when_the_grace_period_ends_is_told_so() {
    let fake = FakeClaude::start().await;
    let mut daemon = with_drain(&fake, "0s").await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(2, &interrupted([Step::gate(&gate)]));
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let mut streams = [open(&daemon, MESSAGES).await, open(&daemon, CHAT).await];
    for stream in &mut streams {
        stream.until("first").await;
    }
    let mut waiting = TcpStream::connect(daemon.address()).await.unwrap();
    waiting.write_all(written(&daemon, MESSAGES, &request(MESSAGES, false)).as_bytes()).await.unwrap();
    within("all three are upstream", gate.reached_by(3)).await;
    daemon.ask_to_stop();
    let [messages, chat] = streams;
    let (name, error) = events(&messages.text().await).pop().unwrap();
    assert_eq!((name.as_str(), &error["error"]["type"]), ("error", &json!("overloaded_error")));
    let frame = frames(&chat.text().await).pop().unwrap();
    assert!(frame["error"]["message"].as_str().unwrap().contains("stopping"), "{frame}");
    let answer = read_raw(&mut waiting).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (529, &json!("overloaded_error")));
    daemon.stop().await;
    within("upstream is left", gate.left_by(3)).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_cannot_hold_up_a_stop() {
    let fake = FakeClaude::start().await;
    let daemon = with_drain(&fake, "0s").await;
    let event =
        Step::data(format!("event: content_block_delta\ndata: {{\"x\":\"{}\"}}\n\n", "x".repeat(1 << 20)));
    fake.on(MESSAGES).once(interrupted(vec![event; 64]));
    let mut slow = open(&daemon, MESSAGES).await;
    slow.until("first").await;
    daemon.stop().await;
    fake.wait_for("upstream is left", |fake| fake.requests_to(MESSAGES)[0].progress == Progress::Abandoned)
        .await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_reaches_nobody() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for path in [MESSAGES, CHAT] {
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        let whole = written(&daemon, path, &request(path, false));
        connection.write_all(&whole.as_bytes()[..whole.len() - 1]).await.unwrap();
        drop(connection);
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    is_idle(&daemon).await;
    assert_eq!(fake.count(MESSAGES), 2);
}

#[tokio::test]
async fn a_stopping_daemon_is_not_ready() {
    let fake = FakeClaude::start().await;
    let mut daemon = with_drain(&fake, "30s").await;
    // A request that has begun before the stop and ends after it.
    let mut late = TcpStream::connect(daemon.address()).await.unwrap();
    late.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {}\r\n", daemon.address()).as_bytes())
        .await
        .unwrap();
    // Connections are taken in the order they came.
    assert_eq!(daemon.get("/readyz").await.status(), 200);
    daemon.ask_to_stop();
    refuses_connections(&daemon).await;
    late.write_all(b"\r\n").await.unwrap();
    let answer = read_raw(&mut late).await;
    assert_eq!((answer.status, &answer.json()["ready"]), (503, &json!(false)));
    daemon.stop().await;
}

#[tokio::test]
async fn after_the_stop_nothing_listens_and_no_connection_is_left() {
    let fake = FakeClaude::start().await;
    let daemon = with_drain(&fake, "30s").await;
    let mut idle = TcpStream::connect(daemon.address()).await.unwrap();
    idle.write_all(format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.address()).as_bytes())
        .await
        .unwrap();
    let mut first = [0; 12];
    within("an answer", idle.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let silent = TcpStream::connect(daemon.address()).await.unwrap();
    let (address, socket) = (daemon.address().to_owned(), daemon.control_socket().to_owned());
    daemon.stop().await;
    assert!(TcpStream::connect(&address).await.is_err());
    assert!(!socket.exists());
    for mut connection in [idle, silent] {
        let mut rest = Vec::new();
        within("the end of the connection", connection.read_to_end(&mut rest)).await.unwrap();
    }
}
