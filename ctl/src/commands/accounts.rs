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

use std::path::Path;

use proxy_proto::v1;

use super::{Agreed, Context, agreed, ask};
use crate::cli::Accounts;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, OneAccount};

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
