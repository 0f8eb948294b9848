//! opencode: the options of its `anthropic` provider, so that it keeps what it knows of the models. One variable holds
//! the same for one run.

use serde_json::json;

use super::home::Home;
use super::target::{Key, Target};
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup, nothing_more};
use crate::edit::{Format, change};

pub(super) const CLIENT: Client = Client {
    name: "opencode",
    aliases: &[],
    title: "opencode",
    speaks: &[Dialect::Messages],
    commands: &["opencode", "opencode2"],
    environment: variables,
    by_environment: true,
    arguments: None,
    setup: Setup::Files(files),
    then: nothing_more,
};

fn variables(target: &Target) -> Variables {
    let options = json!({ "baseURL": target.base.v1(), "apiKey": target.key.expose() });
    let content = json!({ "provider": { "anthropic": { "options": options } } });
    Variables::of([("OPENCODE_CONFIG_CONTENT", content.to_string())])
}

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let key = match &target.key {
        Key::Unused => target.key.expose().to_owned(),
        // It reads the file itself.
        Key::Client(key) => format!("{{file:{}}}", key.file.display()),
    };
    let mut changes = vec![
        change("provider.anthropic.options.baseURL").set(target.base.v1()),
        change("provider.anthropic.options.apiKey").set(key),
    ];
    if let Some(model) = target.models.first() {
        changes.push(change("model").set(format!("anthropic/{model}")));
    }
    let directory = home.config().join("opencode");
    // Of the two, what this one says wins.
    let path = home.there_or(directory.join("opencode.jsonc"), directory.join("opencode.json"));
    vec![Edit { path, format: Format::Json, changes, secret: false }]
}
