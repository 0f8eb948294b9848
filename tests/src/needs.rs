//! Programs of the machine that a test needs and that may not be there.

use std::path::Path;

/// Whether these programs are installed. A test without them says so and passes, unless the machine promised
/// `what` in `PROXYD_TESTS_NEED` (a list with commas): then it fails.
///
/// # Panics
/// When a promised program is missing.
pub fn available(what: &str, programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| !is_installed(program)).collect();
    if missing.is_empty() {
        return true;
    }
    #[expect(clippy::disallowed_methods, reason = "the machine that runs the tests says by it what it holds")]
    let promised = std::env::var("PROXYD_TESTS_NEED").unwrap_or_default();
    assert!(
        !promised.split(',').any(|word| word.trim() == what),
        "{what} was promised, and {missing:?} is missing"
    );
    #[expect(clippy::print_stderr, reason = "the reader of the tests' output must know what was not shown")]
    {
        eprintln!("NOT RUN: it needs {missing:?}, which this machine does not have");
    }
    false
}

fn is_installed(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}
