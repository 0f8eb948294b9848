//! What `env`, `setup` and `token` print.

use serde::Serialize;

use super::Key;
use crate::clients;

/// `env` without a name: the programs that can be pointed at the daemon.
#[derive(Debug, Serialize)]
pub struct ClientList {
    pub clients: Vec<KnownClient>,
}

#[derive(Debug, Serialize)]
pub struct KnownClient {
    pub name: &'static str,
    pub title: &'static str,
    /// `messages`, `chat` and `responses`.
    pub speaks: Vec<&'static str>,
    /// Whether variables alone tell it where the daemon is.
    pub env: bool,
    /// Whether `setup` edits a file of its own.
    pub setup: bool,
    /// The commands that `run` knows it by.
    pub commands: Vec<&'static str>,
}

/// `env CLIENT`. With a client key, its variables hold it.
#[derive(Serialize)]
pub struct Environment {
    pub client: &'static str,
    pub url: String,
    pub set: Vec<Variable>,
    /// Variables that would lead the program elsewhere.
    pub unset: Vec<&'static str>,
}

#[derive(Serialize)]
pub struct Variable {
    pub name: &'static str,
    pub value: String,
}

/// `setup`.
#[derive(Debug, Serialize)]
pub struct SetUp {
    pub client: &'static str,
    pub url: String,
    /// Nothing was written because `--dry-run` asked for that.
    pub dry_run: bool,
    pub files: Vec<EditedFile>,
    /// What to put into code or a start script, for a program without a file of its own.
    pub snippet: Option<String>,
    /// What a person must know besides.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct EditedFile {
    pub path: String,
    /// `created`, `changed` or `unchanged`; with `dry_run`, what it would be.
    pub change: &'static str,
    /// Where the file as it was is kept.
    pub backup: Option<String>,
    /// A unified diff, without secrets.
    pub diff: Option<String>,
}

/// `token`: this document holds a key.
#[derive(Serialize)]
pub struct Token {
    pub key: Key,
    /// The key itself.
    pub secret: String,
    /// It was made just now.
    pub made: bool,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("client", &self.client).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("key", &self.key).finish_non_exhaustive()
    }
}

impl ClientList {
    pub(crate) fn of_all() -> Self {
        let known = |client: &&clients::Client| KnownClient {
            name: client.name,
            title: client.title,
            speaks: client.speaks.iter().map(|dialect| dialect.word()).collect(),
            env: client.by_environment,
            setup: matches!(client.setup, clients::Setup::Files(_)),
            commands: client.commands.to_vec(),
        };
        Self { clients: clients::ALL.iter().map(known).collect() }
    }
}
