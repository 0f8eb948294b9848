//! Tokens stay fresh, and no account is lost on the way.

use futures_util::future::join_all;
use proxy_tests::daemon::{Setup, TestDaemon, expired, put};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;

#[tokio::test]
async fn fifty_requests_on_an_expired_token_make_one_token_call() {
    let fake = FakeClaude::start().await;
    let issued = fake.issue_account("person@example.com");
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold(&gate));
    let daemon =
        TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-a.json", &expired(&issued))).await;
    let asking = join_all((0..50).map(|_| async { daemon.ask("hello").await.status().as_u16() }));
    let (statuses, ()) = tokio::join!(asking, async {
        within("the refresh starts", gate.reached_by(1)).await;
        gate.open();
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(fake.token_calls(), 1);
}
