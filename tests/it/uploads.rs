//! `/v1/files` and `/v1/messages/batches` pass through: every method, every byte, and uploads of any size the provider
//! takes, which are never held here.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use proxy_tests::client::{Reading, raw, read_raw};
use proxy_tests::daemon::{Setup, TestDaemon, expired, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, Step, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const FILES: &str = "/v1/files";
const BATCHES: &str = "/v1/messages/batches";
const MULTIPART: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"odd; boundary\"");
const MIB: usize = 1024 * 1024;

/// A multipart body with bytes that no text holds.
fn form(filename: &[u8], content: &[u8]) -> Vec<u8> {
    [
        &b"--odd; boundary\r\ncontent-disposition: form-data; name=\"file\"; filename=\""[..],
        filename,
        b"\"\r\ncontent-type: application/octet-stream\r\n\r\n",
        content,
        b"\r\n--odd; boundary--\r\n",
    ]
    .concat()
}

/// A body that comes in pieces of a MiB, with the number of pieces that were asked for.
fn pieces(count: usize) -> (reqwest::Body, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let piece = Bytes::from(vec![b'x'; MIB]);
    let next = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(Frame::data(piece.clone()))
    };
    let stream = tokio_stream::iter((0..count).map(next));
    (reqwest::Body::wrap(StreamBody::new(stream)), asked)
}

