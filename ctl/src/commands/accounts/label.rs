//! `proxyctl accounts label`: a name for an account, or none.

use proxy_proto::v1::AccountChanges;

use super::{changed, view};
use crate::cli::Label;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(args: Label, context: &mut Context<'_>) -> Result<Exit, Error> {
    let changes = AccountChanges { label: Some(args.name), ..AccountChanges::default() };
    let account = context.connect().await?.change(&args.named.account, changes).await?;
    changed(context, account, |account| match account.label {
        Some(_) => format!("{} is called {}.\n", account.id, view::called(account)),
        None => format!("{} has no label any more.\n", view::called(account)),
    })
}
