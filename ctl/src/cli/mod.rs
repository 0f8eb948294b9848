//! The command line: what may be typed and what `--help`, the man pages and the completions say about it.

mod accounts;
mod clients;
mod keys;
mod logs;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

pub use self::accounts::{
    Accounts, Add, Export, Field, Import, Label, List, Named, Remove, Revoke, Set, Settings, Show,
};
pub use self::clients::{Env, Reach, Run, Setup, Token};
pub use self::keys::{Create, Expiry, Keys, NamedKey, RevokeKey};
pub use self::logs::{Level, Logs};

/// The longest time a login may take, and what it takes unless told otherwise. The daemon forgets it then.
pub const LOGIN_LIMIT: Duration = Duration::from_mins(5);

/// Examples come first: most people stop reading there. What clap calls "before help" comes last.
const TEMPLATE: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}\n\n{before-help}";

/// The whole command line, as the parser, the man pages and the completions see it.
pub fn command() -> clap::Command {
    with_template(Cli::command())
}

fn with_template(command: clap::Command) -> clap::Command {
    command.help_template(TEMPLATE).mut_subcommands(with_template)
}

/// Client of proxyd: logs accounts in, lists, revokes and explains them
#[derive(Debug, Parser)]
#[command(
    name = "proxyctl",
    version,
    disable_help_subcommand = true,
    after_help = "Examples:
  proxyctl login claude             log an account in with the browser
  proxyctl accounts list            show the pool
  proxyctl status                   is all well, and what to do if not
  proxyctl doctor                   what is wrong, and what mends it
  proxyctl setup codex              point a program at the daemon
  proxyctl run -- claude            run one that is
  proxyctl top                      accounts, requests and events, live
  proxyctl accounts list --explain  who would serve a request, and why
  proxyctl explain REQUEST_ID       who served a request, and why
  proxyctl accounts list --json     a list for programs
  proxyctl --host ssh://ada@server login claude
                                    the browser here, the account on the server",
    before_help = "Exit codes:
    0  done
    1  failed
    2  wrong usage
    3  the daemon does not run
    4  a login is needed: no account is usable
    5  no such account, key or request
    6  not permitted
    7  doctor: there are warnings
    8  doctor: something does not work
   13  the callback port is in use
   14  timed out
   15  authentication failed
   16  the account or key could not be saved
   78  the configuration has mistakes
  126  run: the command cannot be run
  127  run: there is no such command
  130  interrupted"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The daemon's control socket [default: the one of this user's daemon, else the system's]
    #[arg(long, global = true, value_name = "PATH", env = "PROXYD_CONTROL__SOCKET", hide_env_values = true)]
    pub socket: Option<PathBuf>,
    /// Use the daemon of another machine through ssh: ssh://[user@]server[:port]. --socket names its socket
    /// there
    #[arg(long, global = true, value_name = "URL", env = "PROXYCTL_HOST", hide_env_values = true)]
    pub host: Option<String>,
    /// Print JSON for programs, one document (of a login: one event) a line
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log an account in with the browser
    #[command(after_help = "Examples:
  proxyctl login claude
  proxyctl login claude --no-browser     open the URL anywhere, paste the code
  proxyctl login claude --paste --qr     no port: scan the URL, copy the code
  proxyctl login claude --label work --priority 10
  proxyctl login claude --callback-port 54545")]
    Login(Login),
    /// Show the accounts of the pool and change them
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  proxyctl accounts list
  proxyctl accounts show ada@example.com
  proxyctl accounts add claude --key-file key.txt --label build
  proxyctl accounts disable build

ACCOUNT is an account's id, label, e-mail address or file, or the unique beginning of one of the first three."
    )]
    Accounts {
        #[command(subcommand)]
        command: Accounts,
    },
    /// Make, list and revoke the keys by which others than the daemon's own user are served
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  proxyctl keys create ci --expires 90d --rpm 60
  proxyctl keys list
  proxyctl keys revoke ci"
    )]
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// Print the variables that point a program at the daemon, or list the programs
    #[command(after_help = "Examples:
  proxyctl env                              the programs there are
  eval \"$(proxyctl env claude-code)\"       for this shell
  proxyctl env claude-code --shell fish | source
  proxyctl env openai-python --with-key     with a client key of your own")]
    Env(Env),
    /// Point a program at the daemon for good: edit its own configuration file
    #[command(after_help = "Examples:
  proxyctl setup codex --dry-run            show what would change
  proxyctl setup codex
  proxyctl setup claude-code --with-key     a helper prints the key
  proxyctl setup continue --model claude-sonnet-5-5 --model claude-haiku-5-5

Comments and order stay, and the file as it was is kept beside it (NAME.bak-TIME).")]
    Setup(Setup),
    /// Run a program that is pointed at the daemon
    #[command(after_help = "Examples:
  proxyctl run -- claude
  proxyctl run -- python3 script.py
  proxyctl run --client anthropic-python -- ./agent

