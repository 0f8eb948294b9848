//! Continue: one entry in the list of models in its `config.yaml`. No variable says where that is.

use serde_json::{Map, Value, json};

use super::home::Home;
use super::target::Target;
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup, nothing_more};
use crate::edit::{Format, any, change};

pub(super) const CLIENT: Client = Client {
    name: "continue",
    aliases: &[],
    title: "Continue",
    speaks: &[Dialect::Messages],
    commands: &["cn"],
    environment: |_| Variables::default(),
    by_environment: false,
    arguments: None,
    setup: Setup::Files(files),
    then: nothing_more,
};

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let mut changes = vec![
        // Without these three it reads no file.
        change("name").unless(any, "Local Config"),
        change("version").unless(any, "1.0.0"),
        change("schema").unless(any, "v1"),
    ];
    changes
        .extend(target.models().into_iter().map(|model| change("models").item("name", item(target, model))));
    let path = home.directory("CONTINUE_GLOBAL_DIR", ".continue").join("config.yaml");
    vec![Edit { path, format: Format::Yaml, changes, secret: target.key.is_secret() }]
}

fn item(target: &Target, model: &str) -> Map<String, Value> {
    let item = json!({
        "name": format!("{model} (proxyd)"),
        "provider": "anthropic",
        "model": model,
        // What is asked for is put in place of what follows the last slash.
        "apiBase": format!("{}/", target.base.v1()),
        "apiKey": target.key.expose(),
    });
    match item {
        Value::Object(item) => item,
        _ => Map::new(),
    }
}
