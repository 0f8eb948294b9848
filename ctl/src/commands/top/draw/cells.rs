//! What a row is made of: columns that fit the room, words cut to their width, bars, and figures that are short.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::super::model::Pane;
use super::{Look, bold, reversed};
use crate::text;

/// What stands before a row: whether it is the selected one.
pub(super) const MARGIN: usize = 2;

/// A column, should there be room for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
    /// Where there is too little room, the highest goes first. 0 stays.
    pub(super) rank: u8,
    pub(super) is_number: bool,
}

impl Column {
    pub(super) const fn words(title: &'static str, least: usize, most: usize, rank: u8) -> Self {
        Self { title, least, most, rank, is_number: false }
    }

    pub(super) const fn number(title: &'static str, width: usize, rank: u8) -> Self {
        Self { title, least: width, most: width, rank, is_number: true }
    }
}

/// The widths of the columns that fit; `None` for one that does not.
pub(super) fn fit(columns: &[Column], room: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = columns.iter().map(|column| Some(column.least)).collect();
    let taken = |widths: &[Option<usize>]| {
        let shown = widths.iter().flatten();
        shown.clone().sum::<usize>() + shown.count().saturating_sub(1)
    };
    while taken(&widths) > room {
        let shown =
            columns.iter().zip(&mut widths).filter(|(column, width)| width.is_some() && column.rank > 0);
        // Of one rank the last.
        let Some((_, last)) = shown.max_by_key(|(column, _)| column.rank) else { break };
        *last = None;
    }
    let mut left = room.saturating_sub(taken(&widths));
    while left > 0 {
        let before = left;
        for (column, width) in columns.iter().zip(&mut widths) {
            if let Some(width) = width.as_mut().filter(|width| **width < column.most && left > 0) {
                *width += 1;
                left -= 1;
            }
        }
        if before == left {
            break;
        }
    }
    widths
}

/// The row that names the columns, and says which pane it is and whether keys are about it.
pub(super) fn heading(
    (number, pane, current): (u8, Pane, Pane),
    columns: &[Column],
    widths: &[Option<usize>],
    room: usize,
) -> Line<'static> {
    let shown = columns.iter().zip(widths).filter_map(|(column, width)| Some((column, (*width)?)));
    let titles = shown.map(|(Column { title, is_number, .. }, width)| {
        if *is_number { format!("{title:>width$.width$} ") } else { format!("{title:<width$.width$} ") }
    });
    let line: String = std::iter::once(format!("{number} ")).chain(titles).collect();
    let style = if pane == current { reversed().patch(bold()) } else { bold() };
    Line::styled(format!("{line:<room$.room$}"), style)
}

/// One cell: its words, and how they look.
#[derive(Debug)]
pub(super) struct Cell(pub(super) String, pub(super) Style);

impl<T: Into<String>> From<T> for Cell {
    fn from(words: T) -> Self {
        Self(words.into(), Style::new())
    }
}

/// A row of cells, all of them, of which those are shown that have a width.
pub(super) fn row(
    mark: &str,
    columns: &[Column],
    widths: &[Option<usize>],
    cells: Vec<Cell>,
    look: Look,
) -> Line<'static> {
    let mut spans = vec![Span::styled(format!("{mark:<MARGIN$}"), bold())];
    let shown = columns.iter().zip(widths).zip(cells);
    for ((column, width), Cell(words, style)) in shown {
        let Some(width) = *width else { continue };
        let words = cut(&plain(&words, look), width, look);
        let gap = " ".repeat(width.saturating_sub(words.width()));
        let padded = if column.is_number { format!("{gap}{words} ") } else { format!("{words}{gap} ") };
        spans.push(Span::styled(padded, style));
    }
    Line::from(spans)
}

/// Foreign words as this terminal may show them.
pub(super) fn plain(words: &str, look: Look) -> String {
    let words = text::clean(words);
    if look.unicode {
        return words.into_owned();
    }
    words.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// Words in no more columns than there are; that something was cut off is seen.
pub(super) fn cut(words: &str, width: usize, look: Look) -> String {
    if words.width() <= width {
        return words.to_owned();
    }
    let (mut cut, mut used) = (String::new(), 0);
    for c in words.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push(if look.unicode { '…' } else { '~' });
    }
    cut
}

/// So many cells, as much of them filled as is used.
pub(super) fn bar(percent: f64, cells: usize, look: Look) -> String {
    let (full, empty) = if look.unicode { ('█', '░') } else { ('#', '-') };
    let all = u32::try_from(cells).unwrap_or(u32::MAX);
    let filled = (percent / 100.0 * f64::from(all)).round();
    (0..all).map(|cell| if f64::from(cell) < filled { full } else { empty }).collect()
}

