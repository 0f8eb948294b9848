//! LangChain, for Python and JavaScript: variables, or the arguments of its models.

use super::target::Target;
use super::variables::Variables;
use super::{Client, Dialect, Setup, nothing_more};

pub(super) const CLIENT: Client = Client {
    name: "langchain",
    aliases: &[],
    title: "LangChain",
    speaks: &[Dialect::Messages, Dialect::Chat],
    commands: &[],
    environment: Variables::of_every_dialect,
    by_environment: true,
    arguments: None,
    setup: Setup::Snippet(snippet),
    then: nothing_more,
};

fn snippet(target: &Target) -> String {
    let (root, v1, model) = (target.base.root(), target.base.v1(), target.model());
    let key = if target.key.is_secret() { "KEY" } else { target.key.expose() };
    format!(
        "# Python
ChatAnthropic(model=\"{model}\", base_url=\"{root}\", api_key=\"{key}\")
ChatOpenAI(model=\"{model}\", base_url=\"{v1}\", api_key=\"{key}\")

// JavaScript
new ChatAnthropic({{ model: \"{model}\", anthropicApiUrl: \"{root}\", apiKey: \"{key}\" }})
new ChatOpenAI({{ model: \"{model}\", configuration: {{ baseURL: \"{v1}\" }}, apiKey: \"{key}\" }})
"
    )
}
