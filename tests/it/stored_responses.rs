//! Responses that are stored: a client goes on from them by id, refers to their items, reads and deletes them, after a
//! restart as before it; and what is not stored is told plainly.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use http::{Method, StatusCode};
use proxy_tests::client::{Reading, events};
use proxy_tests::daemon::{Setup, TestDaemon, put};
use proxy_tests::fake_claude::FakeClaude;
use proxyd::clock::{ManualClock, SignedDuration, Timestamp};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const MODEL: &str = "claude-sonnet-4-5";

async fn send(daemon: &TestDaemon, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let headers = [("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = daemon.send(method, path, &headers, body).await;
    let status = answer.status();
    (status, answer.json().await.expect("an answer in JSON"))
}

async fn create(daemon: &TestDaemon, fields: &Value) -> Value {
    let (status, answer) = send(daemon, Method::POST, RESPONSES, &with_model(fields)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn refused(daemon: &TestDaemon, fields: &Value) -> Value {
    let (status, answer) = send(daemon, Method::POST, RESPONSES, &with_model(fields)).await;
    assert_eq!(status, 400, "{answer}");
    answer["error"].clone()
}

fn with_model(fields: &Value) -> Value {
    let mut body = fields.clone();
    body["model"] = json!(MODEL);
    body
}

async fn get(daemon: &TestDaemon, path: &str) -> (StatusCode, Value) {
    send(daemon, Method::GET, path, &Value::Null).await
}

/// What stands in the last request upstream, as (role, text) of each turn.
fn turns(fake: &FakeClaude) -> Vec<(String, String)> {
    let sent = fake.requests_to(MESSAGES).pop().expect("a request upstream").json();
    let turns = sent["messages"].as_array().expect("messages").iter();
    let text = |turn: &Value| {
        let blocks = turn["content"].as_array().expect("blocks").iter();
        blocks.map(|block| block["text"].as_str().unwrap_or("-")).collect::<Vec<_>>().join("|")
    };
    turns.map(|turn| (turn["role"].as_str().expect("a role").to_owned(), text(turn))).collect()
}

fn conversation(turns: &[(&str, &str)]) -> Vec<(String, String)> {
    turns.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

fn stored_dir(daemon: &TestDaemon) -> PathBuf {
    daemon.auth_dir().join(".responses")
}

/// Nothing of a stored response is left once all is written that was to be written.
async fn nothing_is_left(daemon: TestDaemon) {
    let dir = stored_dir(&daemon);
    let _home = daemon.stop().await;
    assert_eq!(fs::read_dir(&dir).expect("the directory").count(), 0);
}

fn id_of(response: &Value) -> String {
    response["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_client_goes_on_from_a_response_by_its_id() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let first = create(&daemon, &json!({"input": "one", "instructions": "Be brief."})).await;
    assert_eq!((&first["store"], &first["previous_response_id"]), (&json!(true), &Value::Null));
    let second = create(&daemon, &json!({"input": "two", "previous_response_id": id_of(&first)})).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let sent = fake.requests_to(MESSAGES).pop().expect("a request upstream").json();
    assert!(sent.get("system").is_none(), "instructions are not carried over: {sent}");
    let third =
        json!({"input": [{"role": "user", "content": "three"}], "previous_response_id": id_of(&second)});
    create(&daemon, &third).await;
    let expected = [
        ("user", "one"),
        ("assistant", "You said: one"),
        ("user", "two"),
        ("assistant", "You said: two"),
        ("user", "three"),
    ];
    assert_eq!(turns(&fake), conversation(&expected));

    // Nothing new is asked.
    let again = create(&daemon, &json!({"previous_response_id": id_of(&first)})).await;
    create(&daemon, &json!({"input": "two", "previous_response_id": id_of(&again)})).await;
    let expected = [("user", "one"), ("assistant", "You said: one|You said: one"), ("user", "two")];
    assert_eq!(turns(&fake), conversation(&expected));
}

#[tokio::test]
async fn a_streamed_response_is_there_as_soon_as_its_last_event() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = with_model(&json!({"input": "one", "stream": true}));
    let answer =
        daemon.send(Method::POST, RESPONSES, &[("content-type", "application/json")], body.to_string());
    let events = events(&Reading::new(answer.await).text().await);
    let (_, last) = events.last().expect("a last event");
    assert_eq!((&last["type"], &last["response"]["store"]), (&json!("response.completed"), &json!(true)));
    let id = id_of(&last["response"]);
    let (status, stored) = get(&daemon, &format!("{RESPONSES}/{id}")).await;
    assert_eq!((status, &stored), (StatusCode::OK, &last["response"]));
    create(&daemon, &json!({"input": "two", "previous_response_id": id})).await;
    assert_eq!(turns(&fake).len(), 3);
}

#[tokio::test]
async fn references_stand_for_the_items_of_earlier_answers() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let first = create(&daemon, &json!({"input": "one"})).await;
    let said = first["output"][0]["id"].clone();
    let input = json!([
        {"role": "user", "content": "one"},
        {"type": "item_reference", "id": said},
        {"role": "user", "content": "two"},
    ]);
    let second = create(&daemon, &json!({"input": input})).await;
    let expected = [("user", "one"), ("assistant", "You said: one"), ("user", "two")];
    assert_eq!(turns(&fake), conversation(&expected));

    // What was referred to is stored with what refers to it.
    let (status, _) =
        send(&daemon, Method::DELETE, &format!("{RESPONSES}/{}", id_of(&first)), &Value::Null).await;
    assert_eq!(status, 200);
    create(&daemon, &json!({"input": "three", "previous_response_id": id_of(&second)})).await;
    assert_eq!(turns(&fake).len(), 5);
    let error = refused(&daemon, &json!({"input": input})).await;
    assert_eq!((&error["param"], &error["code"]), (&json!("input[1]"), &json!("item_not_found")), "{error}");
}

#[tokio::test]
async fn a_tool_loop_goes_on_with_nothing_but_the_results() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let tool = json!({"type": "function", "name": "get_weather", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}});
    let settings = |input: Value| json!({"input": input, "tools": [tool], "reasoning": {"effort": "high", "summary": "auto"}, "max_output_tokens": 20_000});
    let first = create(&daemon, &settings(json!("What is the weather? Use a tool."))).await;
    let output = first["output"].as_array().expect("output");
    let call = output.iter().find(|item| item["type"] == "function_call");
    let call = call.unwrap_or_else(|| panic!("no call in {first}"));
    assert!(output.iter().any(|item| item["type"] == "reasoning"), "{first}");
    let result =
        json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}]);
    let mut next = settings(result);
    next["previous_response_id"] = first["id"].clone();
    create(&daemon, &next).await;
    let sent = fake.requests_to(MESSAGES).pop().expect("a request upstream").json();
    let kinds = |turn: &Value| -> Vec<String> {
        let blocks = turn["content"].as_array().expect("blocks").iter();
        blocks.map(|block| block["type"].as_str().expect("a type").to_owned()).collect()
    };
    // The signed thinking is in its place before the call; the fake checks its signature.
    assert_eq!(kinds(&sent["messages"][1]).first().map(String::as_str), Some("thinking"));
    assert_eq!(kinds(&sent["messages"][2]), ["tool_result"]);
}

