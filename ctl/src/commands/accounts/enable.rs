//! `proxyctl accounts enable`: back into use.

use super::{changed, view};
use crate::cli::Named;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(super) async fn run(args: &Named, context: &mut Context<'_>) -> Result<Exit, Error> {
    let account = context.connect().await?.enable(&args.account).await?;
    changed(context, account, |account| {
        format!("Enabled {}; it is {}.\n", view::called(account), view::state_words(account.state))
    })
}
