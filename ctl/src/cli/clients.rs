//! `proxyctl env`, `setup`, `run` and `token`: what they take.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};

use super::keys::{Expiry, expiry};
use super::{Shell, accounts::model};
use crate::clients;
use crate::clients::target::Base;

/// A program by its name, so that a typing error is told with the names there are.
fn client() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(clients::ALL.iter().map(|client| {
        PossibleValue::new(client.name).aliases(client.aliases.iter().copied()).help(client.title)
    }))
}

/// Where programs find the daemon, and what they show for a key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where, and by which key")]
pub struct Reach {
    /// The daemon's HTTP address as the program reaches it, as in http://127.0.0.1:8080 [default: what the daemon tells]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<String>,
    /// Use the client key that `proxyctl token` prints; needed where the program is not yours or not on the daemon's machine
    #[arg(long)]
    pub with_key: bool,
    /// Use the client key in this file, which holds it on one line
    #[arg(long, value_name = "FILE", conflicts_with = "with_key")]
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Env {
    /// The program [default: list the programs]
    #[arg(value_name = "CLIENT", value_parser = client())]
    pub client: Option<String>,
    /// The shell that is to run the lines
    #[arg(long, value_name = "SHELL", default_value = "bash")]
    pub shell: Shell,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Debug, Args)]
pub struct Setup {
    /// The program
    #[arg(value_name = "CLIENT", value_parser = client())]
    pub client: String,
    /// Show what would change and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask; needed where standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,
    /// A model to write into the file; may be given several times where the program lists models, the first is what it
    /// begins with [default: its own, or claude-sonnet-5-5 where it must name one]
    #[arg(long = "model", value_name = "MODEL", value_parser = model)]
    pub models: Vec<String>,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Debug, Args)]
pub struct Run {
    /// What program the command is, where its name does not tell
    #[arg(long, value_name = "CLIENT", value_parser = client())]
    pub client: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, add = crate::complete::commands())]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Token {
    /// What to call the key [default: proxyctl-USER-HOST]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// When a key that is made now ends, as in 2027-06-01, or from now: 12h, 90d; another takes its place then [default: never]
    #[arg(long, value_name = "TIME|DURATION", value_parser = expiry)]
    pub expires: Option<Expiry>,
}

fn url(text: &str) -> Result<String, String> {
    Base::given(text).map(|base| base.root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_its_own_options() {
        let line = ["proxyctl", "run", "--url", "http://x:1", "claude", "-p", "--json", "--", "hi"];
        let matches = super::super::command().try_get_matches_from(line).unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        let words: Vec<_> = matches.get_many::<OsString>("command").unwrap().collect();
        assert_eq!(words, ["claude", "-p", "--json", "--", "hi"]);
        let line = ["proxyctl", "run", "--", "--odd", "-x"];
        let matches = super::super::command().try_get_matches_from(line).unwrap();
        let words: Vec<_> =
            matches.subcommand().unwrap().1.get_many::<OsString>("command").unwrap().collect();
        assert_eq!(words, ["--odd", "-x"]);
    }

    #[test]
    fn a_misspelt_program_is_told_what_is_meant() {
        let err =
            super::super::command().try_get_matches_from(["proxyctl", "env", "claud-code"]).unwrap_err();
        assert!(err.to_string().contains("claude-code"), "{err}");
    }
}
