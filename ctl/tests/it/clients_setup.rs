//! `proxyctl setup`: what it writes, what it keeps, and what it leaves alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::daemon::{CLIENT_KEY, FakeDaemon, client_key, status};
use super::process::{self, Done, command, run};
use super::terminal::on_terminal;

const URL: [&str; 2] = ["--url", "http://127.0.0.1:8080"];

fn setup(home: &Path, words: &[&str]) -> Done {
    run(command(home, [&["setup"], words, &URL].concat()))
}

fn write(home: &Path, name: &str, text: &str) -> PathBuf {
    let path = home.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    process::write(&path, text);
    path
}

/// The copies that are kept beside a file.
fn backups(path: &Path) -> Vec<PathBuf> {
    let name = format!("{}.bak-", path.file_name().unwrap().to_str().unwrap());
    let files = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&name)).collect()
}

/// What each program's file says when it said nothing before.
const NEW: [(&str, &str, &str); 7] = [
    (
        "claude-code",
        ".claude/settings.json",
        "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8080\",\n    \"ANTHROPIC_AUTH_TOKEN\": \"unused\"\n  }\n}\n",
    ),
    (
        "codex",
        ".codex/config.toml",
        "model = \"claude-sonnet-5-5\"\nmodel_provider = \"proxyd\"\n\n[model_providers.proxyd]\nname = \"proxyd\"\n\
         base_url = \"http://127.0.0.1:8080/v1\"\nwire_api = \"responses\"\n",
    ),
    (
        "opencode",
        ".config/opencode/opencode.json",
        "{\n  \"provider\": {\n    \"anthropic\": {\n      \"options\": {\n        \"baseURL\": \"http://127.0.0.1:8080/v1\",\n        \
         \"apiKey\": \"unused\"\n      }\n    }\n  }\n}\n",
    ),
    (
        "aider",
        ".aider.conf.yml",
        "model: anthropic/claude-sonnet-5-5\nanthropic-api-key: unused\nopenai-api-base: http://127.0.0.1:8080/v1\n\
         openai-api-key: unused\nset-env:\n  - \"ANTHROPIC_API_BASE=http://127.0.0.1:8080\"\n",
    ),
    (
        "zed",
        ".config/zed/settings.json",
        "{\n  \"language_models\": {\n    \"anthropic\": {\n      \"api_url\": \"http://127.0.0.1:8080\"\n    }\n  }\n}\n",
    ),
    (
        "continue",
        ".continue/config.yaml",
        "name: Local Config\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: \"claude-sonnet-5-5 (proxyd)\"\n    provider: anthropic\n    \
         model: claude-sonnet-5-5\n    apiBase: \"http://127.0.0.1:8080/v1/\"\n    apiKey: unused\n",
    ),
    (
        "llm",
        ".config/io.datasette.llm/extra-openai-models.yaml",
        "- model_id: proxyd/claude-sonnet-5-5\n  model_name: claude-sonnet-5-5\n  api_base: \"http://127.0.0.1:8080/v1\"\n  \
         supports_tools: true\n  supports_schema: true\n  vision: true\n",
    ),
];

