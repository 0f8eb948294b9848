//! More requests than are served at once: some wait in line, the rest are told when to come again, and what an administrator needs
//! goes on.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join;
use http::{HeaderValue, Method};
use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
use proxy_tests::wait::within;

const MESSAGES: &str = "/v1/messages";

async fn daemon(fake: &FakeClaude, waiting: &str) -> TestDaemon {
    let settings = [("PROXYD_HTTP__MAX_REQUESTS", "1"), ("PROXYD_HTTP__MAX_WAITING", waiting)];
    TestDaemon::with_account_and(fake, Setup::of(settings)).await
}

#[tokio::test]
async fn what_does_not_fit_is_told_when_to_come_again_and_nothing_else_suffers() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "0").await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let rest = async {
        gate.reached_by(1).await;
        for path in [MESSAGES, "/v1/chat/completions", "/v1/responses"] {
            let refused = daemon.post(path, &message("hi")).await;
            assert_eq!(refused.status(), 529, "{path}");
            assert_eq!(refused.headers()["retry-after"], "2", "{path}");
        }
        assert_eq!(daemon.get("/healthz").await.status(), 200);
        assert_eq!(daemon.get("/readyz").await.status(), 200);
        let account = daemon.only_account().await;
        daemon.refresh(&account.id).await.unwrap();
        gate.open();
    };
    let (served, ()) = join(daemon.ask("hi"), rest).await;
    assert_eq!(served.status(), 200);
    assert_eq!(daemon.ask("hi").await.status(), 200);
}

#[tokio::test]
async fn one_that_may_wait_is_served_in_its_turn() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "1").await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let ask = async || {
        let answer = daemon.ask("hi").await;
        if answer.status() == 529 {
            // The other one has the place in line.
            gate.open();
        }
        answer.status().as_u16()
    };
    let two = async {
        gate.reached_by(1).await;
        join(ask(), ask()).await
    };
    let (first, (one, other)) = within("all are answered", join(ask(), two)).await;
    let mut two = [one, other];
    two.sort_unstable();
    assert_eq!((first, two), (200, [200, 529]));
}

#[tokio::test]
async fn a_client_that_leaves_makes_room() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "0").await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let leaving = daemon.ask("hi");
    tokio::select! {
        _ = leaving => panic!("it is held"),
        () = gate.reached_by(1) => {}
    }
    within("upstream sees it leave", gate.left_by(1)).await;
    within("there is room", async {
        while daemon.ask("hi").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_that_only_wait_make_room_for_one_that_asks() {
    let fake = FakeClaude::start().await;
    let setup = Setup::of([("PROXYD_HTTP__MAX_CONNECTIONS", "4"), ("PROXYD_HTTP__MAX_REQUESTS", "2")]);
    let daemon = TestDaemon::with_account_and(&fake, setup).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(within("a connection", tokio::net::TcpStream::connect(daemon.address())).await.unwrap());
    }
    assert_eq!(daemon.ask("hi").await.status(), 200);
}

#[tokio::test]
async fn bodies_that_do_not_fit_into_the_memory_for_them_are_told_when_to_come_again() {
    let fake = FakeClaude::start().await;
    let setup = Setup::of([("PROXYD_HTTP__MAX_BODY_MEMORY_MIB", "64")]);
    let daemon = TestDaemon::with_account_and(&fake, setup).await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    // Written by hand, and where nobody hashes it: an unoptimized build takes its time for so much.
    let padding = format!("{{\"stop_sequences\":[\"{}\"],", "x".repeat(30 << 20));
    let large = message("hi").to_string().replacen('{', &padding, 1);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(large.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let plain = |body: String| daemon.send(Method::POST, MESSAGES, &headers[..1], body);
    let third = async {
        gate.reached_by(2).await;
        // Few bytes that would become many.
        let refused = daemon.send(Method::POST, MESSAGES, &headers, packed.clone()).await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (529, &HeaderValue::from(2))
        );
        assert_eq!(daemon.ask("hi").await.status(), 200);
        gate.open();
    };
    let (one, other, ()) = tokio::join!(plain(large.clone()), plain(large.clone()), third);
    assert_eq!((one.status().as_u16(), other.status().as_u16()), (200, 200));
    assert_eq!(daemon.send(Method::POST, MESSAGES, &headers, packed).await.status(), 200);
}
