//! Keys as people read them. Pure; everything foreign is made safe for a terminal.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::json::{Key, KeyAccount, KeyList};
use crate::table::{Cell, Table};
use crate::text;

/// The key by its name and id.
pub(super) fn called(key: &Key) -> String {
    format!("{} ({})", text::clean(&key.name), text::clean(&key.id))
}

/// What is left out first where a line is too short for all of it.
const GIVING_WAY: [&str; 7] = ["REFUSED", "TOKENS", "REQUESTS", "LAST USED", "ACCOUNTS", "LIMITS", "MODELS"];

/// A key a line, of `width` columns where there is such a limit.
pub(super) fn list(list: &KeyList, width: Option<usize>, now: Timestamp) -> String {
    let mut table = Table::with_header([
        "NAME",
        "ID",
        "STATE",
        "MODELS",
        "ACCOUNTS",
        "LIMITS",
        "REQUESTS",
        "TOKENS",
        "REFUSED",
        "LAST USED",
        "EXPIRES",
    ]);
    for key in &list.keys {
        let from_now =
            |time: Option<Timestamp>| time.map(|time| text::relative(time, now)).unwrap_or_default();
        table.push([
            text::clean(&key.name).into(),
            text::clean(&key.id).into(),
            state(key),
            text::clean(&key.models.join(",")).into(),
            accounts(key, ",").into(),
            limits(key).unwrap_or_default().into(),
            counted(key.requests),
            counted(key.tokens),
            counted(key.refused),
            from_now(key.last_used_at).into(),
            from_now(key.expires_at).into(),
        ]);
    }
    table.render_within(width, &GIVING_WAY)
}

/// Everything about one key, one fact a line.
pub(super) fn details(key: &Key, now: Timestamp) -> String {
    let mut table = Table::new();
    let mut fact = |name: &str, value: Option<Cell>| {
        if let Some(value) = value {
            table.push([Cell::styled(name, Style::new().bold()), value]);
        }
    };
    let time = |time: Option<Timestamp>| {
        time.map(|time| format!("{time:.0} ({})", text::relative(time, now)).into())
    };
    let all = |words: String| if words.is_empty() { "all".to_owned() } else { words };
    fact("ID", Some(text::clean(&key.id).into()));
    fact("Name", Some(text::clean(&key.name).into()));
    fact("State", Some(state(key)));
    fact("Made", time(key.created_at));
    fact("Ends", Some(time(key.expires_at).unwrap_or_else(|| "never".into())));
    fact("Last used", Some(time(key.last_used_at).unwrap_or_else(|| "never".into())));
    fact("Models", Some(all(text::clean(&key.models.join(", ")).into_owned()).into()));
    fact("Accounts", Some(all(accounts(key, ", ")).into()));
    fact("Limits", Some(limits(key).unwrap_or_else(|| "none".to_owned()).into()));
    fact("Right now", Some(format!("{} running, {} waiting", key.running, key.waiting).into()));
    let since = format!("{} requests, {} tokens, {} refused", key.requests, key.tokens, key.refused);
    fact("Since the start", Some(since.into()));
    table.render()
}

fn state(key: &Key) -> Cell {
    let style = match key.state {
        "active" => AnsiColor::Green.on_default(),
        "expired" => AnsiColor::Red.on_default(),
        _ => Style::new(),
    };
    Cell::styled(key.state, style)
}

fn accounts(key: &Key, between: &str) -> String {
    let name = |account: &KeyAccount| match &account.name {
        Some(name) => text::clean(name).into_owned(),
        None => format!("{} (not in the pool)", text::clean(&account.id)),
    };
    key.accounts.iter().map(name).collect::<Vec<_>>().join(between)
}

fn limits(key: &Key) -> Option<String> {
    let words = [
        key.rpm.map(|number| format!("{number} rpm")),
        key.tpm.map(|number| format!("{number} tpm")),
        key.concurrency.map(|number| format!("{number} at a time")),
        (key.wait_ms > 0).then(|| match key.wait_ms {
            short @ ..1000 => format!("waits {short}ms"),
            long => format!("waits {}", text::duration(Duration::from_millis(long))),
        }),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Nothing instead of a zero: a column of a list that holds nothing is left out.
fn counted(number: u64) -> Cell {
    if number == 0 { Cell::from("") } else { number.to_string().into() }
}
