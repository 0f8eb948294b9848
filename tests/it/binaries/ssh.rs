//! `proxyctl --host ssh://...` against a real sshd: the browser and the callback are here, everything else is
//! on the other side.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use proxy_proto::v1::BeginLoginRequest;
use proxy_proto::v1::logins_client::LoginsClient;
use proxy_tests::binaries::{Done, Live, Machine, browser, programs};
use proxy_tests::daemon::channel;
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::sshd::Sshd;
use proxy_tests::wait::within;
use url::Url;

/// The person's machine: no daemon, no socket, but an `ssh`.
fn desk(fake: &FakeClaude, sshd: &Sshd) -> Machine {
    let mut path = OsString::from(sshd.client_path());
    path.push(":/usr/bin:/bin");
    Machine::new(fake).with("PATH", path).with("PROXYD_CONTROL__SOCKET", "/nowhere/of-this-machine.sock")
}

fn remote(desk: &Machine, host: &str, socket: &Path, args: &[&str]) -> tokio::process::Command {
    let mut command = desk.command(&programs().proxyctl);
    command.args(["--host", host]).arg("--socket").arg(socket).args(args);
    command
}

async fn run(desk: &Machine, host: &str, socket: &Path, args: &[&str]) -> Done {
    Live::start(remote(desk, host, socket, args)).finish().await
}

fn is_alive(pid: i32) -> bool {
    // One that has ended and was not waited for does not count as gone.
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_login_and_other_commands_work_through_ssh_and_the_account_stays_there() {
    let Some(sshd) = Sshd::start().await else { return };
    let fake = FakeClaude::start().await;
    // The socket's path is one that a shell would take apart.
    let server = Machine::new(&fake);
    let dir = server.home().join("it's a $HOME");
    fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    let socket = dir.join("control.sock");
    let _daemon = server.start_with(&["--control-socket", socket.to_str().unwrap()]).await;
    let desk = desk(&fake, &sshd);

    let mut login = remote(&desk, &sshd.url(), &socket, &["login", "claude", "--no-browser"]);
    login.stdin(Stdio::piped());
    let mut live = Live::start(login);
    let url = live.stdout_line("http").await;
    let page = within("the last page", browser().get(&url).send()).await.unwrap();
    let redirect = Url::parse(&url).unwrap();
    let (_, redirect) = redirect.query_pairs().find(|(key, _)| key == "redirect_uri").unwrap();
    assert_eq!(page.url().port(), Url::parse(&redirect).unwrap().port(), "the callback is ours");
    let done = live.finish().await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let saved = done.stdout.lines().find_map(|line| line.strip_prefix("Authentication saved to ")).unwrap();
    assert!(Path::new(saved).starts_with(server.auth_dir().canonicalize().unwrap()), "{saved}");
    assert!(!desk.auth_dir().exists(), "nothing is kept here");
    assert_eq!(sshd.clients().len(), 1, "one ssh a command");

    let key = desk.home().join("key");
    fs::File::create(&key).unwrap().write_all(b"sk-ant-api03-FAKE-remote-key\n").unwrap();
    let add = ["accounts", "add", "claude", "--label", "far", "--key-file", key.to_str().unwrap()];
    let done = run(&desk, &sshd.url(), &socket, &add).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let done = run(&desk, &sshd.url(), &socket, &["accounts", "list", "--json"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(done.json()["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(sshd.clients().len(), 3);
    assert!(!sshd.clients().into_iter().any(is_alive), "none is left behind");

    let here = desk.with("PROXYCTL_HOST", sshd.url());
    let mut command = here.command(&programs().proxyctl);
    command.args(["status", "--json", "--socket"]).arg(&socket);
    assert_eq!(Live::start(command).finish().await.code, Some(0));
}

#[tokio::test]
async fn a_server_that_is_not_reached_is_told_in_sshs_own_words() {
    let Some(sshd) = Sshd::start().await else { return };
    let fake = FakeClaude::start().await;
    let desk = desk(&fake, &sshd);
    let nowhere = Path::new("/nowhere.sock");
    let done = run(&desk, &sshd.url_nobody_answers(), nowhere, &["status"]).await;
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("Connection refused") && done.stderr.contains("ssh did not reach"));
    let sshd = sshd.with_wrong_host_key();
    let done = run(&desk, &sshd.url(), nowhere, &["status"]).await;
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("Host key verification failed."), "{}", done.stderr);
    assert!(!sshd.clients().into_iter().any(is_alive));
}

#[tokio::test]
async fn what_lacks_on_the_other_side_is_named() {
    let Some(sshd) = Sshd::start().await else { return };
    let fake = FakeClaude::start().await;
    let desk = desk(&fake, &sshd);
    let nowhere = Path::new("/nowhere.sock");
    let done = run(&desk, &sshd.url(), nowhere, &["accounts", "list"]).await;
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.starts_with("error: no daemon listens on /nowhere.sock\n"), "{}", done.stderr);
    assert_eq!(done.stderr.matches("error:").count(), 1, "said once, by the other side: {}", done.stderr);
    let done = run(&desk, &sshd.url(), nowhere, &["--json", "accounts", "list"]).await;
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!((done.code, &error["error"]["code"]), (Some(3), &"daemon_not_running".into()));

    let sshd = sshd.without_proxyctl();
    let done = run(&desk, &sshd.url(), nowhere, &["accounts", "list"]).await;
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("has no proxyctl that ssh finds"), "{}", done.stderr);
}

#[tokio::test]
async fn an_interrupt_during_a_login_cancels_it_there_and_ends_ssh() {
    let Some(sshd) = Sshd::start().await else { return };
    let fake = FakeClaude::start().await;
    let server = Machine::new(&fake);
    let daemon = server.start().await;
    let desk = desk(&fake, &sshd);
    // The daemon keeps 32 logins at once: with these the one to be cancelled is the last that may begin.
    let mut logins = LoginsClient::new(channel(&server.control_socket()).await);
    let begin = || BeginLoginRequest {
        provider: "claude".to_owned(),
        callback_port: 54545,
        ..BeginLoginRequest::default()
    };
    for _ in 0..31 {
        logins.begin_login(begin()).await.unwrap();
    }
    let mut login =
        remote(&desk, &sshd.url(), &server.control_socket(), &["login", "claude", "--no-browser"]);
    // A terminal sends it to the whole group.
    login.stdin(Stdio::piped()).process_group(0);
    let mut live = Live::start(login);
    let url = live.stdout_line("http").await;
    nix::sys::signal::killpg(live.pid(), Signal::SIGINT).unwrap();
    let done = live.finish().await;
    assert_eq!(done.code, Some(130), "{}", done.stderr);
    assert!(!sshd.clients().into_iter().any(is_alive));
    assert!(browser().get(&url).send().await.is_err(), "the callback is closed");
    logins.begin_login(begin()).await.unwrap();
    assert!(logins.begin_login(begin()).await.is_err(), "the limit is what this test takes it for");
    let log = daemon.stop().await.stderr;
    assert!(!log.contains("panicked"), "{log}");
}
