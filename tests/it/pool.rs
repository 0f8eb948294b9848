//! The pool under the real daemon: conversations, limits that are remembered, quotas, waiting, storms, and the reasons for
//! every choice.

mod explained;

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use http::{Method, StatusCode};
use proxy_proto::v1::{
    AccountChanges, AccountState, EventKind, SetStrategyRequest, Strategy, UpdateAccountRequest,
    WatchEventsRequest,
};
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, key_file, message, private_dir, put};
use proxy_tests::fake_claude::{Caller, FakeClaude, Issued, Script, system_now};
use proxy_tests::wait::within;
use proxyd::clock::{ManualClock, SignedDuration};
use proxyd::tasks::Tasks;
use serde_json::{Value, json};
use tonic::Code;

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const CHAT: &str = "/v1/chat/completions";

/// A daemon as it is without any configuration, but for a clock that stands still, with these settings besides.
async fn pool_of(
    count: usize,
    settings: &[(&'static str, &str)],
) -> (FakeClaude, TestDaemon, Vec<Issued>, ManualClock) {
    let clock = ManualClock::at(system_now());
    let fake = fake_at(&clock).await;
    let issued: Vec<Issued> = (0..count)
        .map(|n| fake.issue_account_in(&format!("person{n}@example.com"), &format!("Org {n}")))
        .collect();
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let setup = Setup { clock: clock.clock(), settings, ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        for (n, issued) in issued.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), &issued.auth_file());
        }
    })
    .await;
    (fake, daemon, issued, clock)
}

/// Whose credential the last call to `path` carried.
fn last(fake: &FakeClaude, path: &str) -> Caller {
    fake.requests_to(path).pop().unwrap().caller.unwrap()
}

/// Asks as part of a session, and says who served it.
async fn in_session(fake: &FakeClaude, daemon: &TestDaemon, headers: &[(&str, &str)]) -> Caller {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    served(daemon.send(Method::POST, MESSAGES, &headers, message("hello").to_string()).await).await;
    last(fake, MESSAGES)
}

/// Resolves when the first account is seen to be limited.
async fn is_cooling(daemon: &TestDaemon) {
    while daemon.list().await.accounts[0].state() != AccountState::Cooling {
        tokio::task::yield_now().await;
    }
}

fn private(path: &Path) -> File {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap()
}

/// The request succeeded and is over.
async fn served(answer: reqwest::Response) {
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{body}");
}

