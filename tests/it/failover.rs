//! One request, several accounts: who is asked next, who is left alone and until when, and what the client
//! gets when nobody can help.

use std::collections::HashSet;

use http::{Method, StatusCode};
use proxy_tests::client::Reading;
use proxy_tests::daemon::{Setup, TestDaemon, key_file, put};
use proxy_tests::fake_claude::{Caller, FakeClaude, Gate, Script, Step, TOKEN_PATH, system_now, text_events};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";

/// A daemon with `count` logins, on a clock that stands still.
async fn at_a_standstill(fake: &FakeClaude, count: usize) -> (TestDaemon, ManualClock) {
    let clock = ManualClock::at(system_now());
    let setup = Setup { clock: clock.clock(), ..Setup::in_turns() };
    let daemon = TestDaemon::with(fake, setup, |dir| {
        for n in 0..count {
            let issued =
                fake.issue_account_in(&format!("person{n}@example.com"), &format!("Organization {n}"));
            put(dir, &format!("claude-{n}.json"), &issued.auth_file());
        }
    })
    .await;
    (daemon, clock)
}

/// Whose credential each request to `path` carried, in order.
fn callers(fake: &FakeClaude, path: &str) -> Vec<Caller> {
    fake.requests_to(path).into_iter().map(|request| request.caller.unwrap()).collect()
}

/// Whose credential the next `count` requests carry; all of them succeed.
async fn next_callers(fake: &FakeClaude, daemon: &TestDaemon, count: usize) -> HashSet<Caller> {
    fake.forget_requests();
    for _ in 0..count {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    callers(fake, MESSAGES).into_iter().collect()
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

fn error(status: u16) -> Script {
    let status = StatusCode::from_u16(status).unwrap();
    Script::api_error(status, "some_error", "It is what it is.")
}

#[tokio::test]
async fn requests_rotate_over_the_accounts() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    for _ in 0..6 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    let callers = callers(&fake, MESSAGES);
    assert_eq!(callers[..3].iter().collect::<HashSet<_>>().len(), 3, "{callers:?}");
    assert_eq!(callers[..3], callers[3..]);
}

#[tokio::test]
async fn a_401_means_one_refresh_and_one_replay_of_the_same_body() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    fake.expire_access_tokens();
    let body = "{\"model\": \"claude-sonnet-4-5\",  \"max_tokens\": 9, \"messages\": [{\"role\":\"user\",\"content\":\"\\u0068i\"}]}";
    let headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    let answer = daemon.send(Method::POST, MESSAGES, &headers, body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(fake.token_calls(), 1);
    let sent = fake.requests_to(MESSAGES);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| request.body == body), "{sent:?}");
    assert_ne!(sent[1].header("authorization"), Some(format!("Bearer {}", issued.access_token).as_str()));
}

#[tokio::test]
async fn a_second_401_after_the_refresh_means_the_next_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    fake.on(MESSAGES).times(2, &error(401));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let callers = callers(&fake, MESSAGES);
    assert_eq!(callers.len(), 3);
    assert_eq!(callers[0], callers[1]);
    assert_ne!(callers[1], callers[2]);
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn a_401_whose_refresh_is_refused_means_the_next_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    fake.on(MESSAGES).once(error(401));
    fake.on(TOKEN_PATH).once(Script::oauth_error(
        StatusCode::BAD_REQUEST,
        "invalid_grant",
        "It was revoked.",
    ));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let callers = callers(&fake, MESSAGES);
    assert_ne!(callers[0], callers[1]);
    assert_eq!(next_callers(&fake, &daemon, 4).await, HashSet::from([callers[1].clone()]));
}

#[tokio::test]
async fn a_refused_key_means_the_next_account_and_no_refresh() {
    let fake = FakeClaude::start().await;
    let (good, bad) = (fake.add_api_key(), fake.add_api_key());
    fake.remove_api_key(&bad);
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        put(dir, "claude-good.json", &key_file(&good));
        put(dir, "claude-bad.json", &key_file(&bad));
    })
    .await;
    for _ in 0..4 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
    }
    // A key nobody knows is asked for at most once before it is set behind the good one.
    assert!((4..=5).contains(&fake.count(MESSAGES)), "{}", fake.count(MESSAGES));
    assert_eq!(fake.token_calls(), 0);
}

#[tokio::test]
async fn a_401_of_everybody_is_passed_on_and_not_worth_a_retry() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    fake.remove_api_key(&key);
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-k.json", &key_file(&key))).await;
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "x-should-retry")), (401, Some("false")));
}

