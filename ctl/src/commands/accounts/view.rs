//! Accounts as people read them. Pure; everything foreign is made safe for a terminal.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use std::fmt::Write as _;

use super::usage;
use crate::json::{Account, AccountList};
use crate::table::{Cell, Table};
use crate::text;

/// The pool as a table, the reasons of those that are not ready, and the files that are not used.
pub(super) fn list(list: &AccountList, now: Timestamp) -> String {
    let mut text = String::new();
    if !list.accounts.is_empty() {
        let mut table =
            Table::with_header(["ID", "KIND", "STATE", "ACCOUNT", "ORGANIZATION", "USED", "EXPIRES"]);
        for account in &list.accounts {
            table.push([
                text::clean(&account.id).into(),
                kind_words(account.kind).into(),
                state(account, now),
                name(account).into(),
                text::clean(account.organization_name.as_deref().unwrap_or_default()).into(),
                usage::fullest(account.usage.as_ref()).unwrap_or_default().into(),
                account.expires_at.map(|end| text::relative(end, now)).unwrap_or_default().into(),
            ]);
        }
        text.push_str(&table.render());
    }
    paragraph(&mut text, "Accounts that need attention:", list.accounts.iter().filter_map(trouble));
    let files = list.invalid_files.iter();
    let files = files.map(|file| format!("{}: {}", text::clean(&file.path), text::clean(&file.reason)));
    paragraph(&mut text, "Files that are not used:", files);
    text
}

/// Everything about one account, one fact a line.
pub(super) fn details(account: &Account, now: Timestamp) -> String {
    let mut table = Table::new();
    let mut fact = |name: &str, value: Option<Cell>| {
        if let Some(value) = value {
            table.push([Cell::styled(name, Style::new().bold()), value]);
        }
    };
    let words = |words: &Option<String>| words.as_deref().map(|words| text::clean(words).into());
    let time =
        |time: Option<Timestamp>| time.map(|time| format!("{time} ({})", text::relative(time, now)).into());
    fact("ID", Some(text::clean(&account.id).into()));
    fact("Kind", Some(kind_words(account.kind).into()));
    fact("State", Some(state(account, now)));
    fact("Reason", words(&account.state_reason));
    fact("Usable again", time(account.available_at));
    fact("Label", words(&account.label));
    fact("E-mail", words(&account.email));
    fact("Account", words(&account.account_uuid));
    fact("Organization", words(&account.organization_name));
    fact("Organization id", words(&account.organization_uuid));
    fact("Expires", time(account.expires_at));
    fact("Last refresh", time(account.last_refresh_at));
    fact("Renewable", (account.kind == "oauth").then(|| if account.renewable { "yes" } else { "no" }.into()));
    fact("Requests", Some(format!("{} in flight", account.in_flight).into()));
    fact("Last error", words(&account.last_error));
    fact("Not saved", account.degraded.then(|| UNSAVED.into()));
    fact("File", Some(text::clean(&account.path).into()));
    let mut details = table.render();
    paragraph(
        &mut details,
        "Warnings:",
        account.warnings.iter().map(|warning| text::clean(warning).into_owned()),
    );
    if let Some(usage) = &account.usage {
        details.push_str("\nUsage of the plan:\n");
        details.push_str(&usage::bars(usage, now));
    }
    details
}

const UNSAVED: &str = "its newest token could not be saved yet and lives in the daemon's memory only";

/// An account within a sentence: what it is called, and its id.
pub(super) fn called(account: &Account) -> String {
    let (name, id) = (account.to_string(), &account.id);
    let words = if name == *id { name } else { format!("{name} ({id})") };
    text::clean(&words).into_owned()
}

pub(super) fn state_words(state: &str) -> &str {
    if state == "needs_login" { "needs login" } else { state }
}

fn kind_words(kind: &str) -> &str {
    if kind == "api_key" { "API key" } else { kind }
}

fn name(account: &Account) -> String {
    let words = account.label.as_deref().or(account.email.as_deref()).unwrap_or_default();
    text::clean(words).into_owned()
}

fn state(account: &Account, now: Timestamp) -> Cell {
    let colour = match account.state {
        "ready" => AnsiColor::Green,
        "cooling" => AnsiColor::Yellow,
        "disabled" => AnsiColor::BrightBlack,
        _ => AnsiColor::Red,
    };
    let until = account.available_at.filter(|until| account.state == "cooling" && *until > now);
    let until = until.map(|until| format!(", usable {}", text::relative(until, now)));
    Cell::styled(format!("{}{}", state_words(account.state), until.unwrap_or_default()), colour.on_default())
}

/// What a person should know about an account that is not simply ready.
fn trouble(account: &Account) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if account.state != "disabled" {
        parts.extend(account.state_reason.as_deref());
    }
    parts.extend(account.last_error.as_deref().filter(|error| !parts.contains(error)));
    if account.degraded {
        parts.push(UNSAVED);
    }
    parts.extend(account.warnings.iter().map(String::as_str));
    (!parts.is_empty()).then(|| format!("{}: {}", called(account), text::clean(&parts.join("; "))))
}

fn paragraph(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (position, line) in lines.enumerate() {
        if position == 0 {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _infallible = writeln!(text, "{gap}{title}");
        }
        let _infallible = writeln!(text, "  {line}");
    }
}
