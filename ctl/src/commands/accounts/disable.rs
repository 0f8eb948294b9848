//! `proxyctl accounts disable`: out of use, but kept.

use super::{changed, view};
use crate::cli::Named;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(args: &Named, context: &mut Context<'_>) -> Result<Exit, Error> {
    let account = context.connect().await?.disable(&args.account).await?;
    changed(context, account, |account| format!("Disabled {}.\n", view::called(account)))
}
