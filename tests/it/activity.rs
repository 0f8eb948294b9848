//! What the control plane tells of requests: those that run, how far each is, those that ended, and that none is left behind.

use http::Method;
use proxy_proto::v1::{
    ActiveRequest, EndedRequest, RequestPhase, TokenCounts, WatchActivityRequest, WatchActivityResponse,
};
use proxy_tests::client::Reading;
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, message, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, Step, text_events};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use proxyd::keys::Rules;
use serde_json::{Value, json};
use tonic::{Code, Streaming};

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const MODEL: &str = "claude-sonnet-4-5";
/// No message of the activity may hold it.
const PROMPT: &str = "what only the provider reads";

async fn watch(daemon: &TestDaemon) -> Streaming<WatchActivityResponse> {
    let interval = Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 });
    let request = WatchActivityRequest { interval };
    daemon.activity_client().await.watch_activity(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchActivityResponse>) -> WatchActivityResponse {
    let message = within("a message", stream.message()).await.unwrap().expect("the stream goes on");
    assert!(!format!("{message:?}").contains(PROMPT), "{message:?}");
    message
}

/// Reads until there is one request, and it is as said.
async fn running(
    stream: &mut Streaming<WatchActivityResponse>,
    is: impl Fn(&ActiveRequest) -> bool,
) -> ActiveRequest {
    within("the request is seen", async {
        loop {
            let mut message = next(stream).await;
            if let Some(request) = message.running.pop().filter(|request| is(request)) {
                assert_eq!((message.running.len(), message.running_total), (0, 1));
                return request;
            }
        }
    })
    .await
}

/// Reads until a request has ended, after which nothing runs.
async fn ended(stream: &mut Streaming<WatchActivityResponse>) -> (EndedRequest, WatchActivityResponse) {
    within("the request has ended", async {
        loop {
            let message = next(stream).await;
            if let [ended] = &message.ended[..] {
                assert!(message.running.is_empty() && message.running_total == 0, "{message:?}");
                return (ended.clone(), message);
            }
        }
    })
    .await
}

fn is_in(phase: RequestPhase) -> impl Fn(&ActiveRequest) -> bool {
    move |request| request.phase() == phase
}

fn asked(streams: bool) -> Value {
    json!({"model": MODEL, "max_tokens": 100, "stream": streams, "messages": [{"role": "user", "content": PROMPT}]})
}

/// A stream that holds after its first delta.
fn held(gate: &Gate) -> Script {
    let mut steps = text_events(MODEL, &["first", "second"]);
    steps.insert(3, Step::gate(gate));
    Script::stream(steps)
}

#[tokio::test]
async fn a_stream_is_shown_while_it_goes_on_and_once_when_it_has_ended() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let account = daemon.only_account().await.id;
    let key = daemon.create_key("ci", Rules::default());
    for (path, dialect) in [(MESSAGES, "messages"), (CHAT, "chat")] {
        let mut stream = watch(&daemon).await;
        let before = next(&mut stream).await;
        let gate = Gate::new();
        fake.on(MESSAGES).once(held(&gate));
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = daemon.send(Method::POST, path, &headers, asked(true).to_string()).await;
        let id = answer.headers()["x-proxyd-request-id"].to_str().unwrap().to_owned();
        let mut reading = Reading::new(answer);
        reading.until("first").await;
        let request = running(&mut stream, |request| request.bytes > 0).await;
        let tokens = request.tokens.unwrap();
        assert_eq!(request.phase(), RequestPhase::Answering);
        assert_eq!((request.request_id.as_str(), request.dialect.as_str()), (id.as_str(), dialect));
        assert_eq!((request.endpoint.as_str(), request.model.as_str()), ("messages", MODEL));
        assert_eq!(
            (request.account.as_str(), request.account_name.as_str()),
            (account.as_str(), "person@example.com")
        );
        assert_eq!((request.client_key.as_str(), request.attempt, request.streaming), ("ci", 1, true));
        assert!(tokens.input > 0 && tokens.output > 0, "{tokens:?}");
        gate.open();
        reading.text().await;
        let (ended, now) = ended(&mut stream).await;
        let request = ended.request.unwrap();
        assert_eq!((request.request_id.as_str(), ended.status), (id.as_str(), Some(200)));
        assert_eq!(ended.outcome, "answered with status 200 OK");
        let (before, totals) = (before.totals.unwrap(), now.totals.unwrap());
        assert_eq!((totals.requests, totals.failed), (before.requests + 1, 0));
        let (earlier, spent) = (before.tokens.unwrap(), request.tokens.unwrap());
        let sum = TokenCounts {
            input: earlier.input + spent.input,
            output: earlier.output + spent.output,
            ..earlier
        };
        assert!(spent.input > 0 && spent.output > 0, "{spent:?}");
        assert_eq!((totals.tokens, totals.output_under_way), (Some(sum), 0));
    }
}

