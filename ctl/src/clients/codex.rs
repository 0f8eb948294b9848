//! Codex: a provider of its own in `config.toml`, over Responses, the one API it speaks. No variable says where that is; for one
//! run the same goes onto its command line.

use serde_json::Value;

use super::home::Home;
use super::target::{Key, Target};
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup};
use crate::edit::{Format, any, change};

pub(super) const CLIENT: Client = Client {
    name: "codex",
    aliases: &[],
    title: "Codex",
    speaks: &[Dialect::Responses],
    commands: &["codex"],
    environment: variables,
    by_environment: false,
    arguments: Some(arguments),
    setup: Setup::Files(files),
    then: |_| {
        vec![
            "Running sessions keep what they began with: start codex anew.".to_owned(),
            "A profile that names another model_provider keeps it: start codex without that one.".to_owned(),
        ]
    },
};

/// The variable that holds the key for one run: a command line can be read by everybody.
const KEY: &str = "PROXYD_KEY";

/// Another name than that of the file's provider, with which it would be mixed.
fn arguments(target: &Target) -> Vec<String> {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut settings = vec![
        format!("model={}", quoted(target.model())),
        "model_provider=\"proxyd-run\"".to_owned(),
        "model_providers.proxyd-run.name=\"proxyd\"".to_owned(),
        format!("model_providers.proxyd-run.base_url={}", quoted(&target.base.v1())),
        "model_providers.proxyd-run.wire_api=\"responses\"".to_owned(),
    ];
    if target.key.is_secret() {
        settings.push(format!("model_providers.proxyd-run.env_key=\"{KEY}\""));
    }
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// What one run needs beside its arguments.
fn variables(target: &Target) -> Variables {
    match &target.key {
        Key::Unused => Variables::default(),
        Key::Client(_) => Variables::of([(KEY, target.key.expose().to_owned())]),
    }
}

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let model = change("model");
    let mut changes = vec![
        if target.models.is_empty() {
            model.unless(is_served, target.model())
        } else {
            model.set(target.model())
        },
        change("model_provider").set("proxyd"),
        change("model_providers.proxyd.name").set("proxyd"),
        change("model_providers.proxyd.base_url").set(target.base.v1()),
        change("model_providers.proxyd.wire_api").set("responses"),
    ];
    match &target.key {
        Key::Unused => changes.push(change("model_providers.proxyd.auth").remove(any)),
        Key::Client(key) => {
            let (command, rest) =
                key.helper.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            // It refuses a provider with two ways to a key.
            changes.push(change("model_providers.proxyd.env_key").remove(any));
            changes.push(change("model_providers.proxyd.experimental_bearer_token").remove(any));
            changes.push(change("model_providers.proxyd.auth.command").set(command));
            changes.push(change("model_providers.proxyd.auth.args").set(rest.to_vec()));
        }
    }
    let path = home.directory("CODEX_HOME", ".codex").join("config.toml");
    vec![Edit { path, format: Format::Toml, changes, secret: false }]
}

/// The daemon serves no other.
fn is_served(model: &Value) -> bool {
    model.as_str().is_some_and(|model| model.contains("claude"))
}
