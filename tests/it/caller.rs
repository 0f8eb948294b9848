//! What a client key may use: its models, its accounts, and the responses that were stored for it. What it may not use goes
//! nowhere, and is told so in the client's dialect.

use http::{Method, StatusCode};
use proxy_proto::v1::ExplainRequestRequest;
use proxy_tests::client::{Reading, events};
use proxy_tests::daemon::{Setup, TestDaemon, message, put};
use proxy_tests::fake_claude::{AccountNumber, Caller, FakeClaude, Issued, Script};
use proxyd::id::AccountId;
use proxyd::keys::Rules;
use reqwest::Response;
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const BATCHES: &str = "/v1/messages/batches";
const FILES: &str = "/v1/files";
const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const MODELS: &str = "/v1/models";
const HAIKU: &str = "claude-haiku-4-5";
const SONNET: &str = "claude-sonnet-4-5";

async fn ask(daemon: &TestDaemon, key: &str, method: Method, path: &str, body: &Value) -> Response {
    let headers =
        [("anthropic-version", "2023-06-01"), ("content-type", "application/json"), ("x-proxyd-key", key)];
    // Without a key it is the daemon's own user.
    let headers = if key.is_empty() { &headers[..2] } else { &headers };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    daemon.send(method, path, headers, body).await
}

async fn post(daemon: &TestDaemon, key: &str, path: &str, body: &Value) -> Response {
    ask(daemon, key, Method::POST, path, body).await
}

async fn get(daemon: &TestDaemon, key: &str, path: &str) -> (StatusCode, Value) {
    told(ask(daemon, key, Method::GET, path, &Value::Null).await).await
}

async fn told(answer: Response) -> (StatusCode, Value) {
    let (status, body) = (answer.status(), answer.text().await.expect("a body"));
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("JSON: {status} {body}")))
}

fn with(model: &str, body: &Value) -> Value {
    let mut body = body.clone();
    body["model"] = json!(model);
    body
}

fn models(models: &[&str]) -> Rules {
    Rules { models: models.iter().map(|model| (*model).to_owned()).collect(), ..Rules::default() }
}

/// The daemon's id of an account.
async fn id_of(daemon: &TestDaemon, file: &str) -> AccountId {
    AccountId::parse(&daemon.account_of(file).await.id).expect("an id")
}

async fn only(daemon: &TestDaemon, files: &[&str]) -> Rules {
    let mut accounts = Vec::new();
    for file in files {
        accounts.push(id_of(daemon, file).await);
    }
    Rules { accounts, ..Rules::default() }
}

fn callers(fake: &FakeClaude, path: &str) -> Vec<AccountNumber> {
    let number = |caller| match caller {
        Some(Caller::Account(number)) => number,
        other => panic!("{other:?}"),
    };
    fake.requests_to(path).into_iter().map(|request| number(request.caller)).collect()
}

/// The same question in every dialect, for the model `MODEL`.
fn questions() -> Vec<(&'static str, Value)> {
    let turns = json!([{"role": "user", "content": "one"}]);
    vec![
        (MESSAGES, message("one")),
        (COUNT, json!({"messages": turns})),
        (CHAT, json!({"messages": turns})),
        (COMPLETIONS, json!({"prompt": "one", "max_tokens": 10})),
        (RESPONSES, json!({"input": "one"})),
        ("/v1/responses/input_tokens", json!({"input": "one"})),
    ]
}

#[tokio::test]
async fn a_key_asks_for_its_models_and_no_others_in_every_dialect() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let key = daemon.create_key("ci", models(&["claude-haiku-*"]));
    for (path, question) in questions() {
        let refused = post(&daemon, &key, path, &with(SONNET, &question)).await;
        assert_eq!(refused.headers()["x-should-retry"], "false", "{path}");
        let (status, error) = told(refused).await;
        assert_eq!(status, 403, "{path}: {error}");
        assert_eq!(error["error"]["type"], "permission_error", "{path}: {error}");
        let words = error["error"]["message"].as_str().expect("words");
        assert!(words.contains("\"ci\"") && words.contains(SONNET), "{path}: {words}");
    }
    assert_eq!(fake.requests().len(), 0, "nothing went upstream");
    for (path, question) in questions() {
        let (status, answer) = told(post(&daemon, &key, path, &with(HAIKU, &question)).await).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    // How hard it thinks is no part of the name.
    let question =
        json!({"model": format!("{HAIKU}(low)"), "messages": [{"role": "user", "content": "one"}]});
    assert_eq!(post(&daemon, &key, CHAT, &question).await.status(), 200);
    // A body that says two things is not sent for the one that is allowed.
    let twice = message("one").to_string().replacen('{', &format!("{{\"model\":\"{SONNET}\","), 1);
    let twice = twice.replace(&format!("\"model\":\"{SONNET}\"}}"), &format!("\"model\":\"{HAIKU}\"}}"));
    let headers = [("x-proxyd-key", key.as_str()), ("content-type", "application/json")];
    assert_eq!(daemon.send(Method::POST, MESSAGES, &headers, twice).await.status(), 403);
    // Nobody else is held to it.
    assert_eq!(daemon.ask("one").await.status(), 200);
}