fn header(answer: &reqwest::Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// An answer of a plan with this much used of its windows.
fn with_windows(five_hours: &str, week: &str, clock: &ManualClock) -> Script {
    let now = clock.now().as_second();
    Script::real()
        .header("anthropic-ratelimit-unified-status", "allowed")
        .header("anthropic-ratelimit-unified-5h-utilization", five_hours)
        .header("anthropic-ratelimit-unified-5h-reset", &(now + 3600).to_string())
        .header("anthropic-ratelimit-unified-7d-utilization", week)
        .header("anthropic-ratelimit-unified-7d-reset", &(now + 3 * 86_400).to_string())
}

#[tokio::test]
async fn a_conversation_stays_with_one_account_however_it_is_told() {
    let (fake, daemon, _, _) = pool_of(4, &[]).await;
    let mut homes = HashSet::new();
    for n in 0..12 {
        let first = format!("first {n}");
        let mut turns = vec![json!({"role": "user", "content": first})];
        served(daemon.ask(&first).await).await;
        let home = last(&fake, MESSAGES);
        for turn in 0..3 {
            turns.push(json!({"role": "assistant", "content": "yes"}));
            turns.push(json!({"role": "user", "content": format!("more {turn}")}));
            let mut body = message(&first);
            body["messages"] = json!(turns);
            served(daemon.post(MESSAGES, &body).await).await;
            assert_eq!(last(&fake, MESSAGES), home);
        }
        homes.insert(home);
    }
    assert!(homes.len() > 1, "conversations are spread");
    // A session's name counts for more than how its requests begin, on each API.
    let session = "0b5ab4c2-session";
    let home = in_session(&fake, &daemon, &[("x-claude-code-session-id", session)]).await;
    for n in 0..3 {
        let body = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": format!("chat {n}")}]});
        let headers = [("x-session-id", session), ("content-type", "application/json")];
        served(daemon.send(Method::POST, CHAT, &headers, body.to_string()).await).await;
        assert_eq!(last(&fake, MESSAGES), home);
        let body =
            json!({"model": "claude-sonnet-4-5", "input": format!("input {n}"), "prompt_cache_key": session});
        served(daemon.post("/v1/responses", &body).await).await;
        assert_eq!(last(&fake, MESSAGES), home);
    }
}

#[tokio::test]
async fn fifty_agents_of_one_session_spread_over_the_accounts() {
    let (fake, daemon, _, _) = pool_of(5, &[]).await;
    let mut homes = Vec::new();
    for agent in 0..50 {
        let agent = agent.to_string();
        let headers = [("x-claude-code-session-id", "one"), ("x-claude-code-agent-id", agent.as_str())];
        let home = in_session(&fake, &daemon, &headers).await;
        assert_eq!(in_session(&fake, &daemon, &headers).await, home, "agent {agent} stays");
        homes.push(home);
    }
    let share = |one: &Caller| homes.iter().filter(|home| *home == one).count();
    let all: HashSet<_> = homes.iter().collect();
    assert_eq!(all.len(), 5);
    assert!(all.into_iter().all(|home| share(home) <= 25));
}

#[tokio::test]
async fn a_conversation_whose_account_is_limited_goes_elsewhere_and_comes_back() {
    let (fake, daemon, _, clock) = pool_of(3, &[]).await;
    let session = [("session-id", "s")];
    let home = in_session(&fake, &daemon, &session).await;
    fake.on(MESSAGES).from(home.clone()).once(Script::rate_limited(600));
    let second = in_session(&fake, &daemon, &session).await;
    assert_ne!(second, home);
    for _ in 0..3 {
        assert_eq!(in_session(&fake, &daemon, &session).await, second, "the next choice is steady, too");
    }
    clock.advance(SignedDuration::from_secs(600));
    assert_eq!(in_session(&fake, &daemon, &session).await, home);
}

#[tokio::test]
async fn conversations_limits_and_quotas_survive_a_restart_and_a_rewrite_of_the_file() {
    let (fake, mut daemon, issued, clock) = pool_of(2, &[]).await;
    let sessions: Vec<String> = (0..8).map(|n| format!("session {n}")).collect();
    let mut homes = Vec::new();
    for session in &sessions {
        homes.push(in_session(&fake, &daemon, &[("session-id", session)]).await);
    }
    let home = homes[0].clone();
    fake.on(MESSAGES).from(home.clone()).once(
        Script::rate_limited(3600)
            .header("anthropic-ratelimit-unified-5h-status", "rejected")
            .header("anthropic-ratelimit-unified-5h-utilization", "1.0"),
    );
    in_session(&fake, &daemon, &[("session-id", &sessions[0])]).await;
    let limited = |accounts: Vec<proxy_proto::v1::Account>| {
        let mut limited: Vec<_> =
            accounts.into_iter().filter(|one| one.state() == AccountState::Cooling).collect();
        assert_eq!(limited.len(), 1);
        limited.pop().unwrap()
    };
    let before = limited(daemon.list().await.accounts);

    // Written anew by a person, with a gap in between in which it is not there.
    let number = issued.iter().position(|one| Caller::Account(one.account) == home).unwrap();
    let name = format!("claude-{number}.json");
    let content = daemon.read(&name);
    std::fs::remove_file(daemon.auth_dir().join(&name)).unwrap();
    daemon.wait_for("one account", |list| list.accounts.len() == 1).await;
    daemon.put(&name, &content);
    daemon.wait_for("both accounts", |list| list.accounts.len() == 2).await;
    assert_eq!(limited(daemon.list().await.accounts).cooldowns, before.cooldowns);

    let kept = daemon.stop().await;
    let setup = Setup { clock: clock.clock(), ..Setup::default() };
    daemon = TestDaemon::start_in(&fake, setup, kept).await;
    let after = limited(daemon.list().await.accounts);
    assert_eq!(
        (&after.cooldowns, &after.quota, &after.attempts),
        (&before.cooldowns, &before.quota, &before.attempts)
    );
    for (session, home_before) in sessions.iter().zip(&homes).filter(|(_, other)| **other != home) {
        assert_eq!(in_session(&fake, &daemon, &[("session-id", session)]).await, *home_before);
    }
    assert_eq!(
        fake.requests_to(MESSAGES).iter().filter(|request| request.caller.as_ref() == Some(&home)).count(),
        homes.iter().filter(|one| **one == home).count() + 1
    );
}

#[tokio::test]
async fn what_was_learned_and_cannot_be_read_is_learned_again() {
    for content in ["", "{", r#"{"accounts":7}"#, r#"{"accounts":{"nobody":{}}}"#] {
        let fake = FakeClaude::start().await;
        let issued = fake.issue_account("person@example.com");
        let home = tempfile::tempdir().unwrap();
        let auth = private_dir(home.path().join("auth"));
        put(&auth, "claude-a.json", &issued.auth_file());
        std::io::Write::write_all(&mut private(&auth.join(".pool-state")), content.as_bytes()).unwrap();
        let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
        assert_eq!(daemon.ask("hello").await.status(), 200, "{content:?}");
    }
}

#[tokio::test]
async fn under_a_storm_upstream_sees_a_fifth_more_than_the_clients_sent_at_most() {
    let (fake, daemon, _, _) = pool_of(10, &[]).await;
    fake.on(MESSAGES).always(Script::overloaded());
    let storm = (0..100).map(|n| {
        let daemon = &daemon;
        async move { daemon.ask(&format!("hello {n}")).await.status() }
    });
    let answers = futures_util::future::join_all(storm).await;
    assert!(answers.iter().all(|status| *status == 529));
    assert!(fake.count(MESSAGES) <= 120, "{}", fake.count(MESSAGES));
    fake.clear_scripts();
    assert_eq!(daemon.ask("hello").await.status(), 200, "a guess never makes the pool refuse");
}

#[tokio::test]
async fn when_every_account_is_out_the_answer_says_of_each_why_and_until_when() {
    let (fake, daemon, issued, clock) = pool_of(2, &[]).await;
    let rejected = Script::rate_limited(7200).header("anthropic-ratelimit-unified-5h-status", "rejected");
    fake.on(MESSAGES).from(issued[0].account).once(rejected);
    fake.on(MESSAGES).from(issued[1].account).once(Script::rate_limited(90));
    assert_eq!(daemon.ask("hello").await.status(), 429);
    fake.forget_requests();
    for (path, body) in [
        (MESSAGES, message("hello")),
        (CHAT, json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]})),
    ] {
        let answer = daemon.post(path, &body).await;
        assert_eq!(answer.status(), 429);
        assert_eq!(header(&answer, "retry-after").as_deref(), Some("90"));
        assert_eq!(header(&answer, "x-should-retry").as_deref(), Some("false"));
        let body: Value = answer.json().await.unwrap();
        let words = body["error"]["message"].as_str().unwrap();
        for account in daemon.list().await.accounts {
            assert!(words.contains(&account.id), "{words}");
        }
        assert!(words.matches("not before").count() == 2 && !words.contains('@'), "{words}");
    }
    assert_eq!(fake.count(MESSAGES), 0);
    clock.advance(SignedDuration::from_secs(45));
    assert_eq!(header(&daemon.ask("hello").await, "x-should-retry"), None, "45 s are worth a retry");
    // A limit of one model says nothing for sure of another; one of the whole plan does.
    let other = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(daemon.post(MESSAGES, &other).await.status(), 200);
    assert_eq!(last(&fake, MESSAGES), Caller::Account(issued[1].account));
    assert_eq!(daemon.get("/readyz").await.status(), 200);
}