#[test]
fn each_programs_file_is_made_private_and_not_changed_again() {
    let home = TempDir::new().unwrap();
    for (client, name, text) in NEW {
        let path = home.path().join(name);
        let done = setup(home.path(), &[client, "--yes"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{client}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(
            done.stdout.starts_with(&format!("--- /dev/null\n+++ {}\n", path.display())),
            "{}",
            done.stdout
        );
        assert!(done.stdout.ends_with(&format!("Made {}.\n", path.display())), "{}", done.stdout);
        // Nothing is asked where there is nothing to do.
        let done = setup(home.path(), &[client]);
        assert_eq!(
            (done.code, done.stdout, done.stderr.as_str()),
            (0, format!("{} says all of it already: nothing to change.\n", path.display()), "")
        );
        assert!(backups(&path).is_empty());
    }
}

/// Files that people wrote, and what must stay of them.
const WRITTEN: [(&str, &str, &str, &[&str]); 6] = [
    (
        "claude-code",
        ".claude/settings.json",
        "{\n  // mine\n  \"permissions\": { \"allow\": [\"Bash(ls:*)\"] },\n  \"env\": {\n    \"ANTHROPIC_API_KEY\": \"sk-ant-api03-FAKE-own\",\n    \"A\": \"b\"\n  }\n}\n",
        &["// mine\n  \"permissions\": { \"allow\": [\"Bash(ls:*)\"] },", "\"A\": \"b\""],
    ),
    (
        "codex",
        ".codex/config.toml",
        "# mine\nmodel = \"gpt-5\" # was\napproval_policy = \"never\"\n\n[mcp_servers.x] # tools\ncommand = \"y\"\n",
        &["# mine\nmodel = \"claude-sonnet-5-5\" # was\n", "\n[mcp_servers.x] # tools\ncommand = \"y\"\n"],
    ),
    (
        "opencode",
        ".config/opencode/opencode.jsonc",
        "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  // mine\n  \"provider\": { \"openai\": {} },\n}\n",
        &["// mine\n", "\"openai\": {}"],
    ),
    (
        "aider",
        ".aider.conf.yml",
        "# mine\nmodel: sonnet # short\nset-env:\n  - A=b\ndark-mode: true\n",
        &["# mine\nmodel: sonnet # short\nset-env:\n  - A=b\n  - ANTHROPIC_API_BASE=", "dark-mode: true\n"],
    ),
    (
        "zed",
        ".config/zed/settings.json",
        "// Zed settings\n{\n  \"vim_mode\": true, // yes\n  \"language_models\": {\n    \"ollama\": {},\n  },\n}\n",
        &["// Zed settings\n", "\"vim_mode\": true, // yes\n", "\"ollama\": {},"],
    ),
    (
        "continue",
        ".continue/config.yaml",
        "name: Mine\nversion: 0.0.1\nschema: v1\nmodels:\n  # local\n  - name: small\n    provider: ollama\n    model: x # tiny\nrules: []\n",
        &["name: Mine\nversion: 0.0.1\n", "  # local\n  - name: small\n", "model: x # tiny\n", "rules: []\n"],
    ),
];

#[test]
fn what_else_stands_in_a_file_stays_and_the_file_as_it_was_is_kept() {
    for (client, name, text, stays) in WRITTEN {
        let home = TempDir::new().unwrap();
        let path = write(home.path(), name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let dry = setup(home.path(), &[client, "--dry-run"]);
        assert_eq!((dry.code, fs::read_to_string(&path).unwrap().as_str()), (0, text), "{}", dry.stderr);
        assert!(dry.stderr.starts_with("Nothing was written: --dry-run.\n"), "{}", dry.stderr);
        let done = setup(home.path(), &[client, "--yes"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.starts_with(&dry.stdout), "{}\n{}", dry.stdout, done.stdout);
        assert!(!done.stdout.contains("FAKE"), "{}", done.stdout);
        let now = fs::read_to_string(&path).unwrap();
        for words in stays {
            assert!(now.contains(words), "{words:?} is not in\n{now}");
        }
        assert!(now.contains("127.0.0.1:8080"), "{now}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
        let kept = backups(&path);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), text);
        assert!(done.stdout.contains(&format!("As it was: {}", kept[0].display())), "{}", done.stdout);
        assert!(setup(home.path(), &[client]).stdout.ends_with("nothing to change.\n"));
    }
}

#[test]
fn a_copy_is_never_written_over() {
    let home = TempDir::new().unwrap();
    let path = write(home.path(), ".codex/config.toml", "a = 1\n");
    for (port, number) in [("1", 1), ("2", 2), ("3", 3)] {
        let url = format!("http://127.0.0.1:{port}");
        let done = run(command(home.path(), ["setup", "codex", "--yes", "--url", &url]));
        assert_eq!((done.code, backups(&path).len()), (0, number));
    }
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let home = TempDir::new().unwrap();
    let real = write(home.path(), "dotfiles/codex.toml", "# mine\n");
    fs::create_dir(home.path().join(".codex")).unwrap();
    let link = home.path().join(".codex/config.toml");
    symlink("../dotfiles/codex.toml", &link).unwrap();
    assert_eq!(setup(home.path(), &["codex", "--yes"]).code, 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().starts_with("# mine\n"));
    assert_eq!(backups(&real).len(), 1);
    fs::remove_file(&real).unwrap();
    let done = setup(home.path(), &["codex", "--yes"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("is a link to a file that does not exist"), "{}", done.stderr);
}

#[test]
fn a_file_that_cannot_be_read_is_left_alone() {
    for (client, name, text, told) in [
        ("claude-code", ".claude/settings.json", "{\n  \"env\": {,}\n}\n", "cause: line 2, column 11: "),
        ("codex", ".codex/config.toml", "a = 1\nb = = 2\n", "cause: line 2, column 5: "),
        ("aider", ".aider.conf.yml", "a: b: c\n", "cause: line 1, column 5: "),
        (
            "continue",
            ".continue/config.yaml",
            "models: 1\n",
            "cause: models is not a list\n  try: write into it by hand: ",
        ),
        (
            "llm",
            ".config/io.datasette.llm/extra-openai-models.yaml",
            "a: b\n",
            "cause: the file as a whole is not a list\n",
        ),
    ] {
        let home = TempDir::new().unwrap();
        let path = write(home.path(), name, text);
        let done = setup(home.path(), &[client, "--yes"]);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{client}");
        let what = format!("error: {} is left as it is\n{told}", path.display());
        assert!(done.stderr.starts_with(&what), "{}", done.stderr);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), backups(&path).len()), (text, 0));
    }
}

#[test]
fn without_a_terminal_it_needs_a_yes_and_on_one_it_asks() {
    let home = TempDir::new().unwrap();
    let path = home.path().join(".codex/config.toml");
    let done = setup(home.path(), &["codex"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.ends_with("\n  try: proxyctl setup codex --yes\n"), "{}", done.stderr);
    assert!(!path.exists());
    for (typed, code) in [("n\n", 1), ("y\n", 0)] {
        let (mut live, mut keyboard) =
            on_terminal(command(home.path(), [&["setup", "codex"][..], &URL].concat()));
        live.wait_for_stdout("wire_api");
        keyboard.write_all(typed.as_bytes()).unwrap();
        let done = live.finish();
        assert_eq!((done.code, path.exists()), (code, code == 0), "{}", done.stderr);
        assert!(done.stderr.starts_with(&format!("Write {}? [y/N] ", path.display())), "{}", done.stderr);
    }
}

#[test]
fn a_copy_that_cannot_be_kept_whole_is_not_kept_and_nothing_is_written() {
    let home = TempDir::new().unwrap();
    let text = format!("# {}\n", "x".repeat(8192));
    let path = write(home.path(), ".codex/config.toml", &text);
    // No file can grow so large here, as on a full disk; the unit is 512 or 1024 bytes.
    let mut limited = Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_proxyctl");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh", program, "setup", "codex", "--yes"]);
    limited.args(URL).env_clear().env("HOME", home.path()).stdin(Stdio::null());
    let done = run(limited);
    let told = format!("error: cannot keep a copy of {}\n", path.display());
    assert!(done.code == 1 && done.stderr.starts_with(&told), "{} {}", done.code, done.stderr);
    assert_eq!((backups(&path), fs::read_to_string(&path).unwrap()), (vec![], text));
}

