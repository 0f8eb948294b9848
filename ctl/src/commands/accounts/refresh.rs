//! `proxyctl accounts refresh`: refreshes now; what it prints is on disk already.

use super::{changed, view};
use crate::cli::Named;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::spinner::while_it_lasts;
use crate::text;

pub(super) async fn run(args: &Named, context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    let words = format!("refreshing {}", text::clean(&args.account));
    let account = while_it_lasts(&words, context.output, client.refresh(&args.account)).await?;
    changed(context, account, |account| {
        let end =
            account.expires_at.map(|end| format!("; its token ends {}", text::relative(end, clock::now())));
        format!("Refreshed {}{}.\n", view::called(account), end.unwrap_or_default())
    })
}