/// What `asked` stands at once nothing has moved for a while.
async fn at_rest(asked: &AtomicUsize) -> usize {
    within("the upload stands still", async {
        loop {
            let before = asked.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(300)).await;
            if asked.load(Ordering::SeqCst) == before {
                return before;
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_call_passes_with_its_method_query_and_answer() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let content = [0, 13, 10, 255, b'"', 0xc3].repeat(5);
    let form = form(b"na\xffme \xe2\x98\x83 \\\".pdf", &content);
    let made = daemon.send(Method::POST, "/v1/files?beta=true", &[MULTIPART], form.clone()).await;
    assert_eq!(made.status(), 200);
    let sent = fake.requests_to(FILES).pop().unwrap();
    assert!(sent.body == form, "the form was changed");
    assert_eq!((sent.query.as_str(), sent.header("content-type")), ("beta=true", Some(MULTIPART.1)));
    assert_eq!(sent.header("content-length"), Some(form.len().to_string().as_str()));
    let made: Value = made.json().await.unwrap();
    let file = format!("{FILES}/{}", made["id"].as_str().unwrap());
    let listed: Value = daemon.get("/files/").await.json().await.unwrap();
    assert_eq!(listed["data"], json!([made]));
    assert_eq!(daemon.get(&file).await.json::<Value>().await.unwrap(), made);
    let download = daemon.get(&format!("{file}/content")).await;
    assert_eq!(download.headers()["content-type"], "application/octet-stream");
    assert!(download.bytes().await.unwrap() == form, "the content was changed");
    let deleted = daemon.send(Method::DELETE, &file, &[], "").await;
    assert_eq!(deleted.json::<Value>().await.unwrap()["type"], "file_deleted");
    let gone = daemon.get(&file).await;
    assert_eq!(
        (gone.status().as_u16(), gone.json::<Value>().await.unwrap()["error"]["type"].clone()),
        (404, json!("not_found_error"))
    );

    let batch = json!({"requests": [{"custom_id": "a", "params": {}}, {"custom_id": "b", "params": {}}]});
    let made: Value = daemon.post(BATCHES, &batch).await.json().await.unwrap();
    let batch = format!("{BATCHES}/{}", made["id"].as_str().unwrap());
    assert_eq!(daemon.get(&batch).await.json::<Value>().await.unwrap(), made);
    assert_eq!(daemon.get(BATCHES).await.json::<Value>().await.unwrap()["data"], json!([made]));
    let cancelled = daemon.send(Method::POST, &format!("{batch}/cancel"), &[], "").await;
    assert_eq!(cancelled.json::<Value>().await.unwrap()["processing_status"], "canceling");
    let results = daemon.get(&format!("{batch}/results")).await;
    assert_eq!(results.headers()["content-type"], "application/x-jsonl");
    let results = results.text().await.unwrap();
    let ids: Vec<Value> = results
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["custom_id"].clone())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    let deleted = daemon.send(Method::DELETE, &batch, &[], "").await;
    assert_eq!(deleted.json::<Value>().await.unwrap()["type"], "message_batch_deleted");
}

#[tokio::test]
async fn odd_names_pass_as_they_are_and_none_leads_upwards() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for name in ["%00%ff", "file_%22%5B", "a..b", "~%C3%A9;x=1"] {
        let answer = daemon.get(&format!("{FILES}/{name}")).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(fake.requests().pop().unwrap().path, format!("{FILES}/{name}"));
    }
    fake.forget_requests();
    for name in ["..", "../models", "%2e%2E/models", "x/%2e%2e%2f..", "x%5c..%5c.."] {
        let request =
            format!("GET {FILES}/{name} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", daemon.address());
        let answer = raw(daemon.address(), request.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["type"].clone()),
            (404, json!("not_found_error")),
            "{name}"
        );
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_large_upload_waits_for_upstream_and_goes_up_whole() {
    const COUNT: usize = 100;
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let gate = Gate::new();
    fake.hold_uploads(FILES, &gate);
    let (body, asked) = pieces(COUNT);
    let upload =
        daemon.http().post(daemon.url(FILES)).header("anthropic-version", "2023-06-01").body(body).send();
    let watched = async {
        within("the upload reaches upstream", gate.reached_by(1)).await;
        let held = at_rest(&asked).await;
        gate.open();
        held
    };
    let (answer, held) = tokio::join!(within("an answer", upload), watched);
    // What lies in the kernel's buffers of two connections, and the start that the daemon looks at.
    assert!(held < 40, "{held} MiB had been taken before upstream read any");
    let made: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(made["size_bytes"], COUNT * MIB);
    assert_eq!(fake.requests_to(FILES).pop().unwrap().header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn an_upload_with_a_length_keeps_it() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let body = vec![b'y'; 3 * MIB];
    assert_eq!(daemon.send(Method::POST, FILES, &[MULTIPART], body.clone()).await.status(), 200);
    let sent = fake.requests_to(FILES).pop().unwrap();
    assert_eq!(sent.header("content-length"), Some(body.len().to_string().as_str()));
    assert!(sent.body == body, "the upload was changed");
}

#[tokio::test]
async fn a_small_upload_is_sent_to_the_next_account_and_a_large_one_never_twice() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    for (size, status, calls) in [(MIB / 2, 200, 2), (2 * MIB, 529, 1)] {
        fake.forget_requests();
        fake.on(FILES).once(Script::overloaded());
        let answer = daemon.send(Method::POST, FILES, &[], vec![b'z'; size]).await;
        assert_eq!((answer.status().as_u16(), fake.count(FILES)), (status, calls), "{size} bytes");
    }
}

#[tokio::test]
async fn a_large_upload_that_is_refused_for_its_token_is_not_replayed() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.expire_access_tokens();
    let refused = daemon.send(Method::POST, FILES, &[], vec![b'z'; 2 * MIB]).await;
    assert_eq!((refused.status().as_u16(), fake.count(FILES)), (401, 1));
}

#[tokio::test]
async fn a_stale_token_is_refreshed_before_the_upload_begins() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &expired(&issued))).await;
    assert_eq!(daemon.send(Method::POST, FILES, &[], vec![b'z'; 2 * MIB]).await.status(), 200);
    assert_eq!((fake.count(FILES), fake.count(TOKEN_PATH)), (1, 1));
}

