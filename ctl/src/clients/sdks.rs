//! The packages of Anthropic and OpenAI, for Python and JavaScript: both read the same variables.

use super::target::Target;
use super::variables::Variables;
use super::{Client, Dialect, Setup, nothing_more};

pub(super) const ANTHROPIC_PYTHON: Client = Client {
    name: "anthropic-python",
    title: "Anthropic SDK for Python",
    setup: Setup::Snippet(|target| {
        let (root, key) = (target.base.root(), key(target));
        format!("client = anthropic.Anthropic(base_url=\"{root}\", api_key=\"{key}\")\n")
    }),
    ..ANTHROPIC
};

pub(super) const ANTHROPIC_JS: Client = Client {
    name: "anthropic-js",
    title: "Anthropic SDK for JavaScript",
    setup: Setup::Snippet(|target| {
        let (root, key) = (target.base.root(), key(target));
        format!("const client = new Anthropic({{ baseURL: \"{root}\", apiKey: \"{key}\" }});\n")
    }),
    ..ANTHROPIC
};

pub(super) const OPENAI_PYTHON: Client = Client {
    name: "openai-python",
    title: "OpenAI SDK for Python",
    setup: Setup::Snippet(|target| {
        let (v1, key) = (target.base.v1(), key(target));
        format!("client = openai.OpenAI(base_url=\"{v1}\", api_key=\"{key}\")\n")
    }),
    ..OPENAI
};

pub(super) const OPENAI_JS: Client = Client {
    name: "openai-js",
    title: "OpenAI SDK for JavaScript",
    setup: Setup::Snippet(|target| {
        let (v1, key) = (target.base.v1(), key(target));
        format!("const client = new OpenAI({{ baseURL: \"{v1}\", apiKey: \"{key}\" }});\n")
    }),
    ..OPENAI
};

const ANTHROPIC: Client = Client {
    name: "",
    aliases: &[],
    title: "",
    speaks: &[Dialect::Messages],
    commands: &[],
    environment: |target| {
        Variables::of([
            ("ANTHROPIC_BASE_URL", target.base.root()),
            ("ANTHROPIC_API_KEY", target.key.expose().to_owned()),
        ])
        // Beside a key it is sent as well.
        .without(["ANTHROPIC_AUTH_TOKEN"])
    },
    by_environment: true,
    arguments: None,
    setup: Setup::Snippet(|_| String::new()),
    then: nothing_more,
};

const OPENAI: Client = Client {
    speaks: &[Dialect::Chat, Dialect::Responses],
    environment: |target| {
        Variables::of([
            ("OPENAI_BASE_URL", target.base.v1()),
            ("OPENAI_API_KEY", target.key.expose().to_owned()),
        ])
    },
    ..ANTHROPIC
};

/// No secret is shown where it would be copied into code.
fn key(target: &Target) -> &str {
    if target.key.is_secret() { "KEY" } else { target.key.expose() }
}
