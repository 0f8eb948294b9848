//! `proxyctl run`: the program takes proxyctl's place.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::daemon::{CLIENT_KEY, FakeDaemon, client_key, status};
use super::process::{Live, command, run, write};

const URL: [&str; 3] = ["run", "--url", "http://127.0.0.1:8080"];

/// A program that is found by this name. None is written here: what another test's child still has open for writing cannot
/// be run.
fn program(home: &Path, name: &str, real: &str) {
    symlink(real, home.join(name)).unwrap();
}

const SHELL: &str = "/bin/sh";
const WORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/words.sh");

fn with_url(home: &Path, words: &[&str]) -> Command {
    command(home, [&URL[..], words].concat())
}

#[test]
fn exit_code_arguments_and_streams_are_the_programs_own() {
    let home = TempDir::new().unwrap();
    program(home.path(), "agent", SHELL);
    let script = "echo \"$0 $1|$ANTHROPIC_BASE_URL|$OPENAI_BASE_URL|$OPENAI_API_KEY\"; read line; echo $line >&2; exit 7";
    let mut agent = with_url(home.path(), &["--", "agent", "-c", script, "--json", "a b"]);
    agent.stdin(Stdio::piped());
    let mut live = Live::start(agent);
    live.type_line("typed");
    let done = live.finish();
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (7, "--json a b|http://127.0.0.1:8080|http://127.0.0.1:8080/v1|unused\n", "typed\n")
    );
}

#[test]
fn the_program_is_the_process_that_was_started() {
    let home = TempDir::new().unwrap();
    program(home.path(), "agent", SHELL);
    let script = "trap 'echo stopped; exit 9' TERM; echo \"ready $$\"; while :; do /bin/sleep 0.01; done";
    let mut live = Live::start(with_url(home.path(), &["agent", "-c", script]));
    let ready = live.wait_for_stdout("ready");
    assert_eq!(ready.trim(), format!("ready {}", live.id()));
    live.signal(Signal::SIGTERM);
    let done = live.finish();
    assert_eq!((done.code, done.stdout.ends_with("stopped\n")), (9, true), "{}", done.stdout);
}

#[test]
fn known_programs_get_their_own_variables_and_arguments() {
    const SCRIPT: &str = "echo ${ANTHROPIC_AUTH_TOKEN-none} ${ANTHROPIC_API_KEY-none} ${OPENAI_API_KEY-none}";
    let home = TempDir::new().unwrap();
    program(home.path(), "claude", SHELL);
    program(home.path(), "codex", WORDS);
    program(home.path(), "cn", "/bin/true");
    let mut claude = with_url(home.path(), &["claude", "-c", SCRIPT]);
    claude.env("ANTHROPIC_API_KEY", "own").env("CLAUDE_CODE_USE_VERTEX", "1");
    let done = run(claude);
    assert_eq!(done.stdout, "unused none none\n");
    assert_eq!(
        done.stderr,
        "ANTHROPIC_API_KEY of the environment is not handed on: the daemon's accounts serve this program.\n"
    );
    let done = run(with_url(home.path(), &["--client", "openai-js", "--", "claude", "-c", SCRIPT]));
    assert_eq!(done.stdout, "none none unused\n");
    let done = run(with_url(home.path(), &["codex", "exec", "hi"]));
    assert_eq!(
        done.stdout,
        "-c\nmodel=\"claude-sonnet-5-5\"\n-c\nmodel_provider=\"proxyd-run\"\n-c\nmodel_providers.proxyd-run.name=\"proxyd\"\n\
         -c\nmodel_providers.proxyd-run.base_url=\"http://127.0.0.1:8080/v1\"\n\
         -c\nmodel_providers.proxyd-run.wire_api=\"responses\"\nexec\nhi\n"
    );
    assert!(run(with_url(home.path(), &["cn"])).stderr.contains("`proxyctl setup continue`"));
}

#[test]
fn a_key_of_the_persons_own_is_replaced_and_that_is_said() {
    let home = TempDir::new().unwrap();
    program(home.path(), "agent", SHELL);
    let script = "echo $ANTHROPIC_API_KEY ${ANTHROPIC_AUTH_TOKEN-none} $NO_PROXY";
    let mut agent = with_url(home.path(), &["agent", "-c", script]);
    agent.env("ANTHROPIC_API_KEY", "own").env("ANTHROPIC_AUTH_TOKEN", "own").env("HTTPS_PROXY", "http://p:1");
    let done = run(agent);
    assert_eq!(done.stdout, "unused none 127.0.0.1\n");
    assert_eq!(
        done.stderr,
        "ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN of the environment are not handed on: the daemon's accounts serve this program.\n"
    );
}

#[test]
fn a_client_key_goes_by_the_environment_and_never_by_the_command_line() {
    let daemon = FakeDaemon::start().status(Ok(status())).keys(vec![]).create_key(Ok(client_key()));
    program(daemon.directory(), "codex", WORDS);
    let done = daemon.run(&["run", "--with-key", "codex"]);
    assert!(done.stdout.contains("env_key=\"PROXYD_KEY\""), "{}", done.stdout);
    assert!(done.stdout.ends_with("\na key\n") && !done.stdout.contains(CLIENT_KEY), "{}", done.stdout);
}

#[test]
fn what_is_not_there_or_no_program_ends_as_in_a_shell() {
    let home = TempDir::new().unwrap();
    write(&home.path().join("text"), "no program");
    for (word, code, error) in [
        ("nothing", 127, "error: nothing: there is no such command\n  try: "),
        ("./nothing", 127, "error: ./nothing: there is no such command\n  try: "),
        ("./text", 126, "error: cannot run ./text\ncause: Permission denied"),
        ("/", 126, "error: cannot run /\ncause: Permission denied"),
    ] {
        let done = run(with_url(home.path(), &[word]));
        assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{word}");
        assert!(done.stderr.starts_with(error), "{}", done.stderr);
    }
    let done = run(command(home.path(), ["--json", "run", "--url", "http://x:1", "nothing"]));
    assert!(done.stderr.contains(r#""code":"command_not_found""#), "{}", done.stderr);
    assert_eq!(run(command(home.path(), ["run"])).code, 2);
}

#[test]
fn nothing_is_started_where_no_daemon_runs() {
    let home = TempDir::new().unwrap();
    program(home.path(), "agent", "/bin/echo");
    let mut agent = command(home.path(), ["--socket", "none.sock", "run", "agent", "started"]);
    agent.env("XDG_RUNTIME_DIR", home.path());
    let done = run(agent);
    assert_eq!((done.code, done.stdout.as_str()), (3, ""), "{}", done.stderr);
}
