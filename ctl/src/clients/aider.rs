//! aider: its YAML file, or the variables of the library below it (LiteLLM).

use serde_json::Value;

use super::home::Home;
use super::target::Target;
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup, nothing_more};
use crate::edit::{Format, change};

pub(super) const CLIENT: Client = Client {
    name: "aider",
    aliases: &[],
    title: "aider",
    speaks: &[Dialect::Messages, Dialect::Chat],
    commands: &["aider"],
    environment: variables,
    by_environment: true,
    arguments: None,
    setup: Setup::Files(files),
    then: nothing_more,
};

/// How the library below it calls the address of Anthropic's API.
const ADDRESS: &str = "ANTHROPIC_API_BASE=";

fn variables(target: &Target) -> Variables {
    Variables::of([
        ("ANTHROPIC_API_BASE", target.base.root()),
        ("ANTHROPIC_API_KEY", target.key.expose().to_owned()),
        ("OPENAI_API_BASE", target.base.v1()),
        ("OPENAI_API_KEY", target.key.expose().to_owned()),
    ])
}

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let model = format!("anthropic/{}", target.model());
    let at = change("model");
    let changes = vec![
        if target.models.is_empty() { at.unless(is_served, model) } else { at.set(model) },
        change("anthropic-api-key").set(target.key.expose()),
        change("openai-api-base").set(target.base.v1()),
        change("openai-api-key").set(target.key.expose()),
        change("set-env").word(ADDRESS, format!("{ADDRESS}{}", target.base.root())),
    ];
    let path = home.path(".aider.conf.yml");
    vec![Edit { path, format: Format::Yaml, changes, secret: target.key.is_secret() }]
}

/// By name, or by one of the short names that it knows.
fn is_served(model: &Value) -> bool {
    let short = ["sonnet", "haiku", "opus"];
    model.as_str().is_some_and(|model| model.contains("claude") || short.contains(&model))
}
