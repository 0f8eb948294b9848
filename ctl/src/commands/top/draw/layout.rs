//! How the rows of a screen are shared out.

use ratatui::layout::Rect;

use super::super::model::{Model, Pane};

/// Below this many rows only one pane is shown.
const LEAST_FOR_ALL: u16 = 12;
/// From this many on there is room for the details of the selected account.
const LEAST_FOR_DETAILS: u16 = 34;
const DETAILS: u16 = 9;
/// What a pane has at least, where it has so much to show.
const LEAST: u16 = 4;

/// Where each part stands.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) header: Rect,
    /// All between the header and the footer.
    pub(super) middle: Rect,
    pub(super) panes: Vec<(Pane, Rect)>,
    pub(super) details: Option<Rect>,
    pub(super) footer: Rect,
}

pub(super) fn places(area: Rect, model: &Model) -> Places {
    let footer = match area.height {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    };
    let header = area.height.min(2);
    let rows = area.height.saturating_sub(header + footer);
    let part = |top: u16, height: u16| Rect { y: area.y + top, height, ..area };
    let mut top = header;
    let mut next = |height: u16| {
        let place = part(top, height);
        top += height;
        place
    };
    let (mut panes, mut details) = (Vec::new(), None);
    if rows < LEAST_FOR_ALL {
        panes.push((model.pane, next(rows)));
    } else {
        let spare = if rows >= LEAST_FOR_DETAILS && model.selected().is_some() { DETAILS } else { 0 };
        let wanted = [model.accounts.len(), model.requests(), model.events.len()].map(rows_of);
        let [accounts, requests, events] = share(rows - spare, wanted, model.pane);
        panes.push((Pane::Accounts, next(accounts)));
        details = (spare > 0).then(|| next(spare));
        panes.push((Pane::Requests, next(requests)));
        panes.push((Pane::Events, next(events)));
    }
    // One line of the footer: that which tells what came of a key, and asks.
    let footer = part(header + rows, footer);
    Places { header: part(0, header), middle: part(header, rows), panes, details, footer }
}

/// Of a pane with so many entries: its heading, and a row to say that there is none.
fn rows_of(entries: usize) -> u16 {
    u16::try_from(entries.max(1)).unwrap_or(u16::MAX).saturating_add(1)
}

/// Rows for each pane. The one that keys are about gets the most where there is too little for all; what is left is the events'.
fn share(rows: u16, wanted: [u16; 3], current: Pane) -> [u16; 3] {
    let mut given = wanted.map(|wanted| wanted.min(LEAST));
    let mut left = rows.saturating_sub(given.iter().sum());
    let first = match current {
        Pane::Accounts => 0,
        Pane::Requests => 1,
        Pane::Events => 2,
    };
    for (at, most) in
        [(first, rows * 3 / 5), (0, rows * 2 / 5), (1, rows * 2 / 5), (2, rows), (0, rows), (1, rows)]
    {
        if let (Some(given), Some(wanted)) = (given.get_mut(at), wanted.get(at)) {
            let more = (*wanted).min(most).saturating_sub(*given).min(left);
            *given += more;
            left -= more;
        }
    }
    let [accounts, requests, events] = given;
    [accounts, requests, events + left]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_given_and_who_is_looked_at_gets_the_most() {
        for (rows, wanted, current, given) in [
            (20, [4, 3, 2], Pane::Accounts, [4, 3, 13]),
            (20, [201, 201, 201], Pane::Accounts, [12, 4, 4]),
            (20, [201, 201, 201], Pane::Requests, [4, 12, 4]),
            (20, [201, 201, 201], Pane::Events, [4, 4, 12]),
            (20, [4, 201, 201], Pane::Accounts, [4, 8, 8]),
            (12, [201, 2, 2], Pane::Accounts, [8, 2, 2]),
            (56, [10, 20, 201], Pane::Accounts, [10, 20, 26]),
        ] {
            assert_eq!(share(rows, wanted, current), given, "{rows} {wanted:?} {current:?}");
        }
    }
}