#[tokio::test]
async fn a_key_sees_the_models_it_may_use_and_there_are_no_others_for_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let key = daemon.create_key("ci", models(&["claude-haiku-4-5*"]));
    let names = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().expect("a list").iter();
        data.map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
    };
    let (_, all) = told(daemon.get(MODELS).await).await;
    assert!(names(&all).len() > 2, "{all}");
    let (status, mine) = get(&daemon, &key, MODELS).await;
    assert_eq!(status, 200);
    let expected: Vec<_> = names(&all).into_iter().filter(|name| name.starts_with(HAIKU)).collect();
    assert_eq!(names(&mine), expected);
    assert_eq!((expected.len(), mine["last_id"].as_str()), (1, expected.first().map(String::as_str)));
    let (status, one) = get(&daemon, &key, &format!("{MODELS}/{}", expected[0])).await;
    assert_eq!((status, &one["id"]), (StatusCode::OK, &json!(expected[0])));
    fake.forget_requests();
    for other in names(&all).into_iter().filter(|name| !name.starts_with(HAIKU)).chain(["no-such".to_owned()])
    {
        let (status, error) = get(&daemon, &key, &format!("{MODELS}/{other}")).await;
        assert_eq!((status, &error["error"]["type"]), (StatusCode::NOT_FOUND, &json!("not_found_error")));
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_key_for_certain_models_makes_no_batches_whose_models_nobody_reads() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let params = json!({"model": SONNET, "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]});
    let batch = json!({"requests": [{"custom_id": "a", "params": params}]});
    let free = daemon.create_key("free", Rules::default());
    let (status, made) = told(post(&daemon, &free, BATCHES, &batch).await).await;
    assert_eq!(status, 200, "{made}");
    fake.forget_requests();
    let key = daemon.create_key("ci", models(&["claude-haiku-*"]));
    let (status, error) = told(post(&daemon, &key, BATCHES, &batch).await).await;
    assert_eq!((status, &error["error"]["type"]), (StatusCode::FORBIDDEN, &json!("permission_error")));
    assert_eq!(fake.requests().len(), 0);
    let made = made["id"].as_str().expect("an id");
    assert_eq!(get(&daemon, &key, &format!("{BATCHES}/{made}")).await.0, 200);
    let upload = [("x-proxyd-key", key.as_str()), ("content-type", "text/plain")];
    assert_eq!(daemon.send(Method::POST, FILES, &upload, "a file").await.status(), 200);
}

/// Two accounts of which each has the file that its number says.
async fn two(fake: &FakeClaude) -> (TestDaemon, Vec<Issued>) {
    TestDaemon::with_accounts(fake, 2).await
}

#[tokio::test]
async fn a_key_is_served_by_its_accounts_alone_and_is_told_of_them_alone() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = two(&fake).await;
    let rules = only(&daemon, &["claude-1.json"]).await;
    let key = daemon.create_key("ci", rules);
    for (path, question) in questions() {
        assert_eq!(post(&daemon, &key, path, &with(HAIKU, &question)).await.status(), 200, "{path}");
    }
    for path in [MESSAGES, COUNT] {
        assert!(callers(&fake, path).iter().all(|caller| *caller == issued[1].account), "{path}");
    }
    let script = Script::rate_limited(30);
    fake.on(MESSAGES).from(issued[1].account).once(script);
    let limited = post(&daemon, &key, MESSAGES, &message("one")).await;
    assert_eq!(limited.status(), 429, "the other account is not asked");
    let again = post(&daemon, &key, MESSAGES, &message("one")).await;
    assert!(again.headers().contains_key("retry-after"));
    let (status, error) = told(again).await;
    assert_eq!(status, 429);
    let words = error["error"]["message"].as_str().expect("words");
    let [withheld, named] = ["claude-0.json", "claude-1.json"].map(|file| id_of(&daemon, file));
    let (withheld, named) = (withheld.await, named.await);
    assert!(words.contains(named.as_str()) && !words.contains(withheld.as_str()), "{words}");
    assert_eq!(daemon.ask("one").await.status(), 200, "the other account serves everybody else");
    let nobody = daemon.create_key(
        "gone",
        Rules { accounts: vec![AccountId::derive("test", &["gone"])], ..Rules::default() },
    );
    let refused = post(&daemon, &nobody, MESSAGES, &message("one")).await;
    assert_eq!(refused.headers()["x-should-retry"], "false");
    let (status, error) = told(refused).await;
    assert_eq!((status, &error["error"]["type"]), (StatusCode::FORBIDDEN, &json!("permission_error")));
}

#[tokio::test]
async fn a_key_sees_the_models_of_its_accounts() {
    let fake = FakeClaude::start().await;
    let mut issued =
        ["a", "b"].map(|name| fake.issue_account_in(&format!("{name}@example.com"), name).auth_file());
    issued[0]["model_aliases"] = json!({"best": SONNET});
    issued[1]["excluded_models"] = json!(["claude-opus*"]);
    let daemon = TestDaemon::with(&fake, Setup::in_turns(), |dir| {
        put(dir, "claude-a.json", &issued[0]);
        put(dir, "claude-b.json", &issued[1]);
    })
    .await;
    let rules = only(&daemon, &["claude-b.json"]).await;
    let key = daemon.create_key("b", rules);
    let has = |list: &Value, what: &str| {
        let data = list["data"].as_array().expect("a list").iter();
        data.filter(|entry| entry["id"].as_str().is_some_and(|id| id.starts_with(what))).count() > 0
    };
    let (_, all) = told(daemon.get(MODELS).await).await;
    assert!(has(&all, "best") && has(&all, "claude-opus"));
    let (_, mine) = get(&daemon, &key, MODELS).await;
    assert!(!has(&mine, "best") && !has(&mine, "claude-opus") && has(&mine, "claude-haiku"), "{mine}");
    // A name means the same for everybody, so this one is not sent upstream as a model.
    assert_eq!(get(&daemon, &key, &format!("{MODELS}/best")).await.0, 404);
    let (status, error) = told(post(&daemon, &key, MESSAGES, &with("best", &message("one"))).await).await;
    assert_eq!(status, 403, "{error}");
    assert_eq!(fake.count(MESSAGES), 0);
}

#[tokio::test]
async fn what_lives_with_an_account_that_the_key_may_not_use_is_sent_nowhere() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = two(&fake).await;
    let keys = [
        daemon.create_key("zero", only(&daemon, &["claude-0.json"]).await),
        daemon.create_key("one", only(&daemon, &["claude-1.json"]).await),
    ];
    let upload = [("x-proxyd-key", keys[0].as_str()), ("content-type", "text/plain")];
    let (status, file) = told(daemon.send(Method::POST, FILES, &upload, "a file").await).await;
    assert_eq!(status, 200, "{file}");
    assert_eq!(callers(&fake, FILES), [issued[0].account]);
    fake.forget_requests();
    let path = format!("{FILES}/{}", file["id"].as_str().expect("an id"));
    let about = json!({"model": HAIKU, "max_tokens": 50, "messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "file", "file_id": file["id"]}},
    ]}]});
    for (method, path, body) in [
        (Method::GET, path.as_str(), &Value::Null),
        (Method::DELETE, &path, &Value::Null),
        (Method::POST, MESSAGES, &about),
    ] {
        let (status, error) = told(ask(&daemon, &keys[1], method, path, body).await).await;
        assert_eq!(status, 403, "{error}");
        assert!(
            error["error"]["message"]
                .as_str()
                .is_some_and(|words| words.contains("this client key may not use"))
        );
    }
    assert_eq!(fake.requests().len(), 0);
    assert_eq!(get(&daemon, &keys[0], &path).await.0, 200);
}

