//! `proxyctl completions`: what a shell runs to complete proxyctl. The shell then asks proxyctl itself, so that the names of the
//! running daemon's accounts are completed, too. Needs no daemon.

use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::Context;
use crate::cli::Shell;
use crate::error::Error;
use crate::exit::Exit;

pub(super) fn run(shell: Shell, context: &mut Context<'_>) -> Result<Exit, Error> {
    context.output.data(&script(shell))?;
    Ok(Exit::Ok)
}

/// The script of a shell, for a `proxyctl` that is found by its name.
pub fn script(shell: Shell) -> String {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    let written =
        completer.write_registration(crate::COMPLETE, "proxyctl", "proxyctl", "proxyctl", &mut script);
    // Memory takes everything.
    written.map_or_else(|_| String::new(), |()| String::from_utf8_lossy(&script).into_owned())
}
