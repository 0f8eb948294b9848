//! `proxyctl events`: one line an event, until the daemon or the person ends it.

use anstyle::{AnsiColor, Style};

use super::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, Event};
use crate::text;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let mut events = context.connect().await?.watch_events().await?;
    context.output.talk("Watching; Ctrl-C ends it.");
    while !context.output.is_unread() {
        let event = Event::from(events.next().await?);
        if context.output.is_json() {
            context.output.document(&Document::new(event))?;
        } else {
            context.output.data(&line(&event))?;
        }
    }
    Ok(Exit::Ok)
}

fn line(event: &Event) -> String {
    let style = style(event.event);
    let at = event.at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    let kind = event.event.replace('_', " ");
    let name = text::clean(event.name.as_deref().unwrap_or_default());
    let detail = event.detail.as_deref().map(|detail| format!(": {}", text::clean(detail)));
    format!("{at}  {style}{kind:<14}{style:#}  {name}{}\n", detail.unwrap_or_default())
}

fn style(kind: &str) -> Style {
    match kind {
        "refreshed" | "recovered" | "saved" | "added" => AnsiColor::Green.on_default(),
        "changed" | "removed" => Style::new(),
        "cooling" | "ends_soon" | "quota_low" | "refresh_failed" => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Red.on_default(),
    }
}
