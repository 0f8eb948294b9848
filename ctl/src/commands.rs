//! One file a verb. A command asks the daemon and prints what it said; it decides nothing the daemon could
//! decide.

mod accounts;
mod completions;
mod config;
mod dial_stdio;
mod doctor;
mod env;
mod events;
mod explain;
mod keys;
mod log_level;
mod login;
mod logs;
mod reach;
mod reload;
mod run;
mod setup;
mod status;
mod strategy;
mod token;
mod top;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::completions::script as completion_script;

use crate::cli::Command;
use crate::client::{self, Client, Remote, Target};
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// What every command is handed.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) output: &'a mut Output,
    /// The control socket the person named.
    pub(crate) socket: Option<PathBuf>,
    /// The other machine the person named; the socket is one of that machine then.
    pub(crate) remote: Option<Arc<Remote>>,
}

impl Context<'_> {
    async fn connect(&self) -> Result<Client, Error> {
        let target = match &self.remote {
            Some(remote) => Target::Remote(Arc::clone(remote)),
            None => Target::Socket(self.local_socket()),
        };
        Client::connect(&target).await
    }

    /// What tells the daemon that is meant from any other.
    fn daemon(&self) -> String {
        let socket = |path: &Path| path.to_string_lossy().into_owned();
        match &self.remote {
            Some(remote) => {
                format!("{}{}", remote.host().url(), remote.socket().map(socket).unwrap_or_default())
            }
            None => socket(&self.local_socket()),
        }
    }

    /// What another call of this program is given so that it means the same daemon.
    fn arguments(&self) -> Vec<String> {
        let path = |path: &Path| ["--socket".to_owned(), path.to_string_lossy().into_owned()];
        match &self.remote {
            Some(remote) => {
                let host = ["--host".to_owned(), remote.host().url()];
                host.into_iter().chain(remote.socket().into_iter().flat_map(path)).collect()
            }
            None => self.socket.as_deref().into_iter().flat_map(path).collect(),
        }
    }

    /// The socket of this machine.
    fn local_socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(client::default_socket)
    }
}

/// Runs one command to its end. What it started to reach another machine ends with it, also when a signal
/// comes.
pub(crate) async fn run(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    let Some(remote) = context.remote.clone() else { return dispatch(command, context).await };
    if matches!(command, Command::Login(_)) {
        // It watches for signals by itself, and cancels through the connection.
        let ended = dispatch(command, context).await;
        remote.end().await;
        return ended;
    }
    let mut interrupt = Interrupt::listen()?;
    tokio::select! {
        ended = dispatch(command, context) => {
            remote.end().await;
            ended
        }
        () = interrupt.caught() => {
            remote.stop().await;
            Err(Error::Stopped)
        }
    }
}

async fn dispatch(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Command::Login(args) => login::run(&args, context).await,
        Command::Accounts { command } => accounts::run(command, context).await,
        Command::Keys { command } => keys::run(command, context).await,
        Command::Env(args) => env::run(&args, context).await,
        Command::Setup(args) => setup::run(&args, context).await,
        Command::Run(args) => run::run(&args, context).await,
        Command::Token(args) => token::run(&args, context).await,
        Command::Status => status::run(context).await,
        Command::Doctor => doctor::run(context).await,
        Command::Explain(args) => explain::run(&args, context).await,
        Command::Strategy { strategy } => strategy::run(strategy, context).await,
        Command::Reload => reload::run(context).await,
        Command::Config => config::run(context).await,
        Command::Events => events::run(context).await,
        Command::Logs(args) => logs::run(args, context).await,
        Command::LogLevel { level } => log_level::run(level, context).await,
        Command::Top(args) => top::run(&args, context).await,
        Command::Completions { shell } => completions::run(shell, context),
        Command::DialStdio => dial_stdio::run(context).await,
    }
}

/// Where something listens, as a person uses it: a URL, unless it is a socket file.
fn address(listen: &str) -> String {
    if listen.contains('/') { listen.to_owned() } else { format!("http://{listen}") }
}

/// Whether what follows was agreed to beforehand. `what` cannot be asked where nobody sits; `command` does not ask.
fn agreed(yes: bool, what: &str, command: String) -> Result<Agreed, Error> {
    match yes {
        true => Ok(Agreed::Beforehand),
        false if io::stdin().is_terminal() => Ok(Agreed::ToBeAsked),
        false => Err(Error::Usage {
            what: format!("cannot ask whether to {what}: standard input is not a terminal"),
            hint: command,
        }),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreed {
    Beforehand,
    ToBeAsked,
}

/// Asks at the terminal, in every mode: a person must see what they are asked.
fn ask(question: &str, output: &Output) -> Result<(), Error> {
    output.prompt(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok_and(|length| length == 0) {
        output.talk("");
    }
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::Declined),
    }
}
