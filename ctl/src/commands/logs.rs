//! `proxyctl logs`: one line each, as the daemon holds them and, if asked, as it writes them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use proxy_proto::v1::WatchLogsRequest;

use super::Context;
use crate::cli::{Level, Logs};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, LogLine};
use crate::text;

pub(super) async fn run(args: Logs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let request = WatchLogsRequest {
        history: args.lines,
        follow: args.follow,
        account: args.account.unwrap_or_default(),
        request_id: args.request.unwrap_or_default(),
        least: args.level.map(proxy_proto::v1::LogLevel::from).unwrap_or_default().into(),
    };
    let mut lines = context.connect().await?.watch_logs(request).await?;
    while !context.output.is_unread() {
        let next = if args.follow { Some(lines.next().await?) } else { lines.next_if_any().await? };
        let Some(line) = next.map(LogLine::from) else { break };
        if context.output.is_json() {
            context.output.document(&Document::new(line))?;
        } else {
            context.output.data(&shown(&line))?;
        }
    }
    Ok(Exit::Ok)
}

fn shown(line: &LogLine) -> String {
    if let Some(missed) = line.missed {
        let style = AnsiColor::Yellow.on_default();
        return format!("{style}({missed} lines were missed: they were read too slowly){style:#}\n");
    }
    let style = style(line.level);
    let at = line.at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default();
    let level = line.level.unwrap_or_default().to_uppercase();
    let message = text::clean(&line.message);
    let mut shown = format!("{at}  {style}{level:<5}{style:#}  {message}");
    for (name, value) in &line.fields {
        // Writing to a string cannot fail.
        let _written = write!(shown, " {}={}", text::clean(name), quoted(&text::clean(value)));
    }
    shown.push('\n');
    shown
}

/// In quotes where it would not be seen where it ends.
fn quoted(value: &str) -> String {
    if value.is_empty() || value.contains([' ', '"', '=']) { format!("{value:?}") } else { value.to_owned() }
}

fn style(level: Option<&str>) -> Style {
    match level {
        Some("error") => AnsiColor::Red.on_default(),
        Some("warn") => AnsiColor::Yellow.on_default(),
        Some("info") => AnsiColor::Green.on_default(),
        _ => Style::new(),
    }
}

impl From<Level> for proxy_proto::v1::LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_that_steers_no_terminal() {
        let fields = [("model", "a\nb"), ("error", "so it is"), ("status", "200")];
        let line = LogLine {
            at: Some("2026-11-27T10:20:30.123456Z".parse().unwrap()),
            level: Some("warn"),
            message: "said\u{1b}[2J".to_owned(),
            target: Some("proxyd::http".to_owned()),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            missed: None,
        };
        let plain = anstream::adapter::strip_str(&shown(&line)).to_string();
        let expected = "2026-11-27T10:20:30.123Z  WARN   said\u{fffd}[2J error=\"so it is\" model=a\u{fffd}b status=200\n";
        assert_eq!(plain, expected);
    }
}