/// The time from `now` to `then` by its largest unit, as in "3h"; nothing where it is over.
pub(super) fn left(then: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(then.duration_since(now).as_secs()).unwrap_or(0);
    match seconds {
        0 => String::new(),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long something took or takes, as in "0.4s" or "12m".
pub(super) fn took(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{seconds}.{}s", millis % 1000 / 100),
        10..100 => format!("{seconds}s"),
        100..6000 => format!("{}m", seconds / 60),
        6000..360_000 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A count in at most five characters, as in "812", "1.2k" or "35M".
pub(super) fn short(count: u64) -> String {
    let (unit, size) = match count {
        0..1000 => return count.to_string(),
        1000..1_000_000 => ('k', 1000),
        1_000_000..1_000_000_000 => ('M', 1_000_000),
        1_000_000_000..1_000_000_000_000 => ('G', 1_000_000_000),
        _ => ('T', 1_000_000_000_000),
    };
    let (whole, tenth) = (count / size, count % size / (size / 10));
    if whole < 10 { format!("{whole}.{tenth}{unit}") } else { format!("{whole}{unit}") }
}

/// How often in a second.
pub(super) fn rate(often: f64) -> String {
    if often < 9.95 {
        return format!("{often:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and a cast holds what is too large at the largest number"
    )]
    short(often.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { colour: false, unicode: false };
    const FULL: Look = Look { colour: false, unicode: true };

    #[test]
    fn columns_that_do_not_fit_go_and_those_that_can_grow() {
        let columns = [
            Column::words("A", 4, 6, 0),
            Column::number("B", 3, 2),
            Column::words("C", 5, 50, 1),
            Column::number("D", 4, 2),
        ];
        for (room, widths) in [
            (3, vec![Some(4), None, None, None]),
            (9, vec![Some(6), None, None, None]),
            (10, vec![Some(4), None, Some(5), None]),
            (14, vec![Some(4), Some(3), Some(5), None]),
            (19, vec![Some(4), Some(3), Some(5), Some(4)]),
            (21, vec![Some(5), Some(3), Some(6), Some(4)]),
            (30, vec![Some(6), Some(3), Some(14), Some(4)]),
            (200, vec![Some(6), Some(3), Some(50), Some(4)]),
        ] {
            assert_eq!(fit(&columns, room), widths, "{room}");
        }
    }

    #[test]
    fn words_are_cut_where_they_are_too_wide_also_between_wide_letters() {
        assert_eq!(cut("abc", 3, FULL), "abc");
        assert_eq!(cut("abcd", 3, FULL), "ab…");
        assert_eq!(cut("abcd", 3, PLAIN), "ab~");
        assert_eq!(cut("日本語", 5, FULL), "日本…");
        assert_eq!(cut("日本語", 4, FULL), "日…");
        assert_eq!((cut("ab", 1, FULL), cut("ab", 0, FULL)), ("…".to_owned(), String::new()));
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\u{9b}é", FULL), "a\u{fffd}[2J\u{fffd}é");
        assert_eq!(plain("a\u{1b}é", PLAIN), "a??");
    }

    #[test]
    fn figures_are_short() {
        for (count, words) in
            [(0, "0"), (999, "999"), (1000, "1.0k"), (1290, "1.2k"), (99_999, "99k"), (2_500_000, "2.5M")]
        {
            assert_eq!(short(count), words);
        }
        assert_eq!(short(u64::MAX), "18446744T");
        for (millis, words) in [(0, "0.0s"), (456, "0.4s"), (9999, "9.9s"), (61_000, "61s"), (600_000, "10m")]
        {
            assert_eq!(took(millis), words);
        }
        assert_eq!(
            (rate(0.0), rate(1.26), rate(41.6), rate(12_345.0)),
            ("0.0".into(), "1.3".into(), "42".into(), "12k".into())
        );
        let now = Timestamp::UNIX_EPOCH;
        for (second, words) in
            [(-5, ""), (0, ""), (59, "59s"), (3599, "59m"), (11_550, "3h"), (172_800, "2d")]
        {
            assert_eq!(left(Timestamp::from_second(second).unwrap(), now), words);
        }
    }

    #[test]
    fn bars_read_without_colour() {
        assert_eq!(bar(35.0, 10, PLAIN), "####------");
        assert_eq!(bar(35.0, 10, FULL), "████░░░░░░");
        assert_eq!((bar(250.0, 3, PLAIN), bar(-1.0, 3, PLAIN)), ("###".to_owned(), "---".to_owned()));
    }
}
