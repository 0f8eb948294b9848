//! Signs of life of our own: while upstream is silent, its clients are told that their streams live, before and after the
//! first event and before upstream has answered at all, and never in a way that changes what they read.

use std::time::Duration;

use http::StatusCode;
use proxy_tests::client::{Reading, events, frames};
use proxy_tests::daemon::{Setup, TestDaemon, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Progress, Script, Step, text_events};
use proxy_tests::wait::within;
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const TRANSLATED: [&str; 3] = [CHAT, COMPLETIONS, RESPONSES];
const ALL: [&str; 4] = [MESSAGES, CHAT, COMPLETIONS, RESPONSES];
const MODEL: &str = "claude-sonnet-4-5";

const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const COMMENT: &str = ": keep-alive\n\n";

fn sign(path: &str) -> &'static str {
    if path == MESSAGES { PING } else { COMMENT }
}

fn request(path: &str) -> Value {
    match path {
        RESPONSES => json!({"model": MODEL, "stream": true, "input": "hi"}),
        COMPLETIONS => json!({"model": MODEL, "stream": true, "prompt": "hi"}),
        _ => {
            let input = json!([{"role": "user", "content": "hi"}]);
            json!({"model": MODEL, "max_tokens": 100, "stream": true, "messages": input})
        }
    }
}

/// Signs of life every few milliseconds; heads go down before upstream's as soon as that.
async fn daemon(fake: &FakeClaude, accounts: usize, more: &[(&'static str, &str)]) -> TestDaemon {
    let mut setup = Setup { late_head: Some(Duration::from_millis(20)), ..Setup::in_turns() };
    setup.settings.push(("PROXYD_HTTP__KEEP_ALIVE", "10ms".to_owned()));
    setup.settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let issue = |n| fake.issue_account_in(&format!("person{n}@example.com"), &format!("Organization {n}"));
    let files: Vec<_> = (0..accounts).map(|n| issue(n).auth_file()).collect();
    TestDaemon::with(fake, setup, |dir| {
        for (n, file) in files.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), file);
        }
    })
    .await
}

async fn open(daemon: &TestDaemon, path: &str) -> Reading {
    let answer = daemon.post(path, &request(path)).await;
    assert_eq!(answer.status(), 200, "{path}");
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"), "{path}");
    assert!(answer.headers().contains_key("x-proxyd-request-id"), "{path}");
    Reading::new(answer)
}

/// A stream that waits at the gate before its step `at`.
fn held(gate: &Gate, at: usize) -> Script {
    let mut steps = text_events(MODEL, &["first", "second"]);
    steps.insert(at, Step::gate(gate));
    Script::stream(steps)
}

/// The whole stream without signs of life.
fn spoken(stream: &str) -> String {
    stream.replace(PING, "").replace(COMMENT, "")
}

/// What the last event of a stream says is wrong.
fn error_of(path: &str, stream: &str) -> Value {
    match path {
        MESSAGES => {
            let (name, data) = events(stream).pop().unwrap();
            assert_eq!(name, "error", "{stream}");
            data["error"].clone()
        }
        RESPONSES => {
            let (name, data) = events(stream).pop().unwrap();
            assert_eq!(name, "response.failed", "{stream}");
            data["response"]["error"].clone()
        }
        _ => frames(stream).pop().unwrap()["error"].clone(),
    }
}

