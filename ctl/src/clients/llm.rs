//! llm: entries in its list of OpenAI-compatible models, with its own store for a key. Its plugin for Claude reads Anthropic's
//! variables.

use serde_json::{Map, Value, json};

use super::home::Home;
use super::target::Target;
use super::variables::Variables;
use super::{Client, Dialect, Edit, Setup};
use crate::edit::{Format, change};

pub(super) const CLIENT: Client = Client {
    name: "llm",
    aliases: &[],
    title: "llm",
    speaks: &[Dialect::Chat],
    commands: &["llm"],
    environment: Variables::of_every_dialect,
    by_environment: true,
    arguments: None,
    setup: Setup::Files(files),
    then: |target| vec![format!("Ask it: llm -m {} 'Hello!'", id(target.model()))],
};

/// Not the model's own name, which a plugin may have taken.
fn id(model: &str) -> String {
    format!("proxyd/{model}")
}

fn files(home: &Home, target: &Target) -> Vec<Edit> {
    let directory = home.directory("LLM_USER_PATH", "");
    let directory =
        if directory == home.path("") { home.config().join("io.datasette.llm") } else { directory };
    let items = target.models().into_iter().map(|model| change("").item("model_id", item(target, model)));
    let mut edits = vec![Edit {
        path: directory.join("extra-openai-models.yaml"),
        format: Format::Yaml,
        changes: items.collect(),
        secret: false,
    }];
    if target.key.is_secret() {
        let changes = vec![change("proxyd").set(target.key.expose())];
        edits.push(Edit { path: directory.join("keys.json"), format: Format::Json, changes, secret: true });
    }
    edits
}

fn item(target: &Target, model: &str) -> Map<String, Value> {
    let mut item = Map::new();
    item.insert("model_id".to_owned(), id(model).into());
    item.insert("model_name".to_owned(), model.into());
    item.insert("api_base".to_owned(), target.base.v1().into());
    if target.key.is_secret() {
        // In its own store of keys. With an address and no name it sends none of the person's.
        item.insert("api_key_name".to_owned(), json!("proxyd"));
    }
    for able in ["supports_tools", "supports_schema", "vision"] {
        item.insert(able.to_owned(), true.into());
    }
    item
}
