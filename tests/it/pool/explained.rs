//! What the pool did and why, asked afterwards: of one request, and of each account.

use http::Method;
use proxy_proto::v1::{ExplainRequestRequest, ListAccountsRequest, OutlookKind};
use proxy_tests::client::Reading;
use proxy_tests::daemon::{TestDaemon, message};
use proxy_tests::fake_claude::{Caller, Gate, Script, Step, text_events};
use proxy_tests::wait::within;
use serde_json::json;
use tonic::Code;

use super::{MESSAGES, header, in_session, pool_of};

/// How a request ended, once it has.
async fn end_of(daemon: &TestDaemon, id: &str) -> String {
    let mut client = daemon.daemon_client().await;
    within("the request ends", async {
        loop {
            let request = ExplainRequestRequest { request_id: id.to_owned() };
            let story = client.explain_request(request).await.unwrap().into_inner();
            if story.ended_at.is_some() {
                return story.end;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn it_is_told_how_a_stream_ended() {
    let (fake, daemon, _, _) = pool_of(1, &[]).await;
    let mut body = message("hello");
    body["stream"] = json!(true);
    for (script, expected) in [
        (Script::real(), "answered with status 200 OK"),
        (Script::real().cut_after(100), "answered with status 200 OK, but upstream broke it off"),
        (
            Script::error_event("overloaded_error", "Later."),
            "answered with status 200 OK, but it ended with an error of upstream",
        ),
    ] {
        fake.on(MESSAGES).once(script);
        let answer = daemon.post(MESSAGES, &body).await;
        let id = header(&answer, "x-proxyd-request-id").unwrap();
        let _read = answer.bytes().await;
        assert_eq!(end_of(&daemon, &id).await, expected);
    }
    let gate = Gate::new();
    let mut steps = text_events("claude-sonnet-4-5", &["first"]);
    steps.insert(3, Step::gate(&gate));
    fake.on(MESSAGES).once(Script::stream(steps));
    let answer = daemon.post(MESSAGES, &body).await;
    let id = header(&answer, "x-proxyd-request-id").unwrap();
    let mut reading = Reading::new(answer);
    reading.until("first").await;
    let mut client = daemon.daemon_client().await;
    let request = ExplainRequestRequest { request_id: id.clone() };
    assert_eq!(client.explain_request(request).await.unwrap().into_inner().ended_at, None, "it goes on");
    drop(reading);
    let end = end_of(&daemon, &id).await;
    assert!(end.contains("nobody waited for it"), "{end}");
}

#[tokio::test]
async fn each_request_and_each_account_is_explained() {
    let (fake, daemon, issued, _) = pool_of(2, &[]).await;
    let home = in_session(&fake, &daemon, &[("session-id", "s")]).await;
    fake.on(MESSAGES).from(home.clone()).once(Script::rate_limited(30));
    let headers = [("session-id", "s"), ("content-type", "application/json")];
    let answer = daemon.send(Method::POST, MESSAGES, &headers, message("hello").to_string()).await;
    let id = header(&answer, "x-proxyd-request-id").unwrap();
    assert_eq!(answer.status(), 200);
    let _read = answer.bytes().await.unwrap();
    let explain = |id: &str| ExplainRequestRequest { request_id: id.to_owned() };
    let mut client = daemon.daemon_client().await;
    let _end = end_of(&daemon, &id).await;
    let story = client.explain_request(explain(&id)).await.unwrap().into_inner();
    assert_eq!(
        (story.request_id, story.model.as_str(), story.conversation.as_str()),
        (id, "claude-sonnet-4-5", "session-id")
    );
    assert_eq!((story.dialect.as_str(), story.endpoint.as_str()), ("messages", "messages"));
    let tries: Vec<_> = story.attempts.iter().map(|one| (one.status.unwrap(), one.why.as_str())).collect();
    assert_eq!(tries, [(429, "its conversation belongs there"), (200, "it is the only one that is ready")]);
    assert!(
        story.attempts[0].outcome.starts_with("limited until") && story.attempts[1].outcome == "answered"
    );
    assert!(story.ended_at.is_some() && story.end.contains("200"), "{}", story.end);
    let unknown = client.explain_request(explain("px_0")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    let request = ListAccountsRequest { explain: true, model: "claude-sonnet-4-5".to_owned() };
    let accounts = daemon.accounts_client().await.list_accounts(request).await.unwrap().into_inner().accounts;
    let limited = issued.iter().position(|one| Caller::Account(one.account) == home).unwrap();
    for account in accounts {
        let is_limited = account.path.ends_with(&format!("claude-{limited}.json"));
        let outlook = account.outlook.unwrap();
        let expected = if is_limited { OutlookKind::Behind } else { OutlookKind::Chosen };
        assert_eq!(outlook.kind(), expected, "{outlook:?}");
        assert_eq!(account.cooldowns.iter().filter(|one| one.binding).count(), usize::from(is_limited));
        let attempts = account.attempts.unwrap();
        assert_eq!((attempts.served, attempts.limited), (1, u64::from(is_limited)));
    }
    assert!(daemon.list().await.accounts.iter().all(|account| account.outlook.is_none()));
}