#[tokio::test]
async fn a_limited_account_is_left_alone_until_the_time_upstream_named() {
    let fake = FakeClaude::start().await;
    let (daemon, clock) = at_a_standstill(&fake, 2).await;
    fake.on(MESSAGES).once(Script::rate_limited(30));
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let first = callers(&fake, MESSAGES);
    assert_ne!(first[0], first[1]);
    let rested = HashSet::from([first[1].clone()]);
    assert_eq!(next_callers(&fake, &daemon, 4).await, rested);
    clock.advance(SignedDuration::from_secs(29));
    assert_eq!(next_callers(&fake, &daemon, 4).await, rested);
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(next_callers(&fake, &daemon, 4).await.len(), 2);
}

#[tokio::test]
async fn when_all_are_limited_the_answer_names_the_true_end_and_upstream_is_not_asked() {
    let fake = FakeClaude::start().await;
    let (daemon, clock) = at_a_standstill(&fake, 2).await;
    fake.on(MESSAGES).once(Script::rate_limited(40));
    fake.on(MESSAGES).once(Script::rate_limited(20));
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, Some("20")));
    assert!(answer.text().await.unwrap().contains("rate limit of the fake"));
    assert_eq!(fake.count(MESSAGES), 2);

    clock.advance(SignedDuration::from_secs(5));
    for (path, body) in [
        (MESSAGES, json!({"model": "claude-sonnet-4-5"})),
        (
            "/v1/chat/completions",
            json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]}),
        ),
        ("/v1/responses", json!({"model": "claude-sonnet-4-5", "input": "hi"})),
    ] {
        let answer = daemon.post(path, &body).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, Some("15")), "{path}");
        assert_eq!(header(&answer, "x-should-retry"), None, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "rate_limit_error", "{path}");
    }
    assert_eq!(fake.count(MESSAGES), 2);

    clock.advance(SignedDuration::from_secs(15));
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn of_several_limits_the_client_is_told_the_one_that_ends_first() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 2).await;
    fake.on(MESSAGES).once(Script::rate_limited(20));
    fake.on(MESSAGES).once(Script::rate_limited(3600));
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, Some("20")));
}

#[tokio::test]
async fn a_limit_of_one_model_does_not_keep_the_others_from_being_asked() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 1).await;
    fake.on(MESSAGES).once(Script::rate_limited(259_200));
    let opus =
        json!({"model": "claude-opus-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(daemon.post(MESSAGES, &opus).await.status(), 429);
    assert_eq!(daemon.post(MESSAGES, &opus).await.status(), 429);
    assert_eq!(fake.count(MESSAGES), 1);
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_long_limit_is_not_worth_a_retry() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 1).await;
    fake.on(MESSAGES).once(Script::rate_limited(3600));
    daemon.ask("hello").await;
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, Some("3600")));
    assert_eq!(header(&answer, "x-should-retry"), Some("false"));
}

#[tokio::test]
async fn an_overloaded_account_is_passed_over_and_comes_back_after_a_while() {
    for status in [500, 502, 503, 529] {
        let fake = FakeClaude::start().await;
        let (daemon, clock) = at_a_standstill(&fake, 2).await;
        fake.on(MESSAGES).once(error(status));
        assert_eq!(daemon.ask("hello").await.status(), 200);
        assert_eq!(fake.count(MESSAGES), 2);
        assert_eq!(next_callers(&fake, &daemon, 4).await.len(), 1, "{status}");
        clock.advance(SignedDuration::from_secs(2));
        assert_eq!(next_callers(&fake, &daemon, 4).await.len(), 2, "{status}");
    }
}

#[tokio::test]
async fn an_overload_of_everybody_is_passed_on_and_the_next_request_is_tried_all_the_same() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 2).await;
    fake.on(MESSAGES).times(7, &Script::overloaded());
    // A few times the other account is asked, too; then there have been enough of such calls for a minute.
    for calls in [2, 4, 5, 6, 7] {
        let answer = daemon.ask("hello").await;
        assert_eq!(answer.status(), 529);
        assert!(answer.text().await.unwrap().contains("Overloaded"));
        assert_eq!(fake.count(MESSAGES), calls);
    }
    assert_eq!(daemon.ask("hello").await.status(), 200);
}

#[tokio::test]
async fn a_storm_is_not_multiplied_by_the_number_of_accounts() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 6).await;
    fake.on(MESSAGES).always(Script::overloaded());
    assert_eq!(daemon.ask("hello").await.status(), 529);
    assert_eq!(fake.count(MESSAGES), 3);
}

