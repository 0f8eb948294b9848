//! `proxyctl accounts refresh`: refreshes now; what it prints is on disk already.

use super::{changed, view};
use crate::cli::Named;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::text;

pub(super) async fn run(args: &Named, context: &mut Context<'_>) -> Result<Exit, Error> {
    let account = context.connect().await?.refresh(&args.account).await?;
    changed(context, account, |account| {
        let end =
            account.expires_at.map(|end| format!("; its token ends {}", text::relative(end, clock::now())));
        format!("Refreshed {}{}.\n", view::called(account), end.unwrap_or_default())
    })
}
