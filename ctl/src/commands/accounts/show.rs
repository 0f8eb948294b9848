//! `proxyctl accounts show`: everything that is known about one account.

use super::{changed, view};
use crate::cli::Show;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(args: &Show, context: &mut Context<'_>) -> Result<Exit, Error> {
    let account = context.connect().await?.show(&args.named.account, args.fresh).await?;
    changed(context, account, |account| view::details(account, clock::now()))
}
