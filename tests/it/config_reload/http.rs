//! Who is served over HTTP, how much and how, by another configuration.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use http::Method;
use proxy_proto::v1::ConfigurationEffect;
use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::{FakeClaude, Gate, Script};
use proxy_tests::wait::within;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::{daemon, effects};

const MESSAGES: &str = "/v1/messages";
const JSON: (&str, &str) = ("content-type", "application/json");

pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    _dir: tempfile::TempDir,
}

/// A pair of files for TLS, and the certificate.
pub(super) fn certificate() -> (Files, reqwest::Certificate) {
    let dir = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    for (path, text) in [(&cert_file, cert.pem()), (&key_file, signing_key.serialize_pem())] {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    let trusted = reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap();
    (Files { cert: cert_file, key: key_file, _dir: dir }, trusted)
}

async fn ask_with(daemon: &TestDaemon, headers: &[(&str, &str)]) -> u16 {
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    daemon.send(Method::POST, MESSAGES, &headers, message("hi").to_string()).await.status().as_u16()
}

#[tokio::test]
async fn who_needs_a_key_is_decided_anew_also_on_connections_that_are_open() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    // One client, whose connection is kept.
    assert_eq!(ask_with(&daemon, &[]).await, 200);
    daemon.reconfigure("[http]\nauth = \"key\"\n").await;
    assert_eq!(ask_with(&daemon, &[]).await, 401);
    let key = daemon.create_key("k", proxyd::keys::Rules::default());
    assert_eq!(ask_with(&daemon, &[("x-proxyd-key", &key)]).await, 200);
    daemon.reconfigure("").await;
    assert_eq!(ask_with(&daemon, &[]).await, 200);
}

#[tokio::test]
async fn hosts_and_pages_are_those_of_the_newest_configuration() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let (host, page) = (("host", "name.example"), ("origin", "http://localhost:3000"));
    assert_eq!((ask_with(&daemon, &[host]).await, ask_with(&daemon, &[page]).await), (421, 403));
    daemon.reconfigure("[http]\nhosts = [\"name.example\"]\norigins = [\"http://localhost:3000\"]\n").await;
    assert_eq!((ask_with(&daemon, &[host]).await, ask_with(&daemon, &[page]).await), (200, 200));
    daemon.reconfigure("").await;
    assert_eq!((ask_with(&daemon, &[host]).await, ask_with(&daemon, &[page]).await), (421, 403));
}

#[tokio::test]
async fn where_metrics_are_served_alone_the_names_are_the_newest_ones_too() {
    let fake = FakeClaude::start().await;
    let metrics = "[metrics]\nlisten = [\"127.0.0.1:0\"]\n";
    let daemon = daemon(&fake, metrics).await;
    let url = format!("http://{}/metrics", daemon.metrics_address());
    let scrape = async || {
        let asked = daemon.http().get(&url).header("host", "scrape.example").send();
        within("an answer", asked).await.unwrap().status().as_u16()
    };
    assert_eq!(scrape().await, 421);
    daemon.reconfigure(&format!("{metrics}[http]\nhosts = [\"scrape.example\"]\n")).await;
    assert_eq!(scrape().await, 200);
    daemon.reconfigure(metrics).await;
    assert_eq!(scrape().await, 421);
}

#[tokio::test]
async fn a_credential_of_the_callers_own_goes_past_the_pool_once_it_may() {
    let fake = FakeClaude::start().await;
    let own = fake.add_api_key();
    let daemon = daemon(&fake, "").await;
    daemon.reconfigure("[http]\npassthrough = true\n").await;
    let version = ("anthropic-version", "2023-06-01");
    assert_eq!(ask_with(&daemon, &[("x-api-key", &own), version]).await, 200);
    let seen = fake.requests_to(MESSAGES).pop().unwrap();
    assert_eq!(seen.header("x-api-key"), Some(own.as_str()));
}

#[tokio::test]
async fn no_more_is_served_than_the_newest_limit_allows() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let gate = Gate::new();
    fake.on(MESSAGES).times(2, &Script::real().hold(&gate));
    let rest = async {
        within("one is upstream", gate.reached_by(1)).await;
        daemon.reconfigure("[http]\nmax_requests = 1\nmax_waiting = 0\n").await;
        assert_eq!(daemon.ask("hi").await.status(), 529);
        daemon.reconfigure("[http]\nmax_requests = 2\nmax_waiting = 0\n").await;
        let (second, ()) = tokio::join!(daemon.ask("hi"), async {
            within("two are upstream", gate.reached_by(2)).await;
            assert_eq!(daemon.ask("hi").await.status(), 529);
            gate.open();
        });
        assert_eq!(second.status(), 200);
    };
    let (first, ()) = tokio::join!(daemon.ask("hi"), rest);
    assert_eq!(first.status(), 200);
    assert_eq!(daemon.ask("hi").await.status(), 200);
}