#[tokio::test]
async fn a_pool_that_runs_out_on_this_very_request_says_when_it_is_back() {
    let (fake, daemon, issued, clock) = pool_of(1, &[]).await;
    let spent = Script::api_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "Used up.")
        .header("anthropic-ratelimit-unified-status", "rejected")
        .header("anthropic-ratelimit-unified-reset", &(clock.now().as_second() + 500).to_string());
    fake.on(MESSAGES).from(issued[0].account).once(spent);
    let answer = daemon.ask("hello").await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-should-retry").as_deref()),
        (429, Some("false"))
    );
    let wait: i64 = header(&answer, "retry-after").unwrap().parse().unwrap();
    assert!((499..=500).contains(&wait), "{wait}");
    assert!(answer.text().await.unwrap().contains("Used up."), "in upstream's own words");
}

#[tokio::test]
async fn an_account_that_is_limited_again_and_again_is_not_asked_for_ever() {
    let (fake, daemon, issued, clock) = pool_of(1, &[("PROXYD_POOL__WAIT", "30s")]).await;
    fake.on(MESSAGES).from(issued[0].account).always(Script::rate_limited(1));
    let answer = within("an answer", async {
        let asking = daemon.ask("hello");
        tokio::pin!(asking);
        loop {
            tokio::select! {
                answer = &mut asking => return answer,
                () = is_cooling(&daemon) => clock.advance(SignedDuration::from_secs(1)),
            }
        }
    })
    .await;
    assert_eq!(answer.status(), 429);
    assert!(fake.count(MESSAGES) <= 4, "{}", fake.count(MESSAGES));
}

