//! `proxyctl env`: lines that a shell runs as they are.

use std::process::Command;

use proxy_proto::v1::GetStatusResponse;

use super::daemon::{CLIENT_KEY, FakeDaemon, client_key, status};
use super::process::{Done, command, run, write};

const URL: &str = "http://127.0.0.1:8080";

fn env(client: &str, more: &[&str]) -> Done {
    let home = tempfile::TempDir::new().unwrap();
    run(command(home.path(), [&["env", client, "--url", URL][..], more].concat()))
}

#[test]
fn each_program_gets_the_variables_that_it_reads() {
    const EVERY: &str = "unset ANTHROPIC_AUTH_TOKEN\n\
        export ANTHROPIC_BASE_URL=http://127.0.0.1:8080\nexport ANTHROPIC_API_URL=http://127.0.0.1:8080\n\
        export ANTHROPIC_API_BASE=http://127.0.0.1:8080\nexport ANTHROPIC_API_KEY=unused\n\
        export OPENAI_BASE_URL=http://127.0.0.1:8080/v1\nexport OPENAI_API_BASE=http://127.0.0.1:8080/v1\n\
        export OPENAI_API_KEY=unused\n";
    const ANTHROPIC: &str = "unset ANTHROPIC_AUTH_TOKEN\nexport ANTHROPIC_BASE_URL=http://127.0.0.1:8080\n\
        export ANTHROPIC_API_KEY=unused\n";
    const OPENAI: &str = "export OPENAI_BASE_URL=http://127.0.0.1:8080/v1\nexport OPENAI_API_KEY=unused\n";
    for (client, lines) in [
        (
            "claude-code",
            "unset ANTHROPIC_API_KEY\nunset CLAUDE_CODE_USE_BEDROCK\nunset CLAUDE_CODE_USE_VERTEX\n\
             unset CLAUDE_CODE_USE_FOUNDRY\nexport ANTHROPIC_BASE_URL=http://127.0.0.1:8080\n\
             export ANTHROPIC_AUTH_TOKEN=unused\n",
        ),
        (
            "opencode",
            "export OPENCODE_CONFIG_CONTENT='{\"provider\":{\"anthropic\":{\"options\":\
             {\"baseURL\":\"http://127.0.0.1:8080/v1\",\"apiKey\":\"unused\"}}}}'\n",
        ),
        (
            "aider",
            "export ANTHROPIC_API_BASE=http://127.0.0.1:8080\nexport ANTHROPIC_API_KEY=unused\n\
             export OPENAI_API_BASE=http://127.0.0.1:8080/v1\nexport OPENAI_API_KEY=unused\n",
        ),
        (
            "open-webui",
            "unset OPENAI_API_BASE_URLS\nunset OPENAI_API_KEYS\n\
             export OPENAI_API_BASE_URL=http://127.0.0.1:8080/v1\nexport OPENAI_API_KEY=unused\n\
             export ENABLE_OPENAI_API=true\n",
        ),
        ("langchain", EVERY),
        ("llm", EVERY),
        ("anthropic-python", ANTHROPIC),
        ("anthropic-js", ANTHROPIC),
        ("openai-python", OPENAI),
        ("openai-js", OPENAI),
    ] {
        let done = env(client, &[]);
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, lines, ""), "{client}");
    }
    for client in ["codex", "zed", "continue"] {
        let done = env(client, &[]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{client}");
        assert!(done.stderr.contains(&format!("\n  try: `proxyctl setup {client}`")), "{}", done.stderr);
    }
}

#[test]
fn a_shell_runs_the_lines_as_they_are() {
    let script = format!(
        "ANTHROPIC_API_KEY=own; eval \"$({} env claude-code --url http://[::1]:8080/v1)\"; \
         echo \"$ANTHROPIC_BASE_URL $ANTHROPIC_AUTH_TOKEN ${{ANTHROPIC_API_KEY-none}}\"",
        env!("CARGO_BIN_EXE_proxyctl")
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "http://[::1]:8080 unused none\n");
    let done = env("openai-js", &["--shell", "fish"]);
    assert_eq!(
        done.stdout,
        "set -gx OPENAI_BASE_URL http://127.0.0.1:8080/v1\nset -gx OPENAI_API_KEY unused\n"
    );
}

