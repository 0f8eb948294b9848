//! The list of models as clients see it, and what it decides: order, limits, names, and what translation sends.

use http::{Method, StatusCode};
use proxy_tests::daemon::{Setup, TestDaemon, key_file, put};
use proxy_tests::fake_claude::{FakeClaude, Script};
use serde_json::{Value, json};

const MODELS: &str = "/v1/models";
const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");

async fn openai(daemon: &TestDaemon) -> Vec<Value> {
    let list: Value = daemon.get(MODELS).await.json().await.unwrap();
    assert_eq!(list["object"], "list");
    list["data"].as_array().unwrap().clone()
}

async fn anthropic(daemon: &TestDaemon, query: &str) -> Vec<Value> {
    let answer = daemon.send(Method::GET, &format!("{MODELS}{query}"), &[ANTHROPIC], "").await;
    answer.json::<Value>().await.unwrap()["data"].as_array().unwrap().clone()
}

fn ids(list: &[Value]) -> Vec<&str> {
    list.iter().map(|model| model["id"].as_str().unwrap()).collect()
}

/// A daemon with one key that has these settings.
async fn with_settings(fake: &FakeClaude, settings: &Value) -> TestDaemon {
    let mut file = key_file(&fake.add_api_key());
    for (name, value) in settings.as_object().unwrap() {
        file[name] = value.clone();
    }
    TestDaemon::with(fake, Setup::default(), |dir| put(dir, "claude-key.json", &file)).await
}

fn listing(models: &[Value]) -> Script {
    Script::json(
        StatusCode::OK,
        &json!({"data": models, "has_more": false, "first_id": null, "last_id": null}),
    )
}

#[tokio::test]
async fn both_lists_tell_limits_and_names_to_show_of_models_and_aliases() {
    let fake = FakeClaude::start().await;
    let settings =
        json!({"model_aliases": {"best": "claude-opus-5", "elsewhere": "claude-haiku-4-5-20990101"}});
    let daemon = with_settings(&fake, &settings).await;
    let list = openai(&daemon).await;
    let find = |id: &str| list.iter().find(|model| model["id"] == id).unwrap();
    for id in ["claude-opus-5", "best"] {
        let expected = json!({"id": id, "object": "model", "created": 1_780_272_000, "owned_by": "anthropic",
            "display_name": "Claude Opus 5", "context_length": 1_000_000, "max_output_tokens": 128_000});
        assert_eq!(find(id), &expected);
    }
    // Upstream does not list it: the table knows the family's limits.
    let unlisted = find("elsewhere");
    assert_eq!(
        (&unlisted["context_length"], &unlisted["max_output_tokens"]),
        (&json!(200_000), &json!(64_000))
    );
    let one: Value = daemon.get("/v1/models/best").await.json().await.unwrap();
    assert_eq!(&one, find("best"));

    let native = anthropic(&daemon, "?limit=1000").await;
    assert_eq!(ids(&native), ids(&list));
    let find = |id: &str| native.iter().find(|model| model["id"] == id).unwrap();
    assert_eq!(
        (&find("best")["max_input_tokens"], &find("best")["lifecycle"]),
        (&json!(1_000_000), &json!("active"))
    );
    assert_eq!(find("elsewhere")["max_tokens"], 64_000);
}

#[tokio::test]
async fn the_order_does_not_depend_on_upstreams() {
    let fake = FakeClaude::start().await;
    let model = |id: &str, date: &str| json!({"type": "model", "id": id, "created_at": date});
    let [old, new] = ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"];
    let mut models = vec![model("claude-b", old), model("claude-a", old), model("claude-c", new)];
    for _ in 0..2 {
        fake.on(MODELS).once(listing(&models));
        let daemon =
            with_settings(&fake, &json!({"model_aliases": {"z": "claude-a", "y": "claude-b"}})).await;
        assert_eq!(ids(&openai(&daemon).await), ["claude-c", "claude-a", "claude-b", "y", "z"]);
        models.reverse();
    }
}

#[tokio::test]
async fn what_the_list_says_of_a_model_decides_what_it_is_sent_once_it_was_read() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let asks = [
        (
            CHAT,
            json!({"model": "claude-haiku-4-5", "max_tokens": 50_000, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        (RESPONSES, json!({"model": "claude-haiku-4-5", "max_output_tokens": 50_000, "input": "hi"})),
    ];
    let limits = async || {
        for (path, body) in &asks {
            assert_eq!(daemon.post(path, body).await.status(), 200, "{path}");
        }
        let sent = fake.requests_to(MESSAGES);
        fake.forget_requests();
        sent.iter().map(|request| request.json()["max_tokens"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // No request waits for the list.
    assert_eq!(limits().await, [50_000, 50_000]);
    assert_eq!(fake.count(MODELS), 0);
    fake.on(MODELS)
        .once(listing(&[json!({"type": "model", "id": "claude-haiku-4-5-20251001", "max_tokens": 20_000})]));
    openai(&daemon).await;
    assert_eq!(limits().await, [20_000, 20_000]);
}

#[tokio::test]
async fn a_model_that_nobody_knows_is_passed_on() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    openai(&daemon).await;
    for (path, body) in [
        (CHAT, json!({"model": "claude-saga-9", "messages": [{"role": "user", "content": "hi"}]})),
        (RESPONSES, json!({"model": "somebody-else", "input": "hi"})),
    ] {
        let answer = daemon.post(path, &body).await;
        // Upstream's own word on it.
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "model_not_found", "{path}");
        assert_eq!(fake.requests_to(MESSAGES).pop().unwrap().json()["model"], body["model"]);
    }
}
