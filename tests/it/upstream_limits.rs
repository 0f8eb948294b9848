//! An upstream that hangs, resets, redirects, sends too much or sends nonsense: each is an error of its own in the caller's
//! API, and nothing of it piles up here.

use http::StatusCode;
use proxy_tests::client::{Reading, events, frames};
use proxy_tests::daemon::{Setup, TestDaemon, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Progress, Script, Step, text_events};
use proxy_tests::wait::within;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const ALL: [&str; 3] = [MESSAGES, CHAT, RESPONSES];
const MODEL: &str = "claude-sonnet-4-5";
const MIB: usize = 1 << 20;

const SHORT: &str = "50ms";
const SILENCE: (&str, &str) = ("PROXYD_UPSTREAM__SILENCE_TIMEOUT", SHORT);

fn request(path: &str, stream: bool) -> Value {
    if path == RESPONSES {
        return json!({"model": MODEL, "stream": stream, "input": "hi"});
    }
    let input = json!([{"role": "user", "content": "hi"}]);
    json!({"model": MODEL, "max_tokens": 100, "stream": stream, "messages": input})
}

async fn daemon(fake: &FakeClaude, settings: &[(&'static str, &str)]) -> TestDaemon {
    let file = fake.issue_account("person@example.com").auth_file();
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let setup = Setup { settings, ..Setup::default() };
    TestDaemon::with(fake, setup, |dir| put(dir, "claude-a.json", &file)).await
}

/// Whose model traffic goes to somebody else than the fake.
async fn daemon_at(fake: &FakeClaude, base: &str, more: (&'static str, &str)) -> TestDaemon {
    daemon(fake, &[("PROXYD_CLAUDE__API_BASE_URL", base), more]).await
}

/// The code and the words of an error body, and its status.
async fn refusal(daemon: &TestDaemon, path: &str, stream: bool) -> (u16, String, String) {
    let answer = daemon.post(path, &request(path, stream)).await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let error = &body["error"];
    let code = if path == MESSAGES { &error["details"]["error_code"] } else { &error["code"] };
    (status, code.as_str().unwrap_or_default().to_owned(), error["message"].as_str().unwrap().to_owned())
}

/// What the last event of a stream says.
fn error_of(path: &str, stream: &str) -> Value {
    match path {
        MESSAGES => events(stream).pop().unwrap().1["error"].clone(),
        RESPONSES => events(stream).pop().unwrap().1["response"]["error"].clone(),
        _ => frames(stream).pop().unwrap()["error"].clone(),
    }
}

/// Somebody who answers every request with these bytes, and then hangs up.
async fn raw(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    proxyd::tasks::Tasks::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16 * 1024];
            if stream.read(&mut request).await.is_ok() && stream.write_all(answer).await.is_ok() {
                drop(stream.shutdown().await);
            }
        }
    });
    base
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_told_so() {
    let fake = FakeClaude::start().await;
    // A proxy that takes the connection and says nothing: it is never accepted.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let settings = [("PROXYD_UPSTREAM__PROXY_URL", &*proxy), ("PROXYD_UPSTREAM__CONNECT_TIMEOUT", SHORT)];
    let daemon = daemon(&fake, &settings).await;
    for path in ALL {
        let (status, code, message) = refusal(&daemon, path, true).await;
        assert_eq!((status, code.as_str()), (504, "upstream_connect_timeout"), "{path}: {message}");
        assert!(message.contains("no connection to upstream within 50ms"), "{message}");
    }
}

