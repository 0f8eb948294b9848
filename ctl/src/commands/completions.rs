//! `proxyctl completions`: what a shell runs to complete proxyctl. The shell then asks proxyctl itself, so that the names of the
//! running daemon's accounts are completed, too. Needs no daemon.

use clap_complete::env::{EnvCompleter, Fish, Zsh};

use super::Context;
use crate::cli::Shell;
use crate::complete::VARIABLE;
use crate::error::Error;
use crate::exit::Exit;

/// For bash there is a script of our own: clap's does not complete words that hold `@` or `:`, as e-mail addresses and
/// labels do, and puts names with white space, or with what a shell would run, into the command line as they are.
const BASH: &str = include_str!("../complete/bash.sh");

pub(super) fn run(shell: Shell, context: &mut Context<'_>) -> Result<Exit, Error> {
    context.output.data(&script(shell))?;
    Ok(Exit::Ok)
}

/// The script of a shell, for a `proxyctl` that is found by its name.
pub fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => BASH.replace("@VARIABLE@", VARIABLE),
        Shell::Zsh => registration(&Zsh),
        Shell::Fish => registration(&Fish),
    }
}

fn registration(completer: &dyn EnvCompleter) -> String {
    let mut script = Vec::new();
    let written = completer.write_registration(VARIABLE, "proxyctl", "proxyctl", "proxyctl", &mut script);
    // Memory takes everything.
    written.map_or_else(|_| String::new(), |()| String::from_utf8_lossy(&script).into_owned())
}
