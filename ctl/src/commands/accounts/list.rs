//! `proxyctl accounts list`: the pool as a table, and the files that are not part of it; once, or whenever it changes. Or
//! account by account, with what would become of a request.

use std::time::Duration;

use super::explain;
use super::view::{self, Columns};
use crate::cli::List;
use crate::client::Watched;
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{AccountList, Document};
use crate::output::{self, Output};

/// Times are told from now, so a screen is drawn anew as they pass.
const TICK: Duration = Duration::from_secs(1);

const EMPTY: &str = "The pool is empty. Add an account: `proxyctl login claude`, or \
                     `proxyctl accounts add claude --key-file FILE`";

pub(super) async fn run(args: &List, context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    if args.watch {
        return watch(client.watch_accounts().await?, Columns::of(args), context.output).await;
    }
    let list = if args.explain { client.explain(args.model.clone()).await? } else { client.list().await? };
    let list = AccountList::from(list);
    if context.output.is_json() {
        context.output.document(&Document::new(list))?;
        return Ok(Exit::Ok);
    }
    if list.accounts.is_empty() {
        context.output.talk(EMPTY);
    }
    let text = if args.explain {
        explain::pool(&list, args.model.as_deref(), clock::now())
    } else {
        view::list(&list, Columns::of(args), output::width(), clock::now())
    };
    context.output.data(&text)?;
    Ok(Exit::Ok)
}

impl Columns {
    fn of(args: &List) -> Self {
        if args.wide { Self::All } else { Self::Usual }
    }
}

async fn watch(
    mut pool: Watched<proxy_proto::v1::WatchAccountsResponse>,
    columns: Columns,
    output: &mut Output,
) -> Result<Exit, Error> {
    let mut shown: Option<AccountList> = None;
    while !output.is_unread() {
        let tick = shown.is_some() && output.is_screen();
        tokio::select! {
            list = pool.next() => {
                let list = AccountList::from(list?);
                if output.is_json() {
                    output.document(&Document::new(list))?;
                    continue;
                }
                let again = shown.is_some() && !output.is_screen();
                let list = shown.insert(list);
                // What is no screen gets one list after another, apart from each other.
                output.data(if again { "\n" } else { "" })?;
                draw(list, columns, output)?;
            }
            () = tokio::time::sleep(TICK), if tick => {
                if let Some(list) = &shown {
                    draw(list, columns, output)?;
                }
            }
        }
    }
    Ok(Exit::Ok)
}

fn draw(list: &AccountList, columns: Columns, output: &mut Output) -> Result<(), Error> {
    let mut text = view::list(list, columns, output::width(), clock::now());
    if text.is_empty() {
        text = format!("{EMPTY}\n");
    }
    output.screen(&text)
}