#[tokio::test]
async fn a_stored_response_is_its_keys_and_unknown_to_everybody_else() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
    let (mine, other) =
        (daemon.create_key("mine", Rules::default()), daemon.create_key("other", Rules::default()));
    let create = |key: String, fields: Value| {
        let daemon = &daemon;
        async move { told(post(daemon, &key, RESPONSES, &with(SONNET, &fields)).await).await }
    };
    let (status, first) = create(mine.clone(), json!({"input": "one"})).await;
    assert_eq!(status, 200, "{first}");
    let streamed =
        post(&daemon, &mine, RESPONSES, &with(SONNET, &json!({"input": "two", "stream": true}))).await;
    let streamed =
        events(&Reading::new(streamed).text().await).pop().expect("a last event").1["response"].clone();
    let (_, users) = create(String::new(), json!({"input": "three"})).await;
    let sent = fake.count(MESSAGES);

    for response in [&first, &streamed] {
        let id = response["id"].as_str().expect("an id");
        let path = format!("{RESPONSES}/{id}");
        // Word for word what is said of one that never was.
        for stranger in [other.as_str(), ""] {
            for (method, below) in [(Method::GET, ""), (Method::GET, "/input_items"), (Method::DELETE, "")] {
                let (status, theirs) = told(
                    ask(&daemon, stranger, method.clone(), &format!("{path}{below}"), &Value::Null).await,
                )
                .await;
                let (_, never) = told(
                    ask(&daemon, stranger, method, &format!("{RESPONSES}/resp_never{below}"), &Value::Null)
                        .await,
                )
                .await;
                assert_eq!(status, 404);
                assert_eq!(theirs.to_string().replace(id, "resp_never"), never.to_string());
            }
            let item = response["output"][0]["id"].as_str().expect("an id");
            for fields in [
                json!({"previous_response_id": id, "input": "on"}),
                json!({"input": [{"type": "item_reference", "id": item}]}),
            ] {
                let (status, error) = create(stranger.to_owned(), fields).await;
                assert_eq!(status, 400, "{error}");
                assert!(
                    error["error"]["code"].as_str().is_some_and(|code| code.ends_with("not_found")),
                    "{error}"
                );
            }
        }
        assert_eq!(get(&daemon, &mine, &path).await.0, 200);
        assert_eq!(get(&daemon, &mine, &format!("{path}/input_items")).await.0, 200);
    }
    assert_eq!(fake.count(MESSAGES), sent, "nothing of it went upstream");
    let users = format!("{RESPONSES}/{}", users["id"].as_str().expect("an id"));
    assert_eq!(get(&daemon, &mine, &users).await.0, 404);
    assert_eq!(told(daemon.get(&users).await).await.0, 200);

    // After a restart as before it.
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
    let path = format!("{RESPONSES}/{}", first["id"].as_str().expect("an id"));
    assert_eq!(get(&daemon, &other, &path).await.0, 404);
    assert_eq!(get(&daemon, &mine, &path).await.1, first);
    let on = json!({"previous_response_id": first["id"], "input": "on"});
    assert_eq!(post(&daemon, &mine, RESPONSES, &with(SONNET, &on)).await.status(), 200);
    assert_eq!(ask(&daemon, &mine, Method::DELETE, &path, &Value::Null).await.status(), 200);
    assert_eq!(get(&daemon, &mine, &path).await.0, 404);
}

