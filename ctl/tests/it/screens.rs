//! The screens that the README shows are what the program shows. After a change of any, `UPDATE_GENERATED=1 cargo test -p proxyctl --test it
//! -- screens` writes them anew.

#![expect(clippy::disallowed_methods, reason = "a test that reads one variable and writes the README")]

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::thread::JoinHandle;

use proxy_proto::v1::{
    Account, AccountCounts, AccountState, ConfigurationKey, Finding, GetStatusResponse, ListAccountsResponse,
    PlanUsage, Severity, UsageWindow,
};

use super::daemon::{FakeDaemon, account, api_key_account, from_now, status};
use super::process::{Done, run};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
/// Areas of which a machine says something only where it has something to say.
const OF_THE_MACHINE: [&str; 3] = [" inotify: ", " journal: ", " linger: "];

/// On a terminal of the usual width.
fn at_80(daemon: &FakeDaemon, args: &[&str]) -> Done {
    let mut command = daemon.command(args);
    command.env("COLUMNS", "80");
    run(command)
}

fn shown_status() -> String {
    let counts = AccountCounts { total: 4, ready: 2, cooling: 1, needs_login: 1, ..AccountCounts::default() };
    let daemon = FakeDaemon::start().status(Ok(GetStatusResponse {
        started_at: Some(from_now(-11_520 - 60)),
        accounts: Some(counts),
        auth_dir: "/home/ada/.local/state/proxyd/auth".to_owned(),
        ..status()
    }));
    at_80(&daemon, &["status"]).stdout
}

fn shown_list() -> String {
    let window =
        UsageWindow { name: "five_hour".to_owned(), used_percent: 35.0, resets_at: Some(from_now(11_520)) };
    let ada = Account {
        expires_at: Some(from_now(27_120)),
        usage: Some(PlanUsage { windows: vec![window], ..PlanUsage::default() }),
        ..account()
    };
    let work = Account {
        id: "23e219a93adc".to_owned(),
        label: "work".to_owned(),
        state: AccountState::Cooling.into(),
        state_reason: "upstream limits it (429)".to_owned(),
        available_at: Some(from_now(7920)),
        expires_at: Some(from_now(17_460)),
        ..account()
    };
    let grace = Account {
        id: "890a0cb7a1bf".to_owned(),
        email: "grace@example.org".to_owned(),
        state: AccountState::NeedsLogin.into(),
        state_reason: "the refresh token was refused".to_owned(),
        expires_at: None,
        organization_name: String::new(),
        ..account()
    };
    let accounts = vec![ada, work, grace, api_key_account()];
    let daemon = FakeDaemon::start().list(ListAccountsResponse { accounts, invalid_files: vec![] });
    at_80(&daemon, &["accounts", "list"]).stdout
}

fn finding(area: &str, severity: Severity, found: &str, command: &str) -> Finding {
    Finding {
        area: area.to_owned(),
        severity: severity.into(),
        found: found.to_owned(),
        command: command.to_owned(),
    }
}

/// Serves one request, as a daemon does that lets this user in.
fn http() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _length = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    (address, server)
}

fn shown_doctor() -> String {
    let (address, server) = http();
    let key = |key: &str, origin: &str| ConfigurationKey {
        key: key.to_owned(),
        origin: origin.to_owned(),
        reloads: true,
        ..ConfigurationKey::default()
    };
    let set = [key("log.level", "environment PROXYD_LOG__LEVEL"), key("http.listen", "flag --listen")];
    let keys = set.into_iter().chain((2..62).map(|_| key("another", "default"))).collect();
    let daemon = FakeDaemon::start()
        .status(Ok(GetStatusResponse { http_listen: vec![address.to_string()], ..status() }))
        .configuration(Ok(keys))
        .diagnosis(Ok(vec![
            finding(
                "auth directory",
                Severity::Ok,
                "/home/ada/.local/state/proxyd/auth is private and can be written",
                "",
            ),
            finding(
                "upstream",
                Severity::Ok,
                "api.anthropic.com answered in 112 ms; its certificate is trusted",
                "",
            ),
            finding(
                "clock",
                Severity::Problem,
                "this machine's clock is 10m ahead of upstream's",
                "timedatectl set-ntp true",
            ),
            finding("accounts", Severity::Ok, "1 of 2 usable", ""),
            finding("account 3f2a9c0d71be", Severity::Ok, "ready", ""),
            finding(
                "account 890a0cb7a1bf",
                Severity::Warning,
                "needs a login: the refresh token was refused",
                "proxyctl login claude",
            ),
        ]));
    std::fs::set_permissions(daemon.socket(), Permissions::from_mode(0o600)).unwrap();
    let mut command = daemon.command(&["doctor"]);
    command
        .env("PROXYD_CONTROL__SOCKET", "control.sock")
        .env("COLUMNS", "80")
        .env("ANTHROPIC_BASE_URL", format!("http://{address}/v1"));
    let screen = run(command).stdout;
    server.join().unwrap();
    let screen = screen.replace(&address.to_string(), "127.0.0.1:8080");
    without_the_machine(&screen)
}

/// What a machine has to say of itself is left out, and its socket and user are those of the README.
fn without_the_machine(screen: &str) -> String {
    let mut kept = String::new();
    let mut is_kept = true;
    for line in screen.lines() {
        let begins = !line.starts_with(' ');
        is_kept = if begins { !OF_THE_MACHINE.iter().any(|area| line.contains(area)) } else { is_kept };
        if line.contains("control socket: control.sock belongs to ") {
            kept.push_str("ok       control socket: /run/user/1000/proxyd/control.sock belongs to ada (mode\n         0600)\n");
        } else if is_kept {
            kept.extend([line, "\n"]);
        }
    }
    kept
}

#[test]
fn the_readme_shows_what_the_program_shows() {
    let readme = std::fs::read_to_string(README).unwrap();
    let mut updated = readme.clone();
    for (command, screen) in [
        ("proxyctl status", shown_status()),
        ("proxyctl accounts list", shown_list()),
        ("proxyctl doctor", shown_doctor()),
        ("proxyctl accounts lst", at_80(&FakeDaemon::start(), &["accounts", "lst"]).stderr),
    ] {
        assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
        let head = format!("```console\n$ {command}\n");
        let begin = updated.find(&head).unwrap_or_else(|| panic!("the README has no screen of {command}"))
            + head.len();
        let end = begin + updated[begin..].find("```\n").unwrap();
        updated.replace_range(begin..end, &screen);
    }
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(README, updated).unwrap();
        return;
    }
    assert!(readme == updated, "a screen in the README is another one now:\n{updated}");
}
