//! The screen as it looks: a pure function of the model and of the room there is.
//!
//! Everything is said in words, figures and bars, so that nothing is lost without colour. What others wrote is made safe before it
//! is put down.

mod accounts;
mod cells;
mod details;
mod events;
mod help;
mod layout;
mod requests;
#[cfg(test)]
pub(super) mod testing;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;

use self::cells::{cut, plain, rate, short};
use super::model::{Link, Model, Pane};
use super::rates;
use crate::commands::address;
use crate::json::Account;
use crate::text;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) colour: bool,
    /// More than ASCII.
    pub(super) unicode: bool,
}

impl Look {
    fn paint(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.paint(Color::Green)
    }

    fn doubtful(self) -> Style {
        self.paint(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.paint(Color::Red)
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, look: Look) {
    let area = frame.area();
    let places = layout::places(area, model);
    put(frame, places.header, header(model, look, area.width));
    if model.shows_help {
        put(frame, places.middle, help::lines());
    } else {
        for (pane, place) in places.panes {
            let lines = match pane {
                Pane::Accounts => accounts::lines(model, look, place),
                Pane::Requests => requests::lines(model, look, place),
                Pane::Events => events::lines(model, look, place),
            };
            put(frame, place, lines);
        }
        if let (Some(place), Some((_, account))) = (places.details, model.selected()) {
            put(frame, place, details::lines(account, model.now, look, place));
        }
        if model.link != Link::Up {
            // What is known is old.
            frame.buffer_mut().set_style(places.middle, Style::new().add_modifier(Modifier::DIM));
        }
    }
    put(frame, places.footer, footer(model, look, area.width));
}

fn put(frame: &mut Frame<'_>, place: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(Text::from(lines)), place);
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn reversed() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// Who the daemon is, and how much goes on.
fn header(model: &Model, look: Look, width: u16) -> Vec<Line<'static>> {
    let status = &model.status;
    let listen = status.http_listen.first().map(|listen| address(listen)).unwrap_or_default();
    let up =
        status.started_at.filter(|start| *start <= model.now).map(|start| model.now.duration_since(start));
    let up = up.map(|up| format!("  up {}", text::duration(up.unsigned_abs())));
    let left = format!("proxyd {}  {listen}{}", status.version, up.unwrap_or_default());
    let clock = model.now.strftime("%H:%M:%S UTC").to_string();
    let room = usize::from(width).saturating_sub(clock.len() + 1);
    let first = Line::from(vec![
        Span::styled(format!("{:room$} ", cut(&left, room, look)), bold()),
        Span::raw(clock),
    ]);
    let second = match &model.link {
        Link::Up => Line::raw(activity(model, width.into())),
        Link::Lost { since, why } => {
            let ago = text::relative(*since, model.now);
            let words = format!("CONNECTION LOST {ago}: {why}. This is how it was then; trying again.");
            Line::styled(
                format!("{:width$}", cut(&words, width.into(), look), width = width.into()),
                reversed(),
            )
        }
    };
    vec![first, second]
}

/// What matters most comes first: what does not fit a narrow screen is left out.
fn activity(model: &Model, width: usize) -> String {
    let Some(now) = &model.activity else { return String::new() };
    let mut parts = vec![format!("{} running", now.running_total)];
    if let Some(rates) = model.rates.per_second() {
        parts.push(format!("{} req/s", rate(rates.requests)));
        parts.push(format!("tok/s {} in {} out", rate(rates.input), rate(rates.output)));
    }
    parts.push(format!("{} waiting", now.waiting));
    if let Some(cached) = rates::cached(&now.totals) {
        parts.push(format!("{cached:.0} % cached"));
    }
    parts.push(text::count(now.connections, "connection"));
    parts.push(format!("{} served, {} failed", short(now.totals.requests), short(now.totals.failed)));
    let mut line = String::new();
    for part in parts {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.len() + gap.len() + part.len() > width {
            break;
        }
        line = line + gap + &part;
    }
    line
}

/// What came of the last key, or what is to be known of the selected account; and the keys.
fn footer(model: &Model, look: Look, width: u16) -> Vec<Line<'static>> {
    let (words, style) = match (&model.asking, &model.doing, &model.said) {
        (Some(deed), _, _) => {
            (format!("Disable {}? It gets no new requests then. [y/n]", deed.name), reversed())
        }
        (None, Some(deed), _) => (format!("{} {} ...", deed.verb.doing(), deed.name), bold()),
        (None, None, Some(said)) if said.went_wrong => {
            (said.words.clone(), look.bad().add_modifier(Modifier::BOLD))
        }
        (None, None, Some(said)) => (said.words.clone(), bold()),
        (None, None, None) => (
            model.selected().and_then(|(_, account)| noteworthy(account)).unwrap_or_default(),
            look.doubtful(),
        ),
    };
    let keys = "d disable  e enable  r refresh  arrows choose  Tab pane  ? help  q quit";
    vec![
        Line::styled(cut(&plain(&words, look), width.into(), look), style),
        Line::raw(cut(keys, width.into(), look)),
    ]
}

/// Why an account is not simply ready.
fn noteworthy(account: &Account) -> Option<String> {
    let reason = account.state_reason.as_deref().filter(|_| account.state != "disabled");
    let unsaved = account.degraded.then_some("its newest token could not be saved yet");
    let words = reason.or(account.last_error.as_deref()).or(unsaved);
    let words = words.or(account.warnings.first().map(String::as_str))?;
    Some(format!("{account}: {words}"))
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
