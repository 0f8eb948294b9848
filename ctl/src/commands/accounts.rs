//! `proxyctl accounts`: the verbs, and what they share.

mod add;
mod disable;
mod enable;
mod list;
mod refresh;
mod revoke;
mod show;
mod usage;
mod view;

use proxy_proto::v1;

use super::Context;
use crate::cli::Accounts;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, OneAccount};

pub(super) async fn run(command: Accounts, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Accounts::List(args) => list::run(&args, context).await,
        Accounts::Show(args) => show::run(&args, context).await,
        Accounts::Add(args) => add::run(args, context).await,
        Accounts::Revoke(args) => revoke::run(&args, context).await,
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
