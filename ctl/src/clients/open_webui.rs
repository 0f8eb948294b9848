//! Open WebUI: the environment of its server, which it reads at its first start; later its own settings count.

use super::target::{Key, Target};
use super::variables::Variables;
use super::{Client, Dialect, Setup, shell};
use crate::cli::Shell;

pub(super) const CLIENT: Client = Client {
    name: "open-webui",
    aliases: &[],
    title: "Open WebUI",
    speaks: &[Dialect::Chat],
    commands: &["open-webui"],
    environment: variables,
    by_environment: true,
    arguments: None,
    setup: Setup::Snippet(snippet),
    then,
};

fn variables(target: &Target) -> Variables {
    Variables::of([
        ("OPENAI_API_BASE_URL", target.base.v1()),
        ("OPENAI_API_KEY", target.key.expose().to_owned()),
        ("ENABLE_OPENAI_API", "true".to_owned()),
    ])
    // The lists win over the one.
    .without(["OPENAI_API_BASE_URLS", "OPENAI_API_KEYS"])
}

/// For the script that starts it. A key is asked for where it is needed and stands nowhere.
fn snippet(target: &Target) -> String {
    let Key::Client(key) = &target.key else { return shell::lines(&variables(target), Shell::Bash) };
    let mut variables = variables(target);
    variables.set.retain(|(name, _)| !Variables::is_credential(name));
    let helper: Vec<_> = key.helper.iter().map(|word| shell::quoted(word)).collect();
    let lines = shell::lines(&variables, Shell::Bash);
    format!("{lines}export OPENAI_API_KEY=\"$({})\"\n", helper.join(" "))
}

fn then(target: &Target) -> Vec<String> {
    let mut notes = vec![format!(
        "It reads them at its first start only. After that: Admin Settings, Connections, OpenAI API: {}",
        target.base.v1()
    )];
    if target.base.is_loopback() {
        notes.push(
            "In a container, the daemon must listen on an address that the container reaches, and asks for a client key: \
             give --url and --with-key."
                .to_owned(),
        );
    }
    notes
}
