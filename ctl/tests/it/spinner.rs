//! What a terminal shows while the provider is waited for.

use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use super::daemon::FakeDaemon;

/// Reads on until this was read.
fn read_until(screen: &mut File, seen: &mut String, words: &str) {
    while !seen.contains(words) {
        let mut chunk = [0; 256];
        let length = screen.read(&mut chunk).unwrap();
        seen.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
    }
}

#[test]
fn a_terminal_is_told_what_is_waited_for_until_it_is_there() {
    let (daemon, gate) = FakeDaemon::start().account_held();
    let (mut screen, slave) = super::terminal::open();
    let mut command = daemon.command(&["accounts", "refresh", "ada"]);
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let stderr = Stdio::from(slave.try_clone().unwrap());
    let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let mut seen = String::new();
    // The sign turns.
    read_until(&mut screen, &mut seen, "\r| refreshing ada\r/ refreshing ada");
    gate.add_permits(1);
    read_until(&mut screen, &mut seen, &format!("\r{}\r", " ".repeat("| refreshing ada".len())));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
}
