//! State that lives with one account: files, batches, containers, threads and bound thoughts. Requests that refer to
//! it go to the account that made it, among others that do not, and after a restart, too.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use http::Method;
use proxy_tests::client::{Reading, events, frames};
use proxy_tests::daemon::{Setup, TestDaemon, fake_at, key_file, put};
use proxy_tests::fake_claude::{Caller, FILE_WORD, FakeClaude, Issued, Script, system_now};
use proxyd::clock::{ManualClock, SignedDuration};
use serde_json::{Value, json};
use tempfile::TempDir;

const MESSAGES: &str = "/v1/messages";
const FILES: &str = "/v1/files";
const BATCHES: &str = "/v1/messages/batches";
const JOURNAL: &str = ".owners.jsonl";
const THREADS: &str = "message-threads-2026-08-12";
const CODE: &str = "code-execution-2025-08-25";
/// Its thoughts are bound to its account.
const BOUND: &str = "claude-sonnet-5-5";

/// Posts to the Messages API with a beta.
async fn post(daemon: &TestDaemon, path: &str, beta: &str, body: &Value) -> reqwest::Response {
    let headers =
        [("anthropic-version", "2023-06-01"), ("anthropic-beta", beta), ("content-type", "application/json")];
    daemon.send(Method::POST, path, &headers, body.to_string()).await
}

/// A successful answer's body.
async fn good(answer: reqwest::Response) -> Value {
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

/// Whose credential the newest request to `path` carried.
fn last_caller(fake: &FakeClaude, path: &str) -> Caller {
    fake.requests_to(path).pop().unwrap().caller.unwrap()
}

async fn upload(daemon: &TestDaemon, text: &str) -> String {
    id(&good(daemon.send(Method::POST, FILES, &[("content-type", "text/plain")], text.to_owned()).await)
        .await)
}

/// Files of different accounts, one each at least.
async fn files(fake: &FakeClaude, daemon: &TestDaemon) -> Vec<(String, Caller)> {
    let mut files = Vec::new();
    for n in 0..4 {
        let file = upload(daemon, &format!("file {n}")).await;
        files.push((file, last_caller(fake, FILES)));
    }
    let owners: HashSet<_> = files.iter().map(|(_, owner)| owner).collect();
    assert!(owners.len() > 1, "{files:?}");
    files
}

fn about(file: &str) -> Value {
    json!({"model": "claude-opus-5", "max_tokens": 50, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "document", "source": {"type": "file", "file_id": file}},
    ]}]})
}

/// Each file is found however it is asked for, in turns with the others.
async fn all_are_found(daemon: &TestDaemon, files: &[(String, Caller)]) {
    for _ in 0..2 {
        for (n, (file, _)) in files.iter().enumerate() {
            assert_eq!(good(daemon.get(&format!("{FILES}/{file}")).await).await["id"], json!(file));
            let content = daemon.get(&format!("{FILES}/{file}/content")).await;
            assert_eq!(content.text().await.unwrap(), format!("file {n}"));
            good(post(daemon, MESSAGES, "files-api-2025-04-14", &about(file)).await).await;
        }
    }
}

#[tokio::test]
async fn a_file_is_found_with_its_owner_in_paths_and_in_messages() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    let files = files(&fake, &daemon).await;
    all_are_found(&daemon, &files).await;
    for (file, owner) in &files {
        let path = format!("{FILES}/{file}");
        good(daemon.send(Method::DELETE, &path, &[], "").await).await;
        assert_eq!(last_caller(&fake, &path), *owner);
        assert_eq!(daemon.get(&path).await.status(), 404);
        assert_eq!(last_caller(&fake, &path), *owner);
    }
}

#[tokio::test]
async fn a_file_is_known_also_from_a_compressed_answer_and_never_from_the_content_of_another() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    for round in 0..2 {
        fake.on(FILES).once(Script::real().gzip());
        let file = upload(&daemon, "x").await;
        let owner = last_caller(&fake, FILES);
        // A file of the other account whose content claims that one.
        let mut claim = String::new();
        for _ in 0..2 {
            let made = upload(&daemon, &json!({"id": file}).to_string()).await;
            if last_caller(&fake, FILES) != owner {
                claim = made;
            }
        }
        assert_ne!(claim, "", "what a file says is no matter");
        assert!(daemon.get(&format!("{FILES}/{claim}/content")).await.text().await.unwrap().contains(&file));
        for _ in 0..2 {
            good(daemon.get(&format!("{FILES}/{file}")).await).await;
        }
        assert_eq!(last_caller(&fake, &format!("{FILES}/{file}")), owner, "round {round}");
    }
}