#[test]
fn a_client_key_is_had_by_a_helper_wherever_a_program_takes_one() {
    let daemon = FakeDaemon::start();
    let key = daemon.directory().join("ci.key");
    process::write(&key, "word-FAKE\n");
    let home = TempDir::new().unwrap();
    let path = key.to_str().unwrap();
    for (client, name, says) in [
        ("claude-code", ".claude/settings.json", format!("\"apiKeyHelper\": \"cat {path}\"")),
        ("codex", ".codex/config.toml", format!("auth]\ncommand = \"cat\"\nargs = [\"{path}\"]")),
        ("opencode", ".config/opencode/opencode.json", format!("\"apiKey\": \"{{file:{path}}}\"")),
        ("aider", ".aider.conf.yml", "anthropic-api-key: word-FAKE\n".to_owned()),
        ("continue", ".continue/config.yaml", "apiKey: word-FAKE\n".to_owned()),
        ("llm", ".config/io.datasette.llm/keys.json", "\"proxyd\": \"word-FAKE\"".to_owned()),
        ("zed", ".config/zed/settings.json", "api_url".to_owned()),
    ] {
        let done = setup(home.path(), &[client, "--yes", "--key-file", path]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let text = fs::read_to_string(home.path().join(name)).unwrap();
        assert!(text.contains(&says), "{says} is not in\n{text}");
        let holds = matches!(client, "aider" | "continue" | "llm");
        assert_eq!(text.contains("word-FAKE"), holds, "{text}");
        assert!(!done.stdout.contains("word-FAKE") && !done.stderr.contains("word-FAKE"), "{}", done.stdout);
        // And back again, so that no helper is left that nobody needs.
        assert_eq!(setup(home.path(), &[client, "--yes"]).code, 0);
        let text = fs::read_to_string(home.path().join(name)).unwrap();
        assert!(client == "claude-code" || client == "llm" || !text.contains(path), "{text}");
    }
}

#[test]
fn the_kept_key_is_had_by_proxyctl_itself() {
    let daemon = FakeDaemon::start().status(Ok(status())).keys(vec![]).create_key(Ok(client_key()));
    let done = daemon.run(&["setup", "claude-code", "--with-key", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = fs::read_to_string(daemon.directory().join(".claude/settings.json")).unwrap();
    let socket = daemon.socket();
    let helper = format!("{} --socket {} token", env!("CARGO_BIN_EXE_proxyctl"), socket.display());
    assert!(text.contains(&format!("\"apiKeyHelper\": \"{helper}\"")), "{text}");
    assert!(!text.contains("ANTHROPIC_AUTH_TOKEN") && !text.contains(CLIENT_KEY), "{text}");
    assert!(!done.stdout.contains(CLIENT_KEY), "{}", done.stdout);
}

#[test]
fn a_look_at_what_would_be_done_makes_no_key() {
    for client in ["claude-code", "aider"] {
        // A call that is not scripted fails the test.
        let daemon = FakeDaemon::start().status(Ok(status()));
        let done = daemon.run(&["setup", client, "--with-key", "--dry-run"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains("token") || done.stdout.contains("****"), "{}", done.stdout);
        assert!(!daemon.directory().join(".local/state/proxyctl").exists());
    }
}

#[test]
fn no_key_is_written_where_others_may_read_it() {
    let home = TempDir::new().unwrap();
    let key = write(home.path(), "ci.key", "word-FAKE\n");
    let path = write(home.path(), ".aider.conf.yml", "a: b\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["aider", "--yes", "--key-file", key.to_str().unwrap()];
    let done = setup(home.path(), &words);
    assert_eq!((done.code, fs::read_to_string(&path).unwrap().as_str()), (2, "a: b\n"));
    assert!(done.stderr.contains(&format!("\n  try: `chmod 600 {}`", path.display())), "{}", done.stderr);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(setup(home.path(), &words).code, 0);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn models_that_are_named_are_written() {
    let home = TempDir::new().unwrap();
    write(home.path(), ".codex/config.toml", "model = \"claude-opus-5-5\"\n");
    let text = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!(setup(home.path(), &["codex", "--yes"]).code, 0);
    assert!(text(".codex/config.toml").starts_with("model = \"claude-opus-5-5\"\n"));
    let two = ["--yes", "--model", "claude-a", "--model", "claude-b"];
    for client in ["codex", "continue", "llm", "claude-code", "opencode"] {
        assert_eq!(setup(home.path(), &[&[client][..], &two].concat()).code, 0);
    }
    assert!(text(".codex/config.toml").starts_with("model = \"claude-a\"\n"));
    assert!(text(".continue/config.yaml").contains("model: claude-b\n"));
    assert!(
        text(".config/io.datasette.llm/extra-openai-models.yaml").contains("model_id: proxyd/claude-b\n")
    );
    assert!(text(".claude/settings.json").contains("\"model\": \"claude-a\""));
    assert!(text(".config/opencode/opencode.json").contains("\"model\": \"anthropic/claude-a\""));
}

#[test]
fn programs_without_a_file_get_what_to_write() {
    let home = TempDir::new().unwrap();
    for (client, words) in [
        ("open-webui", "export OPENAI_API_BASE_URL=http://127.0.0.1:8080/v1\n"),
        (
            "langchain",
            "ChatAnthropic(model=\"claude-sonnet-5-5\", base_url=\"http://127.0.0.1:8080\", api_key=\"unused\")\n",
        ),
        ("anthropic-python", "anthropic.Anthropic(base_url=\"http://127.0.0.1:8080\", api_key=\"unused\")\n"),
        ("anthropic-js", "new Anthropic({ baseURL: \"http://127.0.0.1:8080\", apiKey: \"unused\" });\n"),
        ("openai-python", "openai.OpenAI(base_url=\"http://127.0.0.1:8080/v1\", api_key=\"unused\")\n"),
        ("openai-js", "new OpenAI({ baseURL: \"http://127.0.0.1:8080/v1\", apiKey: \"unused\" });\n"),
    ] {
        let done = setup(home.path(), &[client]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains(words), "{}", done.stdout);
        assert!(done.stderr.contains("has no file of its own to edit"), "{}", done.stderr);
    }
}

#[test]
fn a_document_tells_what_was_done() {
    let home = TempDir::new().unwrap();
    let path = write(home.path(), ".codex/config.toml", "a = 1\n");
    let done = setup(home.path(), &["codex", "--json", "--yes"]);
    let told = done.json();
    assert_eq!((told["client"].as_str(), told["dry_run"].as_bool()), (Some("codex"), Some(false)));
    let file = &told["files"][0];
    assert_eq!((file["path"].as_str(), file["change"].as_str()), (path.to_str(), Some("changed")));
    assert_eq!(file["backup"].as_str(), backups(&path)[0].to_str());
    assert!(file["diff"].as_str().unwrap().contains("+model_provider = \"proxyd\"\n"), "{told}");
    let file = &setup(home.path(), &["codex", "--json"]).json()["files"][0];
    assert_eq!(
        file.to_string(),
        format!(r#"{{"path":"{}","change":"unchanged","backup":null,"diff":null}}"#, path.display())
    );
    let told = setup(home.path(), &["langchain", "--json"]).json();
    assert!(told["snippet"].as_str().unwrap().starts_with("# Python\n"), "{told}");
}
