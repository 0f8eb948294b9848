//! `proxyctl reload`: the daemon reads its configuration anew, and what came of it is told.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Change, Document, Reloaded};
use crate::spinner::while_it_lasts;
use crate::text;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    let asked = while_it_lasts("reloading", context.output, client.reload()).await?;
    let reloaded = Reloaded::from(asked);
    let has = |effect: &str| reloaded.changes.iter().any(|change| change.effect == effect);
    let (needs_restart, is_whole) = (has("needs_restart"), !has("failed"));
    let mistakes = u32::try_from(reloaded.mistakes.len()).unwrap_or(u32::MAX);
    if context.output.is_json() {
        context.output.document(&Document::new(reloaded))?;
    } else if mistakes > 0 {
        for mistake in &reloaded.mistakes {
            context.output.notice(&text::clean(mistake));
        }
    } else {
        context.output.data(&told(&reloaded.changes))?;
    }
    if mistakes > 0 {
        return Err(Error::InvalidConfiguration { mistakes });
    }
    if needs_restart {
        context.output.talk("What needs a restart takes effect with the daemon's next start.");
    }
    Ok(if is_whole { Exit::Ok } else { Exit::Failed })
}

fn told(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing changed\n".to_owned();
    }
    changes.iter().map(change).collect()
}

/// A line, and one with the reason where there is one.
fn change(change: &Change) -> String {
    let Change { key, before, after, origin, effect, reason } = change;
    let (word, style) = match *effect {
        "applied" => ("applied", AnsiColor::Green.on_default()),
        "needs_restart" => ("needs a restart", AnsiColor::Yellow.on_default()),
        "failed" => ("failed", AnsiColor::Red.on_default()),
        _ => ("unknown", Style::new()),
    };
    let [key, before, after, origin] = [key, before, after, origin].map(|text| text::clean(text));
    let mut told = format!("{style}{word:<15}{style:#}  {key} = {after}, before {before}  # {origin}\n");
    if let Some(reason) = reason {
        let _infallible = writeln!(told, "{:15}  {}", "", text::clean(reason));
    }
    told
}
