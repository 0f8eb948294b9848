//! What an edit changes, as a person reads it. What looks like a secret is not shown.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

/// What every key and token of the providers and of proxyd begins with.
const SECRET: &str = "sk-";
/// Shorter words are no secrets.
const SHORTEST: usize = 8;

/// A unified diff, with colour codes. `secret` is a text that must not be seen.
pub(crate) fn unified(name: &str, before: &str, after: &str, secret: Option<&str>) -> String {
    let diff = TextDiff::from_lines(before, after);
    let old = if before.is_empty() { "/dev/null" } else { name };
    let text =
        diff.unified_diff().context_radius(3).missing_newline_hint(false).header(old, name).to_string();
    let mut coloured = String::new();
    for (index, line) in text.lines().enumerate() {
        let style = match line.as_bytes().first() {
            _ if index < 2 => Style::new().bold(),
            Some(b'+') => AnsiColor::Green.on_default(),
            Some(b'-') => AnsiColor::Red.on_default(),
            Some(b'@') => AnsiColor::Cyan.on_default(),
            _ => Style::new(),
        };
        let line = masked(line, secret);
        let _infallible = writeln!(coloured, "{style}{line}{style:#}");
    }
    coloured
}

/// The line with stars for whatever may be a secret.
fn masked(line: &str, secret: Option<&str>) -> String {
    let line = secret.map_or_else(|| line.to_owned(), |secret| line.replace(secret, "****"));
    let mut shown = String::new();
    let mut rest = line.as_str();
    while let Some((before, from)) = rest.find(SECRET).map(|at| rest.split_at(at)) {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = from.find(|c: char| !word(c)).unwrap_or(from.len());
        let (found, behind) = from.split_at(end);
        let inside = before.ends_with(|c: char| c.is_ascii_alphanumeric());
        shown.push_str(before);
        shown.push_str(if end < SHORTEST || inside { found } else { "sk-****" });
        rest = behind;
    }
    shown.push_str(rest);
    // What a file holds must not steer the terminal.
    shown.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_shown_and_no_secret_is() {
        let before = "a\nkey = \"sk-ant-api03-FAKE_x.y\" # old\nmask-ask-task = 1\n";
        let after = "a\nkey = \"word-FAKE\"\nmask-ask-task = 1\n";
        let shown = unified("/x", before, after, Some("word-FAKE"));
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(
            plain,
            "--- /x\n+++ /x\n@@ -1,3 +1,3 @@\n a\n-key = \"sk-****\" # old\n+key = \"****\"\n mask-ask-task = 1\n"
        );
        assert!(shown.contains("\u{1b}[32m+key"), "{shown}");
    }

    #[test]
    fn a_new_file_comes_from_nothing() {
        let shown = unified("/x", "", "a\u{1b}\n", None);
        assert!(anstream::adapter::strip_str(&shown).to_string().starts_with("--- /dev/null\n+++ /x\n"));
        assert!(shown.contains("a\u{fffd}"), "{shown:?}");
    }
}
