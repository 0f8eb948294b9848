//! `proxyctl accounts set`: changes what is named and leaves the rest.

use super::{changed, settings, view};
use crate::cli::Set;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(args: Set, context: &mut Context<'_>) -> Result<Exit, Error> {
    let changes = settings::changes(args.settings, &args.unset)?;
    if changes == proxy_proto::v1::AccountChanges::default() {
        return Err(Error::Usage {
            what: "there is nothing to change".to_owned(),
            hint: "name a setting: `proxyctl accounts set --help` lists them".to_owned(),
        });
    }
    let account = context.connect().await?.change(&args.named.account, changes).await?;
    changed(context, account, |account| {
        format!("Changed {}; `proxyctl accounts show {}` shows it.\n", view::called(account), account.id)
    })
}
