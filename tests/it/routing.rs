//! Which account a request goes to, and under which model's name: priority, weight, prefixes, aliases, exclusions,
//! gateways, on every endpoint, and the list of models that says the same.

use http::{Method, StatusCode};
use proxy_tests::client::{Reading, frames};
use proxy_tests::daemon::{Setup, TestDaemon, key_file, put};
use proxy_tests::fake_claude::{Caller, FakeClaude, OAUTH_BETA, Script, system_now};
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

/// The file of a key with these settings.
fn set(key: &str, settings: &Value) -> Value {
    let mut file = key_file(key);
    file.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    file
}

/// A daemon with one key for each of these settings, on a clock that stands still, and the keys.
async fn with_keys(fake: &FakeClaude, settings: &[Value]) -> (TestDaemon, Vec<String>, ManualClock) {
    let clock = ManualClock::at(system_now());
    let keys: Vec<String> = settings.iter().map(|_| fake.add_api_key()).collect();
    let setup = Setup { clock: clock.clock(), ..Setup::in_turns() };
    let daemon = TestDaemon::with(fake, setup, |dir| {
        for (n, (key, settings)) in keys.iter().zip(settings).enumerate() {
            put(dir, &format!("claude-{n}.json"), &set(key, settings));
        }
    })
    .await;
    (daemon, keys, clock)
}

fn messages(model: &str) -> Value {
    json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]})
}

/// A small request for `model` to `path`, in the path's dialect.
fn request(path: &str, model: &str) -> Value {
    match path {
        MESSAGES => messages(model),
        "/v1/completions" => json!({"model": model, "prompt": "hi"}),
        COUNT | CHAT => json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}),
        _ => json!({"model": model, "input": "hi"}),
    }
}

/// Sends it and returns which of the keys it went by and the model it asked upstream for.
async fn asked(
    fake: &FakeClaude,
    daemon: &TestDaemon,
    keys: &[String],
    path: &str,
    model: &str,
) -> (usize, String) {
    fake.forget_requests();
    let answer = daemon.post(path, &request(path, model)).await;
    let status = answer.status();
    assert_eq!(status, 200, "{path} {model}: {}", answer.text().await.unwrap());
    let upstream = if path == COUNT { COUNT } else { MESSAGES };
    let sent = fake.requests_to(upstream).pop().unwrap();
    let Some(Caller::ApiKey(key)) = &sent.caller else { panic!("{:?}", sent.caller) };
    let model = sent.json()["model"].as_str().unwrap().to_owned();
    (keys.iter().position(|known| known == key).unwrap(), model)
}

async fn served_by(fake: &FakeClaude, daemon: &TestDaemon, keys: &[String], count: usize) -> Vec<usize> {
    let mut served = Vec::new();
    for _ in 0..count {
        served.push(asked(fake, daemon, keys, MESSAGES, "claude-opus-5").await.0);
    }
    served
}

/// The names of the models listed in the Anthropic shape at this path, and whether there are more.
async fn page(daemon: &TestDaemon, path: &str) -> (Vec<String>, bool) {
    let headers = [("anthropic-version", "2023-06-01")];
    let answer = daemon.send(Method::GET, path, &headers, "").await;
    assert_eq!(answer.status(), 200);
    let list: Value = answer.json().await.unwrap();
    (names(&list), list["has_more"].as_bool().unwrap())
}

