//! The command line, apart from `main` so that the man page can be made from it.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Flags;

/// Examples come first: most people stop reading there. What clap calls "before help" comes last.
const TEMPLATE: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}\n\n{before-help}";

const EXAMPLES: &str = "Examples:
  proxyd                                   serve http://127.0.0.1:8080
  proxyd check-config                      every mistake of the configuration
  proxyd print-config                      each value, and where it comes from
  proxyd --listen 127.0.0.1:9090 --log-level debug";

const NOTES: &str = "\
Without a configuration proxyd serves http://127.0.0.1:8080 and keeps accounts in ~/.local/state/proxyd/auth.
Log an account in with `proxyctl login claude`.

Exit status:
   0  stopped as asked
   1  cannot start
   2  wrong usage
  78  the configuration, or a socket that systemd hands over, is not valid";

/// Owns Claude credentials, keeps them fresh, and serves them to local programs over one HTTP endpoint.
#[derive(Debug, Parser)]
#[command(name = "proxyd", version, about, after_help = EXAMPLES, before_help = NOTES, help_template = TEMPLATE)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Read this configuration file, and config.d/*.toml beside it
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Keep the accounts in this directory
    #[arg(long, value_name = "DIR", global = true)]
    auth_dir: Option<PathBuf>,
    /// Serve HTTP on this address, ip:port or unix:/path; may be given several times
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Vec<String>,
    /// Serve the control plane on this unix socket
    #[arg(long, value_name = "PATH", global = true)]
    control_socket: Option<PathBuf>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,
    /// auto, text, json or journal
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<String>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Check the configuration, report every mistake, and exit
    CheckConfig,
    /// Print each value of the configuration with its origin, and exit
    PrintConfig,
}

impl Cli {
    /// Reads the arguments of this process; exits with a message where they are wrong.
    pub fn of_process() -> Self {
        Self::parse()
    }

    pub fn flags(&self) -> Flags {
        let Options { config, auth_dir, listen, control_socket, log_level, log_format } = &self.options;
        Flags {
            config: config.clone(),
            auth_dir: auth_dir.clone(),
            listen: listen.clone(),
            control_socket: control_socket.clone(),
            log_level: log_level.clone(),
            log_format: log_format.clone(),
        }
    }
}

/// The command line as data, for the man page.
pub fn command() -> clap::Command {
    Cli::command()
}