#[tokio::test]
async fn a_stored_response_can_be_read_listed_and_deleted() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let input = json!([{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}]);
    let first = create(&daemon, &json!({"input": input, "metadata": {"topic": "x"}})).await;
    let path = format!("{RESPONSES}/{}", id_of(&first));
    assert_eq!(get(&daemon, &path).await, (StatusCode::OK, first));

    let (status, page) = get(&daemon, &format!("{path}/input_items?limit=2")).await;
    assert_eq!((status, &page["object"], &page["has_more"]), (StatusCode::OK, &json!("list"), &json!(true)));
    assert_eq!(page["data"][0]["content"], json!([{"type": "input_text", "text": "two"}]));
    let after = page["last_id"].as_str().expect("an id");
    let (_, rest) = get(&daemon, &format!("{path}/input_items?after={after}")).await;
    assert_eq!((rest["data"].as_array().expect("data").len(), &rest["has_more"]), (1, &json!(false)));
    let (_, oldest) = get(&daemon, &format!("{path}/input_items?order=asc&limit=1")).await;
    assert_eq!(oldest["data"], rest["data"]);

    let (status, deleted) = send(&daemon, Method::DELETE, &path, &Value::Null).await;
    assert_eq!((status, &deleted["deleted"]), (StatusCode::OK, &json!(true)), "{deleted}");
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("{path}/input_items")),
    ] {
        let (status, answer) = send(&daemon, method, &path, &Value::Null).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::NOT_FOUND, &json!("response_not_found")));
    }
    nothing_is_left(daemon).await;
}