#[tokio::test]
async fn a_silent_upstream_is_covered_in_every_api_wherever_it_falls_silent() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    let whole: String = text_events(MODEL, &["first", "second"])
        .into_iter()
        .map(|step| match step {
            Step::Data(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    for at in 0..text_events(MODEL, &["first", "second"]).len() {
        for path in ALL {
            let gate = Gate::new();
            fake.on(MESSAGES).once(held(&gate, at));
            let mut reading = open(&daemon, path).await;
            within("upstream is silent", gate.reached_by(1)).await;
            reading.until(&sign(path).repeat(2)).await;
            gate.open();
            let stream = reading.text().await;
            assert!(stream.contains("second"), "{path} {at}: {stream}");
            if path == MESSAGES {
                assert_eq!(spoken(&stream), spoken(&whole), "{at}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_said_inside_an_event_and_nothing_after_the_last_one() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    let gates = [Gate::new(), Gate::new()];
    let mut half = text_events(MODEL, &["first"]);
    let event = "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
                 \"delta\":{\"type\":\"text_delta\",\"text\":\"WHOLE\"}}\r\n\r\n";
    let (head, tail) = event.split_at(60);
    half.splice(3..3, [Step::data(head), Step::gate(&gates[0]), Step::data(tail)]);
    let mut ended = text_events(MODEL, &["first"]);
    ended.push(Step::gate(&gates[1]));
    for path in [MESSAGES, CHAT] {
        for script in [half.clone(), ended.clone()] {
            fake.on(MESSAGES).once(Script::stream(script));
        }
        let (mut half, mut ended) = (open(&daemon, path).await, open(&daemon, path).await);
        ended.until(if path == MESSAGES { "message_stop\"}\n\n" } else { "[DONE]\n\n" }).await;
        if path == MESSAGES {
            half.until(head).await;
        }
        // Meanwhile another stream gets many signs of life.
        let gate = Gate::new();
        fake.on(MESSAGES).once(held(&gate, 1));
        let mut other = open(&daemon, path).await;
        other.until(&sign(path).repeat(10)).await;
        for gate in &gates {
            gate.open();
        }
        let (half, ended) = (half.text().await, ended.text().await);
        assert!(half.contains(if path == MESSAGES { event } else { "WHOLE" }), "{half}");
        assert!(!ended.ends_with(sign(path)), "{ended}");
        drop(other);
    }
}

#[tokio::test]
async fn signs_of_life_can_be_switched_off() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    let silent = self::daemon(&fake, 1, &[("PROXYD_HTTP__KEEP_ALIVE", "0s")]).await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(2, &held(&gate, 3));
    let mut without = open(&silent, MESSAGES).await;
    without.until("first").await;
    let mut with = open(&daemon, MESSAGES).await;
    with.until(&PING.repeat(10)).await;
    gate.open();
    assert_eq!(without.text().await.matches(PING).count(), 0);
}

#[tokio::test]
async fn a_first_event_that_is_late_and_an_error_is_told_in_the_stream() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    let error =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Too many at once."}});
    for path in TRANSLATED {
        let gate = Gate::new();
        fake.on(MESSAGES).once(Script::stream([Step::gate(&gate), Step::event("error", &error)]));
        let mut reading = open(&daemon, path).await;
        reading.until(COMMENT).await;
        gate.open();
        let stream = reading.text().await;
        assert_eq!(error_of(path, &spoken(&stream))["message"], "Too many at once.", "{stream}");
    }
}

#[tokio::test]
async fn a_stream_cut_before_its_first_event_is_asked_of_the_next_account_also_after_signs_of_life() {
    let fake = FakeClaude::start().await;
    for path in TRANSLATED {
        // Each has a budget of retries of its own.
        let daemon = daemon(&fake, 2, &[]).await;
        fake.forget_requests();
        let gate = Gate::new();
        fake.on(MESSAGES).once(Script::stream([Step::gate(&gate), Step::Cut]));
        let mut reading = open(&daemon, path).await;
        reading.until(COMMENT).await;
        gate.open();
        let stream = spoken(&reading.text().await);
        assert!(!stream.contains("\"error\":{"), "{path}: {stream}");
        assert_eq!(fake.count(MESSAGES), 2, "{path}");
    }
    // Where there is nobody else, and the one account's second try is cut as well, the stream says so.
    let daemon = daemon(&fake, 1, &[]).await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(2, &Script::stream([Step::gate(&gate), Step::Cut]));
    let mut reading = open(&daemon, CHAT).await;
    reading.until(COMMENT).await;
    gate.open();
    let message = error_of(CHAT, &spoken(&reading.text().await))["message"].to_string();
    assert!(message.contains("closed the connection"), "{message}");
}

#[tokio::test]
async fn a_head_that_upstream_holds_back_goes_down_in_time_and_the_answer_follows() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    for path in ALL {
        let gate = Gate::new();
        fake.on(MESSAGES).once(Script::stream(text_events(MODEL, &["first"])).hold_answer(&gate));
        let mut reading = open(&daemon, path).await;
        reading.until(&sign(path).repeat(2)).await;
        gate.open();
        let stream = reading.text().await;
        assert!(stream.contains("first"), "{path}: {stream}");
        let end = match path {
            MESSAGES => "message_stop",
            RESPONSES => "response.completed",
            _ => "[DONE]",
        };
        assert!(spoken(&stream).rsplit("\n\n").nth(1).unwrap().contains(end), "{path}: {stream}");
    }
}

#[tokio::test]
async fn a_late_head_names_the_fields_that_were_dropped() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::stream(text_events(MODEL, &["first"])).hold_answer(&gate));
    let mut request = request(CHAT);
    request["seed"] = json!(7);
    let answer = daemon.post(CHAT, &request).await;
    assert_eq!(answer.headers()["x-proxyd-dropped-fields"], "seed");
    gate.open();
    assert!(Reading::new(answer).text().await.contains("first"));
}

#[tokio::test]
async fn a_late_refusal_is_told_in_the_stream_with_the_same_words() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    let whole = json!({
        "id": "msg_FAKE", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    let refusals = [
        (Script::api_error(StatusCode::BAD_REQUEST, "invalid_request_error", "No."), "No."),
        (Script::html_502(), "status 502"),
        (Script::json(StatusCode::OK, &whole), "no stream"),
    ];
    for path in ALL {
        for (refusal, words) in &refusals {
            let gate = Gate::new();
            fake.on(MESSAGES).times(4, &refusal.clone().hold_answer(&gate));
            let mut reading = open(&daemon, path).await;
            reading.until(sign(path)).await;
            gate.open();
            let stream = spoken(&reading.text().await);
            let message = error_of(path, &stream)["message"].as_str().unwrap().to_owned();
            assert!(message.contains(words), "{path} {words}: {stream}");
            fake.clear_scripts();
        }
    }
}

#[tokio::test]
async fn the_next_account_is_asked_while_signs_of_life_go_down() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 2, &[]).await;
    for path in ALL {
        fake.forget_requests();
        let gate = Gate::new();
        fake.on(MESSAGES).once(Script::rate_limited(1).hold_answer(&gate));
        let mut reading = open(&daemon, path).await;
        reading.until(sign(path)).await;
        gate.open();
        let stream = reading.text().await;
        assert!(!stream.contains("rate_limit"), "{path}: {stream}");
        assert_eq!(fake.count(MESSAGES), 2, "{path}");
        daemon
            .wait_for("the limit is over", |list| list.accounts.iter().all(proxy_tests::daemon::is_ready))
            .await;
    }
}

