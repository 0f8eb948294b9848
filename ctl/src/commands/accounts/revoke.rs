//! `proxyctl accounts revoke`: revokes at the provider, deletes the file, and says plainly which of the two
//! was done.

use super::{Agreed, agreed, ask, view};
use crate::cli::Revoke;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Account, Document, Revoked};
use crate::output::Output;
use crate::spinner::while_it_lasts;
use crate::text;

pub(super) async fn run(args: &Revoke, context: &mut Context<'_>) -> Result<Exit, Error> {
    let named = &args.named.account;
    let agreed =
        agreed(args.yes, &format!("revoke {named}"), format!("proxyctl accounts revoke {named} --yes"))?;
    let client = context.connect().await?;
    let confirmed = match agreed {
        Agreed::Beforehand => named.clone(),
        Agreed::ToBeAsked => {
            let account = Account::from(client.get(named).await?);
            let (called, path) = (view::called(&account), text::clean(&account.path));
            ask(&format!("Revoke {called} and delete {path}?"), context.output)?;
            // What was confirmed is what is revoked, even if the name means another account by now.
            account.id
        }
    };
    let words = format!("revoking {}", text::clean(&confirmed));
    let asked = while_it_lasts(&words, context.output, client.revoke(&confirmed)).await?;
    let revoked = Revoked::from(asked);
    if context.output.is_json() {
        context.output.document(&Document::new(revoked))?;
        return Ok(Exit::Ok);
    }
    warn(&revoked, context.output);
    context.output.data(&sentence(&revoked))?;
    Ok(Exit::Ok)
}

fn sentence(revoked: &Revoked) -> String {
    let (id, path) = (text::clean(&revoked.id), text::clean(&revoked.path));
    if revoked.provider == "revoked" {
        format!("Revoked {id} at the provider and deleted {path}.\n")
    } else {
        format!("Removed {id} from the pool and deleted {path}.\n")
    }
}

/// The file is gone, but the credential may live on: the person must know, and what to do.
fn warn(revoked: &Revoked, output: &Output) {
    let why =
        revoked.provider_error.as_deref().map(|why| format!(": {}", text::clean(why))).unwrap_or_default();
    match revoked.provider {
        "revoked" => {}
        "not_offered" => output.talk(
            "The provider offers no revocation for this kind of credential: it still works elsewhere. \
             Delete it in the provider's own settings if that is not wanted.",
        ),
        _ => output.talk(&format!(
            "The provider did NOT revoke it{why}. It may still work elsewhere: \
             end its session in the provider's own settings to be sure."
        )),
    }
}
