//! Fixtures of the translation, `tests/fixtures/translate`: what goes in was written by hand, what comes of it is
//! compared with what came of it before, so that a diff shows every change. `UPDATE_GENERATED=1 cargo test -p
//! proxy-tests --test it -- translation` writes it anew.
//!
//! `requests/CASE` holds a request in one dialect or more (`chat.json`, `responses.json`, `completions.json`), and what
//! is sent upstream for it or why it is refused (`chat.sent.json`, ...). `answers/CASE` holds what upstream answers,
//! whole (`reply.json`), as a stream (`stream.sse`) or both, what was asked (`ask.json`, where that matters), and what
//! clients get (`reply.chat.json`, `stream.responses.sse`, ...).

#![expect(
    clippy::disallowed_methods,
    reason = "a test that reads one variable and writes files of the source tree"
)]

#[path = "../../daemon/src/translate/clients/mod.rs"]
mod clients;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use proxyd::translate::responses::Recalled;
use proxyd::translate::{Config, Prepared, chat, completions, responses};
use proxyd::wire::Dialect;
use proxyd::wire::error::ApiError;
use proxyd::wire::responses::Request;
use proxyd::wire::sse;
use serde_json::{Value, json};

const CREATED: i64 = 1_795_464_512;

/// The folders of one kind of case, in the order of their names.
fn cases(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/translate");
    let entries = fs::read_dir(root.join(kind)).unwrap();
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// What a case holds under these names.
fn inputs<const N: usize>(case: &Path, names: [&str; N]) -> [Option<Vec<u8>>; N] {
    let inputs = names.map(|name| fs::read(case.join(name)).ok());
    assert!(inputs.iter().any(Option::is_some), "{} holds nothing to begin with", case.display());
    inputs
}

fn pretty(value: &Value) -> Vec<u8> {
    (serde_json::to_string_pretty(value).unwrap() + "\n").into_bytes()
}

fn ask_chat(body: &[u8]) -> Result<Prepared<chat::Reply>, ApiError> {
    chat::to_messages(body, Config::default(), |_| None)
}

fn ask_responses(body: &[u8]) -> Result<Prepared<responses::Reply>, ApiError> {
    responses::to_messages(Request::read(body)?, &Recalled::default(), body.len(), Config::default(), |_| {
        None
    })
}

fn ask_completions(body: &[u8]) -> Result<Prepared<completions::Reply>, ApiError> {
    completions::to_messages(body, Config::default(), |_| None)
}

/// What is sent upstream, with all that is known beside it, or why it is refused.
fn sent<R>(translated: Result<Prepared<R>, ApiError>, dialect: Dialect) -> Vec<u8> {
    let prepared = match translated {
        Ok(prepared) => prepared,
        Err(error) => {
            let body: Value = serde_json::from_slice(&error.body(dialect, None)).unwrap();
            return pretty(&json!({"refused": error.http_status(dialect), "body": body}));
        }
    };
    let body: Value = serde_json::from_slice(&prepared.body).unwrap();
    let mut sent = json!({"sent": body});
    for (name, list) in [("betas", json!(prepared.betas)), ("dropped", json!(prepared.dropped))] {
        if list != json!([]) {
            sent[name] = list;
        }
    }
    if let Some(session) = prepared.session {
        sent["session"] = json!(session);
    }
    pretty(&sent)
}

/// How answers to what was asked are translated.
struct Replies {
    chat: chat::Reply,
    responses: responses::Reply,
    completions: completions::Reply,
}

impl Replies {
    fn of(case: &Path) -> Self {
        let ask = fs::read(case.join("ask.json")).unwrap_or_else(|_| b"{}".to_vec());
        let ask: Value = serde_json::from_slice(&ask).unwrap();
        let with = |dialect: &str, mut request: Value| {
            for (name, value) in ask[dialect].as_object().into_iter().flatten() {
                request[name] = value.clone();
            }
            request.to_string().into_bytes()
        };
        let chat = json!({"model": "claude-opus-5", "messages": [{"role": "user", "content": "hi"}],
            "stream_options": {"include_usage": true}});
        let responses = json!({"model": "claude-opus-5", "input": "hi", "reasoning": {"summary": "auto"}, "store": false});
        let completions =
            json!({"model": "claude-opus-5", "prompt": "hi", "stream_options": {"include_usage": true}});
        Self {
            completions: ask_completions(&with("completions", completions)).unwrap().reply,
            chat: ask_chat(&with("chat", chat)).unwrap().reply,
            responses: ask_responses(&with("responses", responses)).unwrap().reply,
        }
    }

    fn chat_stream(&self, events: &[sse::Event]) -> String {
        let encoder = chat::Encoder::new(self.chat.clone(), CREATED);
        encode(encoder, events, chat::Encoder::on_event, chat::Encoder::on_end)
    }

    fn responses_stream(&self, events: &[sse::Event]) -> String {
        let encoder = responses::Encoder::new(self.responses.clone(), CREATED);
        encode(encoder, events, responses::Encoder::on_event, responses::Encoder::on_end)
    }

    fn completions_stream(&self, events: &[sse::Event]) -> String {
        let encoder = completions::Encoder::new(self.completions.clone(), CREATED);
        encode(encoder, events, completions::Encoder::on_event, completions::Encoder::on_end)
    }

    fn chat_whole(&self, body: &[u8]) -> Value {
        serde_json::from_slice(&chat::from_messages(body, &self.chat, CREATED).unwrap()).unwrap()
    }

    fn responses_whole(&self, body: &[u8]) -> Value {
        serde_json::from_slice(&responses::from_messages(body, &self.responses, CREATED).unwrap()).unwrap()
    }

    fn completions_whole(&self, body: &[u8]) -> Value {
        let answer = completions::from_messages(body, &self.completions, CREATED).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }
}

/// What an encoder makes of these events and the end behind them.
fn encode<E>(
    mut encoder: E,
    events: &[sse::Event],
    on_event: impl Fn(&mut E, &sse::Event, &mut BytesMut),
    on_end: impl FnOnce(&mut E, &mut BytesMut),
) -> String {
    let mut out = BytesMut::new();
    for event in events {
        on_event(&mut encoder, event, &mut out);
    }
    on_end(&mut encoder, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// The events of a stream that comes in these parts.
fn events(parts: &[&[u8]]) -> Vec<sse::Event> {
    let mut reader = sse::Reader::new(1 << 20);
    let mut events: Vec<_> = parts.iter().flat_map(|part| reader.push(part).unwrap()).collect();
    events.extend(reader.finish());
    events
}

/// What must lie beside the inputs, by its path.
fn expected() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for case in cases("requests") {
        let names = ["chat.json", "responses.json", "completions.json"];
        let [chat, responses, completions] = inputs(&case, names);
        if let Some(body) = chat {
            files.insert(case.join("chat.sent.json"), sent(ask_chat(&body), Dialect::Chat));
        }
        if let Some(body) = responses {
            files.insert(case.join("responses.sent.json"), sent(ask_responses(&body), Dialect::Responses));
        }
        if let Some(body) = completions {
            let sent = sent(ask_completions(&body), Dialect::Completions);
            files.insert(case.join("completions.sent.json"), sent);
        }
    }
    for case in cases("answers") {
        let replies = Replies::of(&case);
        let [reply, stream] = inputs(&case, ["reply.json", "stream.sse"]);
        if let Some(body) = reply {
            files.insert(case.join("reply.chat.json"), pretty(&replies.chat_whole(&body)));
            files.insert(case.join("reply.responses.json"), pretty(&replies.responses_whole(&body)));
            files.insert(case.join("reply.completions.json"), pretty(&replies.completions_whole(&body)));
        }
        if let Some(stream) = stream {
            let events = events(&[&stream]);
            files.insert(case.join("stream.chat.sse"), replies.chat_stream(&events).into());
            files.insert(case.join("stream.responses.sse"), replies.responses_stream(&events).into());
            files.insert(case.join("stream.completions.sse"), replies.completions_stream(&events).into());
        }
    }
    files
}

/// Every file that is no input.
fn found() -> BTreeMap<PathBuf, Vec<u8>> {
    const INPUTS: [&str; 6] =
        ["chat.json", "responses.json", "completions.json", "ask.json", "reply.json", "stream.sse"];
    let cases = cases("requests").into_iter().chain(cases("answers"));
    let files = cases.flat_map(|case| fs::read_dir(case).unwrap()).map(|entry| entry.unwrap());
    let outputs = files.filter(|file| !INPUTS.iter().any(|input| file.file_name() == *input));
    outputs.map(|file| (file.path(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn what_comes_of_each_fixture_is_what_came_of_it_before() {
    let (expected, found) = (expected(), found());
    let all = expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path)));
    let differing: Vec<_> = all.filter(|path| expected.get(*path) != found.get(*path)).collect();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        for path in differing {
            match expected.get(path) {
                Some(content) => fs::write(path, content).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
        }
        return;
    }
    assert!(
        differing.is_empty(),
        "these differ: {differing:?}; run `UPDATE_GENERATED=1 cargo test -p proxy-tests --test it -- translation` and look at the diff"
    );
}

#[test]
fn the_stream_of_each_fixture_adds_up_to_its_whole_reply() {
    let mut compared = 0;
    for case in cases("answers") {
        let [Some(reply), Some(stream)] = inputs(&case, ["reply.json", "stream.sse"]) else { continue };
        let (replies, events) = (Replies::of(&case), events(&[&stream]));
        let streamed = clients::chat::read(&replies.chat_stream(&events));
        assert_eq!(streamed.error, None, "{}", case.display());
        let whole = clients::chat::whole(&replies.chat_whole(&reply), true);
        assert_eq!(clients::chat::accumulate(&streamed.chunks), whole, "{}", case.display());

        let streamed = clients::responses::read(&replies.responses_stream(&events));
        let whole = replies.responses_whole(&reply);
        assert_eq!(clients::responses::accumulate(&streamed), whole["output"], "{}", case.display());
        assert_eq!(streamed.last().unwrap()["response"], whole, "{}", case.display());
        compared += 1;
    }
    assert!(compared > 10, "most answers are there in both forms");
}

#[test]
fn the_stream_of_each_fixture_reads_the_same_split_at_every_byte() {
    for case in cases("answers") {
        let [Some(stream)] = inputs(&case, ["stream.sse"]) else { continue };
        let whole = events(&[&stream]);
        for place in 0..=stream.len() {
            let (head, tail) = stream.split_at(place);
            assert_eq!(events(&[head, tail]), whole, "{} at {place}", case.display());
        }
        // What is encoded depends on the events alone, so that one more way to cut them is enough.
        let (replies, single) = (Replies::of(&case), events(&stream.chunks(1).collect::<Vec<_>>()));
        assert_eq!(replies.chat_stream(&single), replies.chat_stream(&whole));
        assert_eq!(replies.responses_stream(&single), replies.responses_stream(&whole));
        assert_eq!(replies.completions_stream(&single), replies.completions_stream(&whole));
    }
}
