//! Programs of the machine that a test needs and that may not be there.

use std::path::Path;
use std::process::{Command, Stdio};

/// Whether these programs are installed. A test without them says so and passes, unless the machine promised
/// `what` in `PROXYD_TESTS_NEED` (a list with commas): then it fails.
///
/// # Panics
/// When a promised program is missing.
pub fn available(what: &str, programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| !is_installed(program)).collect();
    missing.is_empty() || lacks(what, &format!("{missing:?}"))
}

/// As [`available`], of something that is tried by running a command.
///
/// # Panics
/// When it was promised and does not run.
pub fn runs(what: &str, program: &str, args: &[&str]) -> bool {
    let quiet = Stdio::null;
    let tried = Command::new(program).args(args).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    tried.is_ok_and(|status| status.success()) || lacks(what, &format!("`{program} {}`", args.join(" ")))
}

/// Always false.
fn lacks(what: &str, missing: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the machine that runs the tests says by it what it holds")]
    let promised = std::env::var("PROXYD_TESTS_NEED").unwrap_or_default();
    assert!(
        !promised.split(',').any(|word| word.trim() == what),
        "{what} was promised, and {missing} does not work"
    );
    #[expect(clippy::print_stderr, reason = "the reader of the tests' output must know what was not shown")]
    {
        eprintln!("NOT RUN: it needs {missing}, which does not work on this machine");
    }
    false
}

fn is_installed(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}
