//! Zed: the address of its `anthropic` provider. It keeps keys in the keychain, or takes one from its environment.

use super::home::Home;
use super::target::{Key, Target, UNUSED};
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup};
use crate::edit::{Format, change};

pub(super) const CLIENT: Client = Client {
    name: "zed",
    aliases: &[],
    title: "Zed",
    speaks: &[Dialect::Messages],
    commands: &["zed", "zeditor"],
    // Where the address is says its file alone.
    environment: |target| Variables::of([("ANTHROPIC_API_KEY", target.key.expose().to_owned())]),
    by_environment: false,
    arguments: None,
    setup: Setup::Files(files),
    then,
};

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let mut changes = vec![change("language_models.anthropic.api_url").set(target.base.root())];
    if let Some(model) = target.models.first() {
        changes.push(change("agent.default_model.provider").set("anthropic"));
        changes.push(change("agent.default_model.model").set(model.as_str()));
    }
    let path = home.config().join("zed/settings.json");
    vec![Edit { path, format: Format::Json, changes, secret: false }]
}

fn then(target: &Target) -> Vec<String> {
    let key = match target.key {
        Key::Unused => format!("the word {UNUSED}"),
        Key::Client(_) => "what `proxyctl token` prints".to_owned(),
    };
    vec![format!(
        "Zed keeps keys in the keychain, not in this file: in its agent settings, give {key} as Anthropic's API key, once."
    )]
}
