//! `proxyctl status`: one screen that says whether all is well, and what to do if not.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use std::fmt::Write as _;

use super::Context;
use crate::clock;
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Counts, Document, Status};
use crate::table::{Cell, Table};
use crate::text;
use crate::version;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let client = context.connect().await?;
    let status = Status::from(client.status().await?);
    let exit = verdict(&status);
    if context.output.is_json() {
        context.output.document(&Document::new(status))?;
    } else {
        context.output.data(&screen(&status, clock::now()))?;
    }
    Ok(exit)
}

/// Ready is 0; no usable account is 4; a daemon that has accounts but does not serve (it stops) is 1.
fn verdict(status: &Status) -> Exit {
    if status.ready {
        Exit::Ok
    } else if status.accounts.ready == 0 {
        Exit::LoginNeeded
    } else {
        Exit::Failed
    }
}

fn screen(status: &Status, now: Timestamp) -> String {
    let (word, colour) = match verdict(status) {
        Exit::Ok => ("ready", AnsiColor::Green),
        Exit::LoginNeeded => ("not ready: no account is usable", AnsiColor::Red),
        _ => ("stopping", AnsiColor::Yellow),
    };
    let style = colour.on_default().bold();
    let since = status.started_at.map(|started| format!(", started {}", text::relative(started, now)));
    let mut screen = format!(
        "proxyd {} is {style}{word}{style:#} (pid {}{})\n\n",
        text::clean(&status.version),
        status.pid,
        since.unwrap_or_default()
    );
    let mut facts = Table::new();
    let mut fact = |name: &str, value: &str| {
        facts.push([Cell::styled(name, Style::new().bold()), Cell::from(text::clean(value))]);
    };
    for address in &status.http_listen {
        fact("Listening", &super::address(address));
    }
    fact("Accounts", &accounts(&status.accounts));
    fact("Requests", &format!("{} in flight", status.requests_in_flight));
    if let Some(strategy) = status.strategy {
        let conversations = match (strategy, status.affinity) {
            ("fill-first", _) => "", // It sends everything to the first account that is ready.
            (_, Some(true)) => "; conversations stay with an account",
            _ => "; conversations may change accounts",
        };
        fact("Strategy", &format!("{strategy}{conversations}"));
    }
    fact("Auth directory", &status.auth_dir);
    fact("Control socket", &status.control_socket);
    screen.push_str(&facts.render());
    let problems: Vec<String> =
        status.problems.iter().map(|problem| text::clean(problem).into_owned()).collect();
    section(&mut screen, "Problems", &problems);
    let warnings: Vec<String> =
        status.warnings.iter().map(|warning| text::clean(warning).into_owned()).collect();
    section(&mut screen, "Warnings", &warnings);
    section(&mut screen, "To do", &advice(status));
    screen
}

fn section(screen: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let bold = Style::new().bold();
    let _infallible = writeln!(screen, "\n{bold}{title}{bold:#}");
    for line in lines {
        let _infallible = writeln!(screen, "  {line}");
    }
}

fn accounts(counts: &Counts) -> String {
    let states = [
        (counts.ready, "ready"),
        (counts.cooling, "cooling"),
        (counts.needs_login, "needing a login"),
        (counts.disabled, "disabled"),
        (counts.misconfigured, "with a setting that cannot be used"),
    ];
    let parts: Vec<String> = states
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if parts.is_empty() {
        counts.total.to_string()
    } else {
        format!("{} ({})", counts.total, parts.join(", "))
    }
}

/// What a person can do about what the counts show.
fn advice(status: &Status) -> Vec<String> {
    let counts = &status.accounts;
    let difference = version::difference(&status.version, status.api_revision);
    let mut advice: Vec<String> =
        difference.into_iter().map(|found| format!("{}: {}", found.what, found.hint)).collect();
    if counts.total == 0 {
        advice.push(
            "add an account: `proxyctl login claude`, or `proxyctl accounts add claude --key-file FILE`"
                .to_owned(),
        );
    }
    if counts.needs_login > 0 {
        let accounts = text::count(counts.needs_login, "account");
        advice.push(format!("log {accounts} in again: `proxyctl login claude`"));
    }
    if counts.ready == 0 && counts.cooling > 0 {
        advice.push("wait: `proxyctl accounts list` shows when the cooling accounts return".to_owned());
    }
    if counts.ready == 0 && counts.disabled > 0 {
        advice.push("take a disabled account back: `proxyctl accounts enable ACCOUNT`".to_owned());
    }
    if counts.misconfigured > 0 {
        let accounts = text::count(counts.misconfigured, "account");
        advice.push(format!("correct a setting of {accounts}: `proxyctl accounts list` says which"));
    }
    if counts.invalid > 0 {
        let files = text::count(counts.invalid, "file");
        advice.push(format!("look at {files} that cannot be used: `proxyctl accounts list`"));
    }
    advice
}
