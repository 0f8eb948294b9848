//! An account's own proxy: everything it sends goes through it, and nothing goes around it. The proxies are real
//! ones on loopback.

use proxy_proto::v1::{AccountState, RevokeAccountRequest};
use proxy_tests::client::{Reading, events};
use proxy_tests::daemon::{Setup, TestDaemon, expired, is_ready, key_file, put};
use proxy_tests::fake_claude::{Caller, FakeClaude, Gate, Script, Step, TOKEN_PATH, text_events};
use proxy_tests::proxy_server::{Manners, ProxyServer, dead};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const SCHEMES: [&str; 3] = ["http", "socks5", "socks5h"];

fn through(mut file: Value, proxy: &str) -> Value {
    file["proxy_url"] = json!(proxy);
    file
}

/// A daemon whose only account is this one.
async fn with(fake: &FakeClaude, file: &Value) -> TestDaemon {
    TestDaemon::with(fake, Setup::default(), |dir| put(dir, "claude-a.json", file)).await
}

/// Which ways the proxy's connections were opened.
fn hows(proxy: &ProxyServer) -> Vec<&'static str> {
    proxy.carried().into_iter().map(|carried| carried.how).collect()
}

async fn message_of(answer: reqwest::Response) -> String {
    let body: Value = answer.json().await.unwrap();
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn model_traffic_goes_through_the_accounts_proxy() {
    let fake = FakeClaude::start().await;
    for scheme in SCHEMES {
        let proxy = ProxyServer::start(Manners::Open).await;
        let file = through(key_file(&fake.add_api_key()), &proxy.url(scheme));
        let daemon = with(&fake, &file).await;
        fake.forget_requests();
        assert_eq!(daemon.ask("hello").await.status(), 200, "{scheme}");
        assert_eq!(daemon.get("/v1/models").await.status(), 200, "{scheme}");
        assert_eq!(hows(&proxy), [if scheme == "http" { "connect" } else { "socks5" }], "{scheme}");
        assert_eq!((fake.count(MESSAGES), fake.count("/v1/models")), (1, 1));
    }
}

#[tokio::test]
async fn refresh_and_revocation_go_through_it_too() {
    for scheme in SCHEMES {
        let fake = FakeClaude::start().await;
        let proxy = ProxyServer::start(Manners::Open).await;
        let issued = fake.issue_account("person@example.com");
        let daemon = with(&fake, &through(expired(&issued), &proxy.url(scheme))).await;
        daemon.wait_until_saved(&fake, &issued, "claude-a.json", 1).await;
        assert_eq!(daemon.ask("hello").await.status(), 200, "{scheme}");
        let before = proxy.carried().len();
        assert!(before >= 2, "{scheme}: {:?}", proxy.carried());
        let id = daemon.only_account().await.id;
        let revoke = RevokeAccountRequest { account: id };
        daemon.accounts_client().await.revoke_account(revoke).await.unwrap();
        assert!(!fake.has_live_login(issued.account));
        // Each of the fake's connections came from the proxy: there are as many as it made.
        let connections = fake.requests().iter().map(|request| request.connection).max().unwrap();
        assert_eq!(usize::try_from(connections).unwrap(), proxy.carried().len(), "{scheme}");
    }
}

#[tokio::test]
async fn a_stream_comes_through_as_it_is_sent() {
    let fake = FakeClaude::start().await;
    for scheme in SCHEMES {
        let proxy = ProxyServer::start(Manners::Open).await;
        let daemon = with(&fake, &through(key_file(&fake.add_api_key()), &proxy.url(scheme))).await;
        let (gate, mut steps) = (Gate::new(), Vec::new());
        for (n, event) in text_events("claude-sonnet-4-5", &["one ", "two"]).into_iter().enumerate() {
            if n == 3 {
                steps.push(Step::Gate(gate.clone()));
            }
            steps.push(event);
        }
        fake.on(MESSAGES).once(Script::stream(steps));
        let request = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": true,
            "messages": [{"role": "user", "content": "hi"}]});
        let mut reading = Reading::new(daemon.post(MESSAGES, &request).await);
        reading.until("content_block_start").await;
        assert!(!String::from_utf8_lossy(reading.seen()).contains("message_stop"));
        gate.open();
        let stream = reading.text().await;
        assert_eq!(events(&stream).pop().unwrap().0, "message_stop", "{scheme}");
    }
}

