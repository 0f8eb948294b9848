//! `proxyctl accounts`: its verbs and what they take.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::Provider;

#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// List the accounts, and the files that are not used with the reason
    #[command(after_help = "Examples:
  proxyctl accounts list
  proxyctl accounts list --watch
  proxyctl accounts list --explain --model claude-opus-4-5   who would serve it
  proxyctl accounts list --json | jq -r '.accounts[] | [.id, .state] | @tsv'")]
    List(List),
    /// Show everything about one account
    #[command(after_help = "Examples:
  proxyctl accounts show ada@example.com
  proxyctl accounts show ada@example.com --fresh     ask for its usage now")]
    Show(Show),
    /// Put an API key or a setup token into the pool
    #[command(after_help = "Examples:
  proxyctl accounts add claude --key-file key.txt --label build
  pass show anthropic | proxyctl accounts add claude --key-file -
  proxyctl accounts add claude --setup-token-file t.txt --expires 2027-06-01
  proxyctl accounts add claude --key-file k.txt --base-url https://gw.example

On a terminal, without a file, the API key is asked for and not shown.")]
    Add(Box<Add>),
    /// Change what is set on an account
    #[command(after_help = "Examples:
  proxyctl accounts set build --priority 10 --weight 2
  proxyctl accounts set build --alias best=claude-opus-4-5 --exclude 'claude-3*'
  proxyctl accounts set build --note 'only for small things'
  proxyctl accounts set build --unset alias --unset note

What is not named stays. --alias and --exclude replace the whole list.")]
    Set(Box<Set>),
    /// Give an account a name; an empty one takes it back
    #[command(
        visible_alias = "rename",
        after_help = "Example:\n  proxyctl accounts label ada@example.com work"
    )]
    Label(Label),
    /// Take an account out of use and keep it
    #[command(after_help = "Example:\n  proxyctl accounts disable build")]
    Disable(Named),
    /// Take a disabled account back into use
    #[command(after_help = "Example:\n  proxyctl accounts enable build")]
    Enable(Named),
    /// Refresh an account's token now and say how it went
    #[command(after_help = "Example:\n  proxyctl accounts refresh ada@example.com")]
    Refresh(Named),
    /// Take over the account files of a directory, such as CLIProxyAPI's
    #[command(after_help = "Examples:
  proxyctl accounts import ~/.cli-proxy-api --move
  proxyctl accounts import /srv/accounts --yes

The daemon reads the directory; with --host it is one of the other machine. Two programs that refresh one login log each \
other out: move the files, or stop the other program.")]
    Import(Import),
    /// Write an account's file, tokens included, to a new private file
    #[command(after_help = "Example:\n  proxyctl accounts export build ~/build.json

The daemon writes the file; with --host on the other machine.")]
    Export(Export),
    /// Revoke an account at the provider and delete its file
    #[command(after_help = "Examples:
  proxyctl accounts revoke ada@example.com
  proxyctl accounts revoke 3f2a9c0d71be --yes")]
    Revoke(Revoke),
    /// Delete an account's file here and tell the provider nothing
    #[command(after_help = "Example:\n  proxyctl accounts remove build")]
    Remove(Remove),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The account: its id, label, e-mail address or file, or the unique beginning of one of the first three
    #[arg(value_parser = NonEmptyStringValueParser::new(), add = crate::complete::accounts())]
    pub account: String,
}

#[derive(Debug, Args)]
pub struct List {
    /// Show priority, weight, prefix, proxy, requests in flight, last refresh and file, too
    #[arg(long)]
    pub wide: bool,
    /// Show the list again whenever it changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Tell of each account whether a request would go to it and why, with its quota, cooldowns, attempts and refreshes; of
    /// this moment, so not with --watch
    #[arg(long, conflicts_with_all = ["watch", "wide"])]
    pub explain: bool,
    /// The model that the request of --explain names [default: none]
    #[arg(long, value_name = "MODEL", requires = "explain", value_parser = model)]
    pub model: Option<String>,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    pub named: Named,
    /// Ask the provider for the plan's usage now; without it an answer of up to five minutes ago will do
    #[arg(long)]
    pub fresh: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("credential").args(["key_file", "setup_token_file"]))]
