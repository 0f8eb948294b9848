//! `proxyctl accounts import`: has the daemon take over the account files of a directory, and says what became of each.

use anstyle::AnsiColor;

use super::{Agreed, absolute, agreed, ask, view};
use crate::cli::Import;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, Imported, ImportedFile};
use crate::table::{Cell, Table};
use crate::text;

/// Said before tokens get a second owner.
const TWO_OWNERS: &str = "Two programs that refresh one login log each other out: stop the other program for good, or \
                          use --move.";

pub(super) async fn run(args: &Import, context: &mut Context<'_>) -> Result<Exit, Error> {
    let directory = absolute(&args.directory, context)?;
    let shown = text::clean(&directory).into_owned();
    if !args.mv {
        context.output.talk(TWO_OWNERS);
    }
    let mv = if args.mv { " --move" } else { "" };
    let command = format!("proxyctl accounts import {shown}{mv} --yes");
    if agreed(args.yes, &format!("import {shown}"), command)? == Agreed::ToBeAsked {
        let verb = if args.mv { "Move" } else { "Copy" };
        ask(&format!("{verb} the accounts of {shown} into the pool?"), context.output)?;
    }
    let imported = Imported::from(context.connect().await?.import(directory, args.mv).await?);
    let refused = imported.files.iter().any(|file| file.outcome == "refused");
    let none = imported.files.is_empty();
    if context.output.is_json() {
        context.output.document(&Document::new(imported))?;
    } else {
        context.output.data(&table(&imported.files))?;
        if none {
            context.output.talk(&format!("{shown} holds no file that is named like an account's (*.json)."));
        }
    }
    Ok(if refused { Exit::Failed } else { Exit::Ok })
}

fn table(files: &[ImportedFile]) -> String {
    let mut table = Table::new();
    for file in files {
        let colour = match file.outcome {
            "added" | "updated" => AnsiColor::Green,
            "unchanged" => AnsiColor::BrightBlack,
            _ => AnsiColor::Red,
        };
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let account = file.account.as_ref().map(view::called);
        let words = [account, file.reason.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        table.push([
            Cell::styled(file.outcome, colour.on_default()),
            text::clean(name).into(),
            text::clean(&words).into(),
        ]);
    }
    table.render()
}
