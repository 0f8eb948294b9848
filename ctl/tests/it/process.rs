//! Runs the real program with an environment that holds nothing of the machine's, and never waits for ever.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::daemon::{CODE, FakeDaemon, KEY, PATIENCE, STATE};

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The program, with a home of its own and no browser to be found.
pub(crate) fn command<S: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxyctl"));
    command.args(args).env_clear().env("HOME", home).env("PATH", home).current_dir(home).stdin(Stdio::null());
    command
}

impl FakeDaemon {
    /// The program, told to use this daemon.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.directory(), args);
        command.env("PROXYD_CONTROL__SOCKET", self.socket());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        run(self.command(args))
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Done {
    Live::start(command).finish()
}

/// A program at work, its output read line by line.
#[derive(Debug)]
pub(crate) struct Live {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

#[derive(Debug)]
struct Stream {
    lines: Receiver<String>,
    seen: String,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(source: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            // A terminal whose other end was closed ends with an error.
            while source.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Self { lines, seen: String::new(), reader: Some(reader) }
    }

    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {text:?} in:\n{}", self.seen)
                }
            }
        }
    }

    fn finish(mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        self.seen.extend(self.lines.try_iter());
        self.seen
    }
}

impl Live {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn wait_for_stdout(&mut self, text: &str) -> String {
        self.stdout.wait_for(text)
    }

    pub(crate) fn wait_for_stderr(&mut self, text: &str) -> String {
        self.stderr.wait_for(text)
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.child.stdin.take();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, and looks for secrets in everything that was printed.
    pub(crate) fn finish(mut self) -> Done {
        self.close_stdin();
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                panic!("still running; so far:\n{}{}", self.stdout.finish(), self.stderr.finish());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let done = Done {
            code: status.code().unwrap_or(-1),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
        };
        for line in done.stdout.lines().chain(done.stderr.lines()) {
            no_secret_in(line);
        }
        done
    }
}

/// The state may be seen inside the URL it is part of; nothing else may be seen anywhere.
pub(crate) fn no_secret_in(line: &str) {
    let shown = line.replace(&format!("code_challenge=FAKE&state={STATE}"), "");
    for secret in [CODE, STATE, KEY] {
        assert!(!shown.contains(secret), "a secret was printed: {line}");
    }
}

/// Writes a file of a test.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

pub(crate) fn wait_until(what: &str, state: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !state() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
