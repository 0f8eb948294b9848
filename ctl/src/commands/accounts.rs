//! `proxyctl accounts`: the verbs, and what they share.

mod add;
mod disable;
mod enable;
mod explain;
mod export;
mod import;
mod label;
mod limits;
mod list;
mod refresh;
mod remove;
mod revoke;
mod set;
mod settings;
mod show;
mod usage;
mod view;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use proxy_proto::v1;

use super::Context;
use crate::cli::Accounts;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, OneAccount};
use crate::output::Output;

pub(super) async fn run(command: Accounts, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Accounts::List(args) => list::run(&args, context).await,
        Accounts::Show(args) => show::run(&args, context).await,
        Accounts::Add(args) => add::run(*args, context).await,
        Accounts::Set(args) => set::run(*args, context).await,
        Accounts::Label(args) => label::run(args, context).await,
        Accounts::Import(args) => import::run(&args, context).await,
        Accounts::Export(args) => export::run(&args, context).await,
        Accounts::Revoke(args) => revoke::run(&args, context).await,
        Accounts::Remove(args) => remove::run(&args, context).await,
        Accounts::Disable(args) => disable::run(&args, context).await,
        Accounts::Enable(args) => enable::run(&args, context).await,
        Accounts::Refresh(args) => refresh::run(&args, context).await,
    }
}

/// Prints one account after a change: the JSON document, or the sentence that says what changed.
fn changed(
    context: &mut Context<'_>,
    account: v1::Account,
    sentence: impl FnOnce(&crate::json::Account) -> String,
) -> Result<Exit, Error> {
    let account = account.into();
    if context.output.is_json() {
        context.output.document(&Document::new(OneAccount { account }))?;
    } else {
        context.output.data(&sentence(&account))?;
    }
    Ok(Exit::Ok)
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

/// A path as the daemon takes it: from the root. Where another machine was named, only the person knows its directories.
fn absolute(path: &Path, context: &Context<'_>) -> Result<String, Error> {
    let usage = |what: String, hint: &str| Error::Usage { what, hint: hint.to_owned() };
    let shown = path.display();
    let full = match context.remote {
        Some(_) if path.is_absolute() => path.to_owned(),
        Some(_) => {
            let what =
                format!("{shown} is not an absolute path, and this machine's directory says nothing there");
            return Err(usage(what, "name a path of the other machine that starts with /"));
        }
        None => std::path::absolute(path).map_err(|_| usage(format!("{shown} is not a path"), "name one"))?,
    };
    let text = full.to_str().map(str::to_owned);
    text.ok_or_else(|| usage(format!("{shown} is not UTF-8"), "name a path that is"))
}
