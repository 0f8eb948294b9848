//! `proxyctl top`: accounts, requests and events on a live screen. What is shown follows from messages and keys alone
//! (`model`), how it looks from that and the room there is (`draw`); only `run` and what is below it touch a terminal.

mod draw;
mod link;
mod model;
mod rates;
mod run;
mod screen;

use std::io::{self, IsTerminal as _};

use super::Context;
use crate::cli::Top;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Activity, Document};

pub(super) async fn run(args: &Top, context: &mut Context<'_>) -> Result<Exit, Error> {
    if context.output.is_json() {
        return documents(args, context).await;
    }
    if !context.output.is_screen() || !io::stdin().is_terminal() {
        return Err(Error::Usage {
            what: "top needs a terminal that can be drawn on, for input and output".to_owned(),
            hint: "`proxyctl top --json`, `proxyctl accounts list --watch` or `proxyctl events --json`"
                .to_owned(),
        });
    }
    run::run(args.interval, context).await
}

/// What is going on, a document a line.
async fn documents(args: &Top, context: &mut Context<'_>) -> Result<Exit, Error> {
    let mut activity = context.connect().await?.watch_activity(args.interval).await?;
    while !context.output.is_unread() {
        let now = Activity::from(activity.next().await?);
        context.output.document(&Document::new(now))?;
    }
    Ok(Exit::Ok)
}