#[tokio::test]
async fn a_request_may_wait_in_line_for_an_account_to_come_back() {
    let (fake, daemon, issued, clock) =
        pool_of(1, &[("PROXYD_POOL__WAIT", "30s"), ("PROXYD_POOL__QUEUE", "2")]).await;
    fake.on(MESSAGES).from(issued[0].account).once(Script::rate_limited(20));
    let tasks = Tasks::new();
    let waiting = |text: &'static str| {
        let (http, url) = (daemon.http().clone(), daemon.url(MESSAGES));
        tasks.spawn(async move { http.post(url).json(&message(text)).send().await.unwrap().status() })
    };
    let first = waiting("first");
    within("the limit is known", is_cooling(&daemon)).await;
    let second = waiting("second");
    // Two wait; a third is told at once, and so is one whose account does not come back in time.
    let third = within("the line is full", async {
        loop {
            let answer = daemon.http().post(daemon.url(MESSAGES)).json(&message("third"));
            if let Ok(answer) = answer.timeout(std::time::Duration::from_millis(500)).send().await {
                return answer;
            }
        }
    })
    .await;
    assert_eq!((third.status().as_u16(), header(&third, "retry-after").as_deref()), (429, Some("20")));
    clock.advance(SignedDuration::from_secs(20));
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(second.await.unwrap(), 200);
    fake.on(MESSAGES).once(Script::rate_limited(31));
    assert_eq!(daemon.ask("too long").await.status(), 429);
}

#[tokio::test]
async fn a_spend_limit_puts_the_account_aside_for_a_day_or_until_it_is_changed() {
    let (fake, daemon, issued, clock) = pool_of(1, &[]).await;
    let spent = || {
        Script::api_error(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            "Your organization's spend limit is reached.",
        )
    };
    fake.on(MESSAGES).from(issued[0].account).once(spent());
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, None));
    assert!(answer.text().await.unwrap().contains("spend limit"));
    fake.forget_requests();
    clock.advance(SignedDuration::from_hours(23));
    let answer = daemon.ask("hello").await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-should-retry").as_deref()),
        (429, Some("false"))
    );
    assert_eq!(fake.count(MESSAGES), 0, "it is not hammered");
    let id = daemon.only_account().await.id;
    let note = AccountChanges { note: Some("raised the limit".to_owned()), ..AccountChanges::default() };
    let request = UpdateAccountRequest { account: id, changes: Some(note) };
    daemon.accounts_client().await.update_account(request).await.unwrap();
    served(daemon.ask("hello").await).await;
    fake.on(MESSAGES).from(issued[0].account).once(spent());
    assert_eq!(daemon.ask("hello").await.status(), 429);
    clock.advance(SignedDuration::from_hours(24));
    served(daemon.ask("hello").await).await;
}