#[tokio::test]
async fn socks5h_leaves_the_name_to_the_proxy_and_socks5_does_not() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    let port = fake.address().port();
    for (scheme, host) in [("socks5h", "localhost"), ("socks5", "127.0.0.1")] {
        let proxy = ProxyServer::start(Manners::Open).await;
        let mut file = through(key_file(&key), &proxy.url(scheme));
        file["base_url"] = json!(format!("http://localhost:{port}"));
        let daemon = with(&fake, &file).await;
        assert_eq!(daemon.ask("hello").await.status(), 200, "{scheme}");
        assert_eq!(proxy.carried()[0].to, format!("{host}:{port}"), "{scheme}");
    }
}

#[tokio::test]
async fn a_proxy_gets_the_password_that_its_url_holds() {
    let fake = FakeClaude::start().await;
    for scheme in SCHEMES {
        let proxy = ProxyServer::start(Manners::Password("me", "FAKE-p@ss:word")).await;
        let issued = fake.issue_account_in("person@example.com", scheme);
        let url = proxy.url_as(scheme, "me:FAKE-p%40ss%3Aword");
        let daemon = with(&fake, &through(expired(&issued), &url)).await;
        daemon.wait_until_saved(&fake, &issued, "claude-a.json", 1).await;
        assert_eq!(daemon.ask("hello").await.status(), 200, "{scheme}");
        assert_eq!(proxy.turned_away(), 0, "{scheme}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_in_words_and_without_the_password() {
    for (scheme, manners) in [
        ("http", Manners::Password("me", "FAKE-other")),
        ("socks5h", Manners::Password("me", "FAKE-other")),
        ("http", Manners::Refuse),
        ("socks5", Manners::Refuse),
    ] {
        let fake = FakeClaude::start().await;
        let proxy = ProxyServer::start(manners).await;
        let issued = fake.issue_account("person@example.com");
        let url = proxy.url_as(scheme, "me:FAKE-wrong-password");
        let daemon = with(&fake, &through(issued.auth_file(), &url)).await;
        let answer = daemon.ask("hello").await;
        assert_eq!(answer.status(), 502, "{scheme}");
        assert_eq!(message_of(answer).await, "upstream cannot be reached through the account's proxy");
        let refused = daemon.refresh(&daemon.only_account().await.id).await.unwrap_err();
        let account = daemon.only_account().await;
        for told in [refused.message().to_owned(), account.last_error.clone(), format!("{account:?}")] {
            assert!(!told.contains("FAKE-wrong-password"), "{told}");
        }
        // Over plain http the refusal of a proxy looks like one of the server behind it, but for the 407.
        let words = match (scheme, manners) {
            ("http", Manners::Password(..)) => "407",
            ("http", _) => "403",
            _ => "through the account's proxy",
        };
        assert!(refused.message().contains(words), "{}", refused.message());
        assert_eq!(fake.requests().len(), 0, "{scheme}");
    }
}

#[tokio::test]
async fn a_dead_proxy_sends_nothing_directly() {
    for scheme in SCHEMES {
        let fake = FakeClaude::start().await;
        let issued = fake.issue_account("person@example.com");
        let daemon = with(&fake, &through(issued.auth_file(), &dead(scheme).await)).await;
        let answer = daemon.ask("hello").await;
        assert_eq!(answer.status(), 502, "{scheme}");
        assert_eq!(daemon.get("/v1/models").await.status(), 502, "{scheme}");
        let id = daemon.only_account().await.id;
        let refused = daemon.refresh(&id).await.unwrap_err();
        assert!(refused.message().contains("through the account's proxy"), "{}", refused.message());
        let revoke = RevokeAccountRequest { account: id };
        daemon.accounts_client().await.revoke_account(revoke).await.unwrap();
        assert_eq!(fake.requests().len(), 0, "{scheme}");
    }
}

#[tokio::test]
async fn the_next_account_serves_when_proxies_are_dead() {
    let fake = FakeClaude::start().await;
    let key = fake.add_api_key();
    let mut files = Vec::new();
    for n in 0..5 {
        let mut file = through(key_file(&format!("sk-FAKE-{n}")), &dead(SCHEMES[n % 3]).await);
        file["priority"] = json!(1);
        files.push(file);
    }
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        for (n, file) in files.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), file);
        }
        put(dir, "claude-key.json", &key_file(&key));
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let callers: Vec<_> = fake.requests().into_iter().map(|request| request.caller).collect();
    assert_eq!(callers, [Some(Caller::ApiKey(key))]);
}