#[tokio::test]
async fn who_leaves_a_stream_that_has_no_answer_yet_takes_the_call_upstream_along() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, 1, &[]).await;
    for path in ALL {
        let gate = Gate::new();
        fake.on(MESSAGES).once(Script::real().hold(&gate));
        let mut reading = open(&daemon, path).await;
        reading.until(sign(path)).await;
        drop(reading);
        within("upstream sees the client leave", gate.left_by(1)).await;
    }
    assert!(fake.requests_to(MESSAGES).iter().all(|request| request.progress == Progress::Abandoned));
}

#[tokio::test]
async fn a_stop_ends_streams_that_have_no_answer_yet() {
    let fake = FakeClaude::start().await;
    let mut daemon = daemon(&fake, 1, &[("PROXYD_HTTP__DRAIN", "0s")]).await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(4, &Script::real().hold(&gate));
    let mut streams = Vec::new();
    for path in ALL {
        let mut reading = open(&daemon, path).await;
        reading.until(sign(path)).await;
        streams.push((path, reading));
    }
    daemon.ask_to_stop();
    for (path, reading) in streams {
        let message = error_of(path, &spoken(&reading.text().await))["message"].to_string();
        assert!(message.contains("stopping"), "{path}: {message}");
    }
    daemon.stop().await;
}
