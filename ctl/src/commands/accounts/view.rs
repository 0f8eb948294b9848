//! Accounts as people read them. Pure; everything foreign is made safe for a terminal.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use std::fmt::Write as _;

use super::{limits, usage};
use crate::json::{Account, AccountList, ModelAlias};
use crate::table::{Cell, Table};
use crate::text;

/// How much a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// What fits a terminal.
    Usual,
    All,
}

/// What is left out first where a line is too short for all of it: tokens are renewed without anybody's doing.
const GIVING_WAY: [&str; 4] = ["ORGANIZATION", "EXPIRES", "KIND", "USED"];

/// The pool as a table, the reasons of those that are not ready, and the files that are not used. The usual columns take a line
/// of `width` where there is one.
pub(super) fn list(list: &AccountList, columns: Columns, width: Option<usize>, now: Timestamp) -> String {
    let mut text = String::new();
    if !list.accounts.is_empty() {
        text = match columns {
            Columns::Usual => usual(&list.accounts, width, now),
            Columns::All => wide(&list.accounts, now),
        };
    }
    paragraph(&mut text, "Accounts that need attention:", list.accounts.iter().filter_map(trouble));
    invalid_files(&mut text, list);
    text
}

pub(super) fn invalid_files(text: &mut String, list: &AccountList) {
    let files = list.invalid_files.iter();
    let files = files.map(|file| format!("{}: {}", text::clean(&file.path), text::clean(&file.reason)));
    paragraph(text, "Files that are not used:", files);
}

fn usual(accounts: &[Account], width: Option<usize>, now: Timestamp) -> String {
    let mut table = Table::with_header(["ID", "KIND", "STATE", "ACCOUNT", "ORGANIZATION", "USED", "EXPIRES"]);
    for account in accounts {
        table.push([
            text::clean(&account.id).into(),
            kind_words(account.kind).into(),
            state(account, now),
            name(account).into(),
            words(account.organization_name.as_ref()),
            usage::fullest(account.usage.as_ref()).unwrap_or_default().into(),
            from_now(account.expires_at, now),
        ]);
    }
    table.render_within(width, &GIVING_WAY)
}

fn wide(accounts: &[Account], now: Timestamp) -> String {
    let mut table = Table::with_header([
        "ID",
        "KIND",
        "STATE",
        "LABEL",
        "E-MAIL",
        "ORGANIZATION",
        "PRIORITY",
        "WEIGHT",
        "PREFIX",
        "PROXY",
        "IN FLIGHT",
        "USED",
        "LAST REFRESH",
        "EXPIRES",
        "FILE",
    ]);
    for account in accounts {
        table.push([
            text::clean(&account.id).into(),
            kind_words(account.kind).into(),
            state(account, now),
            words(account.label.as_ref()),
            words(account.email.as_ref()),
            words(account.organization_name.as_ref()),
            account.priority.to_string().into(),
            account.weight.to_string().into(),
            words(account.prefix.as_ref()),
            words(account.proxy_url.as_ref()),
            account.in_flight.to_string().into(),
            usage::fullest(account.usage.as_ref()).unwrap_or_default().into(),
            from_now(account.last_refresh_at, now),
            from_now(account.expires_at, now),
            text::clean(&account.path).into(),
        ]);
    }
    table.render()
}

fn words(words: Option<&String>) -> Cell {
    text::clean(words.map(String::as_str).unwrap_or_default()).into()
}

fn from_now(time: Option<Timestamp>, now: Timestamp) -> Cell {
    time.map(|time| text::relative(time, now)).unwrap_or_default().into()
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
    fact("Next refresh", time(account.refresh_due_at));
    fact("Renewable", (account.kind == "oauth").then(|| if account.renewable { "yes" } else { "no" }.into()));
    fact("Requests", Some(format!("{} in flight", account.in_flight).into()));
    fact("Attempts", limits::attempts(account.attempts.as_ref()).map(Cell::from));
    fact("Last error", words(&account.last_error));
    fact("Not saved", account.degraded.then(|| UNSAVED.into()));
    fact("Priority", (account.priority != 0).then(|| account.priority.to_string().into()));
    fact("Reserve", (account.reserve_percent != 0).then(|| format!("{} %", account.reserve_percent).into()));
    fact("Weight", (account.weight != 1).then(|| account.weight.to_string().into()));
    fact("Prefix", words(&account.prefix));
    fact("Proxy", words(&account.proxy_url));
    fact("Gateway", words(&account.base_url));
    for ModelAlias { alias, model } in &account.model_aliases {
        fact("Alias", Some(text::clean(&format!("{alias} = {model}")).into()));
    }
    for pattern in &account.excluded_models {
        fact("Excludes", Some(text::clean(pattern).into()));
    }
    fact("Note", words(&account.note));
    fact("File", Some(text::clean(&account.path).into()));
    let mut details = table.render();
    paragraph(
        &mut details,
        "Warnings:",
        account.warnings.iter().map(|warning| text::clean(warning).into_owned()),
    );
    for limits::Section { title, body } in limits::sections(account, 2, now) {
        let _infallible = write!(details, "\n{title}:\n{body}");
    }
    if let Some(usage) = &account.usage {
        details.push_str("\nUsage of the plan:\n");
        details.push_str(&usage::bars(usage, now));
    }
    details
}

pub(super) const UNSAVED: &str =
    "its newest token could not be saved yet and lives in the daemon's memory only";

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
    let (words, style) = state_told(account, now);
    Cell::styled(words, style)
}

/// The state in words, and how it looks.
pub(super) fn state_told(account: &Account, now: Timestamp) -> (String, Style) {
    let colour = match account.state {
        "ready" => AnsiColor::Green,
        "cooling" => AnsiColor::Yellow,
        "disabled" => AnsiColor::BrightBlack,
        _ => AnsiColor::Red,
    };
    let until = account.available_at.filter(|until| account.state == "cooling" && *until > now);
    let until = until.map(|until| format!(", usable {}", text::relative(until, now)));
    (format!("{}{}", state_words(account.state), until.unwrap_or_default()), colour.on_default())
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