#[tokio::test]
async fn counting_tokens_of_a_file_asks_its_owner() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    for (file, owner) in files(&fake, &daemon).await {
        let mut body = about(&file);
        body.as_object_mut().unwrap().remove("max_tokens");
        let path = "/v1/messages/count_tokens";
        for _ in 0..2 {
            good(post(&daemon, path, "files-api-2025-04-14", &body).await).await;
            assert_eq!(last_caller(&fake, path), owner);
        }
    }
}

#[tokio::test]
async fn a_list_teaches_whose_the_listed_are() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    // Made past the daemon, by each account.
    for issued in &issued {
        let request = daemon
            .http()
            .post(format!("{}{FILES}", fake.url()))
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", "oauth-2025-04-20")
            .bearer_auth(&issued.access_token);
        good(request.body("x").send().await.unwrap()).await;
    }
    let mut known = HashSet::new();
    for _ in 0..2 {
        let listed = good(daemon.get("/v1/files?limit=10").await).await;
        known.extend(listed["data"].as_array().unwrap().iter().map(id));
    }
    assert_eq!(known.len(), 2);
    for file in known.iter().cycle().take(6) {
        good(daemon.get(&format!("{FILES}/{file}")).await).await;
    }
    // A page goes on where it began.
    for file in known.iter().cycle().take(4) {
        let page = good(daemon.get(&format!("{FILES}?after_id={file}")).await).await;
        assert_eq!(page["data"][0]["id"], json!(file));
    }
}

#[tokio::test]
async fn a_batch_is_found_with_its_owner_and_may_refer_to_its_files() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let mut batches = Vec::new();
    for (file, owner) in files(&fake, &daemon).await {
        // Far longer than what is looked at before it goes up, with the file at its start.
        let pad = "x".repeat(2 * 1024 * 1024);
        let batch = json!({"requests": [{"custom_id": file, "params": about(&file), "pad": pad}]});
        let made = good(daemon.post(BATCHES, &batch).await).await;
        assert_eq!(last_caller(&fake, BATCHES), owner);
        batches.push((id(&made), file));
    }
    for (batch, file) in batches.iter().cycle().take(8) {
        let batch = format!("{BATCHES}/{batch}");
        good(daemon.get(&batch).await).await;
        let results = good(daemon.get(&format!("{batch}/results")).await).await;
        assert_eq!(results["custom_id"], json!(file));
        good(daemon.send(Method::POST, &format!("{batch}/cancel"), &[], "").await).await;
    }
}

fn run_code(text: &str, container: &Value, stream: bool) -> Value {
    json!({
        "model": "claude-opus-5", "max_tokens": 50, "stream": stream, "container": container,
        "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
    })
}

#[tokio::test]
async fn a_container_and_the_files_made_in_it_are_found_with_their_owner() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    let mut made = Vec::new();
    for stream in [false, true, false, true] {
        let ask = run_code(&format!("draw a {FILE_WORD}"), &Value::Null, stream);
        let answer = post(&daemon, MESSAGES, CODE, &ask).await.text().await.unwrap();
        let (container, content) = if stream {
            let events: Vec<Value> = events(&answer).into_iter().map(|(_, data)| data).collect();
            let of =
                |kind: &str| events.iter().filter(|event| event["type"] == kind).cloned().collect::<Vec<_>>();
            let blocks =
                of("content_block_start").iter().map(|event| event["content_block"].clone()).collect();
            (of("message_delta")[0]["delta"]["container"].clone(), blocks)
        } else {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            (answer["container"].clone(), answer["content"].as_array().unwrap().clone())
        };
        let result = content.iter().find(|block| block["type"] == "code_execution_tool_result").unwrap();
        let file = result["content"]["content"][0]["file_id"].as_str().unwrap().to_owned();
        made.push((id(&container), file, last_caller(&fake, MESSAGES)));
    }
    assert!(made.iter().map(|(.., owner)| owner).collect::<HashSet<_>>().len() > 1);
    for (container, file, owner) in made.iter().cycle().take(8) {
        for container in [json!(container), json!({"id": container, "skills": []})] {
            good(post(&daemon, MESSAGES, CODE, &run_code("go on", &container, false)).await).await;
            assert_eq!(last_caller(&fake, MESSAGES), *owner);
        }
        good(daemon.get(&format!("{FILES}/{file}")).await).await;
    }
}

