//! Claude Code: variables, or the same in the `env` of its settings, which win over the shell's. A helper prints its key.

use serde_json::Value;

use super::home::Home;
use super::target::{Key, Target};
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup, shell};
use crate::edit::{Format, any, change};

pub(super) const CLIENT: Client = Client {
    name: "claude-code",
    aliases: &["claude"],
    title: "Claude Code",
    speaks: &[Dialect::Messages],
    commands: &["claude"],
    environment: variables,
    by_environment: true,
    arguments: None,
    setup: Setup::Files(files),
    then: |_| vec!["Running sessions keep what they began with: start claude anew.".to_owned()],
};

/// Each of these sends it to another place, whatever the rest says.
const ELSEWHERE: [&str; 3] = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

fn variables(target: &Target) -> Variables {
    Variables::of([
        ("ANTHROPIC_BASE_URL", target.base.root()),
        ("ANTHROPIC_AUTH_TOKEN", target.key.expose().to_owned()),
    ])
    // Beside the token it warns of two credentials.
    .without(["ANTHROPIC_API_KEY"])
    .without(ELSEWHERE)
}

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let mut changes = vec![
        change("env.ANTHROPIC_BASE_URL").set(target.base.root()),
        change("env.ANTHROPIC_API_KEY").remove(any),
    ];
    match &target.key {
        Key::Unused => {
            changes.push(change("env.ANTHROPIC_AUTH_TOKEN").set(target.key.expose()));
            changes.push(change("apiKeyHelper").remove(is_ours));
        }
        Key::Client(key) => {
            let helper: Vec<_> = key.helper.iter().map(|word| shell::quoted(word)).collect();
            // Either of the two would be taken instead of the helper's.
            changes.push(change("env.ANTHROPIC_AUTH_TOKEN").remove(any));
            changes.push(change("apiKeyHelper").set(helper.join(" ")));
        }
    }
    changes.extend([
        change("env.CLAUDE_CODE_USE_BEDROCK").remove(any),
        change("env.CLAUDE_CODE_USE_VERTEX").remove(any),
        change("env.CLAUDE_CODE_USE_FOUNDRY").remove(any),
    ]);
    if let Some(model) = target.models.first() {
        changes.push(change("model").set(model.as_str()));
    }
    let path = home.directory("CLAUDE_CONFIG_DIR", ".claude").join("settings.json");
    vec![Edit { path, format: Format::Json, changes, secret: false }]
}

/// A helper that an earlier setup has written.
fn is_ours(helper: &Value) -> bool {
    helper.as_str().is_some_and(|helper| helper.contains("proxyctl"))
}
