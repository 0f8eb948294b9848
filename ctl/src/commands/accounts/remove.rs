//! `proxyctl accounts remove`: deletes the file here, and says that the credential lives on.

use super::{Agreed, agreed, ask, view};
use crate::cli::Remove;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Account, Document, Removed};
use crate::text;

pub(super) async fn run(args: &Remove, context: &mut Context<'_>) -> Result<Exit, Error> {
    let named = &args.named.account;
    let agreed =
        agreed(args.yes, &format!("remove {named}"), format!("proxyctl accounts remove {named} --yes"))?;
    let client = context.connect().await?;
    let reply = match agreed {
        Agreed::Beforehand => client.remove(named).await?,
        Agreed::ToBeAsked => {
            let account = Account::from(client.get(named).await?);
            let (called, path) = (view::called(&account), text::clean(&account.path));
            ask(&format!("Delete {path} and leave {called} alive at the provider?"), context.output)?;
            // What was confirmed is what is removed, even if the name means another account by now.
            client.remove(&account.id).await?
        }
    };
    let removed = Removed::from(reply);
    if context.output.is_json() {
        context.output.document(&Document::new(removed))?;
        return Ok(Exit::Ok);
    }
    context.output.talk(
        "The provider was told nothing: the credential still works wherever else it is. \
         `proxyctl accounts revoke` would have ended it.",
    );
    let (id, path) = (text::clean(&removed.id), text::clean(&removed.path));
    context.output.data(&format!("Removed {id} from the pool and deleted {path}.\n"))?;
    Ok(Exit::Ok)
}
