//! The keys.

use ratatui::text::Line;

const KEYS: [(&str, &str); 10] = [
    ("Up Down, k j", "choose an account; in the other panes: scroll"),
    ("d", "disable the chosen account, after a question"),
    ("e", "enable it"),
    ("r", "refresh its token now"),
    ("Tab, 1 2 3", "go to the next pane, or to one; it gets the most room"),
    ("PgUp PgDn", "ten rows; Home and End: the first and the last"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-Z", "go back to the shell for a while; fg comes back"),
    ("q, Esc", "quit, as does Ctrl-C"),
    ("any key", "close this help"),
];

pub(super) fn lines() -> Vec<Line<'static>> {
    let keys = KEYS.iter().map(|(key, what)| Line::raw(format!("  {key:<13} {what}")));
    let notes = [
        "",
        "  Bars show what is used of a window, then the percent and the time until it",
        "  begins anew. A state with ! has more to say: choose the account. The output",
        "  of a stream is guessed from its length until upstream tells it at the end.",
    ];
    keys.chain(notes.into_iter().map(Line::raw)).collect()
}
