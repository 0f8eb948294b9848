//! `proxyctl run`: puts a program, pointed at the daemon, in this one's place. Signals, terminal and exit code are its own then.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::reach::{self, Making};
use super::{Context, env};
use crate::cli;
use crate::clients::target::Target;
use crate::clients::variables::Variables;
use crate::clients::{self, Client};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::search;
use crate::text;

pub(super) async fn run(args: &cli::Run, context: &mut Context<'_>) -> Result<Exit, Error> {
    let Some((name, rest)) = args.command.split_first() else {
        return Err(Error::NoCommand { command: String::new() });
    };
    let client = match &args.client {
        Some(named) => clients::named(named),
        None => clients::started_by(name),
    };
    let target = reach::target(&args.reach, &[], Making::Keys, context).await?;
    exists(name)?;
    // ssh has brought what was asked for, and would be left without a parent that knows it.
    if let Some(remote) = &context.remote {
        remote.end().await;
    }
    let variables =
        client.map_or(Variables::of_every_dialect as fn(&Target) -> _, |client| client.environment);
    let variables = variables(&target).past_proxies(&target, env::variable);
    tell(client, &variables, context.output);
    let mut command = Command::new(name);
    if let Some(arguments) = client.and_then(|client| client.arguments) {
        command.args(arguments(&target));
    }
    command.args(rest);
    for name in &variables.unset {
        command.env_remove(name);
    }
    command.envs(variables.set.iter().map(|(name, value)| (name, value)));
    // It returns only where there is nothing to run.
    Err(refused(name, command.exec()))
}

/// Looked for beforehand, so that nothing is said of a program that is not there.
fn exists(name: &OsStr) -> Result<(), Error> {
    let is_path = name.to_string_lossy().contains('/');
    if is_path || search::program(name).is_some() {
        return Ok(());
    }
    Err(Error::NoCommand { command: shown(name) })
}

fn refused(name: &OsStr, source: io::Error) -> Error {
    let command = shown(name);
    if source.kind() == io::ErrorKind::NotFound {
        Error::NoCommand { command }
    } else {
        Error::Exec { command, source }
    }
}

fn shown(name: &OsStr) -> String {
    text::clean(&name.to_string_lossy()).into_owned()
}

/// What is different from what the person may think it is.
fn tell(client: Option<&Client>, variables: &Variables, output: &Output) {
    let differs = |name: &str, value: Option<&str>| {
        Variables::is_credential(name) && env::variable(name).is_some_and(|own| Some(own.as_str()) != value)
    };
    let set = variables.set.iter().filter(|(name, value)| differs(name, Some(value))).map(|(name, _)| *name);
    let unset = variables.unset.iter().copied().filter(|name| differs(name, None));
    let replaced: Vec<&str> = set.chain(unset).collect();
    if !replaced.is_empty() {
        let (names, are) = (text::listed(&replaced), if replaced.len() == 1 { "is" } else { "are" });
        output.talk(&format!(
            "{names} of the environment {are} not handed on: the daemon's accounts serve this program."
        ));
    }
    if let Some(client) = client.filter(|client| !client.by_environment && client.arguments.is_none()) {
        output.talk(&format!(
            "{} takes its address from its own file: `proxyctl setup {}` writes it there.",
            client.title, client.name
        ));
    }
}
