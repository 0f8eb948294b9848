//! `proxyctl accounts list --explain`: what would become of a request at each account, and why. Pure; a block an account,
//! the one that would be chosen first.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use std::fmt::Write as _;

use super::{limits, view};
use crate::facts;
use crate::json::{Account, AccountList, Outlook};
use crate::text;

/// Columns before an account's facts, and before what stands below a title among them.
const MARGIN: usize = 4;
const INNER: usize = 6;

/// Everything, for a request that names `model` or none.
pub(super) fn pool(list: &AccountList, model: Option<&str>, now: Timestamp) -> String {
    let mut accounts: Vec<&Account> = list.accounts.iter().collect();
    accounts.sort_by_key(|account| rank(account));
    let mut text = String::new();
    if let Some(first) = accounts.first() {
        text = format!("{}\n", facts::fold(&answer(first, model), 0, facts::WIDTH));
    }
    for account in accounts {
        text.push('\n');
        text.push_str(&block(account, now));
    }
    view::invalid_files(&mut text, list);
    text
}

fn rank(account: &Account) -> u8 {
    match account.outlook.as_ref().map(|outlook| outlook.kind) {
        Some("chosen") => 0,
        Some("passed") => 1,
        Some("not_serving") => 3,
        _ => 2,
    }
}

fn is_chosen(account: &Account) -> bool {
    account.outlook.as_ref().is_some_and(|outlook| outlook.kind == "chosen")
}

/// In one sentence, by the account that comes first.
fn answer(first: &Account, model: Option<&str>) -> String {
    let of = model.map(|model| format!(" for {}", text::clean(model))).unwrap_or_default();
    if is_chosen(first) {
        let called = view::called(first);
        format!("Right now a request{of} that belongs to no conversation would go to {called}.")
    } else {
        format!("Right now no account would get a request{of}.")
    }
}

fn block(account: &Account, now: Timestamp) -> String {
    let mark = if is_chosen(account) { '*' } else { '-' };
    let bold = Style::new().bold();
    let mut block = format!("{mark} {bold}{}{bold:#}\n", view::called(account));
    let plain = Style::new();
    let mut fact = |name: &str, words: Option<String>, style: Style| {
        if let Some(words) = words {
            block.push_str(&facts::fact(MARGIN, name, &text::clean(&words), style, facts::WIDTH));
        }
    };
    if let Some(outlook) = &account.outlook {
        let (words, style) = told(outlook);
        fact("Outlook", Some(words), style);
    }
    let (state, style) = view::state_told(account, now);
    fact("State", Some(state), style);
    let said = |reason: &&String| {
        let told = account.outlook.as_ref().and_then(|outlook| outlook.reason.as_deref());
        told.is_some_and(|told| told.contains(reason.as_str()))
    };
    fact("Reason", account.state_reason.as_ref().filter(|reason| !said(reason)).cloned(), plain);
    fact("Settings", settings(account), plain);
    fact("In flight", Some(account.in_flight.to_string()), plain);
    fact("Attempts", limits::attempts(account.attempts.as_ref()), plain);
    let relative = |time: Option<Timestamp>| time.map(|time| text::relative(time, now));
    fact("Next refresh", relative(account.refresh_due_at), plain);
    fact("Last refresh", relative(account.last_refresh_at), plain);
    fact("Last error", account.last_error.clone(), AnsiColor::Red.on_default());
    fact("Not saved", account.degraded.then(|| view::UNSAVED.to_owned()), AnsiColor::Red.on_default());
    for warning in &account.warnings {
        fact("Warning", Some(warning.clone()), AnsiColor::Yellow.on_default());
    }
    for limits::Section { title, body } in limits::sections(account, INNER, now) {
        let _infallible = write!(block, "{:MARGIN$}{bold}{title}{bold:#}\n{body}", "");
    }
    block
}

fn told(outlook: &Outlook) -> (String, Style) {
    let (word, style) = match outlook.kind {
        "chosen" => ("chosen", AnsiColor::Green.on_default()),
        "passed" => ("not chosen", Style::new()),
        "not_serving" => ("not chosen", AnsiColor::BrightBlack.on_default()),
        "behind" => ("not chosen", AnsiColor::Yellow.on_default()),
        _ => ("unknown", Style::new()),
    };
    let reason = outlook.reason.as_deref().map(|reason| format!(": {reason}"));
    (format!("{word}{}", reason.unwrap_or_default()), style)
}

/// What a person has set that decides who is chosen.
fn settings(account: &Account) -> Option<String> {
    let set = [
        (account.priority != 0).then(|| format!("priority {}", account.priority)),
        (account.weight > 1).then(|| format!("weight {}", account.weight)),
        (account.reserve_percent > 0).then(|| format!("reserve {} %", account.reserve_percent)),
        account.prefix.as_ref().map(|prefix| format!("prefix {prefix}")),
    ];
    let set: Vec<String> = set.into_iter().flatten().collect();
    (!set.is_empty()).then(|| set.join(", "))
}
