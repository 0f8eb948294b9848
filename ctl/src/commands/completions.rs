//! `proxyctl completions`: needs no daemon.

use super::Context;
use crate::cli::{self, Shell};
use crate::error::Error;
use crate::exit::Exit;

pub(super) fn run(shell: Shell, context: &mut Context<'_>) -> Result<Exit, Error> {
    context.output.data(&script(shell))?;
    Ok(Exit::Ok)
}

fn script(shell: Shell) -> String {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "proxyctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
