//! `proxyctl keys list`: the keys as a table.

use super::view;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, KeyList};
use crate::output;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let list = KeyList::from(context.connect().await?.list_keys().await?);
    if context.output.is_json() {
        context.output.document(&Document::new(list))?;
        return Ok(Exit::Ok);
    }
    if list.keys.is_empty() {
        context.output.talk("There are no keys. Make one: `proxyctl keys create NAME`");
        return Ok(Exit::Ok);
    }
    context.output.data(&view::list(&list, output::width(), clock::now()))?;
    Ok(Exit::Ok)
}
