//! The selected account in full, where there is room for it.

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::accounts::{self, Window, of_window, windows};
use super::cells::{Cell, cut, plain};
use super::{Look, bold};
use crate::json::Account;
use crate::text;

/// Columns of a fact's name.
const NAME: usize = 14;
/// Columns of a window with its bar and its countdown.
const WINDOW: usize = 38;

pub(super) fn lines(account: &Account, now: Timestamp, look: Look, place: Rect) -> Vec<Line<'static>> {
    let room = usize::from(place.width);
    let mut lines = vec![Line::raw("")];
    let mut fact = |name: &str, words: String, style: Style| {
        let words = cut(&plain(&words, look), room.saturating_sub(NAME + 2), look);
        lines.push(Line::from(vec![
            Span::styled(format!("  {name:<NAME$}"), bold()),
            Span::styled(words, style),
        ]));
    };
    let Cell(state, style) = accounts::state(account, now, look);
    let reason = account.state_reason.as_ref().map(|reason| format!(": {reason}"));
    let name = format!("{account} ({})  {state}{}", account.id, reason.unwrap_or_default());
    fact("Selected", name, style);
    for about in of_models(account) {
        let of = windows(account).into_iter().filter(|window| window.model == about);
        let bars: Vec<String> = of.map(|window| of_window(&window, WINDOW, now, look).0).collect();
        let of = about.map(|model| format!("{model}: ")).unwrap_or_default();
        fact("Quota", format!("{of}{}", bars.join("   ")), Style::new());
    }
    let mut times = Vec::new();
    times.extend(account.refresh_due_at.map(|at| format!("next refresh {}", text::relative(at, now))));
    times.extend(account.last_refresh_at.map(|at| format!("last {}", text::relative(at, now))));
    times.extend(account.expires_at.map(|at| format!("token ends {}", text::relative(at, now))));
    if !times.is_empty() {
        fact("Token", times.join(", "), Style::new());
    }
    for cooldown in &account.cooldowns {
        let about = cooldown.about.as_ref().map(|about| format!("{about}: ")).unwrap_or_default();
        let until = cooldown.until.map(|at| format!(", {}", text::relative(at, now))).unwrap_or_default();
        let reason = cooldown.reason.as_deref().unwrap_or_default();
        fact("Left alone", format!("{about}{reason}{until}"), look.doubtful());
    }
    for words in account.last_error.iter().chain(&account.warnings) {
        fact("Warning", words.clone(), look.doubtful());
    }
    lines
}

/// Each model that a window is about, and none for those of all, in their order.
fn of_models(account: &Account) -> Vec<Option<&str>> {
    let mut models = Vec::new();
    for Window { model, .. } in windows(account) {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    models
}