pub struct Add {
    /// Whose credential it is
    pub provider: Provider,
    /// The file that holds the API key on one line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The file that holds a setup token on one line: a long-lived token without a refresh token; `-` reads
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub setup_token_file: Option<PathBuf>,
    /// When the setup token ends, as in 2027-06-01 or 2027-06-01T12:00:00Z [default: a year from now]
    #[arg(long, value_name = "TIME", requires = "setup_token_file", value_parser = end)]
    pub expires: Option<Timestamp>,
    #[command(flatten)]
    pub settings: Settings,
}

/// What a person sets on an account.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// A name for the account
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Accounts of a lower priority serve only when none of a higher one can; -1000 to 1000, 0 unless set
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// The account's share of the requests within its priority; 1 to 100, 1 unless set
    #[arg(long, value_name = "NUMBER")]
    pub weight: Option<u32>,
    /// The percent of each window of its plan that proxyd leaves alone, for other uses; 0 to 99, 0 unless set
    #[arg(long, value_name = "PERCENT")]
    pub reserve: Option<u32>,
    /// Requests for PREFIX/MODEL are served by accounts of this prefix only
    #[arg(long, value_name = "WORD")]
    pub prefix: Option<String>,
    /// The one way out for everything the account sends: http, https, socks5 or socks5h
    #[arg(long, value_name = "URL")]
    pub proxy_url: Option<String>,
    /// The file that holds the proxy's URL, for one with a password; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "proxy_url")]
    pub proxy_url_file: Option<PathBuf>,
    /// Where an API key's requests go: an Anthropic-compatible gateway instead of the provider
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// A name under which the account serves a model; may be given several times
    #[arg(long, value_name = "ALIAS=MODEL", value_parser = alias)]
    pub alias: Vec<(String, String)>,
    /// A model that the account does not serve, `*` for any run of characters; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// A note for people
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

#[derive(Debug, Args)]
pub struct Set {
    #[command(flatten)]
    pub named: Named,
    #[command(flatten)]
    pub settings: Settings,
    /// Take a setting back; may be given several times
    #[arg(long, value_name = "SETTING")]
    pub unset: Vec<Field>,
}

/// A setting that can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Field {
    Label,
    Priority,
    Weight,
    Reserve,
    Prefix,
    ProxyUrl,
    BaseUrl,
    Alias,
    Exclude,
    Note,
}

#[derive(Debug, Args)]
pub struct Label {
    #[command(flatten)]
    pub named: Named,
    /// The name; empty to take it back
    pub name: String,
}

#[derive(Debug, Args)]
pub struct Import {
    /// The directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Delete each file there once its account is saved here
    #[arg(long = "move")]
    pub mv: bool,
    /// Do not ask; needed where standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub named: Named,
    /// The file to write, which must not exist yet
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Do not ask; needed where standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    pub named: Named,
    /// Do not ask; needed where standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Remove {
    #[command(flatten)]
    pub named: Named,
    /// Do not ask; needed where standard input is not a terminal
    #[arg(long, short)]
    pub yes: bool,
}

pub(super) fn model(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("name one model, as in claude-opus-4-5".to_owned());
    }
    Ok(text.to_owned())
}

fn alias(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(alias, model)| (alias.trim(), model.trim())) {
        Some((alias, model)) if !alias.is_empty() && !model.is_empty() => {
            Ok((alias.to_owned(), model.to_owned()))
        }
        _ => Err("write it as ALIAS=MODEL".to_owned()),
    }
}

/// A time, or the beginning of a day in UTC.
pub(super) fn end(text: &str) -> Result<Timestamp, String> {
    let day =
        || text.parse::<Date>().and_then(|day| TimeZone::UTC.to_timestamp(day.to_datetime(Time::midnight())));
    text.parse().or_else(|_| day()).map_err(|_| "write it as 2027-06-01 or 2027-06-01T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_names_both_sides() {
        assert_eq!(alias("best = claude-opus-5"), Ok(("best".to_owned(), "claude-opus-5".to_owned())));
        for bad in ["", "best", "=m", "best=", "best= "] {
            assert!(alias(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_is_a_day_or_a_time() {
        assert_eq!(end("2027-06-01").unwrap().to_string(), "2027-06-01T00:00:00Z");
        assert_eq!(end("2027-06-01T12:00:00+02:00").unwrap().to_string(), "2027-06-01T10:00:00Z");
        for bad in ["", "soon", "2027-13-01"] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
