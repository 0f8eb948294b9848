//! `proxyctl keys show`: everything that is known about one key.

use super::view;
use crate::cli::NamedKey;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, Key, OneKey};

pub(super) async fn run(args: &NamedKey, context: &mut Context<'_>) -> Result<Exit, Error> {
    let key = Key::from(context.connect().await?.get_key(&args.key).await?);
    if context.output.is_json() {
        context.output.document(&Document::new(OneKey { key }))?;
    } else {
        context.output.data(&view::details(&key, clock::now()))?;
    }
    Ok(Exit::Ok)
}
