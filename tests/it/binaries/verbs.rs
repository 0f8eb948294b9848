//! The verbs of an account's life with both real programs, one after another as a person would use them, and nothing that is
//! printed holds a secret.

use std::os::unix::fs::MetadataExt as _;

use proxy_tests::binaries::{Done, Machine};
use proxy_tests::daemon::{private_dir, put};
use proxy_tests::fake_claude::FakeClaude;
use serde_json::json;

/// Runs a command and looks for secrets in what it printed.
async fn run(machine: &Machine, secrets: &[String], args: &[&str], code: i32) -> Done {
    let done = machine.proxyctl(args).await;
    assert_eq!(done.code, Some(code), "{args:?}: {}{}", done.stdout, done.stderr);
    for secret in secrets {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret), "{args:?} shows a secret");
    }
    done
}

#[tokio::test]
async fn an_account_is_imported_set_used_exported_and_removed() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let old = private_dir(machine.home().join("old"));
    let issued = fake.issue_account("ada@example.com");
    put(&old, "claude-ada@example.com.json", &issued.auth_file());
    put(&old, ".credentials.json", &json!({"claudeAiOauth": {"refreshToken": "FAKE-canary-credentials"}}));
    let (key, token) = (fake.add_api_key(), fake.issue_setup_token("setup@example.com"));
    let secrets = [
        issued.access_token.clone(),
        issued.refresh_token.clone(),
        key.clone(),
        token.clone(),
        "FAKE-canary-credentials".to_owned(),
        "FAKE-proxy-password".to_owned(),
    ];
    let file = |name: &str, text: &str| {
        use std::io::Write as _;
        let path = machine.home().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (key, token) = (file("key", &key), file("token", &token));
    let proxy = file("proxy", "http://me:FAKE-proxy-password@127.0.0.1:9\n");
    let daemon = machine.start().await;
    let run = |args: &'static str, code| {
        let args: Vec<String> = args
            .split(' ')
            .map(|word| match word {
                "KEY" => key.clone(),
                "TOKEN" => token.clone(),
                "PROXY" => proxy.clone(),
                word => word.to_owned(),
            })
            .collect();
        let (machine, secrets) = (&machine, &secrets);
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            run(machine, secrets, &args, code).await
        }
    };

    let imported = run("accounts import old --move --yes", 1).await;
    assert!(imported.stdout.contains("added") && imported.stdout.contains("Claude Code itself"));
    assert!(!old.join("claude-ada@example.com.json").exists() && old.join(".credentials.json").exists());
    run("accounts label ada work", 0).await;
    run("accounts set work --priority 5 --alias best=claude-opus-5 --exclude claude-3-*", 0).await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let shown = run("accounts show work --json", 0).await.json();
    let account = &shown["account"];
    assert_eq!((&account["priority"], &account["label"]), (&json!(5), &json!("work")));
    assert_eq!(account["usage"]["windows"].as_array().unwrap().len(), 4);
    run("accounts add claude --key-file KEY --label key --weight 3", 0).await;
    run("accounts add claude --setup-token-file TOKEN --label ci --json", 0).await;
    run("accounts set key --proxy-url-file PROXY", 0).await;
    let list = run("accounts list --wide", 0).await;
    assert!(list.stdout.contains("http://me:****@127.0.0.1:9/"), "{}", list.stdout);
    run("accounts set key --unset proxy-url --unset weight", 0).await;
    run("accounts set key --weight 500", 2).await;
    run("accounts label key work", 2).await;
    run("accounts show nobody", 5).await;
    run("accounts refresh work", 0).await;
    run("accounts export work out.json --yes", 0).await;
    let exported = machine.home().join("out.json");
    assert_eq!(std::fs::metadata(&exported).unwrap().mode() & 0o7777, 0o600);
    run("accounts export work out.json --yes", 2).await;
    run("accounts remove work", 2).await;
    run("accounts remove work --yes", 0).await;
    assert!(fake.has_live_login(issued.account), "the provider was told nothing");
    run("accounts revoke key --yes", 0).await;
    run("accounts disable ci", 0).await;
    let status = run("status --json", 4).await.json();
    assert_eq!((&status["accounts"]["total"], &status["accounts"]["disabled"]), (&json!(1), &json!(1)));
}
