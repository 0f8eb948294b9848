//! One file a verb. A command asks the daemon and prints what it said; it decides nothing the daemon could
//! decide.

mod accounts;
mod completions;
mod events;
mod login;
mod status;

use std::path::PathBuf;

use crate::cli::Command;
use crate::client::{self, Client};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// What every command is handed.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) output: &'a mut Output,
    /// The control socket the person named.
    pub(crate) socket: Option<PathBuf>,
}

impl Context<'_> {
    async fn connect(&self) -> Result<Client, Error> {
        match &self.socket {
            Some(named) => Client::connect(named).await,
            None => Client::connect(&client::default_socket()).await,
        }
    }
}

/// Runs one command to its end.
pub(crate) async fn run(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Command::Login(args) => login::run(&args, context).await,
        Command::Accounts { command } => accounts::run(command, context).await,
        Command::Status => status::run(context).await,
        Command::Events => events::run(context).await,
        Command::Completions { shell } => completions::run(shell, context),
    }
}
