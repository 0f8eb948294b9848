//! Addresses that come and go while the daemon serves.

use std::net::TcpListener;

use proxy_proto::v1::{ConfigurationEffect, GetStatusRequest};
use proxy_tests::binaries::browser;
use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
use proxy_tests::wait::within;
use tokio::net::{TcpStream, UnixStream};

use super::effects;

fn listen(addresses: &[String]) -> String {
    format!("[http]\nlisten = {addresses:?}\n")
}

async fn daemon(fake: &FakeClaude, addresses: &[String]) -> TestDaemon {
    let setup = Setup { listens_by_file: true, ..Setup::file(&listen(addresses)) };
    TestDaemon::with_account_and(fake, setup).await
}

/// Nobody listens there when this returns. Another program might before it is used, which the tests would tell.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn any() -> String {
    "127.0.0.1:0".to_owned()
}

async fn ask(address: &str) -> u16 {
    let asked = browser().post(format!("http://{address}/v1/messages")).json(&message("hi")).send();
    within("an answer", asked).await.unwrap().status().as_u16()
}

async fn told(daemon: &TestDaemon) -> Vec<String> {
    daemon.daemon_client().await.get_status(GetStatusRequest {}).await.unwrap().into_inner().http_listen
}

#[tokio::test]
async fn one_that_comes_is_served_and_one_that_goes_finishes_what_it_serves() {
    let (fake, dir) = (FakeClaude::start().await, tempfile::tempdir().unwrap());
    let (tcp, socket) = (free(), dir.path().join("http.sock"));
    let unix = format!("unix:{}", socket.display());
    let daemon = daemon(&fake, &[any()]).await;
    let first = daemon.address().to_owned();
    daemon.reconfigure(&listen(&[tcp.clone(), any(), unix.clone()])).await;
    assert_eq!(told(&daemon).await, [tcp.clone(), first.clone(), unix.clone()]);
    assert_eq!((ask(&tcp).await, ask(&first).await), (200, 200));
    drop(UnixStream::connect(&socket).await.unwrap());

    let gate = Gate::new();
    fake.on("/v1/messages").once(Script::real().hold(&gate));
    let rest = async {
        within("it is upstream", gate.reached_by(1)).await;
        daemon.reconfigure(&listen(std::slice::from_ref(&tcp))).await;
        assert!(TcpStream::connect(&first).await.is_err());
        assert!(!socket.exists());
        gate.open();
    };
    // By the harness's client, whose connection is kept.
    let (served, ()) = tokio::join!(daemon.ask("hi"), rest);
    assert_eq!(served.status(), 200);
    assert!(daemon.http().get(daemon.url("/healthz")).send().await.is_err());
    assert_eq!((ask(&tcp).await, told(&daemon).await), (200, vec![tcp]));
}

#[tokio::test]
async fn where_one_cannot_be_had_all_stay_as_they_were_and_the_rest_is_applied() {
    let fake = FakeClaude::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (free, taken_address) = (free(), taken.local_addr().unwrap().to_string());
    let daemon = daemon(&fake, &[any()]).await;
    let wanted = format!("{}hosts = [\"name.example\"]\n", listen(&[free.clone(), taken_address.clone()]));
    for _ in 0..2 {
        daemon.configure(&wanted);
        let changes = daemon.reload().await.changes;
        let reason = &changes.iter().find(|change| change.key == "http.listen").unwrap().reason;
        assert!(
            reason.starts_with(&format!(
                "cannot listen on {taken_address} (http.listen): another program listens there"
            )),
            "{reason}"
        );
        assert_eq!(effects(&changes)[0].1, ConfigurationEffect::Failed);
        assert_eq!(daemon.configured("http.listen").await, "[\"127.0.0.1:0\"]");
        assert_eq!(daemon.configured("http.hosts").await, "[\"name.example\"]");
        assert!(TcpStream::connect(&free).await.is_err());
        assert_eq!(daemon.ask("hi").await.status(), 200);
    }
    drop(taken);
    daemon.reconfigure(&wanted).await;
    assert_eq!((ask(&free).await, ask(&taken_address).await), (200, 200));
}

#[tokio::test]
async fn one_that_other_machines_reach_is_not_opened_without_keys() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, &[any()]).await;
    let wanted = listen(&[any(), "0.0.0.0:0".to_owned()]);
    daemon.configure(&wanted);
    let changes = daemon.reload().await.changes;
    assert_eq!(changes[0].effect(), ConfigurationEffect::Failed);
    assert!(changes[0].reason.contains("there is no client key"), "{}", changes[0].reason);
    daemon.create_key("k", proxyd::keys::Rules::default());
    daemon.reconfigure(&wanted).await;
    assert_eq!(told(&daemon).await.len(), 2);
}

#[tokio::test]
async fn one_that_would_take_the_port_of_one_that_goes_needs_a_restart() {
    let fake = FakeClaude::start().await;
    let address = free();
    let daemon = daemon(&fake, std::slice::from_ref(&address)).await;
    daemon.create_key("k", proxyd::keys::Rules::default());
    let port = address.rsplit_once(':').unwrap().1;
    daemon.configure(&listen(&[format!("0.0.0.0:{port}")]));
    let changes = daemon.reload().await.changes;
    let reason = format!("0.0.0.0:{port} cannot be had while {address} is served on that port");
    assert_eq!(effects(&changes), [("http.listen", ConfigurationEffect::NeedsRestart, reason.as_str())]);
    assert_eq!(ask(&address).await, 200);
}
