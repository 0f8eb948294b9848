//! `proxyctl accounts export`: has the daemon write one account's file, after asking: it holds tokens.

use super::{Agreed, absolute, agreed, ask, view};
use crate::cli::Export;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Account, Document, Exported};
use crate::text;

pub(super) async fn run(args: &Export, context: &mut Context<'_>) -> Result<Exit, Error> {
    let (named, path) = (&args.named.account, absolute(&args.path, context)?);
    let agreed = agreed(
        args.yes,
        &format!("export {named}"),
        format!("proxyctl accounts export {named} {path} --yes"),
    )?;
    let client = context.connect().await?;
    let reply = match agreed {
        Agreed::Beforehand => client.export(named, path).await?,
        Agreed::ToBeAsked => {
            let account = Account::from(client.get(named).await?);
            let (called, shown) = (view::called(&account), text::clean(&path));
            ask(&format!("Write the tokens of {called} to {shown}?"), context.output)?;
            // What was confirmed is what is exported, even if the name means another account by now.
            client.export(&account.id, path).await?
        }
    };
    let exported = Exported::from(reply);
    if context.output.is_json() {
        context.output.document(&Document::new(exported))?;
        return Ok(Exit::Ok);
    }
    context.output.talk(
        "Whoever reads this file can use the account. Two programs that refresh one login log each other out: disable or \
         remove the account here before another program uses it.",
    );
    let (id, path) = (text::clean(&exported.id), text::clean(&exported.path));
    context.output.data(&format!("Exported {id} to {path}.\n"))?;
    Ok(Exit::Ok)
}