fn thread(previous: Option<&str>) -> Value {
    let thread = previous.map_or_else(
        || json!({"type": "new"}),
        |previous| json!({"type": "continue", "previous_message_id": previous}),
    );
    json!({"model": "claude-opus-5", "max_tokens": 50, "thread": thread, "messages": [{"role": "user", "content": "hi"}]})
}

/// A thread's newest message, with whose it is.
async fn begin_thread(fake: &FakeClaude, daemon: &TestDaemon) -> (String, Caller) {
    let message = id(&good(post(daemon, MESSAGES, THREADS, &thread(None)).await).await);
    (message, last_caller(fake, MESSAGES))
}

#[tokio::test]
async fn threads_go_on_where_they_began() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(begin_thread(&fake, &daemon).await);
    }
    for (message, owner) in &mut threads {
        // Several in a row, so that no rotation can be mistaken for it.
        for _ in 0..3 {
            *message = id(&good(post(&daemon, MESSAGES, THREADS, &thread(Some(message))).await).await);
            assert_eq!(last_caller(&fake, MESSAGES), *owner);
        }
    }
}

#[tokio::test]
async fn a_thread_whose_owner_is_limited_gets_the_404_that_makes_its_client_replay() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let (message, owner) = begin_thread(&fake, &daemon).await;
    fake.on(MESSAGES).from(owner.clone()).once(Script::rate_limited(60));
    fake.forget_requests();
    for _ in 0..2 {
        let answer = post(&daemon, MESSAGES, THREADS, &thread(Some(&message))).await;
        assert_eq!(answer.status(), 404);
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told["error"]["details"]["error_code"], "thread_not_found");
        assert_eq!(fake.requests_to(MESSAGES)[0].caller.as_ref(), Some(&owner), "its owner is asked first");
    }
    good(post(&daemon, MESSAGES, THREADS, &thread(None)).await).await;
}

/// A conversation's next request: what was said, with the thoughts.
fn next_turn(history: &[Value], stream: bool) -> Value {
    json!({"model": BOUND, "max_tokens": 100, "stream": stream, "messages": history})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// The content of a streamed answer, as a client puts it together.
fn collected(stream: &str) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    for (_, event) in events(stream) {
        let index = || usize::try_from(event["index"].as_u64().unwrap()).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => blocks.push(event["content_block"].clone()),
            "content_block_delta" => {
                let (block, delta) = (&mut blocks[index()], &event["delta"]);
                for field in
                    ["text", "thinking", "signature"].into_iter().filter(|field| delta[*field].is_string())
                {
                    let so_far = block[field].as_str().unwrap();
                    block[field] = json!(format!("{so_far}{}", delta[field].as_str().unwrap()));
                }
            }
            _ => {}
        }
    }
    Value::from(blocks)
}

#[tokio::test]
async fn thoughts_of_account_bound_models_go_back_to_their_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    let mut conversations =
        [vec![user("first")], vec![user("second")], vec![user("third")], vec![user("fourth")]];
    for round in 0..3 {
        for (n, history) in conversations.iter_mut().enumerate() {
            let stream = (n + round) % 2 == 0;
            let answer = daemon.post(MESSAGES, &next_turn(history, stream)).await;
            let content = if stream {
                collected(&Reading::new(answer).text().await)
            } else {
                good(answer).await["content"].clone()
            };
            assert_eq!(content[0]["type"], "thinking", "{content}");
            history.extend([json!({"role": "assistant", "content": content}), user("go on")]);
        }
    }
    let callers: HashSet<_> = fake.requests_to(MESSAGES).into_iter().map(|request| request.caller).collect();
    assert!(callers.len() > 1, "{callers:?}");
    assert_eq!(fake.lost_thoughts(), 0);
}