#[tokio::test]
async fn an_account_without_a_fresh_token_does_not_keep_a_request_from_its_first_call() {
    let fake = FakeClaude::start().await;
    let clock = ManualClock::at(system_now());
    let setup = Setup { clock: clock.clock(), ..Setup::in_turns() };
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        fake.set_expires_in(60);
        put(dir, "claude-0.json", &fake.issue_account_in("a@example.com", "A").auth_file());
        fake.set_expires_in(8 * 3600);
        put(dir, "claude-1.json", &fake.issue_account_in("b@example.com", "B").auth_file());
    })
    .await;
    fake.on(TOKEN_PATH).always(Script::api_error(StatusCode::BAD_GATEWAY, "api_error", "Not now."));
    clock.advance(SignedDuration::from_secs(120));
    // One account has no token, and the other one is in trouble: there is no second call that a storm could be made of.
    fake.on(MESSAGES).always(Script::overloaded());
    for n in 1..=8 {
        assert_eq!(daemon.ask("hello").await.status(), 529, "request {n}");
        assert_eq!(fake.count(MESSAGES), n);
    }
}

#[tokio::test]
async fn a_translated_stream_that_is_asked_again_does_not_pay_for_more() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 4).await;
    fake.on(MESSAGES).always(Script::real().cut_after(0));
    let body = json!({"model": "claude-sonnet-4-5", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..100 {
        assert_eq!(daemon.post("/v1/chat/completions", &body).await.status(), 502);
    }
    assert!(fake.count(MESSAGES) <= 120, "{}", fake.count(MESSAGES));
}

#[tokio::test]
async fn a_connection_lost_before_the_headers_means_the_next_account() {
    for lost in [Script::reset(), Script::close()] {
        let fake = FakeClaude::start().await;
        let (daemon, _) = at_a_standstill(&fake, 2).await;
        fake.on(MESSAGES).once(lost);
        assert_eq!(daemon.ask("hello").await.status(), 200);
        let callers = callers(&fake, MESSAGES);
        assert_eq!(callers.len(), 2);
        assert_ne!(callers[0], callers[1]);
    }
}

#[tokio::test]
async fn the_only_account_gets_a_second_connection_and_no_third() {
    for lost in [Script::reset(), Script::close()] {
        let fake = FakeClaude::start().await;
        let (daemon, _) = at_a_standstill(&fake, 1).await;
        fake.on(MESSAGES).once(lost.clone());
        assert_eq!(daemon.ask("hello").await.status(), 200);
        assert_eq!(fake.count(MESSAGES), 2);

        fake.forget_requests();
        fake.on(MESSAGES).times(2, &lost);
        let answer = daemon.ask("hello").await;
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["type"], "api_error");
        assert_eq!(fake.count(MESSAGES), 2);
    }
}

#[tokio::test]
async fn idle_connections_that_upstream_closed_are_no_trouble() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 1).await;
    for _ in 0..5 {
        assert_eq!(daemon.ask("hello").await.status(), 200);
        fake.drop_connections();
    }
    assert_eq!(fake.count(MESSAGES), 5);
}

#[tokio::test]
async fn a_clients_own_fault_is_asked_once_and_harms_no_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 2).await;
    for status in [400, 404, 409, 413, 422] {
        fake.forget_requests();
        fake.on(MESSAGES).once(error(status));
        let answer = daemon.ask("hello").await;
        assert_eq!(answer.status(), status);
        assert!(answer.text().await.unwrap().contains("It is what it is."));
        assert_eq!(fake.count(MESSAGES), 1, "{status}");
        assert_eq!(next_callers(&fake, &daemon, 2).await.len(), 2, "{status}");
    }
}

#[tokio::test]
async fn trouble_with_counting_tokens_harms_no_account() {
    let fake = FakeClaude::start().await;
    let (daemon, clock) = at_a_standstill(&fake, 2).await;
    let troubles =
        [Script::rate_limited(3600), error(403), error(500), Script::overloaded(), Script::reset()];
    for (n, trouble) in troubles.into_iter().enumerate() {
        fake.on(COUNT).once(trouble);
        let body = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(daemon.post(COUNT, &body).await.status(), 200, "trouble {n}");
        assert_eq!(next_callers(&fake, &daemon, 2).await.len(), 2, "trouble {n}");
        // So many retries are for more than one minute.
        clock.advance(SignedDuration::from_mins(1));
    }
}

