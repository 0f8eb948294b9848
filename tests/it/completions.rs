//! `/v1/completions` over HTTP: programs that still use it are answered by Claude.

use http::Method;
use proxy_tests::client::{Reading, frames};
use proxy_tests::daemon::TestDaemon;
use proxy_tests::fake_claude::{FakeClaude, Script};
use serde_json::{Value, json};

const COMPLETIONS: &str = "/v1/completions";
const MESSAGES: &str = "/v1/messages";
const MODEL: &str = "claude-sonnet-4-5";

#[tokio::test]
async fn a_prompt_is_answered_as_a_text_completion() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": MODEL, "prompt": "Say hello.", "max_tokens": 100, "echo": true});
    for path in [COMPLETIONS, "/completions", "/v1/v1/completions/"] {
        let answer = daemon.post(path, &body).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers().contains_key("x-request-id"));
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["object"], "text_completion", "{answer}");
        assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"), "{answer}");
        let choice = json!({"text": "Say hello.You said: Say hello.", "index": 0, "logprobs": null, "finish_reason": "stop"});
        assert_eq!(answer["choices"], json!([choice]));
        assert!(answer["usage"]["total_tokens"].as_u64().unwrap() > 0, "{answer}");
    }
    let sent = fake.requests_to(MESSAGES).pop().unwrap().json();
    assert_eq!(
        sent["messages"],
        json!([{"role": "user", "content": [{"type": "text", "text": "Say hello."}]}])
    );
}

#[tokio::test]
async fn a_stream_gives_the_text_in_parts_then_the_usage_then_done() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = json!({"model": MODEL, "prompt": ["Say something long enough."], "stream": true,
        "stream_options": {"include_usage": true}});
    let answer = daemon.post(COMPLETIONS, &body).await;
    assert_eq!(answer.headers().get("content-type").unwrap(), "text/event-stream; charset=utf-8");
    let mut frames = frames(&Reading::new(answer).text().await);
    assert_eq!(frames.pop().unwrap(), "[DONE]");
    let usage = frames.pop().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{usage}");
    assert_eq!(frames.last().unwrap()["choices"][0]["finish_reason"], "stop");
    let text: String = frames.iter().map(|frame| frame["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, "You said: Say something long enough.");
    assert!(frames.iter().all(|frame| frame["object"] == "text_completion" && frame["usage"].is_null()));
}

#[tokio::test]
async fn what_cannot_be_completed_is_refused_in_the_shape_of_the_api() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for (fields, param) in [
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2, 3]}), "prompt"),
        (json!({"suffix": "the end"}), "suffix"),
        (json!({"n": 2}), "n"),
    ] {
        let mut body = json!({"model": MODEL, "prompt": "hi"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = daemon.post(COMPLETIONS, &body).await;
        assert_eq!(answer.status(), 400, "{fields}");
        let error: Value = answer.json().await.unwrap();
        let keys: Vec<_> = error["error"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["message", "type", "param", "code"], "{error}");
        assert_eq!(error["error"]["param"], param, "{error}");
    }
    assert_eq!(fake.count(MESSAGES), 0);
    let wrong = daemon.send(Method::GET, COMPLETIONS, &[], "").await;
    assert_eq!(
        (wrong.status().as_u16(), wrong.headers().get("allow").unwrap().to_str().unwrap()),
        (405, "POST")
    );
    fake.on(MESSAGES).once(Script::overloaded());
    let busy = daemon.post(COMPLETIONS, &json!({"model": MODEL, "prompt": "hi"})).await;
    assert_eq!(busy.status(), 503, "529 is Anthropic's own");
}