#[tokio::test]
async fn thoughts_reach_their_account_through_the_openai_dialects_too() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    for stream in [false, true] {
        let mut chats = vec![vec![user("first")], vec![user("second")]];
        let mut responses = vec![vec![user("first")], vec![user("second")]];
        for _ in 0..3 {
            for chat in &mut chats {
                let ask = json!({"model": BOUND, "stream": stream, "messages": chat});
                let answer = daemon.post("/v1/chat/completions", &ask).await.text().await.unwrap();
                let message = if stream {
                    let deltas =
                        frames(&answer).into_iter().map(|frame| frame["choices"][0]["delta"].clone());
                    let deltas: Vec<Value> = deltas.collect();
                    let blocks = deltas.iter().find(|delta| delta["thinking_blocks"].is_array()).unwrap();
                    json!({"role": "assistant", "content": "so", "thinking_blocks": blocks["thinking_blocks"]})
                } else {
                    serde_json::from_str::<Value>(&answer).unwrap()["choices"][0]["message"].clone()
                };
                assert!(message["thinking_blocks"][0]["signature"].is_string(), "{message}");
                chat.extend([message, user("go on")]);
            }
            for items in &mut responses {
                let ask = json!({
                    "model": BOUND, "input": items, "stream": stream, "store": false, "include": ["reasoning.encrypted_content"],
                });
                let answer = daemon.post("/v1/responses", &ask).await.text().await.unwrap();
                let response = if stream {
                    events(&answer).pop().unwrap().1["response"].clone()
                } else {
                    serde_json::from_str(&answer).unwrap()
                };
                let output = response["output"].as_array().unwrap();
                assert!(output[0]["encrypted_content"].is_string(), "{output:?}");
                items.extend(output.iter().cloned().chain([user("go on")]));
            }
        }
    }
    let sent = fake.requests_to(MESSAGES);
    assert!(sent.iter().map(|request| &request.caller).collect::<HashSet<_>>().len() > 1);
    assert!(sent.iter().filter(|request| request.json().to_string().contains("\"signature\"")).count() >= 16);
    assert_eq!(fake.lost_thoughts(), 0);
}

#[tokio::test]
async fn thoughts_whose_account_is_limited_are_answered_by_another_one() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let first = good(daemon.post(MESSAGES, &next_turn(&[user("first")], false)).await).await;
    let owner = last_caller(&fake, MESSAGES);
    fake.on(MESSAGES).from(owner.clone()).once(Script::rate_limited(60));
    let history = [user("first"), json!({"role": "assistant", "content": first["content"]}), user("go on")];
    good(daemon.post(MESSAGES, &next_turn(&history, false)).await).await;
    assert_ne!(last_caller(&fake, MESSAGES), owner);
    assert_eq!(fake.lost_thoughts(), 1);
}

/// Starts again in the home that is left.
async fn restarted(fake: &FakeClaude, home: TempDir) -> TestDaemon {
    TestDaemon::start_in(fake, Setup::in_turns(), home).await
}

#[tokio::test]
async fn owners_are_known_after_a_restart() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    let files = files(&fake, &daemon).await;
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(begin_thread(&fake, &daemon).await);
    }
    let thought = good(daemon.post(MESSAGES, &next_turn(&[user("first")], false)).await).await;
    let thinker = last_caller(&fake, MESSAGES);
    let daemon = restarted(&fake, daemon.stop().await).await;
    all_are_found(&daemon, &files).await;
    for (message, owner) in &threads {
        good(post(&daemon, MESSAGES, THREADS, &thread(Some(message))).await).await;
        assert_eq!(last_caller(&fake, MESSAGES), *owner);
    }
    let history = [user("first"), json!({"role": "assistant", "content": thought["content"]}), user("go on")];
    for _ in 0..3 {
        good(daemon.post(MESSAGES, &next_turn(&history, false)).await).await;
        assert_eq!(last_caller(&fake, MESSAGES), thinker);
    }
}

#[tokio::test]
async fn the_journal_is_private_and_names_nothing() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    let files = files(&fake, &daemon).await;
    let (message, _) = begin_thread(&fake, &daemon).await;
    let thought = good(daemon.post(MESSAGES, &next_turn(&[user("first")], false)).await).await;
    let home = daemon.stop().await;
    let path = home.path().join("auth").join(JOURNAL);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), files.len() + 2, "{text}");
    let signature = thought["content"][0]["signature"].as_str().unwrap();
    let names = files.iter().map(|(file, _)| file.as_str()).chain([message.as_str(), signature]);
    for name in names.chain(issued.iter().map(|issued| issued.access_token.as_str())) {
        assert!(!text.contains(name.get(8..).unwrap()), "{name} in {text}");
    }
}