#[tokio::test]
async fn a_bad_proxy_url_closes_the_account_at_once_and_a_good_one_opens_it() {
    let fake = FakeClaude::start().await;
    let proxy = ProxyServer::start(Manners::Open).await;
    let issued = fake.issue_account("person@example.com");
    let daemon = with(&fake, &issued.auth_file()).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    daemon.put("claude-a.json", &through(expired(&issued), "me:FAKE-pw@proxy.example:1080"));
    let closed = |account: &proxy_proto::v1::Account| account.state() == AccountState::Invalid;
    daemon.wait_for("the account is closed", |list| list.accounts.iter().any(closed)).await;
    fake.forget_requests();
    let account = daemon.only_account().await;
    assert!(account.state_reason.contains("`proxy_url`"), "{}", account.state_reason);
    assert!(!format!("{account:?}").contains("FAKE-pw"));
    assert_eq!(daemon.ask("hello").await.status(), 403);
    let refused = daemon.refresh(&account.id).await.unwrap_err();
    assert!(refused.message().contains("sends nothing"), "{}", refused.message());
    assert!(refused.message().contains("`proxy_url`"), "{}", refused.message());
    let revoke = RevokeAccountRequest { account: account.id.clone() };
    let kept = daemon.accounts_client().await.revoke_account(revoke).await.unwrap_err();
    assert!(kept.message().contains("`proxy_url`"), "{}", kept.message());
    assert_eq!(daemon.files(), ["claude-a.json"]);
    assert_eq!(fake.requests().len(), 0);

    daemon.put("claude-a.json", &through(expired(&issued), &proxy.url("http")));
    daemon.wait_for("the account is open", |list| list.accounts.iter().all(is_ready)).await;
    daemon.wait_until_saved(&fake, &issued, "claude-a.json", 1).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert!(hows(&proxy).contains(&"absolute") && hows(&proxy).contains(&"connect"), "{:?}", proxy.carried());
}

#[tokio::test]
async fn an_accounts_proxy_is_taken_instead_of_the_configured_one() {
    let fake = FakeClaude::start().await;
    let (common, own) = (ProxyServer::start(Manners::Open).await, ProxyServer::start(Manners::Open).await);
    let mut setup = Setup::in_turns();
    setup.settings.push(("PROXYD_UPSTREAM__PROXY_URL", common.url("http")));
    let mut first = through(key_file(&fake.add_api_key()), &own.url("socks5"));
    first["prefix"] = json!("own");
    let second = key_file(&fake.add_api_key());
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        put(dir, "claude-a.json", &first);
        put(dir, "claude-b.json", &second);
    })
    .await;
    let body = |model: &str| json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let answer = daemon.post(MESSAGES, &body("own/claude-sonnet-4-5")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!((common.carried().len(), own.carried().len()), (0, 1));
    for _ in 0..2 {
        let answer = daemon.post(MESSAGES, &body("claude-sonnet-4-5")).await;
        assert_eq!(answer.status(), 200);
    }
    assert_eq!((common.carried().len(), own.carried().len()), (1, 1));
}

#[tokio::test]
async fn a_proxy_that_is_changed_in_the_file_is_used_from_then_on() {
    let fake = FakeClaude::start().await;
    let (first, second) = (ProxyServer::start(Manners::Open).await, ProxyServer::start(Manners::Open).await);
    let key = fake.add_api_key();
    let daemon = with(&fake, &through(key_file(&key), &first.url("http"))).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    drop(first);
    daemon.put("claude-a.json", &through(key_file(&key), &second.url("http")));
    let url = second.url("http");
    daemon
        .wait_for("the new proxy is in use", |_| {
            let snapshot = daemon.pool().snapshot();
            let mut proxies = snapshot.settings().filter_map(|settings| settings.proxy.as_ref());
            proxies.any(|proxy| proxy.server() == url)
        })
        .await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(second.carried().len(), 1);
    assert_eq!(fake.count(TOKEN_PATH), 0);
}
