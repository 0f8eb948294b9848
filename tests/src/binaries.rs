//! The real programs as black boxes: built once per process, run in a home of their own with nothing of this
//! machine's environment.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command as Build, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxyd::tasks::Tasks;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::daemon::{private_dir, put, read};
use crate::fake_claude::FakeClaude;
use crate::faults::Disk;
use crate::wait::within;

/// Where cargo put the programs.
#[derive(Debug)]
pub struct Programs {
    pub proxyd: PathBuf,
    pub proxyctl: PathBuf,
}

/// The programs as the sources say now.
pub fn programs() -> &'static Programs {
    static BUILT: OnceLock<Programs> = OnceLock::new();
    BUILT.get_or_init(build)
}

/// This package gets no `CARGO_BIN_EXE_*` of another one, so cargo is asked; it says where the programs are.
fn build() -> Programs {
    #[expect(clippy::disallowed_methods, reason = "cargo tells a test by this which cargo runs it")]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Build::new(cargo);
    build.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    build.args(["-p", "proxyd", "-p", "proxyctl", "--bins"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // What cargo says about this package is not to reach the build scripts: they would run again, and each
    // time anew.
    for (name, _) in std::env::vars_os() {
        let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if about_us.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            build.env_remove(name);
        }
    }
    let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output();
    let built = built.expect("cargo runs");
    assert!(built.status.success(), "the programs do not build");
    let messages = built.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let messages: Vec<Value> =
        messages.map(|line| serde_json::from_slice(line).expect("cargo's messages are JSON")).collect();
    let path = |name: &str| {
        let is_it = |message: &&Value| {
            message.pointer("/target/name").is_some_and(|built| built == name)
                && message.get("executable").is_some_and(Value::is_string)
        };
        let found = messages.iter().find(is_it).and_then(|message| message.get("executable")?.as_str());
        PathBuf::from(found.expect("cargo built the program"))
    };
    Programs { proxyd: path("proxyd"), proxyctl: path("proxyctl") }
}

/// A machine of a test's own: an empty home, a runtime directory, and a fake in place of Claude.
#[derive(Debug)]
pub struct Machine {
    home: TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl Machine {
    pub fn new(fake: &FakeClaude) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let runtime = private_dir(home.path().join("runtime"));
        let upstream = fake.proxyd_environment().into_iter();
        let mut environment: Vec<(OsString, OsString)> =
            upstream.map(|(name, value)| (name.into(), value.into())).collect();
        environment.push(("HOME".into(), home.path().into()));
        environment.push(("XDG_RUNTIME_DIR".into(), runtime.into()));
        environment.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
        Self { home, environment }
    }

    #[must_use]
    pub fn without(mut self, variable: &str) -> Self {
        self.environment.retain(|(name, _)| name != variable);
        self
    }

    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((variable.into(), value.into()));
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the daemon keeps accounts unless told otherwise.
    pub fn auth_dir(&self) -> PathBuf {
        self.home().join(".local/state/proxyd/auth")
    }

    /// Where the control socket is while `XDG_RUNTIME_DIR` is set.
    pub fn control_socket(&self) -> PathBuf {
        self.home().join("runtime/proxyd/control.sock")
    }

    /// What every program of this machine is started with.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    /// Writes an account's file as the daemon would find it.
    pub fn put(&self, name: &str, document: &Value) {
        put(&private_dir(self.auth_dir()), name, document);
    }

    /// The names in the auth directory, in order, but for what may be lost at any time.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.auth_dir()).expect("the auth directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let may_be_lost = |name: &String| name.starts_with(".pool-state") || name.starts_with(".owners");
        let mut names: Vec<_> = names.filter(|name| !may_be_lost(name)).collect();
        names.sort();
        names
    }

    pub fn read(&self, name: &str) -> Value {
        read(&self.auth_dir().join(name))
    }

    /// A program of this machine, not started yet. Killed if the test ends before it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home()).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// `proxyd` with these arguments, run to its end.
    pub async fn proxyd(&self, args: &[&str]) -> Done {
        let mut command = self.command(&programs().proxyd);
        command.args(args);
        Live::start(command).finish().await
    }

    /// `proxyctl` with these arguments, run to its end.
    pub async fn proxyctl(&self, args: &[&str]) -> Done {
        let mut command = self.command(&programs().proxyctl);
        command.args(args);
        Live::start(command).finish().await
    }

    /// A daemon on a free port.
    pub async fn start(&self) -> Daemon {
        self.start_with(&[]).await
    }

    pub async fn start_with(&self, args: &[&str]) -> Daemon {
        let mut command = self.command(&programs().proxyd);
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        Daemon::ready(Live::start(command)).await
    }

    /// A daemon whose auth directory is a disk of its own; see [`crate::faults::Disk`].
    pub async fn start_on(&self, disk: &Disk) -> Daemon {
        let mut command = disk.command(self, &programs().proxyd);
        command.args(["--listen", "127.0.0.1:0"]);
        Daemon::ready(Live::start(command)).await
    }

    /// A daemon that outlives a limit on the size of files, as one on a full disk would live; see
    /// [`Daemon::limit_files`].
    pub async fn start_limitable(&self) -> Daemon {
        let mut command = self.command("sh");
        // An ignored signal stays ignored: the write fails instead, as on a full disk.
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&programs().proxyd);
        command.args(["--listen", "127.0.0.1:0"]);
        Daemon::ready(Live::start(command)).await
    }
}

