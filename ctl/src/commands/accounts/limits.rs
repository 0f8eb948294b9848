//! An account's quota windows and cooldowns as people read them. Pure.

use anstyle::Style;
use jiff::Timestamp;
use std::fmt::Write as _;

use super::usage;
use crate::facts;
use crate::json::{Account, AttemptCounts, Cooldown, QuotaWindow};
use crate::table::{Cell, Table};
use crate::text;

/// Cells of a bar: fewer than a plan's usage has, since each line tells when it was seen as well.
const BAR: u32 = 10;

/// A title, and lines below it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) body: String,
}

/// What there is to tell: the windows of the plan, those of each model, and the cooldowns. The lines begin `margin`
/// columns from the left.
pub(super) fn sections(account: &Account, margin: usize, now: Timestamp) -> Vec<Section> {
    let mut sections = Vec::new();
    for model in models(&account.quota) {
        let windows = account.quota.iter().filter(|window| window.model.as_deref() == model);
        let of = model.map(|model| format!(" of {}", text::clean(model)));
        sections.push(Section {
            title: format!("Quota{}", of.unwrap_or_default()),
            body: indented(&bars(windows, now), margin),
        });
    }
    if !account.cooldowns.is_empty() {
        let lines = account.cooldowns.iter().map(|cooldown| {
            format!("{:margin$}{}\n", "", facts::fold(&told(cooldown, now), margin + 2, facts::WIDTH))
        });
        sections.push(Section { title: "Cooldowns".to_owned(), body: lines.collect() });
    }
    sections
}

/// `120 served, 3 limited`; none where there was no attempt.
pub(super) fn attempts(attempts: Option<&AttemptCounts>) -> Option<String> {
    let AttemptCounts { served, client_faults, limited, refused, failed } = attempts?;
    let counts = [
        (served, "served"),
        (client_faults, "the client's fault"),
        (limited, "limited"),
        (refused, "refused"),
        (failed, "failed"),
    ];
    let some = counts.iter().filter(|(count, _)| **count > 0);
    let words: Vec<String> = some.map(|(count, word)| format!("{count} {word}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Each model that a window is of, and none for the windows of all, in the order of the windows.
fn models(quota: &[QuotaWindow]) -> Vec<Option<&str>> {
    let mut models = Vec::new();
    for window in quota {
        let model = window.model.as_deref();
        if !models.contains(&model) {
            models.push(model);
        }
    }
    models
}

fn bars<'a>(windows: impl Iterator<Item = &'a QuotaWindow>, now: Timestamp) -> String {
    let mut table = Table::new();
    for window in windows {
        let reset = window.resets_at.map(|at| {
            let word = if at > now { "resets" } else { "reset" };
            format!("{word} {}", text::relative(at, now))
        });
        let seen = window.seen_at.map(|at| format!("seen {}", text::relative(at, now)));
        table.push([
            usage::name(&window.name).into(),
            Cell::styled(
                format!("[{}]", usage::bar(window.used_percent, BAR)),
                usage::style(window.used_percent),
            ),
            format!("{:>3.0} %", window.used_percent).into(),
            reset.unwrap_or_default().into(),
            Cell::styled(seen.unwrap_or_default(), Style::new().dimmed()),
        ]);
    }
    table.render()
}

fn told(cooldown: &Cooldown, now: Timestamp) -> String {
    let Cooldown { about, until, reason, binding } = cooldown;
    let until = until.map(|until| format!("{until:.0} ({})", text::relative(until, now)));
    let until = until.as_deref().unwrap_or("a time that is not known");
    let what = if *binding {
        format!("not used before {until}")
    } else {
        format!("comes last until {until}, which is a guess")
    };
    let about = about.as_deref().unwrap_or("the account");
    let reason = reason.as_deref().map(|reason| format!(": {reason}"));
    text::clean(&format!("{about}: {what}{}", reason.unwrap_or_default())).into_owned()
}

fn indented(lines: &str, margin: usize) -> String {
    let mut text = String::new();
    for line in lines.lines() {
        let _infallible = writeln!(text, "{:margin$}{line}", "");
    }
    text
}
