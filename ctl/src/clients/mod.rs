//! The programs that proxyctl knows how to point at the daemon: one row a program, one file a row. A row says what the program
//! speaks, which variables it reads and what its own configuration file must say. Pure: nothing here reads a file or the
//! environment.

mod aider;
mod claude_code;
mod codex;
mod continue_dev;
pub(crate) mod home;
mod langchain;
mod llm;
mod open_webui;
mod opencode;
mod sdks;
pub(crate) mod shell;
pub(crate) mod target;
pub(crate) mod variables;
mod zed;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use self::home::Home;
use self::target::Target;
use self::variables::Variables;
use crate::edit::{Change, Format};

/// The model that is written where a program must name one and nobody has.
pub(crate) const MODEL: &str = "claude-sonnet-5-5";

/// An API that the daemon serves, as its maker calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Messages,
    Chat,
    Responses,
}

impl Dialect {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }
}

/// One program.
#[derive(Debug)]
pub(crate) struct Client {
    /// As it is typed.
    pub(crate) name: &'static str,
    /// Other ways to type it.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) title: &'static str,
    pub(crate) speaks: &'static [Dialect],
    /// The file names of its commands.
    pub(crate) commands: &'static [&'static str],
    pub(crate) environment: fn(&Target) -> Variables,
    /// Whether the variables alone tell it where the daemon is.
    pub(crate) by_environment: bool,
    /// What follows the command's name, for one run, where they do not.
    pub(crate) arguments: Option<fn(&Target) -> Vec<String>>,
    pub(crate) setup: Setup,
    /// What a person must know besides, once it is set up.
    pub(crate) then: fn(&Target) -> Vec<String>,
}

/// How it is set up for good.
#[derive(Debug)]
pub(crate) enum Setup {
    /// By its own files.
    Files(fn(&Home, &Target) -> Vec<Edit>),
    /// It has no file of its own: by a person's code or start script.
    Snippet(fn(&Target) -> String),
}

/// One file to change.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) changes: Vec<Change>,
    /// A client key stands in it afterwards.
    pub(crate) secret: bool,
}

/// Every program, in the order of the list.
pub(crate) const ALL: &[&Client] = &[
    &claude_code::CLIENT,
    &codex::CLIENT,
    &opencode::CLIENT,
    &aider::CLIENT,
    &zed::CLIENT,
    &continue_dev::CLIENT,
    &open_webui::CLIENT,
    &langchain::CLIENT,
    &llm::CLIENT,
    &sdks::ANTHROPIC_PYTHON,
    &sdks::ANTHROPIC_JS,
    &sdks::OPENAI_PYTHON,
    &sdks::OPENAI_JS,
];

/// The program of this name.
pub(crate) fn named(name: &str) -> Option<&'static Client> {
    ALL.iter().find(|client| client.name == name || client.aliases.contains(&name)).copied()
}

/// The program that a command starts, by its file name.
pub(crate) fn started_by(command: &OsStr) -> Option<&'static Client> {
    let name = Path::new(command).file_name()?.to_str()?;
    ALL.iter().find(|client| client.commands.contains(&name)).copied()
}

fn nothing_more(_: &Target) -> Vec<String> {
    vec![]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_command_means_one_program() {
        let mut names: Vec<_> =
            ALL.iter().flat_map(|client| [&[client.name], client.aliases].concat()).collect();
        let mut commands: Vec<_> = ALL.iter().flat_map(|client| client.commands).collect();
        let (many, more) = (names.len(), commands.len());
        names.sort_unstable();
        names.dedup();
        commands.sort_unstable();
        commands.dedup();
        assert_eq!((names.len(), commands.len()), (many, more));
    }

    #[test]
    fn a_command_is_known_by_its_file_name() {
        let name = |command: &str| started_by(OsStr::new(command)).map(|client| client.name);
        assert_eq!(name("/usr/local/bin/claude"), Some("claude-code"));
        assert_eq!(name("codex"), Some("codex"));
        assert_eq!(name("python3"), None);
        assert_eq!(name("/"), None);
    }
}
