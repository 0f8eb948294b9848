//! `proxyctl`, the client of `proxyd`: it carries a login between a browser and the daemon, and shows and
//! changes the accounts of the pool over the control socket.
//!
//! It never holds a token or a PKCE verifier, and never prints or logs an authorization code, a login's state
//! (but inside the URL it is part of) or an API key. A new client key is printed to standard output, and logged nowhere; that of
//! `token` is kept in a private file, and handed to the programs that are set up or run with it.

mod browser;
mod callback;
pub mod cli;
mod client;
mod clients;
mod clock;
mod commands;
mod complete;
mod edit;
mod error;
mod exit;
mod facts;
mod holder;
mod interrupt;
pub mod json;
mod kept_key;
mod mistake;
mod output;
mod paste;
mod place;
mod qr;
mod search;
mod secret_file;
mod secret_prompt;
mod spinner;
mod stdin;
mod table;
mod text;
mod version;

use std::ffi::OsString;
use std::sync::Arc;

use clap::FromArgMatches as _;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap_complete::CompleteEnv;

use crate::client::{Host, Remote};
use crate::commands::Context;
use crate::error::Error;
pub use crate::exit::Exit;
use crate::output::Output;

/// The script that makes a shell complete proxyctl.
pub use crate::commands::completion_script;

/// Runs one command line, the program's name first, and says how it ended.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let here = std::env::current_dir().ok();
    let answered = CompleteEnv::with_factory(cli::command)
        .var(complete::VARIABLE)
        .try_complete(args.clone(), here.as_deref());
    // A shell that asks and cannot be answered is best told nothing.
    if answered.unwrap_or(true) {
        return Exit::Ok;
    }
    match parse(&args) {
        Ok(cli) => execute(cli),
        Err(refused) => explain(&refused, &args),
    }
}

fn parse(args: &[OsString]) -> Result<cli::Cli, clap::Error> {
    let mut command = cli::command();
    let mut matches = command.try_get_matches_from_mut(args)?;
    let from_environment = matches.value_source("socket") == Some(ValueSource::EnvVariable);
    let mut cli = cli::Cli::from_arg_matches_mut(&mut matches).map_err(|err| err.format(&mut command))?;
    // This machine's environment says nothing about the sockets of another.
    if from_environment && cli.global.host.as_ref().is_some_and(|host| !host.is_empty()) {
        cli.global.socket = None;
    }
    Ok(cli)
}

/// The other machine the person named. An empty name means this one, so that a script can undo the
/// environment. `dial-stdio` is the other side already.
fn remote(cli: &cli::Cli) -> Result<Option<Arc<Remote>>, Error> {
    let cli::Global { socket, host, json } = &cli.global;
    let Some(named) = host.as_deref().filter(|host| !host.is_empty()) else { return Ok(None) };
    if matches!(cli.command, cli::Command::DialStdio) {
        return Ok(None);
    }
    let host = named.parse::<Host>().map_err(|wrong| Error::Usage {
        what: format!("--host (or PROXYCTL_HOST) does not name another machine: {wrong}"),
        hint: "write it as in ssh://ada@server or ssh://server:2222".to_owned(),
    })?;
    Ok(Some(Arc::new(Remote::new(host, socket.clone(), *json))))
}

fn execute(cli: cli::Cli) -> Exit {
    let mut output = Output::new(cli.global.json);
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })
        .and_then(|runtime| {
            let remote = remote(&cli)?;
            let mut context = Context { output: &mut output, socket: cli.global.socket, remote };
            let result = runtime.block_on(commands::run(cli.command, &mut context));
            // A browser that is still starting is not waited for.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(exit) => exit,
        Err(err) => {
            output.error(&err);
            err.exit()
        }
    }
}

/// What clap says: help and the version on standard output, a mistake on standard error. A mistake is JSON if
/// JSON was asked for, although the command line that asked for it could not be read as a whole.
fn explain(refused: &clap::Error, args: &[OsString]) -> Exit {
    let is_json = args.iter().any(|arg| arg == "--json");
    let err = match refused.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match Output::new(false).data(&refused.render().ansi().to_string()) {
                Ok(()) => return Exit::Ok,
                Err(err) => err,
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !is_json => {
            output::stderr(&refused.render().ansi().to_string());
            return Exit::Usage;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => mistake::nothing_asked(args),
        _ => mistake::error(refused, args),
    };
    Output::new(is_json).error(&err);
    err.exit()
}
