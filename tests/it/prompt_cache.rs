//! Prompt caching for clients that know no markers: the next request of a conversation reads what the last one left.

use proxy_tests::daemon::{Setup, TestDaemon, key_file, put};
use proxy_tests::fake_claude::FakeClaude;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";

/// Long enough for upstream's cache.
fn instructions() -> String {
    "Answer each question as well as you can, and say so when you cannot. ".repeat(100)
}

/// A conversation of so many questions, in the path's dialect.
fn conversation(path: &str, questions: usize, model: &str) -> Value {
    let mut turns = vec![json!({"role": "system", "content": instructions()})];
    for question in 0..questions {
        if question > 0 {
            turns.push(json!({"role": "assistant", "content": format!("Answer {question}.")}));
        }
        turns.push(json!({"role": "user", "content": format!("Question {question}?")}));
    }
    match path {
        CHAT => json!({"model": model, "messages": turns}),
        _ => json!({"model": model, "input": turns}),
    }
}

/// The cached tokens of an answer's usage, read and written.
fn cached(answer: &Value) -> (u64, u64) {
    let usage = &answer["usage"];
    let details = if usage["prompt_tokens_details"].is_object() {
        "prompt_tokens_details"
    } else {
        "input_tokens_details"
    };
    let count = |name: &str| usage[details][name].as_u64().unwrap_or_else(|| panic!("{name}: {answer}"));
    (count("cached_tokens"), count("cache_write_tokens"))
}

async fn asked(daemon: &TestDaemon, path: &str, body: &Value) -> (u64, u64) {
    let answer = daemon.post(path, body).await;
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{answer}");
    cached(&answer)
}

#[tokio::test]
async fn the_second_request_of_a_conversation_reads_the_first_from_the_cache() {
    for path in [CHAT, RESPONSES] {
        let fake = FakeClaude::start().await;
        let (daemon, _) = TestDaemon::with_account(&fake).await;
        let (read, written) = asked(&daemon, path, &conversation(path, 1, "claude-sonnet-4-5")).await;
        assert!(read == 0 && written > 1_024, "{path}: {read} {written}");
        let (again, little) = asked(&daemon, path, &conversation(path, 2, "claude-sonnet-4-5")).await;
        assert!(again >= written && little < 100, "{path}: {again} {little}");
    }
}

#[tokio::test]
async fn a_conversation_stays_with_its_account_whether_its_prompt_is_marked_or_not() {
    let fake = FakeClaude::start().await;
    // Keys have no plan whose use would move a conversation.
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| {
        for n in 0..5 {
            put(dir, &format!("claude-{n}.json"), &key_file(&fake.add_api_key()));
        }
    })
    .await;
    for round in 0..6 {
        let mut turns = conversation(CHAT, 3, "claude-sonnet-4-5");
        turns["messages"][0]["content"] = format!("{} {round}", instructions()).into();
        let caller = |fake: &FakeClaude| fake.requests_to(MESSAGES).pop().unwrap().caller.unwrap();
        asked(&daemon, CHAT, &turns).await;
        let first = caller(&fake);
        turns["prompt_cache_options"] = json!({"mode": "explicit"});
        asked(&daemon, CHAT, &turns).await;
        assert_eq!(caller(&fake), first, "a marker is not content");
    }
}

#[tokio::test]
async fn the_switch_turns_it_off() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let settings = vec![("PROXYD_TRANSLATION__PROMPT_CACHE", "false".to_owned())];
    let daemon = TestDaemon::with(&fake, Setup { settings, ..Setup::default() }, |dir| {
        put(dir, "claude-a.json", &issued.auth_file());
    })
    .await;
    for questions in 1..3 {
        assert_eq!(asked(&daemon, CHAT, &conversation(CHAT, questions, "claude-sonnet-4-5")).await, (0, 0));
    }
    let sent = String::from_utf8(fake.requests_to(MESSAGES).pop().unwrap().body.to_vec()).unwrap();
    assert!(!sent.contains("cache_control"));
}
