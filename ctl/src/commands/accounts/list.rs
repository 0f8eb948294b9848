//! `proxyctl accounts list`: the pool as a table, and the files that are not part of it.

use super::view;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{AccountList, Document};

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let list = AccountList::from(context.connect().await?.list().await?);
    if context.output.is_json() {
        context.output.document(&Document::new(list))?;
        return Ok(Exit::Ok);
    }
    if list.accounts.is_empty() {
        context.output.talk(
            "The pool is empty. Add an account: `proxyctl login claude`, or \
             `proxyctl accounts add claude --key-file FILE`",
        );
    }
    context.output.data(&view::list(&list, clock::now()))?;
    Ok(Exit::Ok)
}