#[tokio::test]
async fn what_is_stored_is_private_and_outlives_a_restart() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let first = create(&daemon, &json!({"input": "one"})).await;
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, Setup::default(), home).await;
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(stored_dir(&daemon)), 0o700);
    assert_eq!(mode(stored_dir(&daemon).join(format!("{}.json", id_of(&first)))), 0o600);
    create(&daemon, &json!({"input": "two", "previous_response_id": id_of(&first)})).await;
    assert_eq!(turns(&fake).len(), 3);
}

#[tokio::test]
async fn what_was_not_used_for_its_time_is_deleted() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let clock = ManualClock::at(Timestamp::from_second(1_795_464_512).expect("a time"));
    let setup = || Setup { clock: clock.clock(), ..Setup::of([("PROXYD_RESPONSES__TTL", "2h")]) };
    let daemon = TestDaemon::with(&fake, setup(), |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
    let first = create(&daemon, &json!({"input": "one"})).await;
    let second = create(&daemon, &json!({"input": "two", "previous_response_id": id_of(&first)})).await;
    clock.advance(SignedDuration::from_mins(90));
    // What a conversation goes on from is used with it.
    let third = create(&daemon, &json!({"input": "three", "previous_response_id": id_of(&second)})).await;
    clock.advance(SignedDuration::from_mins(90));
    let (status, _) = get(&daemon, &format!("{RESPONSES}/{}", id_of(&first))).await;
    assert_eq!(status, 200);
    clock.advance(SignedDuration::from_mins(31));
    let error = refused(&daemon, &json!({"input": "four", "previous_response_id": id_of(&third)})).await;
    assert_eq!(error["code"], "previous_response_not_found");
    clock.advance(SignedDuration::from_hours(2));
    let home = daemon.stop().await;
    let daemon = TestDaemon::start_in(&fake, setup(), home).await;
    nothing_is_left(daemon).await;
}

#[tokio::test]
async fn a_client_that_stores_nothing_leaves_nothing_behind() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let first = create(&daemon, &json!({"input": "one", "store": false})).await;
    assert_eq!(first["store"], false);
    let error = refused(&daemon, &json!({"input": "two", "previous_response_id": id_of(&first)})).await;
    assert_eq!(
        (&error["param"], &error["code"]),
        (&json!("previous_response_id"), &json!("previous_response_not_found"))
    );
    let text = error["message"].as_str().expect("a message");
    assert!(text.contains("store: false") && text.contains("send the whole conversation"), "{text}");
    assert!(!stored_dir(&daemon).exists());
}

#[tokio::test]
async fn a_store_that_is_switched_off_says_so() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let setup = Setup { settings: vec![("PROXYD_RESPONSES__STORE", "false".to_owned())], ..Setup::default() };
    let daemon = TestDaemon::with(&fake, setup, |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
    let headers = [("content-type", "application/json")];
    let body = with_model(&json!({"input": "one", "store": true}));
    let answer = daemon.send(Method::POST, RESPONSES, &headers, body.to_string()).await;
    assert_eq!(answer.headers().get("x-proxyd-dropped-fields").expect("declared"), "store");
    let first: Value = answer.json().await.expect("an answer");
    assert_eq!(first["store"], false);
    for (fields, param) in [
        (json!({"input": "two", "previous_response_id": id_of(&first)}), "previous_response_id"),
        (json!({"input": [{"type": "item_reference", "id": first["output"][0]["id"]}]}), "input[0]"),
    ] {
        let error = refused(&daemon, &fields).await;
        assert_eq!(error["param"], param);
        let text = error["message"].as_str().expect("a message");
        assert!(text.contains("switched off") && text.contains("responses.store"), "{text}");
    }
    let (status, answer) = get(&daemon, &format!("{RESPONSES}/{}", id_of(&first))).await;
    assert_eq!(status, 404);
    assert!(answer["error"]["message"].as_str().expect("a message").contains("switched off"), "{answer}");
    assert!(!stored_dir(&daemon).exists());
}

