//! `proxyctl keys revoke`: ends a key for good.

use super::view;
use crate::cli::RevokeKey;
use crate::commands::{Agreed, Context, agreed, ask};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, Key, OneKey};
use crate::text;

pub(super) async fn run(args: &RevokeKey, context: &mut Context<'_>) -> Result<Exit, Error> {
    let named = &args.named.key;
    let what = format!("revoke the key {named}");
    let agreed = agreed(args.yes, &what, format!("proxyctl keys revoke {named} --yes"))?;
    let client = context.connect().await?;
    let key = match agreed {
        Agreed::Beforehand => client.revoke_key(named).await?,
        Agreed::ToBeAsked => {
            let key = Key::from(client.get_key(named).await?);
            ask(
                &format!("Revoke {}? Whoever uses it is refused from then on.", view::called(&key)),
                context.output,
            )?;
            // What was confirmed is what is revoked, even if the name means another key by now.
            client.revoke_key(&key.id).await?
        }
    };
    let key = Key::from(key);
    if context.output.is_json() {
        context.output.document(&Document::new(OneKey { key }))?;
        return Ok(Exit::Ok);
    }
    if key.running > 0 {
        let running = text::count(key.running, "request");
        context.output.talk(&format!("{running} of it may finish; no other begins."));
    }
    context.output.data(&format!("Revoked {}.\n", view::called(&key)))?;
    Ok(Exit::Ok)
}
