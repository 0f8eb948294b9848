//! Every key of the table, changed at once: each is in use then, or says why it waits for a restart.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use proxy_proto::v1::{ConfigurationEffect, ReloadResponse};
use proxy_tests::fake_claude::FakeClaude;
use proxyd::config::{AtReload, KEYS};

use super::{daemon, effects};

/// A value of each key that it has by no default, as TOML.
fn other(key: &str) -> &'static str {
    match key {
        "http.listen" => r#"["127.0.0.1:0", "127.0.0.1:0"]"#,
        "http.auth" => r#""key""#,
        "http.users" => r#"["0"]"#,
        "http.groups" => r#"["root"]"#,
        "http.hosts" => r#"["other.example"]"#,
        "http.origins" => r#"["http://localhost:3000"]"#,
        "http.passthrough" | "upstream.proxy_from_environment" | "config.watch" | "translation.strict" => {
            "true"
        }
        "auth.seal" | "pool.affinity" | "responses.store" | "translation.prompt_cache" => "false",
        "pool.strategy" => r#""fill-first""#,
        "log.level" => r#""warn""#,
        "log.format" => r#""text""#,
        "metrics.listen" => r#"["127.0.0.1:0"]"#,
        "control.socket" | "auth.dir" => r#""/nonexistent/other""#,
        "control.group" => r#""root""#,
        "control.group_rights" => r#""all""#,
        "claude.oauth.client_id" => r#""other""#,
        "claude.oauth.scopes" => r#"["other"]"#,
        "upstream.proxy_url" | "otlp.endpoint" => r#""http://127.0.0.1:1""#,
        "upstream.ca_file" => r#""/nonexistent/ca.pem""#,
        "sandbox.landlock" => r#""off""#,
        "claude.oauth.callback_port" | "http.max_connections" | "http.max_requests" | "http.max_waiting" => {
            "77"
        }
        "http.max_body_memory_mib" | "pool.queue" | "pool.warn_percent" | "responses.max_mib" => "78",
        _ if key.starts_with("claude.") => r#""https://other.example/x""#,
        _ => r#""77s""#,
    }
}

#[tokio::test]
async fn each_is_in_use_or_says_why_it_waits_for_a_restart() {
    let fake = FakeClaude::start().await;
    let (certificate, _) = super::http::certificate();
    let files = tempfile::tempdir().unwrap();
    let private = |name: &str, text: &str| {
        let path = files.path().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        format!("{:?}", path.display().to_string())
    };
    let beaten = |key: &str| {
        // Without the feature nothing but its default is valid.
        (key == "otlp.endpoint" && !cfg!(feature = "otlp")) ||
        // By a flag or a variable of the test's own.
        matches!(key, "http.listen" | "auth.dir" | "control.socket")
            || fake.proxyd_environment().iter().any(|(name, _)| {
                name.strip_prefix("PROXYD_").is_some_and(|name| name.to_lowercase().replace("__", ".") == key)
            })
    };
    let mut file = String::new();
    for key in KEYS.iter().filter(|key| !beaten(key.path)) {
        let value = match key.path {
            "http.tls_cert" => format!("{:?}", certificate.cert.display().to_string()),
            "http.tls_key" => format!("{:?}", certificate.key.display().to_string()),
            "otlp.headers_file" => private("headers", "x-fake: fake"),
            "auth.seal_key_file" => private("key", &"0123456789abcdef".repeat(4)),
            "auth.old_seal_key_file" => private("old-key", &"fedcba9876543210".repeat(4)),
            path => other(path).to_owned(),
        };
        writeln!(file, "{} = {value}", key.path).unwrap();
    }
    let daemon = daemon(&fake, "").await;
    daemon.configure(&file);
    let ReloadResponse { changes, mistakes } = daemon.reload().await;
    assert_eq!(mistakes, Vec::<String>::new(), "{file}");
    let expected: Vec<_> = KEYS
        .iter()
        .filter(|key| !beaten(key.path))
        .map(|key| match key.at_reload() {
            AtReload::Applied(_) => (key.path, ConfigurationEffect::Applied, ""),
            AtReload::Restart(why) => (key.path, ConfigurationEffect::NeedsRestart, why),
        })
        .collect();
    assert_eq!(effects(&changes), expected);
    for (key, in_use) in KEYS.iter().zip(daemon.configuration().await) {
        let is_new = changes.iter().any(|change| change.key == key.path && change.after == in_use.value);
        let is_applied = matches!(key.at_reload(), AtReload::Applied(_));
        assert_eq!(in_use.reloads, is_applied, "{}", key.path);
        assert_eq!(is_new, is_applied && !beaten(key.path), "{}: {}", key.path, in_use.value);
    }
}