#[test]
fn the_daemon_says_where_it_is() {
    let listens = |listen: &[&str]| {
        let http_listen = listen.iter().map(|listen| (*listen).to_owned()).collect();
        FakeDaemon::start().status(Ok(GetStatusResponse { http_listen, ..status() }))
    };
    let daemon = listens(&["unix:/run/proxyd/http.sock", "192.0.2.7:80", "[::1]:8787"]);
    let done = daemon.run(&["env", "openai-js"]);
    assert!(done.stdout.starts_with("export OPENAI_BASE_URL='http://[::1]:8787/v1'\n"), "{}", done.stdout);
    let done = listens(&["unix:/run/proxyd/http.sock"]).run(&["env", "openai-js"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(
        done.stderr.starts_with(
            "error: programs cannot be pointed at a socket file, and the daemon serves \
             unix:/run/proxyd/http.sock alone\n  try: add an address to http.listen"
        ),
        "{}",
        done.stderr
    );
    let home = tempfile::TempDir::new().unwrap();
    let mut nobody = command(home.path(), ["env", "openai-js"]);
    nobody.env("XDG_RUNTIME_DIR", home.path());
    assert_eq!(run(nobody).code, 3);
}

#[test]
fn a_client_key_comes_from_its_file_or_is_made() {
    let daemon = FakeDaemon::start().status(Ok(status())).keys(vec![]).create_key(Ok(client_key()));
    let done = daemon.run(&["env", "openai-js", "--with-key"]);
    assert!(done.stdout.ends_with(&format!("export OPENAI_API_KEY={CLIENT_KEY}\n")), "{}", done.stdout);
    let file = daemon.directory().join("ci.key");
    write(&file, "word-FAKE\n");
    let done = env("openai-js", &["--key-file", file.to_str().unwrap()]);
    assert!(done.stdout.ends_with("export OPENAI_API_KEY=word-FAKE\n"), "{}", done.stdout);
    assert_eq!(env("openai-js", &["--key-file", "-"]).code, 2);
    assert_eq!(env("openai-js", &["--key-file", "/nowhere"]).code, 2);
}

#[test]
fn the_programs_are_listed_and_documents_are_json() {
    let home = tempfile::TempDir::new().unwrap();
    let done = run(command(home.path(), ["env"]));
    assert!(done.stdout.starts_with("CLIENT            PROGRAM"), "{}", done.stdout);
    assert!(done.stdout.lines().all(|line| line.len() <= 80), "{}", done.stdout);
    let list = run(command(home.path(), ["env", "--json"])).json();
    let codex = &list["clients"][1];
    assert_eq!(
        codex.to_string(),
        r#"{"name":"codex","title":"Codex","speaks":["responses"],"env":false,"setup":true,"commands":["codex"]}"#
    );
    let done = env("claude-code", &["--json"]);
    assert_eq!(
        done.stdout,
        concat!(
            r#"{"schema_version":1,"client":"claude-code","url":"http://127.0.0.1:8080","#,
            r#""set":[{"name":"ANTHROPIC_BASE_URL","value":"http://127.0.0.1:8080"},{"name":"ANTHROPIC_AUTH_TOKEN","value":"unused"}],"#,
            r#""unset":["ANTHROPIC_API_KEY","CLAUDE_CODE_USE_BEDROCK","CLAUDE_CODE_USE_VERTEX","CLAUDE_CODE_USE_FOUNDRY"]}"#,
            "\n"
        )
    );
}

#[test]
fn what_is_misspelt_is_told_what_was_meant() {
    let done = env("claud-code", &[]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("a similar value exists: 'claude-code'"), "{}", done.stderr);
    let home = tempfile::TempDir::new().unwrap();
    let done = run(command(home.path(), ["env", "llm", "--url", "127.0.0.1:8080"]));
    assert!(
        done.code == 2 && done.stderr.contains("write it as in http://127.0.0.1:8080"),
        "{}",
        done.stderr
    );
}
