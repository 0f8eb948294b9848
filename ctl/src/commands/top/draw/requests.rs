//! The requests: those that run, oldest first, and below them those that ended, newest first.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::super::model::{Model, Pane};
use super::cells::{self, Cell, Column, MARGIN, heading, row, short, took};
use super::{Look, cut};
use crate::json::{ActiveRequest, EndedRequest};

const COLUMNS: [Column; 13] = [
    Column::number("TIME", 5, 0),
    Column::words("STATE", 9, 11, 0),
    Column::words("ACCOUNT", 12, 34, 0),
    Column::words("MODEL", 17, 34, 0),
    Column::words("KEY", 6, 16, 1),
    Column::number("TRY", 3, 2),
    Column::number("IN", 5, 2),
    Column::number("OUT", 5, 1),
    Column::number("CACHED", 6, 4),
    Column::words("KIND", 12, 12, 3),
    Column::number("BYTES", 5, 5),
    Column::words("REQUEST", 35, 35, 6),
    Column::words("OUTCOME", 16, 90, 7),
];

pub(super) fn lines(model: &Model, look: Look, place: Rect) -> Vec<Line<'static>> {
    let room = usize::from(place.width);
    let widths = cells::fit(&COLUMNS, room.saturating_sub(MARGIN));
    let mut lines = vec![heading((2, Pane::Requests, model.pane), &COLUMNS, &widths, room)];
    let shown = usize::from(place.height).saturating_sub(1);
    let running = model.activity.as_ref().map_or(&[][..], |activity| &activity.running);
    let of_running = running.iter().map(|request| {
        let age = request.since.map(|since| model.now.duration_since(since).as_millis());
        let age = age.and_then(|age| u64::try_from(age).ok()).unwrap_or(0);
        let phase = Cell(request.phase.to_owned(), phase_style(request.phase, look));
        row("", &COLUMNS, &widths, cells_of(request, age, phase, ""), look)
    });
    let of_ended = model.ended.iter().map(|ended| {
        let outcome = ended.outcome.as_deref().unwrap_or_default();
        let cells = cells_of(&ended.request, ended.took_ms, end(ended, look), outcome);
        row("", &COLUMNS, &widths, cells, look).patch_style(Style::new().add_modifier(Modifier::DIM))
    });
    if model.requests() == 0 {
        lines.push(Line::raw(cut("  no request yet", room, look)));
    }
    let offset = model.offset(Pane::Requests, model.requests(), shown);
    lines.extend(of_running.chain(of_ended).skip(offset).take(shown));
    lines
}

fn cells_of(request: &ActiveRequest, millis: u64, state: Cell, outcome: &str) -> Vec<Cell> {
    let words = |words: &Option<String>| words.clone().unwrap_or_default().into();
    let some = |count: u64| if count == 0 { String::new() } else { short(count) };
    let tokens = &request.tokens;
    vec![
        took(millis).into(),
        state,
        words(&request.account_name),
        words(&request.model),
        words(&request.client_key),
        some(request.attempt.into()).into(),
        some(tokens.input.saturating_add(tokens.cache_write)).into(),
        some(tokens.output).into(),
        some(tokens.cache_read).into(),
        kind(request).into(),
        some(request.bytes).into(),
        request.request_id.clone().into(),
        outcome.into(),
    ]
}

/// What it is, in one word: its dialect, or where that says nothing its endpoint.
fn kind(request: &ActiveRequest) -> String {
    match request.endpoint.as_deref() {
        Some("messages") | None => request.dialect.clone(),
        Some(endpoint) => endpoint.to_owned(),
    }
}

fn phase_style(phase: &str, look: Look) -> Style {
    match phase {
        "answering" => look.good(),
        "waiting" => look.doubtful(),
        _ => Style::new(),
    }
}

/// The end in a word and the status.
fn end(ended: &EndedRequest, look: Look) -> Cell {
    match ended.status {
        Some(status @ 200..400) => Cell(format!("ok {status}"), Style::new()),
        Some(status) => Cell(format!("error {status}"), look.bad()),
        None => Cell("left".to_owned(), look.doubtful()),
    }
}
