//! `proxyctl accounts ...` and `proxyctl status` against the real daemon, for people and as JSON.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use proxy_tests::binaries::{Live, Machine, programs};
use proxy_tests::daemon::put;
use proxy_tests::fake_claude::{FakeClaude, Script};
use serde_json::{Value, json};

#[tokio::test]
async fn the_accounts_are_listed_and_shown_for_people_and_for_programs() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("ada@example.com");
    let mut document = issued.auth_file();
    document["label"] = json!("work");
    machine.put("claude-a.json", &document);
    put(&machine.auth_dir(), "claude-broken.json", &json!("oops"));
    let _daemon = machine.start().await;
    let list = machine.proxyctl(&["accounts", "list", "--json"]).await.json();
    assert_eq!(list["schema_version"], 1);
    let account = &list["accounts"][0];
    let id = account["id"].as_str().unwrap();
    assert_eq!(
        (&account["state"], &account["kind"], &account["renewable"]),
        (&json!("ready"), &json!("oauth"), &json!(true))
    );
    assert_eq!(account["expires_at"], json!(issued.expires_at().to_string()));
    assert!(list["invalid_files"][0]["path"].as_str().unwrap().ends_with("/claude-broken.json"));
    let human = machine.proxyctl(&["accounts", "list"]).await;
    for words in [id, "work", "ready", "oauth", "Example", "Files that are not used:", "not a JSON object"] {
        assert!(human.stdout.contains(words), "{words} is not in\n{}", human.stdout);
    }
    let mut shown = machine.proxyctl(&["accounts", "show", "ada@example.com", "--json"]).await.json();
    let usage = shown["account"]["usage"].take();
    assert_eq!(usage["windows"].as_array().unwrap().len(), 4);
    assert_eq!(shown["account"], *account);
    let human = machine.proxyctl(&["accounts", "show", &id[..8]]).await;
    assert!(
        human.stdout.contains("ada@example.com") && human.stdout.contains("claude-a.json"),
        "{}",
        human.stdout
    );
    let missing = machine.proxyctl(&["accounts", "show", "nobody", "--json"]).await;
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(5), ""));
    let error: Value = serde_json::from_str(&missing.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not_found");
}

#[tokio::test]
async fn a_key_is_added_from_a_file_or_a_pipe_and_never_shown() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    let (key, file) = (fake.add_api_key(), machine.home().join("key.txt"));
    {
        use std::io::Write as _;
        writeln!(fs::File::create(&file).unwrap(), "{key}").unwrap();
    }
    let args = ["accounts", "add", "claude", "--label", "build", "--key-file"];
    let with = |file: &'static str| args.iter().copied().chain([file]).collect::<Vec<_>>();
    let added = machine.proxyctl(&with("key.txt")).await;
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    assert!(added.stdout.starts_with("Added build ("), "{}", added.stdout);
    assert_eq!(daemon.ask("hello").await.status(), 200);

    let mut command = machine.command(&programs().proxyctl);
    command.args(with("-")).arg("--json").stdin(Stdio::piped());
    let mut live = Live::start(command);
    live.type_line(&key).await;
    let again = live.finish().await;
    assert_eq!(
        (&again.json()["replaced"], &again.json()["account"]["label"]),
        (&json!(true), &json!("build"))
    );
    for said in [&added, &again] {
        assert!(!said.stdout.contains(&key) && !said.stderr.contains(&key));
    }
    let missing = machine.proxyctl(&with("missing.txt")).await;
    assert!(missing.code == Some(2) && missing.stderr.contains("missing.txt"), "{}", missing.stderr);
}