fn names(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

async fn openai_names(daemon: &TestDaemon) -> Vec<String> {
    names(&daemon.get("/v1/models").await.json().await.unwrap())
}

#[tokio::test]
async fn a_spare_account_serves_while_the_first_choice_cannot() {
    let fake = FakeClaude::start().await;
    let (daemon, keys, clock) =
        with_keys(&fake, &[json!({"priority": 5}), json!({}), json!({"priority": -5})]).await;
    assert_eq!(served_by(&fake, &daemon, &keys, 4).await, [0, 0, 0, 0]);
    fake.on(MESSAGES).from(Caller::ApiKey(keys[0].clone())).once(Script::overloaded());
    assert_eq!(served_by(&fake, &daemon, &keys, 3).await, [1, 1, 1]);
    clock.advance(SignedDuration::from_mins(1));
    assert_eq!(served_by(&fake, &daemon, &keys, 2).await, [0, 0]);
    // Both are at their limit: now the last reserve.
    for key in &keys[..2] {
        fake.on(MESSAGES).from(Caller::ApiKey(key.clone())).once(Script::rate_limited(600));
    }
    assert_eq!(served_by(&fake, &daemon, &keys, 3).await, [2, 2, 2]);
    clock.advance(SignedDuration::from_mins(11));
    assert_eq!(served_by(&fake, &daemon, &keys, 2).await, [0, 0]);
}

#[tokio::test]
async fn weights_are_the_shares_within_a_priority() {
    let fake = FakeClaude::start().await;
    let settings = [json!({"weight": 3}), json!({"weight": 1}), json!({"weight": 50, "priority": -1})];
    let (daemon, keys, _) = with_keys(&fake, &settings).await;
    let served = served_by(&fake, &daemon, &keys, 12).await;
    let count = |key| served.iter().filter(|served| **served == key).count();
    assert_eq!((count(0), count(1), count(2)), (9, 3, 0), "{served:?}");
}

#[tokio::test]
async fn a_prefix_chooses_the_account_on_every_endpoint() {
    let fake = FakeClaude::start().await;
    let (daemon, keys, _) = with_keys(&fake, &[json!({"priority": 9}), json!({"prefix": "work"})]).await;
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        let sent = asked(&fake, &daemon, &keys, path, "work/claude-opus-5").await;
        assert_eq!(sent, (1, "claude-opus-5".to_owned()), "{path}");
        let sent = asked(&fake, &daemon, &keys, path, "claude-opus-5").await;
        assert_eq!(sent, (0, "claude-opus-5".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn only_the_models_name_is_changed_in_the_body() {
    let fake = FakeClaude::start().await;
    let (daemon, _, _) =
        with_keys(&fake, &[json!({"prefix": "work", "model_aliases": {"best": "claude-opus-5"}})]).await;
    let body = |model: &str| {
        format!(
            "{{ \"messages\":[{{\"role\":\"user\",\"content\":\"\\u0068i \\/\"}}],\n \"model\" : {model} ,\"max_tokens\":10e0 }} "
        )
    };
    for (sent, received) in [
        (r#""work/claude-opus-5""#, r#""claude-opus-5""#),
        (r#""be\u0073t""#, r#""claude-opus-5""#),
        (r#""work\/best""#, r#""claude-opus-5""#),
        // The right name already, in letters of the client's own.
        (r#""claude-opus\u002d5""#, r#""claude-opus\u002d5""#),
    ] {
        fake.forget_requests();
        fake.on(MESSAGES).once(Script::json(StatusCode::OK, &json!({})));
        daemon.send(Method::POST, MESSAGES, &[("content-type", "application/json")], body(sent)).await;
        assert_eq!(fake.requests_to(MESSAGES)[0].body, body(received), "{sent}");
    }
}

#[tokio::test]
async fn an_alias_is_served_by_the_accounts_that_have_it() {
    let fake = FakeClaude::start().await;
    let aliases = json!({"priority": -3, "model_aliases": [{"name": "claude-opus-5", "alias": "best"}]});
    let (daemon, keys, _) = with_keys(&fake, &[json!({}), aliases]).await;
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        let sent = asked(&fake, &daemon, &keys, path, "best").await;
        assert_eq!(sent, (1, "claude-opus-5".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn an_alias_streams_like_its_model_in_each_dialect() {
    let fake = FakeClaude::start().await;
    let (daemon, _, _) = with_keys(&fake, &[json!({"model_aliases": {"best": "claude-opus-5"}})]).await;
    for path in [MESSAGES, CHAT, RESPONSES] {
        let mut request = request(path, "best");
        request["stream"] = json!(true);
        let answer = daemon.post(path, &request).await;
        assert_eq!(answer.status(), 200, "{path}");
        let stream = Reading::new(answer).text().await;
        match path {
            MESSAGES => assert!(stream.contains("message_stop"), "{stream}"),
            CHAT => assert_eq!(frames(&stream).pop().unwrap(), "[DONE]"),
            _ => assert!(stream.contains("response.completed"), "{stream}"),
        }
    }
}

#[tokio::test]
async fn each_attempt_asks_for_its_own_accounts_model() {
    let fake = FakeClaude::start().await;
    let alias = |priority: i32, model: &str| json!({"priority": priority, "model_aliases": {"best": model}});
    let (daemon, keys, clock) =
        with_keys(&fake, &[alias(1, "claude-opus-5"), alias(0, "claude-sonnet-5")]).await;
    for path in [MESSAGES, CHAT, RESPONSES] {
        fake.on(MESSAGES).from(Caller::ApiKey(keys[0].clone())).once(Script::overloaded());
        let sent = asked(&fake, &daemon, &keys, path, "best").await;
        assert_eq!(sent, (1, "claude-sonnet-5".to_owned()), "{path}");
        assert_eq!(fake.requests_to(MESSAGES)[0].json()["model"], "claude-opus-5", "{path}");
        clock.advance(SignedDuration::from_mins(1));
    }
}

#[tokio::test]
async fn an_alias_is_translated_for_what_the_model_takes() {
    let fake = FakeClaude::start().await;
    let aliases = json!({"model_aliases": {"old": "claude-sonnet-4-5", "new": "claude-opus-5"}});
    let (daemon, _, _) = with_keys(&fake, &[aliases]).await;
    for (model, temperature) in [("old", json!(0.5)), ("new", Value::Null)] {
        let mut request = request(CHAT, model);
        request["temperature"] = json!(0.5);
        assert_eq!(daemon.post(CHAT, &request).await.status(), 200, "{model}");
        let sent = fake.requests_to(MESSAGES).pop().unwrap().json();
        assert_eq!(sent["temperature"], temperature, "{sent}");
    }
}

#[tokio::test]
async fn an_alias_and_its_model_share_a_limit() {
    let fake = FakeClaude::start().await;
    let (daemon, _, _) = with_keys(&fake, &[json!({"model_aliases": {"best": "claude-opus-5"}})]).await;
    fake.on(MESSAGES).once(Script::rate_limited(30));
    assert_eq!(daemon.post(MESSAGES, &messages("best")).await.status(), 429);
    fake.forget_requests();
    assert_eq!(daemon.post(MESSAGES, &messages("claude-opus-5")).await.status(), 429);
    assert_eq!(fake.count(MESSAGES), 0);
    assert_eq!(daemon.post(MESSAGES, &messages("claude-sonnet-5")).await.status(), 200);
}

#[tokio::test]
async fn an_excluded_model_goes_to_the_others_and_to_nobody_where_all_exclude_it() {
    let fake = FakeClaude::start().await;
    let (daemon, keys, _) =
        with_keys(&fake, &[json!({"excluded_models": ["CLAUDE-opus-*"]}), json!({"priority": -1})]).await;
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        assert_eq!(asked(&fake, &daemon, &keys, path, "claude-opus-5").await.0, 1, "{path}");
        assert_eq!(asked(&fake, &daemon, &keys, path, "claude-sonnet-5").await.0, 0, "{path}");
    }
    daemon.put("claude-1.json", &set(&keys[1], &json!({"excluded_models": ["*-5"]})));
    settled(&daemon, |settings| settings.excluded == ["*-5"]).await;
    fake.forget_requests();
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        let answer = daemon.post(path, &request(path, "claude-opus-5")).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.headers()["x-should-retry"], "false", "{path}");
        let error: Value = answer.json().await.unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains("excluded_models"), "{error}");
        if matches!(path, CHAT | RESPONSES) {
            assert_eq!(
                (&error["error"]["code"], &error["error"]["param"]),
                (&json!("model_not_found"), &json!("model"))
            );
        } else {
            assert_eq!(error["error"]["type"], "not_found_error");
        }
    }
    assert_eq!(fake.requests().len(), 0);
    assert_eq!(asked(&fake, &daemon, &keys, MESSAGES, "claude-opus-4-6").await.0, 1);
}

/// Waits until some account of the pool is set so.
async fn settled(daemon: &TestDaemon, condition: impl Fn(&proxyd::account::Settings) -> bool) {
    daemon.wait_for("the settings are in use", |_| daemon.pool().snapshot().settings().any(&condition)).await;
}

#[tokio::test]
async fn the_list_of_models_says_what_would_be_served() {
    let fake = FakeClaude::start().await;
    let work = json!({
        "prefix": "work", "excluded_models": ["claude-sonnet-*", "claude-3-*"],
        "model_aliases": {"best": "claude-opus-5", "short": "claude-opus-4-5"},
    });
    let (daemon, keys, _) = with_keys(&fake, &[json!({"excluded_models": ["claude-3-*"]}), work]).await;
    let (listed, _) = page(&daemon, "/v1/models?limit=1000").await;
    assert_eq!(openai_names(&daemon).await, listed);
    for there in ["claude-opus-5", "claude-sonnet-5", "best", "short", "work/claude-opus-5", "work/best"] {
        assert!(listed.iter().any(|name| name == there), "{there}: {listed:?}");
    }
    for absent in ["work/claude-sonnet-5", "work/claude-sonnet-4-6"] {
        assert!(!listed.iter().any(|name| name == absent), "{absent}: {listed:?}");
    }
    assert!(!listed.iter().any(|name| name.contains("claude-3-")), "{listed:?}");
    for name in &listed {
        let (_, model) = asked(&fake, &daemon, &keys, MESSAGES, name).await;
        assert!(model.starts_with("claude-"), "{name} {model}");
    }
    // One page after another gives the whole list, forwards and backwards.
    let (mut forwards, mut cursor, mut more) = (Vec::new(), String::new(), true);
    while more {
        let (names, has_more) = page(&daemon, &format!("/v1/models?limit=3{cursor}")).await;
        cursor = format!("&after_id={}", names.last().unwrap());
        forwards.extend(names);
        more = has_more;
    }
    assert_eq!(forwards, listed);
    let (before, more) = page(&daemon, "/v1/models?limit=2&before_id=work/best").await;
    let end = listed.iter().position(|name| name == "work/best").unwrap();
    assert_eq!((before.as_slice(), more), (&listed[end - 2..end], true));
}

#[tokio::test]
async fn one_model_is_found_under_each_of_its_names() {
    let fake = FakeClaude::start().await;
    let settings =
        json!({"prefix": "work", "model_aliases": {"best": "claude-opus-5"}, "excluded_models": ["*haiku*"]});
    let (daemon, _, _) = with_keys(&fake, &[settings]).await;
    for name in ["claude-opus-5", "best", "work/best", "work/claude-opus-5", "work/claude-sonnet-4-5"] {
        let path = format!("/v1/models/{name}");
        let openai: Value = daemon.get(&path).await.json().await.unwrap();
        assert_eq!((&openai["id"], &openai["object"]), (&json!(name), &json!("model")));
        let answer = daemon.send(Method::GET, &path, &[("anthropic-version", "2023-06-01")], "").await;
        let anthropic: Value = answer.json().await.unwrap();
        assert_eq!(anthropic["id"], name);
        assert!(anthropic["capabilities"].is_object(), "{anthropic}");
    }
    for name in ["claude-haiku-4-5", "work/claude-haiku-4-5"] {
        let answer = daemon.get(&format!("/v1/models/{name}")).await;
        assert_eq!(answer.status(), 404);
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["code"], "model_not_found");
    }
}

#[tokio::test]
async fn a_changed_setting_shows_in_the_list_at_once() {
    let fake = FakeClaude::start().await;
    let (daemon, keys, _) = with_keys(&fake, &[json!({})]).await;
    assert!(openai_names(&daemon).await.contains(&"claude-opus-5".to_owned()));
    fake.forget_requests();
    daemon.put("claude-0.json", &set(&keys[0], &json!({"excluded_models": ["*opus*"], "prefix": "p"})));
    settled(&daemon, |settings| settings.prefix.is_some()).await;
    let names = openai_names(&daemon).await;
    assert!(!names.iter().any(|name| name.contains("opus")), "{names:?}");
    assert!(names.contains(&"p/claude-sonnet-5".to_owned()), "{names:?}");
    assert_eq!(fake.requests().len(), 0, "the list itself was kept");
}

#[tokio::test]
async fn a_gateway_gets_its_own_keys_requests_and_nothing_else() {
    let (provider, gateway) = (FakeClaude::start().await, FakeClaude::start().await);
    let (login, key) = (provider.issue_account("person@example.com"), gateway.add_api_key());
    let daemon = TestDaemon::with(&provider, Setup::default(), |dir| {
        put(dir, "claude-login.json", &login.auth_file());
        let settings =
            json!({"base_url": gateway.url(), "prefix": "gw", "model_aliases": {"theirs": "vendor/x"}});
        put(dir, "claude-gateway.json", &set(&key, &settings));
    })
    .await;
    for path in [MESSAGES, COUNT, CHAT, RESPONSES] {
        let answer = daemon.post(path, &request(path, "gw/claude-opus-5")).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert_eq!(provider.requests().len(), 0);
    for sent in gateway.requests() {
        assert_eq!(sent.header("x-api-key"), Some(key.as_str()));
        assert!(sent.header("authorization").is_none());
        assert!(!sent.header_members("anthropic-beta").iter().any(|beta| beta == OAUTH_BETA));
    }
    gateway.forget_requests();
    // The provider's list, the gateway's alias although nobody lists it.
    let names = openai_names(&daemon).await;
    assert!(names.contains(&"theirs".to_owned()) && names.contains(&"gw/theirs".to_owned()), "{names:?}");
    assert_eq!((provider.count("/v1/models"), gateway.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_gateways_path_stands_in_front_of_the_calls() {
    let (provider, gateway) = (FakeClaude::start().await, FakeClaude::start().await);
    gateway.on("/anthropic/v1/messages").once(Script::json(StatusCode::OK, &json!({"type": "message"})));
    let daemon = TestDaemon::with(&provider, Setup::default(), |dir| {
        let base = format!("{}/anthropic", gateway.url());
        put(dir, "claude-0.json", &set("sk-FAKE-gateway", &json!({"base_url": base})));
    })
    .await;
    assert_eq!(daemon.post("/v1/messages?beta=true", &messages("m")).await.status(), 200);
    let sent = gateway.requests().pop().unwrap();
    assert_eq!((sent.path.as_str(), sent.query.as_str()), ("/anthropic/v1/messages", "beta=true"));
    // It lists no models: what is left are the names that a person gave, and those are none.
    gateway.on("/anthropic/v1/models").once(Script::api_error(
        StatusCode::NOT_FOUND,
        "not_found_error",
        "no",
    ));
    assert_eq!(openai_names(&daemon).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_gateway_in_trouble_does_not_keep_a_request_from_the_provider() {
    let provider = FakeClaude::start().await;
    let key = provider.add_api_key();
    let dead = proxy_tests::proxy_server::dead("http").await;
    let daemon = TestDaemon::with(&provider, Setup::default(), |dir| {
        for n in 0..4 {
            let settings = json!({"base_url": dead, "priority": 1});
            put(dir, &format!("claude-{n}.json"), &set(&format!("sk-FAKE-{n}"), &settings));
        }
        put(dir, "claude-key.json", &key_file(&key));
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(provider.count(MESSAGES), 1);
}

#[tokio::test]
async fn a_logins_tokens_never_go_to_another_address() {
    let (provider, gateway) = (FakeClaude::start().await, FakeClaude::start().await);
    let mut file = provider.issue_account("person@example.com").auth_file();
    file["base_url"] = json!(gateway.url());
    let daemon = TestDaemon::with(&provider, Setup::default(), |dir| put(dir, "claude-0.json", &file)).await;
    assert_eq!(daemon.ask("hello").await.status(), 403);
    let account = daemon.only_account().await;
    assert_eq!(account.state(), proxy_proto::v1::AccountState::Invalid);
    assert!(account.state_reason.contains("API keys only"), "{}", account.state_reason);
    assert_eq!((provider.requests().len(), gateway.requests().len()), (0, 0));
}

#[tokio::test]
async fn a_suffix_about_thinking_takes_no_part_in_routing() {
    let fake = FakeClaude::start().await;
    let settings = [
        json!({"prefix": "work", "model_aliases": {"best": "claude-opus-5"}}),
        json!({"excluded_models": ["claude-haiku-*"]}),
    ];
    let (daemon, keys, _clock) = with_keys(&fake, &settings).await;
    for path in [CHAT, RESPONSES, "/v1/completions"] {
        assert_eq!(
            asked(&fake, &daemon, &keys, path, "work/best(high)").await,
            (0, "claude-opus-5".to_owned()),
            "{path}"
        );
        let sent = fake.requests_to(MESSAGES).pop().unwrap().json();
        assert_eq!(sent["output_config"]["effort"], "high", "{path}");
        for _ in 0..3 {
            let (key, model) = asked(&fake, &daemon, &keys, path, "claude-haiku-4-5(2000)").await;
            assert_eq!((key, model.as_str()), (0, "claude-haiku-4-5"), "the other one excludes it");
        }
        let sent = fake.requests_to(MESSAGES).pop().unwrap().json();
        assert_eq!(sent["thinking"]["budget_tokens"], 2_000, "{path}");
        let answer = daemon.post(path, &request(path, "best(low)")).await;
        let answer: Value = answer.json().await.unwrap();
        assert!(!answer["model"].as_str().unwrap().contains('('), "{answer}");
        let refused = daemon.post(path, &request(path, "claude-opus-5(huge)")).await;
        assert_eq!(refused.status(), 400, "{path}");
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["error"]["param"], "model", "{path}: {refused}");
    }
}

#[tokio::test]
async fn a_suffix_passes_untouched_on_the_native_path() {
    let fake = FakeClaude::start().await;
    let (daemon, _keys, _clock) = with_keys(&fake, &[json!({})]).await;
    let answer = daemon.post(MESSAGES, &messages("claude-opus-5(high)")).await;
    assert_eq!(answer.status(), 404, "upstream knows no such model, and says so");
    assert_eq!(fake.requests_to(MESSAGES).pop().unwrap().json()["model"], "claude-opus-5(high)");
}