#[tokio::test]
async fn what_is_too_large_by_its_own_word_goes_nowhere() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    for (path, limit) in [(FILES, 500), (BATCHES, 256)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            daemon.address(),
            limit * MIB + 1,
        );
        let answer = raw(daemon.address(), head.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["type"].clone()),
            (413, json!("request_too_large"))
        );
        assert!(answer.body.contains(&format!("{limit} MiB")), "{}", answer.body);
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn what_turns_out_too_large_is_cut_and_the_client_told() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let (body, _) = pieces(260);
    let answer = daemon.send(Method::POST, BATCHES, &[("content-type", "application/json")], body).await;
    assert_eq!(answer.status(), 413);
    let told: Value = answer.json().await.unwrap();
    assert_eq!(
        (told["type"].clone(), told["error"]["type"].clone()),
        (json!("error"), json!("request_too_large"))
    );
    assert_eq!(daemon.ask("the account is as good as before").await.status(), 200);
}

#[tokio::test]
async fn an_upload_that_breaks_off_ends_upstream_and_blames_nobody() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    let head =
        format!("POST {FILES} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", daemon.address(), 4 * MIB);
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b'x'; 2 * MIB]).await.unwrap();
    connection.shutdown().await.unwrap();
    let _told_or_closed = tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut Vec::new()).await;
    fake.wait_for("the upload breaks off", |fake| {
        fake.requests_to(FILES).iter().any(|request| request.body.is_empty())
    })
    .await;
    assert_eq!(fake.count(FILES), 1);
    let account = daemon.only_account().await;
    assert_eq!(account.last_error, "", "{account:?}");
}

#[tokio::test]
async fn a_large_upload_with_a_content_encoding_is_refused() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let answer = daemon.send(Method::POST, FILES, &[("content-encoding", "gzip")], vec![b'x'; 2 * MIB]).await;
    assert_eq!((answer.status().as_u16(), fake.count(FILES)), (415, 0));
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_ends_reaches_the_client() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.refuse_uploads(FILES);
    for length in [3, 60] {
        let (chunked, _) = pieces(length);
        for body in [chunked, reqwest::Body::from(vec![b'x'; length * MIB])] {
            let answer = daemon.send(Method::POST, FILES, &[("anthropic-version", "2023-06-01")], body).await;
            let status = answer.status();
            let told: Value = answer.json().await.unwrap();
            assert_eq!(
                (status.as_u16(), told["request_id"].clone()),
                (413, json!("req_FAKEearly")),
                "{length} MiB"
            );
        }
    }
}

#[tokio::test]
async fn it_reaches_also_a_client_that_sends_all_before_it_reads() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    fake.refuse_uploads(FILES);
    let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
    let head = format!(
        "POST {FILES} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        daemon.address(),
        60 * MIB
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    within("the upload is taken", connection.write_all(&vec![b'x'; 60 * MIB])).await.unwrap();
    let answer = read_raw(&mut connection).await;
    assert_eq!(
        (answer.status, answer.json()["request_id"].clone()),
        (413, json!("req_FAKEearly")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn results_go_down_as_they_come() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let path = format!("{BATCHES}/msgbatch_FAKE0001/results");
    let (first, second) = ("{\"custom_id\":\"a\"}\n", "{\"custom_id\":\"b\"}\n");
    let gate = Gate::new();
    let lines = Script::stream([Step::data(first), Step::gate(&gate), Step::data(second)]);
    fake.on(&path).once(lines.header("content-type", "application/x-jsonl"));
    let mut reading = Reading::new(daemon.get(&path).await);
    reading.until(first).await;
    gate.open();
    assert_eq!(reading.text().await, format!("{first}{second}"));
}

#[tokio::test]
async fn a_file_that_holds_events_is_a_file_and_ends_where_it_ends() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let path = format!("{FILES}/file_FAKE0001/content");
    fake.on(&path).once(Script::body(StatusCode::OK, "text/event-stream", "event: half\ndata: of"));
    assert_eq!(daemon.get(&path).await.text().await.unwrap(), "event: half\ndata: of");
    fake.on(&path).once(Script::body(StatusCode::OK, "text/plain", "0123456789").cut_after(5));
    let broken = Reading::new(daemon.get(&path).await).finish().await;
    assert!(broken.is_err(), "{broken:?}");
}