#[tokio::test]
async fn a_connection_has_the_time_of_the_newest_configuration() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "[http]\nfirst_byte_timeout = \"24h\"\n").await;
    let mut silent = TcpStream::connect(daemon.address()).await.unwrap();
    daemon.reconfigure("[http]\nfirst_byte_timeout = \"50ms\"\n").await;
    let mut rest = Vec::new();
    within("the daemon closes the connection", silent.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn open_streams_have_the_newest_grace_period() {
    let fake = FakeClaude::start().await;
    let mut daemon = daemon(&fake, "[http]\ndrain = \"1h\"\n").await;
    daemon.reconfigure("[http]\ndrain = \"50ms\"\n").await;
    let gate = Gate::new();
    fake.on(MESSAGES).once(Script::real().hold(&gate));
    let request = daemon.http().post(daemon.url(MESSAGES)).json(&message("hi"));
    let asking = proxyd::tasks::Tasks::new().spawn(request.send());
    within("it is upstream", gate.reached_by(1)).await;
    daemon.ask_to_stop();
    let answer = within("an answer", asking).await.unwrap().unwrap();
    assert_eq!(answer.status(), 529);
    daemon.stop().await;
}

#[tokio::test]
async fn tls_is_spoken_once_there_is_a_certificate_and_not_with_files_that_are_none() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    let (files, trusted) = certificate();
    let port = daemon.address().rsplit_once(':').unwrap().1.to_owned();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let by_tls = async || {
        let asked = client.post(format!("https://localhost:{port}/v1/messages")).json(&message("hi")).send();
        within("an answer", asked).await.map(|answer| answer.status().as_u16())
    };
    let with = |cert: &std::path::Path| {
        format!(
            "[http]\nhosts = [\"other.example\"]\ntls_cert = {:?}\ntls_key = {:?}\n",
            cert.display().to_string(),
            files.key.display().to_string()
        )
    };
    daemon.configure(&with(&files.key));
    let changes = daemon.reload().await.changes;
    let reason = format!("{} (http.tls_cert) holds no certificate in PEM", files.key.display());
    let failed = |key| (key, ConfigurationEffect::Failed, reason.as_str());
    assert_eq!(effects(&changes), ["http.hosts", "http.tls_cert", "http.tls_key"].map(failed));
    assert_eq!(
        (daemon.ask("hi").await.status().as_u16(), daemon.configured("http.hosts").await),
        (200, "[]".to_owned())
    );
    daemon.reconfigure(&with(&files.cert)).await;
    assert_eq!(by_tls().await.unwrap(), 200);
    assert!(daemon.http().get(daemon.url("/healthz")).send().await.is_err());
    let status = daemon.daemon_client().await.get_status(proxy_proto::v1::GetStatusRequest {}).await.unwrap();
    assert_eq!(status.into_inner().http_listen, [format!("https://127.0.0.1:{port}")]);
    daemon.reconfigure("").await;
    assert_eq!(daemon.ask("hi").await.status(), 200);
}

#[tokio::test]
async fn a_user_that_there_is_not_is_told_and_changes_nothing() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    daemon.configure("[http]\nauth = \"key\"\nusers = [\"nobody-has-this-name\"]\n");
    let changes = daemon.reload().await.changes;
    assert_eq!(changes.len(), 2);
    for change in &changes {
        assert_eq!(change.effect(), ConfigurationEffect::Failed);
        assert!(change.reason.contains("nobody-has-this-name"), "{}", change.reason);
    }
    assert_eq!(ask_with(&daemon, &[]).await, 200);
}

#[tokio::test]
async fn a_unix_socket_is_opened_to_whom_it_is_for_and_closed_again() {
    let (fake, dir) = (FakeClaude::start().await, tempfile::tempdir().unwrap());
    let socket = dir.path().join("http.sock");
    let setup = Setup { listen: vec![format!("unix:{}", socket.display())], ..Setup::file("") };
    let daemon = TestDaemon::with_account_and(&fake, setup).await;
    let mode = || fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    daemon.reconfigure("[http]\nauth = \"key\"\n").await;
    assert_eq!(mode(), 0o666);
    daemon.reconfigure("").await;
    assert_eq!(mode(), 0o600);
}