#[tokio::test]
async fn a_model_that_one_account_does_not_have_is_asked_of_another_and_harms_nothing_else() {
    for (status, kind, words) in [
        (404, "not_found_error", "model: claude-sonnet-4-5"),
        (403, "permission_error", "Your plan has no access to claude-sonnet-4-5"),
        (400, "invalid_request_error", "claude-sonnet-4-5 is not available for your organization"),
    ] {
        let (fake, daemon, issued, _) = pool_of(2, &[]).await;
        let lacks = Script::api_error(StatusCode::from_u16(status).unwrap(), kind, words);
        fake.on(MESSAGES).from(issued[0].account).once(lacks.clone());
        let mut served = HashSet::new();
        for n in 0..12 {
            assert_eq!(daemon.ask(&format!("hello {n}")).await.status(), 200, "{status}");
            served.insert(last(&fake, MESSAGES));
        }
        assert_eq!(served, HashSet::from([Caller::Account(issued[1].account)]), "{status}");
        let other = |n| json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": format!("{n}")}]});
        let mut served = HashSet::new();
        for n in 0..12 {
            assert_eq!(daemon.post(MESSAGES, &other(n)).await.status(), 200);
            served.insert(last(&fake, MESSAGES));
        }
        assert_eq!(served.len(), 2, "{status}: other models go to both");
        fake.on(MESSAGES).always(lacks);
        let answer = daemon.ask("hello").await;
        assert_eq!(answer.status(), status, "where nobody has it, the client gets the words");
        assert!(answer.text().await.unwrap().contains(words));
    }
}

#[tokio::test]
async fn one_bad_count_among_good_traffic_changes_nothing() {
    let (fake, daemon, _, _) = pool_of(1, &[]).await;
    let before = daemon.only_account().await;
    for trouble in [Script::rate_limited(3600), Script::overloaded(), Script::reset()] {
        fake.on(COUNT).times(2, &trouble);
        let body = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]});
        let _whatever = daemon.post(COUNT, &body).await;
        let after = daemon.only_account().await;
        assert_eq!((after.state(), &after.cooldowns), (before.state(), &before.cooldowns));
        served(daemon.ask("hello").await).await;
        fake.clear_scripts();
    }
}

#[tokio::test]
async fn keys_of_one_organization_are_one_limit() {
    let clock = ManualClock::at(system_now());
    let fake = fake_at(&clock).await;
    let keys: Vec<String> = (0..3).map(|_| fake.add_api_key()).collect();
    let setup = Setup { clock: clock.clock(), ..Setup::in_turns() };
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        for (n, key) in keys.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), &key_file(key));
        }
    })
    .await;
    // The first two are of one organization, as their answers say.
    for (key, organization) in keys.iter().zip(["one", "one", "two"]) {
        fake.on(MESSAGES)
            .from(Caller::ApiKey(key.clone()))
            .once(Script::real().header("anthropic-organization-id", organization));
    }
    for _ in 0..3 {
        served(daemon.ask("hello").await).await;
    }
    fake.on(MESSAGES).from(Caller::ApiKey(keys[0].clone())).once(Script::rate_limited(60));
    for _ in 0..6 {
        served(daemon.ask("hello").await).await;
    }
    fake.clear_scripts();
    fake.forget_requests();
    for _ in 0..6 {
        served(daemon.ask("hello").await).await;
    }
    let served: HashSet<_> =
        fake.requests_to(MESSAGES).into_iter().map(|request| request.caller.unwrap()).collect();
    assert_eq!(served, HashSet::from([Caller::ApiKey(keys[2].clone())]));
}

