//! The service manager's credentials with both real programs, under the real sandbox.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use proxy_tests::binaries::Machine;
use proxy_tests::daemon::private_dir;
use proxy_tests::fake_claude::FakeClaude;

fn put(path: &PathBuf, text: &[u8]) {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(text).unwrap();
}

#[tokio::test]
async fn keys_are_read_and_sealed_with_under_the_sandbox_and_read_again() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    // Where the service manager has them, all that lies above is such directories.
    let credentials = private_dir(machine.home().join("credentials")).join("proxyd.service");
    fs::create_dir(&credentials).unwrap();
    let machine = machine.with("CREDENTIALS_DIRECTORY", &credentials);
    let (first, second) = (fake.add_api_key(), fake.add_api_key());
    let issued = fake.issue_account("ada@example.com");
    put(&credentials.join("proxyd.api-key.first"), first.as_bytes());
    put(&credentials.join("proxyd.seal-key"), &[[7; 16], [9; 16]].concat());
    machine.put("claude-ada.json", &issued.auth_file());
    let mut daemon = machine.start().await;
    daemon.log_line("secrets at rest are sealed").await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let disable = machine.proxyctl(&["accounts", "disable", "first"]).await;
    assert!(
        disable.code != Some(0) && disable.stderr.contains("LoadCredentialEncrypted="),
        "{}",
        disable.stderr
    );

    // Another directory in its place, as a refresh of credentials makes it.
    fs::rename(&credentials, machine.home().join("credentials/gone")).unwrap();
    fs::create_dir(&credentials).unwrap();
    put(&credentials.join("proxyd.api-key.second"), second.as_bytes());
    machine.put("claude-wakes.json", &serde_json::json!({}));
    daemon.log_line("file not used").await;
    let list = machine.proxyctl(&["accounts", "list", "--json"]).await.json();
    let labels = list["accounts"].as_array().unwrap().iter().map(|account| account["label"].clone());
    let mut labels: Vec<_> = labels.filter_map(|label| label.as_str().map(str::to_owned)).collect();
    labels.retain(|label| !label.is_empty());
    assert_eq!(labels, ["second"]);
    assert!(machine.read("claude-ada.json")["refresh_token"].as_str().unwrap().starts_with("proxyd-sealed:"));
    let log = daemon.log();
    for secret in [&first, &second, &issued.access_token, &issued.refresh_token] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_seal_key_that_is_none_is_a_mistake_of_the_configuration() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let key = machine.home().join("seal.key");
    put(&key, b"FAKE-passphrase");
    let machine = machine.with("PROXYD_AUTH__SEAL_KEY_FILE", &key);
    for args in [&["check-config"][..], &[]] {
        let done = machine.proxyd(args).await;
        assert_eq!(done.code, Some(78), "{}", done.stderr);
        let told = "environment PROXYD_AUTH__SEAL_KEY_FILE: auth.seal_key_file:";
        assert!(
            done.stderr.contains(told) && done.stderr.contains("head -c 32 /dev/urandom"),
            "{}",
            done.stderr
        );
        assert!(!done.stderr.contains("FAKE-passphrase"));
    }
    put(&key, &[[7; 16], [9; 16]].concat());
    let printed = machine.proxyd(&["print-config"]).await;
    assert!(printed.stdout.contains("auth.seal = true  # default"), "{}", printed.stdout);
}