/// A real `proxyd` that serves.
#[derive(Debug)]
pub struct Daemon {
    live: Live,
    url: String,
}

impl Daemon {
    /// Waits until a program that was started serves.
    pub async fn ready(mut live: Live) -> Self {
        let line = live.stderr_line("proxyd is ready").await;
        let (_, address) = line.split_once("http://").expect("the address it listens on");
        let address: String =
            address.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
        Self { live, url: format!("http://{address}") }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    /// A small Messages request.
    pub async fn ask(&self, text: &str) -> reqwest::Response {
        let client = browser();
        let request = client.post(self.url("/v1/messages")).json(&crate::daemon::message(text));
        within("an answer", request.send()).await.expect("the daemon answers")
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        within("an answer", browser().get(self.url(path)).send()).await.expect("the daemon answers")
    }

    /// Limits the files it may write from now on to so many bytes; `None` lifts the limit.
    pub async fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let pid = self.live.pid().to_string();
        let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}:")]).status();
        assert!(limited.await.expect("prlimit runs").success());
    }

    pub fn pid(&self) -> Pid {
        self.live.pid()
    }

    pub fn signal(&self, signal: Signal) {
        self.live.signal(signal);
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.live.stderr.seen()
    }

    pub async fn log_line(&mut self, text: &str) -> String {
        self.live.stderr_line(text).await
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(self) -> Done {
        self.signal(Signal::SIGTERM);
        self.end().await
    }

    pub async fn end(self) -> Done {
        self.live.finish().await
    }
}

/// A client that follows redirects, as a person's browser does, and uses no proxy of this machine.
pub fn browser() -> reqwest::Client {
    // Only the first one of the process installs it; the client wants one even for plain http.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}

/// A program at work, its output read as it comes.
#[derive(Debug)]
pub struct Live {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Done {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Debug)]
struct Stream {
    seen: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(source: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, seen) = watch::channel(String::new());
        let reader = Tasks::new().spawn(async move {
            let mut lines = BufReader::new(source).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|text| {
                    text.push_str(&line);
                    text.push('\n');
                });
            }
        });
        Self { seen, reader }
    }

    fn seen(&self) -> String {
        self.seen.borrow().clone()
    }

    async fn line(&mut self, text: &str) -> String {
        let found = |seen: &str| seen.lines().find(|line| line.contains(text)).map(str::to_owned);
        let waiting = self.seen.wait_for(|seen| found(seen).is_some());
        let line = match within(text, waiting).await {
            Ok(seen) => found(&seen),
            // The program has ended: what it said is all there is.
            Err(_) => None,
        };
        let line = line.or_else(|| found(&self.seen()));
        assert!(line.is_some(), "no line with {text:?} in:\n{}", self.seen());
        line.unwrap_or_default()
    }
}

impl Live {
    pub fn start(mut command: Command) -> Self {
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.expect("the program starts");
        let stdout = Stream::read(child.stdout.take().expect("its standard output"));
        let stderr = Stream::read(child.stderr.take().expect("its standard error"));
        Self { child, stdout, stderr }
    }

    /// The first line of standard output with that text, waited for.
    pub async fn stdout_line(&mut self, text: &str) -> String {
        self.stdout.line(text).await
    }

    pub async fn stderr_line(&mut self, text: &str) -> String {
        self.stderr.line(text).await
    }

    /// Writes a line to its standard input, which must have been piped.
    pub async fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a piped standard input");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    pub fn pid(&self) -> Pid {
        let pid = self.child.id().expect("it has not been waited for");
        Pid::from_raw(i32::try_from(pid).expect("a process id"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it lives");
    }

    /// Waits for its end and for everything it printed.
    pub async fn finish(mut self) -> Done {
        drop(self.child.stdin.take());
        let status = within("the program ends", self.child.wait()).await.expect("its end");
        let Self { stdout, stderr, .. } = self;
        let said = |stream: Stream| async move {
            within("its output ends", stream.reader).await.expect("the reader ends");
            stream.seen.borrow().clone()
        };
        Done { code: status.code(), stdout: said(stdout).await, stderr: said(stderr).await }
    }
}

impl Done {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("one JSON document on standard output")
    }
}
