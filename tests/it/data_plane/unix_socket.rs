//! The data plane on a unix socket.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::wait::within;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

async fn daemon(fake: &FakeClaude, socket: &Path, auth: &str) -> TestDaemon {
    let listen = vec![format!("unix:{}", socket.display())];
    let setup = Setup { listen, ..Setup::of([("PROXYD_HTTP__AUTH", auth)]) };
    TestDaemon::with_account_and(fake, setup).await
}

/// The answer to a Messages request, head and body.
async fn ask(socket: &Path, host: &str) -> String {
    let body = message("hi").to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut connection = UnixStream::connect(socket).await.unwrap();
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", connection.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn the_own_user_is_served_on_a_socket_that_is_closed_to_others() {
    let (fake, dir) = (FakeClaude::start().await, tempfile::tempdir().unwrap());
    let socket = dir.path().join("run/http.sock");
    let daemon = daemon(&fake, &socket, "peer-or-key").await;
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ask(&socket, "localhost").await.starts_with("HTTP/1.1 200"));
    assert!(ask(&socket, "evil.example").await.starts_with("HTTP/1.1 421"));
    // TCP goes on beside it.
    assert_eq!(daemon.ask("hi").await.status(), 200);
    let status = daemon.daemon_client().await.get_status(proxy_proto::v1::GetStatusRequest {}).await;
    assert!(status.unwrap().into_inner().http_listen.contains(&format!("unix:{}", socket.display())));
    daemon.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn where_keys_decide_everybody_can_connect_and_nobody_is_served_without_one() {
    let (fake, dir) = (FakeClaude::start().await, tempfile::tempdir().unwrap());
    let socket = dir.path().join("http.sock");
    let _daemon = daemon(&fake, &socket, "key").await;
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    assert!(ask(&socket, "localhost").await.starts_with("HTTP/1.1 401"));
}
