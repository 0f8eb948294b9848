//! `proxyctl accounts show`: everything that is known about one account.

use super::{changed, view};
use crate::cli::Show;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::spinner::while_it_lasts;
use crate::text;

pub(super) async fn run(args: &Show, context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    let words = format!("asking for {}", text::clean(&args.named.account));
    let asked = client.show(&args.named.account, args.fresh);
    let account = while_it_lasts(&words, context.output, asked).await?;
    changed(context, account, |account| view::details(account, clock::now()))
}