/// A request whose first attempt meets `first`: looked at while its second one waits, and when it has ended. Gives back its answer.
async fn asked_again(path: &str, streams: bool, first: Script) -> String {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    let mut stream = watch(&daemon).await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(first);
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let request = asked(streams);
    let asking = daemon.post(path, &request);
    let looking = async {
        let request = running(&mut stream, |request| request.attempt == 2).await;
        assert_eq!((request.phase(), request.streaming, request.bytes), (RequestPhase::Asking, streams, 0));
        assert!(
            issued.iter().enumerate().any(|(n, _)| request.account_name == format!("person{n}@example.com"))
        );
        gate.open();
    };
    let (answer, ()) = tokio::join!(asking, looking);
    let answer = answer.text().await.unwrap();
    let (ended, _) = ended(&mut stream).await;
    let request = ended.request.unwrap();
    assert_eq!((ended.status, request.attempt, request.bytes), (Some(200), 2, answer.len() as u64));
    assert!(request.tokens.unwrap().output > 0);
    answer
}

#[tokio::test]
async fn a_request_that_upstream_has_not_answered_is_shown_as_asking_with_its_attempt() {
    asked_again(MESSAGES, false, Script::overloaded()).await;
}

#[tokio::test]
async fn a_request_whose_stream_broke_off_before_it_began_is_shown_as_asking_again() {
    let broken = Script::stream(text_events(MODEL, &["never seen"])).cut_after(10);
    assert!(asked_again(CHAT, true, broken).await.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_request_that_waits_for_an_account_is_shown_as_waiting() {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().unwrap());
    let fake = fake_at(&clock).await;
    let file = fake.issue_account("person@example.com").auth_file();
    let setup = Setup { clock: clock.clock(), ..Setup::of([("PROXYD_POOL__WAIT", "30s")]) };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, "claude-a.json", &file)).await;
    fake.on(MESSAGES).once(Script::rate_limited(20));
    let mut stream = watch(&daemon).await;
    let request = asked(false);
    let asking = daemon.post(MESSAGES, &request);
    let looking = async {
        running(&mut stream, |request| is_in(RequestPhase::Waiting)(request) && request.attempt == 1).await;
        clock.advance(SignedDuration::from_secs(21));
    };
    let (answer, ()) = tokio::join!(asking, looking);
    assert_eq!(answer.status(), 200);
    let (ended, _) = ended(&mut stream).await;
    assert_eq!((ended.took_ms, ended.request.unwrap().attempt), (21_000, 2));
}

#[tokio::test]
async fn nothing_is_left_of_clients_that_hung_up() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut stream = watch(&daemon).await;
    let (first, second) = (Gate::new(), Gate::new());
    fake.on(MESSAGES).once(held(&first));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = |streams| client.post(daemon.url(MESSAGES)).json(&asked(streams)).send();
    let mut reading = Reading::new(within("an answer", send(true)).await.unwrap());
    reading.until("first").await;
    running(&mut stream, is_in(RequestPhase::Answering)).await;
    drop(reading);
    let (gone, _) = ended(&mut stream).await;
    assert_eq!(gone.status, Some(200));
    assert!(gone.outcome.ends_with("given up: nobody waited for it any longer"), "{}", gone.outcome);
    // And before there is any answer.
    fake.on(MESSAGES).once(Script::real().hold(&second));
    tokio::select! {
        answer = send(false) => panic!("nothing is answered: {answer:?}"),
        _ = running(&mut stream, is_in(RequestPhase::Asking)) => {}
    }
    let (gone, now) = ended(&mut stream).await;
    assert_eq!((gone.status, now.totals.unwrap().failed, now.waiting), (None, 1, 0));
    first.open();
    second.open();
    drop(client);
    within("the connections are gone", async { while next(&mut stream).await.connections > 0 {} }).await;
}

#[tokio::test]
async fn what_is_refused_by_its_body_is_told_and_what_asks_for_health_is_not() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut stream = watch(&daemon).await;
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    let headers = [("content-type", "application/json")];
    assert_eq!(daemon.send(Method::POST, CHAT, &headers, "{}").await.status(), 400);
    let (ended, now) = ended(&mut stream).await;
    let request = ended.request.unwrap();
    assert_eq!((ended.status, ended.outcome.as_str(), request.attempt), (Some(400), "", 0));
    assert_eq!((request.dialect.as_str(), request.endpoint.as_str()), ("chat", ""));
    let totals = now.totals.unwrap();
    assert_eq!((totals.requests, totals.failed), (1, 1));
}

#[tokio::test]
async fn who_comes_later_is_told_of_the_last_requests_and_a_stop_ends_the_watch() {
    let fake = FakeClaude::start().await;
    let (mut daemon, _) = TestDaemon::with_account(&fake).await;
    assert!(!daemon.ask("hello").await.text().await.unwrap().is_empty());
    let mut first = watch(&daemon).await;
    ended(&mut first).await;
    let mut stream = watch(&daemon).await;
    let first = next(&mut stream).await;
    assert_eq!((first.ended.len(), first.ended_missed), (1, 0));
    assert_eq!(first.ended[0].request.as_ref().unwrap().model, message("")["model"]);
    let wrong = Some(prost_types::Duration { seconds: 61, nanos: 0 });
    let refused =
        daemon.activity_client().await.watch_activity(WatchActivityRequest { interval: wrong }).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("from 100 milliseconds to 60 seconds"), "{}", refused.message());
    daemon.ask_to_stop();
    within("the end", async { while matches!(stream.message().await, Ok(Some(_))) {} }).await;
    daemon.stop().await;
}