The program takes this one's place: its signals, terminal and exit code are its own. 127: there is no such command; \
126: it cannot be run.")]
    Run(Run),
    /// Print a client key and nothing else, for programs that ask a command for their key
    #[command(after_help = "Examples:
  proxyctl token
  curl -H \"x-api-key: $(proxyctl token)\" http://127.0.0.1:8080/v1/models
  proxyctl --host ssh://ada@server token --expires 30d

The key is made once and kept in a private file; one that was revoked or has ended is made anew.")]
    Token(Token),
    /// Show whether the daemon is well, and what to do if not
    #[command(after_help = "Examples:
  proxyctl status
  proxyctl status --json

Ends with 0 if requests can be served and with 4 if no account is usable.")]
    Status,
    /// Look for everything that could be wrong, here and in the daemon, and say what mends it
    #[command(after_help = "Examples:
  proxyctl doctor
  proxyctl doctor --json | jq '.findings[] | select(.severity == \"problem\")'

It looks at the control socket, the versions, the configuration that is in use and its files, the auth directory, \
the limits of the system, the way to the provider, its clock and certificates, every account, the HTTP addresses, \
and this shell's environment. The provider's hosts are asked once each, without a credential. Nothing is changed.

Ends with 0 if nothing is wrong, with 7 if there are warnings, and with 8 if something does not work.")]
    Doctor,
    /// Tell what became of one recent request: which accounts it went to, why, and how each attempt ended
    #[command(after_help = "Examples:
  proxyctl explain px_0198c3f2a1b47d6e8f900a1b2c3d4e5f
  proxyctl explain px_0198c3f2a1b47d6e8f900a1b2c3d4e5f --json | jq .attempts

The id stands in the header x-proxyd-request-id of every answer. The daemon remembers the last \
requests since it was started, and nothing of what they asked or were answered.")]
    Explain(Explain),
    /// Show how accounts are chosen, or choose another way until the daemon starts again
    #[command(after_help = "Examples:
  proxyctl strategy                 which one it is
  proxyctl strategy round-robin     until the daemon starts again

To keep one, set pool.strategy in proxyd's configuration.")]
    Strategy {
        /// How to choose from now on [default: show how it is done now]
        strategy: Option<Strategy>,
    },
    /// Have the daemon read its configuration anew, and show what came of it
    #[command(after_help = "Examples:
  proxyctl reload
  proxyctl reload --json | jq -r '.changes[] | [.effect, .key] | @tsv'

A configuration with mistakes changes nothing: all of them are printed, and it ends with 78. It \
ends with 1 if a change could not be had.")]
    Reload,
    /// Show the configuration that is in use, and where each value comes from
    #[command(after_help = "Examples:
  proxyctl config
  proxyctl config | grep -v '# default'       what is set
  proxyctl config --json | jq '.keys[] | select(.reloads | not) | .key'

`proxyd print-config` shows what the next start would use.")]
    Config,
    /// Print what happens to the accounts, as it happens, until Ctrl-C
    #[command(after_help = "Examples:
  proxyctl events
  proxyctl events --json | jq -r 'select(.event == \"needs_login\") | .name'")]
    Events,
    /// Print what the daemon logged, and with --follow what it logs from now on
    #[command(after_help = "Examples:
  proxyctl logs -f                                  as it happens, until Ctrl-C
  proxyctl logs --request px_0198c3f2a1b47d6e8f900a1b2c3d4e5f
  proxyctl logs -f --account work --level warn
  proxyctl logs -n 500 --json | jq 'select(.fields.status == \"429\")'

The daemon holds its last lines in memory, whatever became of them elsewhere. What it logs at all is \
said by proxyctl log-level.")]
    Logs(Logs),
    /// Show how much the daemon logs, or change it for now
    #[command(after_help = "Examples:
  proxyctl log-level                which one it is
  proxyctl log-level debug          until the next start, or another log.level

To keep one, set log.level in proxyd's configuration.")]
    LogLevel {
        /// How much to log from now on [default: show how much it is now]
        level: Option<Level>,
    },
    /// Show accounts, requests and events on a live screen
    #[command(after_help = "Examples:
  proxyctl top
  proxyctl top --interval 5s
  proxyctl --host ssh://ada@server top
  proxyctl top --json | jq -c '.running[] | [.model, .account_name, .phase]'

