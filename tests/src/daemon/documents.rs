//! Files and requests as tests write them.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proxy_proto::v1::{Account, AccountState};
use proxyd::clock::ManualClock;
use serde_json::{Value, json};

use crate::fake_claude::{FakeClaude, Issued, Options};

/// A directory as the daemon would make it.
pub fn private_dir(path: PathBuf) -> PathBuf {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).expect("a directory");
    path
}

/// Writes a private file whole, as a careful person or program would: nobody sees it half done.
pub fn put(dir: &Path, name: &str, document: &Value) {
    let temp = dir.join(format!(".{name}.incoming"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temp)
        .expect("a file");
    file.write_all(document.to_string().as_bytes()).expect("the file is written");
    fs::rename(temp, dir.join(name)).expect("the file appears");
}

pub fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file is there")).expect("the file is JSON")
}

/// A small Messages request.
pub fn message(text: &str) -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

/// A fake that lives by a clock of the test.
pub async fn fake_at(clock: &ManualClock) -> FakeClaude {
    let clock = clock.clone();
    let options = Options { now: Arc::new(move || clock.now()), ..Options::default() };
    FakeClaude::serve(options).await.expect("the fake listens")
}

/// The auth file of a console key.
pub fn key_file(key: &str) -> Value {
    json!({"type": "claude", "api_key": key})
}

/// An auth file whose access token has ended, by its own word, while the refresh token is good.
pub fn expired(issued: &Issued) -> Value {
    let mut document = issued.auth_file();
    if let Some(document) = document.as_object_mut() {
        document.insert("expired".to_owned(), json!("2020-01-01T08:00:00Z"));
        document.insert("last_refresh".to_owned(), json!("2020-01-01T00:00:00Z"));
    }
    document
}

/// Whether the account is ready.
pub fn is_ready(account: &Account) -> bool {
    account.state() == AccountState::Ready
}