#[tokio::test]
async fn quota_is_told_and_warned_of_and_decides() {
    let (fake, daemon, issued, clock) = pool_of(2, &[("PROXYD_POOL__AFFINITY", "false")]).await;
    let watch = WatchEventsRequest {};
    let mut events = daemon.daemon_client().await.watch_events(watch).await.unwrap().into_inner();
    fake.on(MESSAGES).from(issued[0].account).always(with_windows("0.95", "0.4", &clock));
    fake.on(MESSAGES).from(issued[1].account).always(with_windows("0.10", "0.4", &clock));
    // Each is asked once; then what was told decides.
    let mut client = daemon.daemon_client().await;
    let strategy = |strategy: Strategy| SetStrategyRequest { strategy: strategy.into() };
    client.set_strategy(strategy(Strategy::RoundRobin)).await.unwrap();
    for n in 0..2 {
        served(daemon.ask(&format!("hello {n}")).await).await;
    }
    client.set_strategy(strategy(Strategy::Quota)).await.unwrap();
    let low = within("a warning", events.message()).await.unwrap().unwrap();
    assert_eq!(
        (low.kind(), low.detail.starts_with("95 % of its 5h window is used")),
        (EventKind::QuotaLow, true),
        "{low:?}"
    );
    fake.forget_requests();
    for n in 0..6 {
        served(daemon.ask(&format!("hello {n}")).await).await;
    }
    assert!(
        fake.requests_to(MESSAGES)
            .iter()
            .all(|request| request.caller == Some(Caller::Account(issued[1].account)))
    );
    let told = daemon.account_of("claude-0.json").await;
    assert!(told.refresh_due_at.unwrap().seconds < told.expires_at.unwrap().seconds);
    let windows: Vec<_> =
        told.quota.iter().map(|window| (window.name.as_str(), window.used_percent.round())).collect();
    assert_eq!(windows.len(), 2);
    assert!(windows.contains(&("5h", 95.0)) && windows.contains(&("7d", 40.0)), "{windows:?}");
}

#[tokio::test]
async fn a_reserve_is_not_touched() {
    let (fake, daemon, issued, clock) = pool_of(1, &[]).await;
    let id = daemon.only_account().await.id;
    let reserve = |percent| UpdateAccountRequest {
        account: id.clone(),
        changes: Some(AccountChanges { reserve_percent: Some(percent), ..AccountChanges::default() }),
    };
    daemon.accounts_client().await.update_account(reserve(20)).await.unwrap();
    fake.on(MESSAGES).from(issued[0].account).once(with_windows("0.85", "0.4", &clock));
    served(daemon.ask("hello").await).await;
    let answer = daemon.ask("hello").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after").as_deref()), (429, Some("3600")));
    assert!(
        answer.text().await.unwrap().contains("its reserve of 20 % is all that is left of its 5h window")
    );
    assert_eq!(daemon.only_account().await.state(), AccountState::Cooling);
    clock.advance(SignedDuration::from_secs(3600));
    served(daemon.ask("hello").await).await;
    let refused = daemon.accounts_client().await.update_account(reserve(100)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("reserve"), "{}", refused.message());
}

#[tokio::test]
async fn the_strategy_changes_at_run_time_and_is_told() {
    let (fake, daemon, _, _) = pool_of(3, &[("PROXYD_POOL__AFFINITY", "false")]).await;
    let mut client = daemon.daemon_client().await;
    let set = |strategy: Strategy| SetStrategyRequest { strategy: strategy.into() };
    let before = client.set_strategy(set(Strategy::FillFirst)).await.unwrap().into_inner().before();
    assert_eq!(before, Strategy::Quota);
    for _ in 0..6 {
        served(daemon.ask("hello").await).await;
    }
    let callers = |fake: &FakeClaude| -> HashSet<_> {
        fake.requests_to(MESSAGES).into_iter().map(|one| one.caller.unwrap()).collect()
    };
    assert_eq!(callers(&fake).len(), 1);
    client.set_strategy(set(Strategy::RoundRobin)).await.unwrap();
    for _ in 0..6 {
        served(daemon.ask("hello").await).await;
    }
    assert_eq!(callers(&fake).len(), 3);
    let status = client.get_status(proxy_proto::v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.strategy(), status.affinity), (Strategy::RoundRobin, false));
    let refused = client.set_strategy(set(Strategy::Unspecified)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
