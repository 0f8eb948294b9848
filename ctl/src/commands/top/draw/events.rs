//! What happened to the accounts, newest first.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::model::{Model, Pane};
use super::cells::{self, Cell, Column, MARGIN, heading, row};
use super::{Look, cut};
use crate::json::Event;

const COLUMNS: [Column; 4] = [
    Column::words("UTC", 8, 8, 0),
    Column::words("EVENT", 14, 14, 0),
    Column::words("ACCOUNT", 17, 24, 0),
    Column::words("WHAT HAPPENED", 24, 200, 1),
];

pub(super) fn lines(model: &Model, look: Look, place: Rect) -> Vec<Line<'static>> {
    let room = usize::from(place.width);
    let widths = cells::fit(&COLUMNS, room.saturating_sub(MARGIN));
    let mut lines = vec![heading((3, Pane::Events, model.pane), &COLUMNS, &widths, room)];
    let shown = usize::from(place.height).saturating_sub(1);
    if model.events.is_empty() {
        lines.push(Line::raw(cut("  nothing has happened since this screen began", room, look)));
    }
    let offset = model.offset(Pane::Events, model.events.len(), shown);
    let events = model.events.iter().skip(offset).take(shown);
    lines.extend(events.map(|event| row("", &COLUMNS, &widths, cells_of(event, look), look)));
    lines
}

fn cells_of(event: &Event, look: Look) -> Vec<Cell> {
    let at = event.at.map(|at| at.strftime("%H:%M:%S").to_string());
    vec![
        at.unwrap_or_default().into(),
        Cell(event.event.replace('_', " "), style(event.event, look)),
        event.name.clone().unwrap_or_default().into(),
        event.detail.clone().unwrap_or_default().into(),
    ]
}

fn style(kind: &str, look: Look) -> Style {
    match kind {
        "refreshed" | "recovered" | "saved" | "added" => look.good(),
        "changed" | "removed" => Style::new(),
        "cooling" | "ends_soon" | "quota_low" | "refresh_failed" => look.doubtful(),
        _ => look.bad(),
    }
}