#[tokio::test]
async fn a_key_pays_for_the_tokens_of_its_requests_in_every_dialect_streamed_or_not() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let paying =
        questions().into_iter().filter(|(path, _)| *path != COUNT && !path.ends_with("input_tokens"));
    for (number, (path, question)) in paying.enumerate() {
        for streams in [false, true] {
            let rules = Rules { tpm: Some(1), ..Rules::default() };
            let key = daemon.create_key(&format!("key{number}{streams}"), rules);
            let mut question = with(HAIKU, &question);
            question["stream"] = json!(streams);
            let answer = post(&daemon, &key, path, &question).await;
            assert_eq!(answer.status(), 200, "{path}");
            let _read = Reading::new(answer).text().await;
            let paid = daemon.keys().find(&format!("key{number}{streams}")).expect("the key").counts().tokens;
            assert!(paid > 1, "{path} {streams}");
            assert_eq!(post(&daemon, &key, path, &question).await.status(), 429, "{path} {streams}");
        }
    }
}

#[tokio::test]
async fn what_became_of_a_request_names_its_key() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let key = daemon.create_key("ci", Rules::default());
    for (key, expected) in [(key.as_str(), "ci"), ("", "")] {
        let answer = post(&daemon, key, MESSAGES, &message("one")).await;
        let request_id = answer.headers()["x-proxyd-request-id"].to_str().expect("text").to_owned();
        let told = daemon.daemon_client().await.explain_request(ExplainRequestRequest { request_id }).await;
        assert_eq!(told.expect("it is remembered").into_inner().client_key, expected);
    }
}