#[tokio::test]
async fn switching_refreshing_and_revoking_say_what_was_done() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let issued = fake.issue_account("ada@example.com");
    machine.put("claude-a.json", &issued.auth_file());
    let daemon = machine.start().await;
    let ada = "ada@example.com";
    let done = machine.proxyctl(&["accounts", "disable", ada]).await;
    assert!(done.code == Some(0) && done.stdout.starts_with("Disabled ada@example.com ("), "{}", done.stdout);
    assert_eq!(daemon.ask("hello").await.status(), 403);
    let status = machine.proxyctl(&["status"]).await;
    assert_eq!(status.code, Some(4));
    assert!(
        status.stdout.contains("1 disabled") && status.stdout.contains("accounts enable"),
        "{}",
        status.stdout
    );
    let done = machine.proxyctl(&["accounts", "enable", ada, "--json"]).await;
    assert_eq!(done.json()["account"]["state"], "ready");
    assert_eq!(daemon.ask("hello").await.status(), 200);
    let done = machine.proxyctl(&["accounts", "refresh", ada]).await;
    assert!(done.code == Some(0) && done.stdout.starts_with("Refreshed ada@example.com"), "{}", done.stdout);
    assert_eq!(fake.rotations(issued.account), 1);
    let status = machine.proxyctl(&["status", "--json"]).await;
    assert_eq!((status.code, &status.json()["ready"]), (Some(0), &json!(true)));
    assert_eq!(status.json()["http_listen"], json!([daemon.address()]));

    let asked = machine.proxyctl(&["accounts", "revoke", ada]).await;
    assert!(asked.code == Some(2) && asked.stderr.contains("--yes"), "{}", asked.stderr);
    fake.on("/v1/oauth/revoke").once(Script::html_502());
    let done = machine.proxyctl(&["accounts", "revoke", ada, "--yes"]).await;
    assert!(done.stderr.contains("did NOT revoke") && done.stderr.contains("502"), "{}", done.stderr);
    assert!(done.code == Some(0) && done.stdout.starts_with("Removed "), "{}", done.stdout);
    assert!(!machine.auth_dir().join("claude-a.json").exists());

    machine.put("claude-b.json", &fake.issue_account_in("bob@example.com", "Other").auth_file());
    proxy_tests::wait::within("the account is found", async {
        while machine.proxyctl(&["status"]).await.code != Some(0) {}
    })
    .await;
    let done = machine.proxyctl(&["accounts", "revoke", "bob@example.com", "--yes", "--json"]).await;
    assert_eq!((&done.json()["provider"], &done.json()["provider_error"]), (&json!("revoked"), &json!(null)));
    assert_eq!(machine.proxyctl(&["accounts", "list", "--json"]).await.json()["accounts"], json!([]));
}

#[tokio::test]
async fn without_a_daemon_it_ends_with_3_and_says_how_to_start_one() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    for args in [
        &["status"][..],
        &["accounts", "list"],
        &["login", "claude", "--no-browser"],
        &["accounts", "show", "x"],
    ] {
        let done = machine.proxyctl(args).await;
        assert_eq!((done.code, done.stdout.as_str()), (Some(3), ""), "{args:?}");
        assert!(done.stderr.contains("run `proxyd`"), "{}", done.stderr);
    }
    let socket = machine.home().join("other.sock");
    let socket = socket.to_str().unwrap();
    let done = machine.proxyctl(&["--socket", socket, "status", "--json"]).await;
    let error: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!((done.code, &error["error"]["code"]), (Some(3), &json!("daemon_not_running")));
    assert!(error["error"]["hint"].as_str().unwrap().contains(&format!("proxyd --control-socket {socket}")));
    // A socket that a crash left behind is no daemon either.
    drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
    assert_eq!(machine.proxyctl(&["--socket", socket, "status"]).await.code, Some(3));
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_modes_let_him_connect() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    assert_eq!(machine.proxyctl(&["accounts", "list"]).await.code, Some(0), "the daemon's own user");
    if !nix::unistd::geteuid().is_root() {
        eprintln!("only root can become another user: the rest of this test needs root");
        return;
    }
    // The program where the other user can run it.
    let program = machine.home().join("proxyctl");
    fs::copy(&programs().proxyctl, &program).unwrap();
    let open = |path: &std::path::Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(machine.home());
    open(&program);
    let socket = machine.control_socket();
    let as_nobody = || {
        let mut command = machine.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.arg("--socket").arg(&socket).args(["accounts", "list"]);
        Live::start(command).finish()
    };
    // By the modes as they are, by the directory's once it is open, and by the daemon once the socket is,
    // too.
    assert_eq!(as_nobody().await.code, Some(6));
    open(socket.parent().unwrap().parent().unwrap());
    open(socket.parent().unwrap());
    assert_eq!(as_nobody().await.code, Some(6));
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = as_nobody().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(6), ""));
    assert!(refused.stderr.contains("only root and the user that proxyd runs as"), "{}", refused.stderr);
}