#[tokio::test]
async fn nobody_there_and_nothing_said_are_different_errors() {
    let fake = FakeClaude::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let unreachable = daemon_at(&fake, &base, SILENCE).await;
    let head = daemon(&fake, &[("PROXYD_UPSTREAM__HEAD_TIMEOUT", SHORT)]).await;
    let gate = Gate::new();
    for path in ALL {
        let (status, code, _) = refusal(&unreachable, path, false).await;
        assert_eq!((status, code.as_str()), (502, "upstream_unreachable"), "{path}");
        for stream in [false, true] {
            fake.on(MESSAGES).once(Script::real().hold(&gate));
            let (status, code, message) = refusal(&head, path, stream).await;
            assert_eq!((status, code.as_str()), (504, "upstream_head_timeout"), "{path}");
            assert!(message.contains("within 50ms"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_head_is_told_apart_by_how() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[]).await;
    for path in ALL {
        for (script, expected) in [(Script::reset(), "upstream_reset"), (Script::close(), "upstream_hung_up")]
        {
            fake.on(MESSAGES).always(script);
            let (status, code, message) = refusal(&daemon, path, true).await;
            assert_eq!((status, code.as_str()), (502, expected), "{path}: {message}");
            fake.clear_scripts();
        }
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_with_an_error_event() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[SILENCE]).await;
    let gate = Gate::new();
    for path in ALL {
        let mut steps = text_events(MODEL, &["first", "second"]);
        steps.insert(3, Step::gate(&gate));
        fake.on(MESSAGES).once(Script::stream(steps));
        let answer = daemon.post(path, &request(path, true)).await;
        assert_eq!(answer.status(), 200);
        let stream = Reading::new(answer).text().await;
        let message = error_of(path, &stream)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("sent nothing of its answer for 50ms"), "{path}: {stream}");
        assert!(stream.contains("first"), "{path}: {stream}");
    }
    within("upstream is left", gate.left_by(3)).await;
}

#[tokio::test]
async fn a_whole_answer_that_stops_is_told_or_cut() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[SILENCE]).await;
    let gate = Gate::new();
    let whole = json!({"id": "msg_FAKE", "type": "message", "content": []}).to_string();
    let json = |steps| Script::stream(steps).header("content-type", "application/json");
    for path in ALL {
        fake.on(MESSAGES).once(json(vec![Step::gate(&gate), Step::data(whole.clone())]));
        let (status, code, message) = refusal(&daemon, path, false).await;
        assert_eq!((status, code.as_str()), (504, "upstream_silent"), "{path}: {message}");
    }
    let half = || json(vec![Step::data("{"), Step::gate(&gate), Step::data("}")]);
    // Some of it went down already: it is never passed off as complete.
    fake.on(MESSAGES).once(half());
    let cut = Reading::new(daemon.post(MESSAGES, &request(MESSAGES, false)).await);
    assert!(cut.finish().await.is_err());
    fake.on(MESSAGES).once(half());
    let (status, code, _) = refusal(&daemon, CHAT, false).await;
    assert_eq!((status, code.as_str()), (504, "upstream_silent"));
}

#[tokio::test]
async fn a_megabyte_of_headers_is_not_read() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[]).await;
    for path in ALL {
        fake.on(MESSAGES).always(Script::real().header("x-large", &"x".repeat(MIB)));
        let (status, code, message) = refusal(&daemon, path, true).await;
        assert_eq!((status, code.as_str()), (502, "upstream_head_too_large"), "{path}: {message}");
        assert!(message.contains("64 KiB"), "{message}");
        fake.clear_scripts();
        // The usual number of headers is no matter.
        fake.on(MESSAGES).once(Script::real().header("x-large", &"x".repeat(32 * 1024)));
        assert_eq!(daemon.post(path, &request(path, false)).await.status(), 200);
    }
}

#[tokio::test]
async fn what_is_not_http_is_told_so() {
    let fake = FakeClaude::start().await;
    let base = raw(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    let daemon = daemon_at(&fake, &base, SILENCE).await;
    for path in ALL {
        let (status, code, message) = refusal(&daemon, path, false).await;
        assert_eq!((status, code.as_str()), (502, "upstream_not_http"), "{path}: {message}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_thief_gets_nobodys_credential() {
    let (fake, thief) = (FakeClaude::start().await, FakeClaude::start().await);
    let daemon = daemon(&fake, &[]).await;
    for path in ALL {
        for status in [StatusCode::TEMPORARY_REDIRECT, StatusCode::FOUND] {
            let target = format!("{}/v1/messages", thief.url());
            fake.on(MESSAGES).once(Script::body(status, "text/plain", "").header("location", &target));
            let (status, code, _) = refusal(&daemon, path, true).await;
            assert_eq!((status, code.as_str()), (502, "upstream_redirect"), "{path}");
        }
    }
    assert!(thief.requests().is_empty());
}

/// A line of 50 MiB in the middle of a stream, in pieces.
fn long_line() -> Vec<Step> {
    let piece = Step::data("x".repeat(MIB));
    let mut steps = text_events(MODEL, &["first", "second"]);
    let line = [Step::data("event: content_block_delta\ndata: ")].into_iter();
    steps.splice(3..3, line.chain(vec![piece; 50]).chain([Step::data("\n\n")]));
    steps
}

#[tokio::test]
async fn a_line_of_50_megabytes_passes_by_and_is_not_held() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[]).await;
    fake.on(MESSAGES).times(3, &Script::stream(long_line()));
    let answer = daemon.post(MESSAGES, &request(MESSAGES, true)).await;
    let passed = Reading::new(answer).finish().await.unwrap();
    assert!(passed.len() > 50 * MIB && passed.ends_with(b"{\"type\":\"message_stop\"}\n\n"));
    for path in [CHAT, RESPONSES] {
        let stream = Reading::new(daemon.post(path, &request(path, true)).await).text().await;
        let error = error_of(path, &stream);
        assert!(error["message"].as_str().unwrap().contains("longer than the 16 MiB"), "{error}");
        assert!(path == RESPONSES || error["code"] == "upstream_event_too_large", "{error}");
    }
}

#[tokio::test]
async fn a_gzip_bomb_ends_its_own_answer_alone() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[]).await;
    let zeros = vec![b' '; 128 * MIB];
    let mut events = text_events(MODEL, &["first", "second"]);
    events.insert(3, Step::data(zeros.clone()));
    for path in ALL {
        fake.on(MESSAGES).once(Script::stream(events.clone()).gzip());
        let stream = Reading::new(daemon.post(path, &request(path, true)).await).finish().await.unwrap();
        let stream = String::from_utf8(stream).unwrap();
        let tail = &stream[stream.rfind("event:").or(stream.rfind("data:")).unwrap()..];
        assert!(tail.contains("200 times its size"), "{path}: {tail}");
        assert!(stream.len() < 16 * MIB, "{path}");
        fake.on(MESSAGES).once(Script::body(StatusCode::OK, "application/json", zeros.clone()).gzip());
        let answer = daemon.post(path, &request(path, false)).await;
        if path == MESSAGES {
            assert!(Reading::new(answer).finish().await.is_err());
        } else {
            assert_eq!(answer.status(), 502, "{path}");
            assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "upstream_compression");
        }
    }
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn nothing_is_read_from_upstream_that_its_reader_does_not_take() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 1024;
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[("PROXYD_HTTP__KEEP_ALIVE", "10ms")]).await;
    for path in [MESSAGES, CHAT] {
        // An open gate counts what has been sent so far.
        let sent = Gate::new();
        sent.open();
        let text = "x".repeat(PIECE);
        let delta = json!({"type": "text_delta", "text": text});
        let event = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        let mut steps = text_events(MODEL, &["first", "second"]);
        let piece = [Step::event("content_block_delta", &event), Step::gate(&sent)];
        steps.splice(3..3, std::iter::repeat_n(piece, PIECES).flatten());
        fake.forget_requests();
        fake.on(MESSAGES).once(Script::stream(steps));
        let mut slow = Reading::new(daemon.post(path, &request(path, true)).await);
        slow.until("first").await;
        // Until nothing moves any more while others are served.
        let (mut seen, mut still) = (0, 0);
        while still < 20 {
            assert_eq!(daemon.ask("hello").await.status(), 200);
            still = if sent.arrivals() == seen { still + 1 } else { 0 };
            seen = sent.arrivals();
        }
        // The kernel holds a few megabytes of each of the two connections, and so do the two libraries at their ends.
        assert!(seen * PIECE < 32 * MIB, "{path}: {seen} pieces");
        assert_eq!(fake.requests_to(MESSAGES)[0].progress, Progress::Running);
        let whole = slow.finish().await.unwrap();
        assert!(whole.len() > PIECES * PIECE, "{path}");
        assert_eq!(sent.arrivals(), PIECES);
    }
}

