//! TLS with certificate files that change under way.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use proxy_tests::daemon::{Setup, TestDaemon, message};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::wait::within;
use rcgen::{CertifiedKey, generate_simple_self_signed};

struct Files {
    dir: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        Self { dir, cert, key }
    }

    /// Puts a new pair in place, as tools that renew certificates do, and returns the certificate.
    fn renew(&self) -> reqwest::Certificate {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        put(self.dir.path(), &self.key, &signing_key.serialize_pem());
        put(self.dir.path(), &self.cert, &cert.pem());
        reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap()
    }
}

fn put(dir: &Path, path: &Path, text: &str) {
    let new = dir.join("new");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::rename(new, path).unwrap();
}

async fn daemon(fake: &FakeClaude, files: &Files) -> TestDaemon {
    let path = |path: &Path| path.display().to_string();
    let setup = Setup::of([
        ("PROXYD_HTTP__TLS_CERT", path(&files.cert).as_str()),
        ("PROXYD_HTTP__TLS_KEY", path(&files.key).as_str()),
    ]);
    TestDaemon::with_account_and(fake, setup).await
}

async fn ask(daemon: &TestDaemon, trusted: &reqwest::Certificate) -> reqwest::Result<u16> {
    let port = daemon.address().rsplit_once(':').unwrap().1;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted.clone()]).build().unwrap();
    let asked = client.post(format!("https://localhost:{port}/v1/messages")).json(&message("hi")).send();
    Ok(within("an answer", asked).await?.status().as_u16())
}

#[tokio::test]
async fn a_new_certificate_is_used_as_soon_as_it_is_there_and_a_broken_one_is_not() {
    let (fake, files) = (FakeClaude::start().await, Files::new());
    let first = files.renew();
    let daemon = daemon(&fake, &files).await;
    assert_eq!(ask(&daemon, &first).await.unwrap(), 200);
    put(files.dir.path(), &files.cert, "no certificate");
    assert_eq!(ask(&daemon, &first).await.unwrap(), 200);
    let second = files.renew();
    within("the new certificate", async {
        while ask(&daemon, &second).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(ask(&daemon, &first).await.is_err());
    // Plain HTTP finds no one here.
    assert!(daemon.http().get(daemon.url("/healthz")).send().await.is_err());
}
