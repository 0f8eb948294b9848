//! The fake as a program: what it prints, how it stops, and how it fails.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ends the program if a test fails before it does.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _already_gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn fake_claude(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-claude"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program(command.spawn().unwrap())
}

#[test]
fn the_program_prints_the_environment_for_proxyd_and_stops_on_sigterm() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut program = fake_claude(&["--listen", "127.0.0.1:0"]);
        let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let first = line();
        let url = first.split_whitespace().find_map(|w| w.strip_suffix(';')).unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"), "{first}");
        assert_eq!(line(), format!("export PROXYD_CLAUDE__API_BASE_URL={url}"));
        assert_eq!(line(), format!("export PROXYD_CLAUDE__OAUTH__AUTHORIZE_URL={url}/oauth/authorize"));
        assert_eq!(line(), format!("export PROXYD_CLAUDE__OAUTH__TOKEN_URL={url}/v1/oauth/token"));
        assert_eq!(line(), format!("export PROXYD_CLAUDE__OAUTH__REVOKE_URL={url}/v1/oauth/revoke"));
        assert_eq!(line(), format!("export PROXYD_CLAUDE__OAUTH__PROFILE_URL={url}/api/oauth/profile"));
        assert_eq!(line(), format!("export PROXYD_CLAUDE__OAUTH__USAGE_URL={url}/api/oauth/usage"));
        let paste = format!("{url}/oauth/code/callback");
        assert_eq!(line(), format!("export PROXYD_CLAUDE__OAUTH__PASTE_REDIRECT_URI={paste}"));
        let pid = Pid::from_raw(i32::try_from(program.0.id()).unwrap());
        kill(pid, signal).unwrap();
        assert_eq!(program.0.wait().unwrap().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn a_port_in_use_or_a_public_address_is_said_and_fails() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for (address, why) in [(taken.as_str(), "in use"), ("0.0.0.0:0", "not a loopback address")] {
        let mut program = fake_claude(&["--listen", address]);
        assert_eq!(program.0.wait().unwrap().code(), Some(1));
        let mut said = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains(address) && said.contains(why), "{said}");
    }
}
