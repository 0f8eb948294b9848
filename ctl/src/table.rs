//! Aligned columns without borders. Colour is added after the widths are known, so it never shifts a column.

use anstyle::Style;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// The space between two columns.
const GAP: usize = 2;

/// One cell: its text, and how it looks on a terminal that shows colours.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Rows of `N` cells.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[Cell; N]>,
    /// The first row names the columns.
    headed: bool,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), headed: false }
    }

    pub(crate) fn with_header(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(|title| Cell::styled(title, Style::new().bold()))], headed: true }
    }

    pub(crate) fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// The table, one line a row, with colour codes. No line ends in spaces, and a column that holds nothing but its name
    /// is left out.
    pub(crate) fn render(&self) -> String {
        self.render_within(None, &[])
    }

    /// The same, in lines of so many columns where that can be had: by leaving out what gives way, the first of these first.
    pub(crate) fn render_within(&self, limit: Option<usize>, giving_way: &[&str]) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.text.width().max(*width);
            }
        }
        let mut held = [!self.headed; N];
        for row in self.rows.iter().skip(usize::from(self.headed)) {
            for (held, cell) in held.iter_mut().zip(row) {
                *held |= !cell.text.is_empty();
            }
        }
        let total = |held: &[bool; N]| -> usize {
            let shown = widths.iter().zip(held).filter(|(_, held)| **held).map(|(width, _)| width + GAP);
            shown.sum::<usize>().saturating_sub(GAP)
        };
        for name in giving_way {
            if limit.is_none_or(|limit| total(&held) <= limit) {
                break;
            }
            let titles = self.rows.iter().take(usize::from(self.headed)).flatten();
            for (held, title) in held.iter_mut().zip(titles) {
                *held &= title.text != *name;
            }
        }
        let mut rendered = String::new();
        for row in &self.rows {
            let mut owed = 0;
            let columns = widths.iter().zip(row).zip(held).filter(|(_, held)| *held);
            for ((width, cell), _) in columns {
                if !cell.text.is_empty() {
                    rendered.extend(std::iter::repeat_n(' ', owed));
                    owed = 0;
                    let style = cell.style;
                    let _infallible = write!(rendered, "{style}{}{style:#}", cell.text);
                }
                owed += width - cell.text.width() + GAP;
            }
            rendered.push('\n');
        }
        rendered
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn columns_line_up_whatever_their_letters_and_colours() {
        let mut table = Table::with_header(["ID", "NAME", "STATE"]);
        table.push(["1".into(), "日本".into(), Cell::styled("ready", AnsiColor::Green.on_default())]);
        table.push(["22".into(), "".into(), "x".into()]);
        table.push(["3".into(), "long name".into(), "".into()]);
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(plain, "ID  NAME       STATE\n1   日本       ready\n22             x\n3   long name\n");
    }

    #[test]
    fn what_gives_way_is_left_out_until_the_lines_fit() {
        let mut table = Table::with_header(["ID", "KIND", "STATE", "NOTE"]);
        table.push(["12".into(), "oauth".into(), "ready".into(), "日本".into()]);
        let lines = |limit| {
            let table = table.render_within(limit, &["NOTE", "KIND"]);
            anstream::adapter::strip_str(&table).to_string()
        };
        let whole = "ID  KIND   STATE  NOTE\n12  oauth  ready  日本\n";
        for (limit, expected) in [
            (None, whole),
            (Some(22), whole),
            (Some(21), "ID  KIND   STATE\n12  oauth  ready\n"),
            (Some(15), "ID  STATE\n12  ready\n"),
            (Some(1), "ID  STATE\n12  ready\n"),
        ] {
            assert_eq!(lines(limit), expected, "{limit:?}");
        }
    }

    #[test]
    fn a_column_that_holds_nothing_is_left_out() {
        let mut table = Table::with_header(["ID", "NOTE", "STATE"]);
        table.push(["1".into(), "".into(), "ready".into()]);
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(plain, "ID  STATE\n1   ready\n");
    }
}
