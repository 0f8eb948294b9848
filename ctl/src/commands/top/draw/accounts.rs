//! The accounts: their states, their quota as bars with countdowns, and what they serve.

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::super::model::{Model, Pane};
use super::cells::{self, Cell, Column, MARGIN, bar, heading, left, row, short};
use super::{Look, cut};
use crate::json::Account;
use crate::text;

/// Columns of a window's name.
const NAME: usize = 4;
/// Bars are not longer, whatever room there is.
const LONGEST_BAR: usize = 20;
/// From this width on a countdown has both its units.
const WIDE: usize = 30;

const COLUMNS: [Column; 11] = [
    Column::words("ACCOUNT", 16, 40, 0),
    Column::words("STATE", 11, 15, 0),
    Column::words("QUOTA", 21, 38, 1),
    Column::words("QUOTA", 21, 38, 2),
    Column::words("QUOTA", 21, 38, 6),
    Column::number("RUN", 4, 1),
    Column::number("SERVED", 6, 4),
    Column::number("LIMITED", 7, 5),
    Column::number("FAILED", 6, 5),
    Column::words("KIND", 7, 7, 7),
    Column::words("TOKEN ENDS", 10, 10, 8),
];

/// One window of an account's limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) name: &'a str,
    /// The model it is about.
    pub(super) model: Option<&'a str>,
    pub(super) used_percent: f64,
    pub(super) resets_at: Option<Timestamp>,
}

pub(super) fn lines(model: &Model, look: Look, place: Rect) -> Vec<Line<'static>> {
    let room = usize::from(place.width);
    let widths = cells::fit(&COLUMNS, room.saturating_sub(MARGIN));
    let mut lines = vec![heading((1, Pane::Accounts, model.pane), &COLUMNS, &widths, room)];
    let shown = usize::from(place.height).saturating_sub(1);
    if model.accounts.is_empty() {
        let words = "  no account yet: `proxyctl login claude`";
        lines.push(Line::raw(cut(words, room, look)));
    }
    let offset = model.offset(Pane::Accounts, model.accounts.len(), shown);
    let selected = model.selected().map(|(at, _)| at);
    for (at, account) in model.accounts.iter().enumerate().skip(offset).take(shown) {
        let is_selected = selected == Some(at);
        let mark = if is_selected { ">" } else { "" };
        let cells = of_account(account, &widths, model.now, look);
        let line = row(mark, &COLUMNS, &widths, cells, look);
        lines.push(if is_selected {
            line.patch_style(Style::new().add_modifier(Modifier::BOLD))
        } else {
            line
        });
    }
    lines
}

fn of_account(account: &Account, widths: &[Option<usize>], now: Timestamp, look: Look) -> Vec<Cell> {
    let windows = telling(account, now);
    let quota = |nth: usize, column: usize| {
        let width = widths.get(column).copied().flatten().unwrap_or(0);
        windows.get(nth).map_or_else(|| "".into(), |window| of_window(window, width, now, look))
    };
    let attempts = account.attempts.as_ref();
    let number = |count: Option<u64>| count.map(short).unwrap_or_default();
    vec![
        account.to_string().into(),
        state(account, now, look),
        quota(0, 2),
        quota(1, 3),
        quota(2, 4),
        account.in_flight.to_string().into(),
        number(attempts.map(|attempts| attempts.served)).into(),
        number(attempts.map(|attempts| attempts.limited)).into(),
        number(attempts.map(|attempts| attempts.failed + attempts.refused)).into(),
        if account.kind == "api_key" { "API key" } else { account.kind }.into(),
        account.expires_at.map(|end| text::relative(end, now)).unwrap_or_default().into(),
    ]
}

/// The state in words, with how long it lasts; a mark where there is more to know.
pub(super) fn state(account: &Account, now: Timestamp, look: Look) -> Cell {
    let style = match account.state {
        "ready" => look.good(),
        "cooling" => look.doubtful(),
        "disabled" => Style::new().add_modifier(Modifier::DIM),
        _ => look.bad(),
    };
    let until = account.available_at.filter(|_| account.state == "cooling").map(|until| left(until, now));
    let until = until.filter(|until| !until.is_empty()).map(|until| format!(" {until}"));
    // What is not ready has its reason, too.
    let more = account.state == "ready"
        && (account.degraded || account.last_error.is_some() || !account.warnings.is_empty());
    let words = account.state.replace('_', " ");
    let mark = if more { " !" } else { "" };
    Cell(format!("{words}{}{mark}", until.unwrap_or_default()), style)
}

/// All windows: as answers' headers told them, else as the plan's usage did.
pub(super) fn windows(account: &Account) -> Vec<Window<'_>> {
    let quota = account.quota.iter().map(|window| Window {
        name: &window.name,
        model: window.model.as_deref(),
        used_percent: window.used_percent,
        resets_at: window.resets_at,
    });
    let windows: Vec<_> = quota.collect();
    if !windows.is_empty() {
        return windows;
    }
    let usage = account.usage.iter().flat_map(|usage| &usage.windows).map(|window| Window {
        name: &window.name,
        model: None,
        used_percent: window.used_percent,
        resets_at: window.resets_at,
    });
    usage.collect()
}

/// The windows that tell most: the plan's own first, then the fullest.
fn telling(account: &Account, now: Timestamp) -> Vec<Window<'_>> {
    let mut windows = windows(account);
    let rank = |window: &Window<'_>| match name(window.name) {
        "5h" => 0,
        "7d" => 1,
        _ => 2,
    };
    windows.sort_by(|a, b| {
        let fuller = used(b, now).total_cmp(&used(a, now));
        rank(a).cmp(&rank(b)).then(fuller)
    });
    windows
}

/// A window that has begun anew is empty.
fn used(window: &Window<'_>, now: Timestamp) -> f64 {
    if window.resets_at.is_some_and(|at| at <= now) { 0.0 } else { window.used_percent }
}

fn name(window: &str) -> &str {
    match window {
        "five_hour" | "5h" => "5h",
        "seven_day" | "7d" => "7d",
        "seven_day_opus" | "7d_opus" => "opus",
        "seven_day_sonnet" | "7d_sonnet" => "sonn",
        "tokens" => "tok",
        "input_tokens" => "in",
        "output_tokens" => "out",
        "requests" => "req",
        other => other,
    }
}

/// `5h   [####------]  35% 3h`
pub(super) fn of_window(window: &Window<'_>, width: usize, now: Timestamp, look: Look) -> Cell {
    let percent = used(window, now);
    let reset = window.resets_at.filter(|at| *at > now).map(|at| {
        let long = || text::duration(at.duration_since(now).unsigned_abs());
        if width >= WIDE { long() } else { left(at, now) }
    });
    let countdown = if width >= WIDE { 7 } else { 3 };
    // Name, bar in brackets, percent and countdown, with a space between each two.
    let cells = width.saturating_sub(NAME + 1 + 2 + 1 + 4 + 1 + countdown).min(LONGEST_BAR);
    let style = match percent {
        used if used >= 90.0 => look.bad(),
        used if used >= 70.0 => look.doubtful(),
        _ => look.good(),
    };
    let name = cut(&cells::plain(name(window.name), look), NAME, look);
    let bar = bar(percent, cells, look);
    Cell(format!("{name:<NAME$} [{bar}] {percent:>3.0}% {}", reset.unwrap_or_default()), style)
}
