//! One fact a line: its name, and its words folded to the width of the screen. Pure.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

/// Columns of a terminal that nobody has made wider. Longer lines are harder to read.
pub(crate) const WIDTH: usize = 80;
/// In fewer, hardly two words would stand beside each other.
const LEAST: usize = 40;
/// Columns of a name and the space behind it.
const NAME: usize = 14;

/// The columns to fold to where a line of the screen has so many.
pub(crate) fn columns(screen: Option<usize>) -> usize {
    screen.map_or(WIDTH, |columns| columns.clamp(LEAST, WIDTH))
}

/// The line of a fact, or its lines, `margin` columns from the left.
pub(crate) fn fact(margin: usize, name: &str, words: &str, style: Style, columns: usize) -> String {
    let bold = Style::new().bold();
    let words = fold(words, margin + NAME, columns);
    let space = NAME.saturating_sub(name.width());
    format!("{:margin$}{bold}{name}{bold:#}{:space$}{style}{words}{style:#}\n", "", "")
}

/// Words that begin `margin` columns from the left, broken where the next one would pass the end of the line. What cannot
/// be broken, such as an address, stays whole.
pub(crate) fn fold(words: &str, margin: usize, columns: usize) -> String {
    let mut folded = String::new();
    let mut column = margin;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        if column > margin && column + 1 + word.width() > columns {
            folded.push('\n');
            folded.extend(std::iter::repeat_n(' ', margin));
            column = margin;
        } else if column > margin {
            folded.push(' ');
            column += 1;
        }
        folded.push_str(word);
        column += word.width();
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_before_the_end_of_the_line() {
        let ten = "123456789 ".repeat(8);
        assert_eq!(fold(ten.trim(), 0, WIDTH), ten.trim());
        assert_eq!(fold(ten.trim(), 2, WIDTH).split('\n').map(str::len).collect::<Vec<_>>(), [69, 11]);
        let wide = "日本語日 ".repeat(10);
        assert_eq!(fold(&wide, 0, WIDTH).split('\n').map(str::width).collect::<Vec<_>>(), [80, 8]);
    }

    #[test]
    fn a_narrow_screen_is_kept_to_and_a_wide_one_is_not_filled() {
        assert_eq!([None, Some(60), Some(10), Some(200)].map(columns), [80, 60, 40, 80]);
        assert_eq!(fold("one two three", 2, 10), "one two\n  three");
    }

    #[test]
    fn what_cannot_be_broken_stays_whole_on_a_line_of_its_own() {
        let path = "/".repeat(100);
        assert_eq!(fold(&format!("see {path} there"), 4, WIDTH), format!("see\n    {path}\n    there"));
        assert_eq!(fold("", 4, WIDTH), "");
    }

    #[test]
    fn names_line_up() {
        let facts = [("State", "ready"), ("Last refresh", "now")]
            .map(|(name, words)| fact(2, name, words, Style::new(), WIDTH));
        let plain = anstream::adapter::strip_str(&facts.concat()).to_string();
        assert_eq!(plain, "  State         ready\n  Last refresh  now\n");
    }
}
