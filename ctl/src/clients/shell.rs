//! Lines that a shell runs. Pure.

use std::fmt::Write as _;

use super::variables::Variables;
use crate::cli::Shell;

/// Lines that set and unset the variables.
pub(crate) fn lines(variables: &Variables, shell: Shell) -> String {
    let mut lines = String::new();
    for name in &variables.unset {
        let _infallible = match shell {
            Shell::Bash | Shell::Zsh => writeln!(lines, "unset {name}"),
            // Told to erase what is not there, fish says so by its status alone.
            Shell::Fish => writeln!(lines, "set -e {name}"),
        };
    }
    for (name, value) in &variables.set {
        let _infallible = match shell {
            Shell::Bash | Shell::Zsh => writeln!(lines, "export {name}={}", quoted(value)),
            Shell::Fish => writeln!(lines, "set -gx {name} {}", quoted_for_fish(value)),
        };
    }
    lines
}

/// One word for a shell of Bourne's family, whatever is in it.
pub(crate) fn quoted(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Within fish's quotes a backslash means something, too.
fn quoted_for_fish(word: &str) -> String {
    if is_plain(word) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\\', r"\\").replace('\'', r"\'"))
    }
}

/// Whether every shell takes it for itself.
fn is_plain(word: &str) -> bool {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | ',' | '@' | '+');
    !word.is_empty() && word.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_gets_its_own_lines() {
        let variables =
            Variables::of([("A", "http://x:1".to_owned()), ("B", "it's \\ $x".to_owned())]).without(["C"]);
        assert_eq!(
            lines(&variables, Shell::Bash),
            "unset C\nexport A=http://x:1\nexport B='it'\\''s \\ $x'\n"
        );
        assert_eq!(
            lines(&variables, Shell::Fish),
            "set -e C\nset -gx A http://x:1\nset -gx B 'it\\'s \\\\ $x'\n"
        );
        assert_eq!((quoted(""), quoted("a b")), ("''".to_owned(), "'a b'".to_owned()));
    }
}