#[tokio::test]
async fn the_tokens_of_every_answer_are_counted_once() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[]).await;
    let tokens = async || {
        let text = daemon.get("/metrics").await.text().await.unwrap();
        let line = |kind: &str| {
            let name = format!("proxyd_tokens_total{{kind=\"{kind}\",model=\"sonnet\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or(0)
        };
        ["input", "cache_creation", "cache_read", "output"].map(line)
    };
    let usage = json!({"input_tokens": 100, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 3, "output_tokens": 1});
    let start = json!({"type": "message_start", "message": {"id": "msg_FAKE", "type": "message", "role": "assistant",
        "model": MODEL, "content": [], "usage": usage}});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}});
    let stream = || {
        vec![
            Step::event("message_start", &start),
            Step::event("message_delta", &delta),
            Step::event("message_stop", &json!({"type": "message_stop"})),
        ]
    };
    let mut whole = start["message"].clone();
    whole["stop_reason"] = json!("end_turn");
    whole["usage"]["output_tokens"] = json!(50);
    let mut expected = [0; 4];
    let mut add = |more: [u64; 4]| {
        expected.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        expected
    };
    for path in ALL {
        for gzip in [false, true] {
            let script = Script::stream(stream());
            fake.on(MESSAGES).once(if gzip { script.gzip() } else { script });
            Reading::new(daemon.post(path, &request(path, true)).await).finish().await.unwrap();
            assert_eq!(tokens().await, add([100, 20, 3, 50]), "{path} {gzip}");
        }
        fake.on(MESSAGES).once(Script::json(StatusCode::OK, &whole));
        assert_eq!(daemon.post(path, &request(path, false)).await.status(), 200);
        assert_eq!(tokens().await, add([100, 20, 3, 50]), "{path}, whole");
        // One that is cut tells what it told.
        fake.on(MESSAGES).once(Script::stream(stream().into_iter().take(1).chain([Step::Cut])));
        Reading::new(daemon.post(path, &request(path, true)).await).finish().await.unwrap();
        assert_eq!(tokens().await, add([100, 20, 3, 1]), "{path}, cut");
    }
    // Counting takes none.
    let counted = json!({"model": MODEL, "messages": request(MESSAGES, false)["messages"]});
    assert_eq!(daemon.post("/v1/messages/count_tokens", &counted).await.status(), 200);
    assert_eq!(tokens().await, expected);
}
