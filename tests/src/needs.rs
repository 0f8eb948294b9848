//! Programs of the system that some tests need and not every machine has.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "a harness: it talks to the person who runs the tests"
)]

use std::path::Path;

/// Whether all of these programs are there. Where one is not, the test says so and passes, unless
/// `PROXYD_TESTS_NEED` lists `what`: there it fails.
pub fn available(what: &str, programs: &[&str]) -> bool {
    let missing = |program: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places: Vec<_> = std::env::split_paths(&path).collect();
        places.push("/usr/sbin".into());
        !places.iter().any(|place| Path::new(place).join(program).is_file())
    };
    let Some(missing) = programs.iter().find(missing) else { return true };
    let needed = std::env::var("PROXYD_TESTS_NEED").unwrap_or_default();
    assert!(!needed.split([',', ' ']).any(|need| need == what), "{missing} is missing, and {what} is needed");
    eprintln!("not tested: {what} needs {missing}, which this machine does not have");
    false
}
