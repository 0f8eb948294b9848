//! Completion in a real shell: the command line's own words, and the accounts of the running daemon.

use std::fs::DirBuilder;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use proxy_proto::v1::{Account, ListAccountsResponse};

use super::daemon::{FakeDaemon, account, api_key_account, client_key};
use super::process::{run, wait_until};

/// bash, with nothing of this machine's but its programs, and proxyctl among them.
fn bash(daemon: &FakeDaemon) -> Command {
    let command = daemon.command(&[]);
    let mut bash = Command::new("bash");
    bash.env_clear().current_dir(daemon.directory()).stdin(Stdio::null());
    bash.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = Path::new(env!("CARGO_BIN_EXE_proxyctl")).parent().unwrap();
    bash.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
    bash
}

/// What bash is offered for a command line that ends in the word to complete.
fn offered(daemon: &FakeDaemon, words: &[&str]) -> Vec<String> {
    let mut bash = bash(daemon);
    bash.args(["--norc", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/complete.sh")]).args(words);
    let done = run(bash);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{words:?}");
    done.stdout.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn list() -> ListAccountsResponse {
    ListAccountsResponse { accounts: vec![account(), api_key_account()], invalid_files: vec![] }
}

#[test]
fn the_names_of_the_accounts_are_offered() {
    let daemon = FakeDaemon::start().list(list()).list(list());
    let all = offered(&daemon, &["proxyctl", "accounts", "show", ""]);
    for name in ["ada@example.com", "3f2a9c0d71be", "build", "9c1d00aa22bb"] {
        assert!(all.iter().any(|offer| offer == name), "{name} is not among {all:?}");
    }
    assert_eq!(offered(&daemon, &["proxyctl", "accounts", "disable", "bu"]), ["build"]);
}

#[test]
fn the_names_of_the_keys_are_offered_and_of_the_accounts_that_may_serve_one() {
    let daemon = FakeDaemon::start().keys(vec![client_key()]).list(list()).list(list());
    assert_eq!(offered(&daemon, &["proxyctl", "keys", "revoke", "c"]), ["ci"]);
    assert_eq!(offered(&daemon, &["proxyctl", "keys", "create", "x", "--accounts", "bu"]), ["build"]);
    let second = offered(&daemon, &["proxyctl", "keys", "create", "x", "--accounts", "build,ad"]);
    assert_eq!(second, ["build\\,ada@example.com"], "as bash quotes it");
    assert_eq!(daemon.calls(), ["keys", "list", "list"]);
}

#[test]
fn words_of_the_command_line_are_offered_without_asking_the_daemon() {
    let daemon = FakeDaemon::start();
    assert!(offered(&daemon, &["proxyctl", "acc"]).contains(&"accounts".to_owned()));
    assert_eq!(offered(&daemon, &["proxyctl", "login", "c"]), ["claude"]);
    let unset = offered(&daemon, &["proxyctl", "accounts", "set", "x", "--unset", "pr"]);
    assert_eq!(unset, ["priority", "prefix", "proxy-url"]);
    assert_eq!(
        offered(&daemon, &["proxyctl", "strategy", ""])[..4],
        ["quota", "round-robin", "weighted", "fill-first"]
    );
    assert_eq!(offered(&daemon, &["proxyctl", "strategy", "fi"]), ["fill-first"]);
    assert!(daemon.calls().is_empty());
}

#[test]
fn without_a_daemon_nothing_is_offered_and_nothing_is_said() {
    let daemon = FakeDaemon::start();
    std::fs::remove_file(daemon.socket()).unwrap();
    assert_eq!(offered(&daemon, &["proxyctl", "accounts", "show", "ada"]), Vec::<String>::new());
}

#[test]
fn paths_are_offered() {
    let daemon = FakeDaemon::start();
    DirBuilder::new().create(daemon.directory().join("old")).unwrap();
    assert_eq!(offered(&daemon, &["proxyctl", "accounts", "import", "ol"]), ["old/"]);
}

#[test]
fn another_socket_of_the_command_line_is_asked_and_another_machine_is_not() {
    let (daemon, other) = (FakeDaemon::start(), FakeDaemon::start().list(list()).list(list()));
    let socket = other.socket();
    let socket = socket.to_str().unwrap();
    let both = format!("--socket={socket}");
    for words in [&["--socket", socket][..], &[&both]] {
        let words = [&["proxyctl"], words, &["accounts", "show", "bu"]].concat();
        assert_eq!(offered(&daemon, &words), ["build"], "{words:?}");
    }
    let host = ["proxyctl", "--host", "ssh://ada@server.invalid", "accounts", "show", "bu"];
    assert_eq!(offered(&daemon, &host), Vec::<String>::new());
    assert!(daemon.calls().is_empty());
}

#[test]
fn programs_are_offered_by_their_names_and_commands_after_run() {
    let daemon = FakeDaemon::start();
    assert_eq!(offered(&daemon, &["proxyctl", "setup", "c"]), ["claude-code", "codex", "continue"]);
    assert_eq!(offered(&daemon, &["proxyctl", "env", "anthropic-p"]), ["anthropic-python"]);
    assert!(offered(&daemon, &["proxyctl", "run", "proxyc"]).contains(&"proxyctl".to_owned()));
    assert!(offered(&daemon, &["proxyctl", "run", "--", "proxyc"]).contains(&"proxyctl".to_owned()));
    // What follows is the program's own.
    assert!(offered(&daemon, &["proxyctl", "run", "--", "bash", "proxyc"]).is_empty());
    assert!(daemon.calls().is_empty());
}

#[test]
fn the_words_and_names_of_the_newer_commands_are_offered() {
    let daemon = FakeDaemon::start().list(list());
    assert_eq!(offered(&daemon, &["proxyctl", "logs", "--account", "bu"]), ["build"]);
    assert_eq!(
        offered(&daemon, &["proxyctl", "log-level", ""])[..5],
        ["error", "warn", "info", "debug", "trace"]
    );
    assert_eq!(offered(&daemon, &["proxyctl", "logs", "--level", "w"]), ["warn"]);
    let programs = offered(&daemon, &["proxyctl", "run", "--client", "o"]);
    assert_eq!(programs, ["opencode", "open-webui", "openai-python", "openai-js"]);
    assert_eq!(offered(&daemon, &["proxyctl", "env", "codex", "--shell", "z"]), ["zsh"]);
    assert_eq!(daemon.calls(), ["list"]);
}

/// What the scripts of zsh and fish ask, which show the words beside each answer.
#[test]
fn zsh_and_fish_are_offered_the_same() {
    for (shell, beside) in [("zsh", ":"), ("fish", "\t")] {
        let daemon = FakeDaemon::start().list(list()).list(list()).keys(vec![client_key()]);
        let asked = |words: &[&str]| {
            let mut command = daemon.command(&["--", "proxyctl"]);
            command.args(words).env("PROXYCTL_COMPLETE", shell).env("_CLAP_IFS", "\n");
            command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
            run(command).stdout.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(asked(&["accounts", "disable", "bu"]), [format!("build{beside}api key, ready")]);
        assert_eq!(asked(&["logs", "--account", "bu"]), [format!("build{beside}api key, ready")]);
        assert_eq!(asked(&["keys", "show", "c"]), [format!("ci{beside}active")]);
        assert_eq!(asked(&["setup", "codex"]), [format!("codex{beside}Codex")]);
    }
}

/// Types into a bash on a terminal of its own: what a person meets, with the word breaks and the quoting of readline.
fn typed(daemon: &FakeDaemon, line: &str) {
    let (mut keyboard, slave) = super::terminal::open();
    let end = || Stdio::from(slave.try_clone().unwrap());
    let mut command = bash(daemon);
    command.args(["--norc", "--noprofile", "-i"]).env("PS1", "ready> ").env("TERM", "dumb");
    command.env("HISTFILE", "/dev/null").stdin(end()).stdout(end()).stderr(end());
    let mut shell = command.spawn().unwrap();
    drop((command, slave));
    let screen = Arc::new(Mutex::new(Vec::new()));
    let reader = std::thread::spawn({
        let (screen, mut source) = (Arc::clone(&screen), keyboard.try_clone().unwrap());
        move || {
            let mut chunk = [0; 1024];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                screen.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        }
    });
    let prompts = |wanted: usize| {
        wait_until("the shell asks for a command", || {
            String::from_utf8_lossy(&screen.lock().unwrap()).matches("ready> ").count() >= wanted
        });
    };
    prompts(1);
    keyboard.write_all(b"source <(proxyctl completions bash)\n").unwrap();
    prompts(2);
    keyboard.write_all(format!("{line}\nexit\n").as_bytes()).unwrap();
    wait_until("the shell ends", || reader.is_finished());
    shell.wait().unwrap();
}

#[test]
fn a_name_is_one_whole_word_wherever_bash_would_break_it() {
    let labelled = |label: &str| Account { label: label.to_owned(), ..account() };
    for (label, begun, name) in [
        ("", "ada", "ada@example.com"),
        ("", "ada@", "ada@example.com"),
        ("", "ada@ex", "ada@example.com"),
        ("build:one", "build:o", "build:one"),
        ("my work", "my", "my work"),
        ("my work", "my\\ w", "my work"),
        ("my work", "\"my w", "my work"),
        ("my work", "'my", "my work"),
        ("$(touch ran)*", "\\$", "$(touch ran)*"),
        ("x;touch ran", "x", "x;touch ran"),
    ] {
        let list = ListAccountsResponse { accounts: vec![labelled(label)], invalid_files: vec![] };
        let daemon = FakeDaemon::start().list(list).account(Ok(account()));
        typed(&daemon, &format!("proxyctl accounts show {begun}\t"));
        assert_eq!(daemon.calls(), ["list", &format!("show {name}")], "{begun}");
        assert!(!daemon.directory().join("ran").exists());
    }
}