#[tokio::test]
async fn what_cannot_be_asked_of_a_stored_response_is_told() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let id = id_of(&create(&daemon, &json!({"input": "one"})).await);
    for (method, path, status, param) in [
        (Method::GET, format!("{RESPONSES}/{id}?stream=true"), 400, json!("stream")),
        (Method::GET, format!("{RESPONSES}/{id}/input_items?limit=many"), 400, json!("limit")),
        (Method::GET, format!("{RESPONSES}/{id}/input_items?limit=0"), 400, json!("limit")),
        (Method::GET, format!("{RESPONSES}/{id}/input_items?order=up"), 400, json!("order")),
        (Method::GET, format!("{RESPONSES}/{id}/input_items?after=msg_x"), 400, json!("after")),
        (Method::POST, format!("{RESPONSES}/{id}/cancel"), 400, Value::Null),
        (Method::GET, format!("{RESPONSES}/resp_unknown"), 404, json!("response_id")),
        (Method::GET, format!("{RESPONSES}/..%2F..%2Fclaude-a"), 404, json!("response_id")),
        (Method::DELETE, format!("{RESPONSES}/msg_1"), 404, json!("response_id")),
        (Method::GET, format!("{RESPONSES}/resp_%FF"), 400, json!("response_id")),
        (Method::GET, format!("{RESPONSES}/resp_%FF/input_items"), 400, json!("response_id")),
        (Method::DELETE, format!("{RESPONSES}/resp_%FF"), 400, json!("response_id")),
        (Method::PUT, format!("{RESPONSES}/{id}"), 405, Value::Null),
    ] {
        let (got, answer) = send(&daemon, method.clone(), &path, &Value::Null).await;
        assert_eq!((got.as_u16(), &answer["error"]["param"]), (status, &param), "{method} {path}: {answer}");
    }
    let (status, answer) =
        send(&daemon, Method::GET, &format!("{RESPONSES}/{id}/input_tokens"), &Value::Null).await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test]
async fn tokens_are_counted_with_all_that_the_request_goes_on_from() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let count = async |fields: Value| {
        let path = format!("{RESPONSES}/input_tokens");
        let (status, answer) = send(&daemon, Method::POST, &path, &with_model(&fields)).await;
        assert_eq!(
            (status, &answer["object"]),
            (StatusCode::OK, &json!("response.input_tokens")),
            "{answer}"
        );
        answer["input_tokens"].as_u64().expect("a number")
    };
    let alone = count(json!({"input": "two words", "instructions": "Be brief.", "temperature": 0.5})).await;
    assert!(alone > 0);
    let first = create(&daemon, &json!({"input": "a long text of many words that come before"})).await;
    let further = count(json!({"input": "two words", "previous_response_id": id_of(&first)})).await;
    assert!(further > alone, "{further} and {alone}");
    let sent = fake.requests_to("/v1/messages/count_tokens").pop().expect("a count").json();
    assert!(sent.get("max_tokens").is_none() && sent.get("temperature").is_none(), "{sent}");
    let body = with_model(&json!({"input": "two words", "truncation": "auto"}));
    let headers = [("content-type", "application/json")];
    let path = format!("{RESPONSES}/input_tokens");
    let answer = daemon.send(Method::POST, &path, &headers, body.to_string()).await;
    assert_eq!(answer.headers().get("x-proxyd-dropped-fields").expect("declared"), "truncation");
}

#[tokio::test]
async fn many_references_to_a_large_item_do_not_become_a_huge_request() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let first = create(&daemon, &json!({"input": "x".repeat(1_000_000)})).await;
    let item = format!("msg_{}_in0", id_of(&first).trim_start_matches("resp_"));
    let reference = json!({"type": "item_reference", "id": item});
    create(&daemon, &json!({"input": [reference, reference]})).await;
    let before = fake.requests_to(MESSAGES).len();
    let error = refused(&daemon, &json!({"input": vec![reference; 40]})).await;
    assert_eq!(error["param"], "input", "{error}");
    assert!(error["message"].as_str().expect("a text").contains("too large"), "{error}");
    assert_eq!(fake.requests_to(MESSAGES).len(), before);
}