Keys: arrows or j and k choose an account; d disables it, e enables it, r refreshes it; Tab goes to \
the next pane; ? shows the rest; q ends it. It is plain without colour (NO_COLOR) and in ASCII where \
the locale is not UTF-8.")]
    Top(Top),
    /// Print the completions of a shell
    #[command(after_help = "Examples:
  source <(proxyctl completions bash)         now; in ~/.bashrc for good
  proxyctl completions zsh > ~/.zfunc/_proxyctl
  proxyctl completions fish > ~/.config/fish/completions/proxyctl.fish")]
    Completions {
        /// The shell that is to complete proxyctl
        shell: Shell,
    },
    /// Join standard input and output to the control socket: what --host runs on the other machine
    #[command(after_help = "Example:
  ssh ada@server proxyctl dial-stdio     what --host ssh://ada@server runs")]
    DialStdio,
}

/// Who issues the accounts. There is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    Claude,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The request's id: the header x-proxyd-request-id of its answer
    #[arg(value_name = "REQUEST_ID", value_parser = request_id)]
    pub request_id: String,
}

#[derive(Debug, Args)]
pub struct Top {
    /// How often the requests are looked at, from 100ms to 1m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
}

/// How an account is chosen among those of the highest priority that are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// More to the accounts with more quota left for the time until it begins anew
    Quota,
    /// As much to each account
    RoundRobin,
    /// By the weights that are set on the accounts
    Weighted,
    /// One account after the other
    FillFirst,
}

#[derive(Debug, Args)]
pub struct Login {
    /// Who to log in to
    pub provider: Provider,
    /// Open no browser: print the URL and accept the pasted answer
    #[arg(long)]
    pub no_browser: bool,
    /// The loopback port that receives the browser's answer [default: the daemon's, or the next that is
    /// free]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub callback_port: Option<u16>,
    /// Let the provider's own page show the code, to be pasted here: no port needs to be reachable
    #[arg(long, conflicts_with = "callback_port")]
    pub paste: bool,
    /// Draw the URL as a QR code, for the camera of a phone
    #[arg(long)]
    pub qr: bool,
    /// A name for the account [default: the one it has]
    #[arg(long, value_parser = label)]
    pub label: Option<String>,
    /// Its priority, from -1000 to 1000: lower ones serve only when no higher one can [default: the one it has]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    pub priority: Option<i32>,
    /// How long to wait for the answer, as in 90s or 2m; five minutes at most
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = login_limit)]
    pub timeout: Duration,
}

/// What a header may hold as an id, whatever its form.
fn request_id(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.is_empty() || text.len() > 100 || !text.chars().all(fits) {
        return Err("take it from the header x-proxyd-request-id of the answer, as in px_0198c3f2".to_owned());
    }
    Ok(text.to_owned())
}

/// As the daemon takes it.
fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.contains(char::is_control) {
        return Err("it must be one line of 1 to 100 characters".to_owned());
    }
    Ok(text.to_owned())
}

fn login_limit(text: &str) -> Result<Duration, String> {
    let limit: SignedDuration = text.parse().map_err(|_| "write it as in 90s, 2m or 1m30s".to_owned())?;
    match Duration::try_from(limit) {
        Ok(limit) if limit > LOGIN_LIMIT => Err("a login lasts five minutes at most".to_owned()),
        Ok(limit) if limit.is_zero() => Err("a login needs some time".to_owned()),
        Ok(limit) => Ok(limit),
        Err(_) => Err("a login cannot end before it begins".to_owned()),
    }
}

/// As the daemon takes it.
fn interval(text: &str) -> Result<Duration, String> {
    let length: SignedDuration = text.parse().map_err(|_| "write it as in 500ms, 2s or 1m".to_owned())?;
    let fits = |length: &Duration| (Duration::from_millis(100)..=Duration::from_mins(1)).contains(length);
    Duration::try_from(length).ok().filter(fits).ok_or_else(|| "it must be from 100ms to 1m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_login_may_last_up_to_five_minutes() {
        for (text, seconds) in [("5m", 300), ("90s", 90), ("1m30s", 90), ("2 minutes", 120), ("PT10S", 10)] {
            assert_eq!(login_limit(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "301s", "0s", "-1m", "1h", "soon"] {
            assert!(login_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_requests_are_looked_at_as_often_as_the_daemon_lets() {
        for (text, millis) in [("100ms", 100), ("1s", 1000), ("1m", 60_000)] {
            assert_eq!(interval(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "1", "0s", "99ms", "61s", "-1s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_command_shows_examples_that_fit_a_terminal_before_its_usage() {
        fn check(command: &mut clap::Command) {
            *command = command.clone().term_width(1000);
            let help = command.render_long_help().to_string();
            let example = help.find("Example").unwrap_or_else(|| panic!("no example:\n{help}"));
            let usage = help.find("Usage:").unwrap();
            assert!(example < usage, "{help}");
            // One that is broken cannot be read, nor copied.
            let examples = help[example..usage].lines().filter(|line| line.starts_with("  "));
            let wide: Vec<_> = examples.filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "wider than a terminal: {wide:?}");
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = command();
        command.build();
        check(&mut command);
    }
}