#[tokio::test]
async fn a_stream_that_fails_sets_its_account_behind_the_others() {
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let failures = [
        Script::error_event("overloaded_error", "Overloaded"),
        Script::error_event("rate_limit_error", "Too much"),
        Script::stream(text_events("claude-sonnet-4-5", &["first"]).into_iter().take(3)),
    ];
    for path in [MESSAGES, "/v1/chat/completions", "/v1/responses"] {
        for (n, failure) in failures.iter().enumerate() {
            let fake = FakeClaude::start().await;
            let (daemon, _) = at_a_standstill(&fake, 2).await;
            fake.on(MESSAGES).once(failure.clone());
            let body = if path == "/v1/responses" {
                &json!({"model": "claude-sonnet-4-5", "stream": true, "input": "hi"})
            } else {
                &body
            };
            let _failed = daemon.post(path, body).await.bytes().await.unwrap();
            let failed = callers(&fake, MESSAGES);
            let next = next_callers(&fake, &daemon, 4).await;
            assert!(next.len() == 1 && !next.contains(&failed[0]), "{path}, failure {n}: {next:?}");
        }
    }
}

#[tokio::test]
async fn a_translated_stream_cut_before_its_first_event_means_the_next_account() {
    for (path, body) in [
        (
            "/v1/chat/completions",
            json!({"model": "claude-sonnet-4-5", "stream": true, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        ("/v1/responses", json!({"model": "claude-sonnet-4-5", "stream": true, "input": "hi"})),
    ] {
        let fake = FakeClaude::start().await;
        let (daemon, _) = at_a_standstill(&fake, 2).await;
        fake.on(MESSAGES).once(Script::real().cut_after(0));
        let answer = daemon.post(path, &body).await;
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.unwrap();
        assert!(
            text.contains("data: [DONE]") || text.contains("event: response.completed"),
            "{path}: {text}"
        );
        let callers = callers(&fake, MESSAGES);
        assert!(callers.len() == 2 && callers[0] != callers[1], "{path}: {callers:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_harms_no_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 2).await;
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    for path in [MESSAGES, "/v1/chat/completions"] {
        let gate = Gate::new();
        let mut steps = text_events("claude-sonnet-4-5", &["first"]);
        steps.insert(3, Step::gate(&gate));
        fake.on(MESSAGES).once(Script::stream(steps));
        let mut reading = Reading::new(daemon.post(path, &body).await);
        reading.until("first").await;
        drop(reading);
        within("upstream sees the client leave", gate.left_by(1)).await;
        assert_eq!(next_callers(&fake, &daemon, 2).await.len(), 2, "{path}");
    }
}

#[tokio::test]
async fn without_an_account_every_dialect_says_what_to_do() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let input = json!([{"role": "user", "content": "hi"}]);
    for (path, body) in [
        (MESSAGES, json!({"model": "m", "max_tokens": 1, "messages": input})),
        (COUNT, json!({"model": "m", "messages": input})),
        ("/v1/chat/completions", json!({"model": "m", "messages": input})),
        ("/v1/responses", json!({"model": "m", "input": "hi"})),
    ] {
        let answer = daemon.post(path, &body).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "x-should-retry")),
            (403, Some("false")),
            "{path}"
        );
        let body: Value = answer.json().await.unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("proxyctl login claude"), "{path}: {message}");
        assert_eq!(body["type"] == "error", path.starts_with(MESSAGES), "{body}");
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 2).await;
    for status in [301, 302, 307, 308] {
        fake.forget_requests();
        let status = StatusCode::from_u16(status).unwrap();
        let elsewhere =
            Script::json(status, &json!({})).header("location", &format!("{}/v1/models", fake.url()));
        fake.on(MESSAGES).once(elsewhere);
        let answer = daemon.ask("hello").await;
        assert_eq!((answer.status().as_u16(), header(&answer, "location")), (502, None));
        assert_eq!(answer.json::<Value>().await.unwrap()["type"], "error");
        assert_eq!((fake.requests().len(), fake.count(MESSAGES)), (1, 1));
    }
}

#[tokio::test]
async fn nothing_is_sent_again_once_a_byte_has_gone_down() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = at_a_standstill(&fake, 2).await;
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    for path in [MESSAGES, "/v1/chat/completions"] {
        fake.forget_requests();
        let gate = Gate::new();
        let mut steps = text_events("claude-sonnet-4-5", &["first"]);
        steps.truncate(3);
        steps.extend([Step::gate(&gate), Step::Reset]);
        fake.on(MESSAGES).once(Script::stream(steps));
        let mut reading = Reading::new(daemon.post(path, &body).await);
        reading.until("first").await;
        gate.open();
        assert!(reading.text().await.contains("error"));
        assert_eq!(fake.count(MESSAGES), 1);
    }
}