#[tokio::test]
async fn a_file_waits_for_its_owner_and_is_told_when_it_is_back() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let (file, owner) = files(&fake, &daemon).await.remove(0);
    fake.on(MESSAGES).from(owner.clone()).once(Script::rate_limited(3600));
    fake.forget_requests();
    for _ in 0..2 {
        let answer = post(&daemon, MESSAGES, "files-api-2025-04-14", &about(&file)).await;
        assert_eq!(answer.status(), 429);
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3590..=3600).contains(&wait), "{wait}");
    }
    assert_eq!(fake.count(MESSAGES), 1, "no other account is asked, and the owner not again");
    assert_eq!(daemon.ask("something else").await.status(), 200);
}

#[tokio::test]
async fn trouble_of_a_files_owner_is_told_as_it_is_and_not_as_a_file_that_is_missing() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let (file, owner) = files(&fake, &daemon).await.remove(0);
    let path = format!("{FILES}/{file}");
    fake.on(&path).from(owner.clone()).once(Script::overloaded());
    let answer = daemon.get(&path).await;
    assert_eq!((answer.status().as_u16(), fake.count(&path)), (529, 1));
    good(daemon.get(&path).await).await;
}

/// The file of the account that is `owner`.
fn file_of(issued: &[Issued], owner: &Caller) -> String {
    let at = issued.iter().position(|issued| Caller::from(issued.account) == *owner).unwrap();
    format!("claude-{at}.json")
}

#[tokio::test]
async fn what_an_account_that_left_made_is_not_found_until_it_is_back() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_accounts(&fake, 2).await;
    let (file, owner) = files(&fake, &daemon).await.remove(0);
    let path = format!("{FILES}/{file}");
    let name = file_of(&issued, &owner);
    let document = daemon.read(&name);
    fs::remove_file(daemon.auth_dir().join(&name)).unwrap();
    daemon.wait_for("the account is gone", |list| list.accounts.len() == 1).await;
    let answer = daemon.get(&path).await;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["type"], "not_found_error");
    assert_ne!(last_caller(&fake, &path), owner);
    daemon.put(&name, &document);
    daemon.wait_for("the account is back", |list| list.accounts.len() == 2).await;
    for _ in 0..3 {
        good(daemon.get(&path).await).await;
    }
}

#[tokio::test]
async fn an_owner_is_forgotten_when_nothing_was_heard_of_its_file_for_a_year() {
    let clock = ManualClock::at(system_now());
    let fake = fake_at(&clock).await;
    let setup = Setup { clock: clock.clock(), ..Setup::in_turns() };
    let keys = [fake.add_api_key(), fake.add_api_key()];
    let daemon = TestDaemon::with(&fake, setup, |dir| {
        for (n, key) in keys.iter().enumerate() {
            put(dir, &format!("claude-{n}.json"), &key_file(key));
        }
    })
    .await;
    let path = format!("{FILES}/{}", upload(&daemon, "x").await);
    for _ in 0..3 {
        clock.advance(SignedDuration::from_hours(200 * 24));
        good(daemon.get(&path).await).await;
    }
    clock.advance(SignedDuration::from_hours(365 * 24));
    let mut found = Vec::new();
    for _ in 0..2 {
        found.push(daemon.get(&path).await.status().as_u16());
    }
    found.sort_unstable();
    assert_eq!(found, [200, 404], "any account is asked");
    // The answer taught it anew.
    for _ in 0..3 {
        good(daemon.get(&path).await).await;
    }
}

#[tokio::test]
async fn where_nothing_can_be_noted_owners_are_known_until_the_stop() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 3).await;
    // A directory in the way of the journal, and one in the way of its successor: root cannot write these either.
    fs::create_dir_all(daemon.auth_dir().join(JOURNAL)).unwrap();
    fs::create_dir_all(daemon.auth_dir().join(".owners.next/x")).unwrap();
    let files = files(&fake, &daemon).await;
    all_are_found(&daemon, &files).await;
    daemon.stop().await;
}

#[tokio::test]
async fn text_that_speaks_of_a_file_goes_anywhere() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let (file, _) = files(&fake, &daemon).await.remove(0);
    fake.forget_requests();
    for _ in 0..4 {
        daemon.ask(&format!("what is \"{file}\" or {{\"file_id\": \"{file}\"}}?")).await;
        daemon.ask(&file).await;
    }
    let callers: HashSet<_> = fake.requests_to(MESSAGES).into_iter().map(|request| request.caller).collect();
    assert_eq!(callers.len(), 2);
}
