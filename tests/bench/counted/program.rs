//! `proxyd` as a process of its own, from its start to its end; under callgrind with as many requests in between as are asked for.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy_tests::daemon::{key_file, private_dir, put};
use serde_json::Value;
use tempfile::TempDir;

use crate::wire::{self, Upstream};
use crate::works::Work;

/// Before those that are counted: the first ones make what the later ones use.
const FIRST: u64 = 10;
const ACCOUNTS: usize = 10;
/// What takes memory, by the names of the C library and of the daemon's own allocator.
const ALLOCATORS: [&str; 9] = [
    "malloc",
    "calloc",
    "realloc",
    "mi_malloc",
    "mi_malloc_aligned",
    "mi_zalloc",
    "mi_zalloc_aligned",
    "mi_realloc",
    "mi_realloc_aligned",
];

/// All that one run did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

/// A daemon that serves. It is killed where nobody waited for its end.
pub(crate) struct Daemon {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
    _home: TempDir,
}

/// Where it sends requests, and as whom.
pub(crate) struct Setup<'a> {
    pub(crate) accounts: &'a [Value],
    /// Its variables beside those that give it a place of its own.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// Accounts with keys that nobody has.
pub(crate) fn accounts() -> Vec<Value> {
    (0..ACCOUNTS).map(|number| key_file(&format!("sk-ant-api03-FAKE-{number}"))).collect()
}

/// The variable that says where the provider is.
pub(crate) const UPSTREAM: &str = "PROXYD_CLAUDE__API_BASE_URL";

pub(crate) fn count(
    program: &Path,
    work: &Work,
    requests: u64,
    keep: Option<&Path>,
) -> anyhow::Result<Count> {
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let counted = keep.map_or_else(|| directory.path().join("counted"), PathBuf::from);
    let upstream = Upstream::start(&work.answer)?;
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", counted.display()));
    command.arg(program);
    let environment = vec![(UPSTREAM, format!("http://{}", upstream.address))];
    let daemon = Daemon::start(command, &Setup { accounts: &accounts(), environment })?;
    wire::ask(daemon.address, work, FIRST + requests, &upstream)?;
    daemon.stop()?;
    let text = fs::read_to_string(&counted).context("callgrind left no count")?;
    read(&text).context("callgrind's count cannot be read")
}

impl Daemon {
    /// Starts what `command` begins with, and waits until it is ready.
    pub(crate) fn start(mut command: Command, setup: &Setup<'_>) -> anyhow::Result<Self> {
        let home = tempfile::tempdir().context("cannot make a directory")?;
        let (auth, runtime) =
            (private_dir(home.path().join("auth")), private_dir(home.path().join("runtime")));
        for (number, account) in setup.accounts.iter().enumerate() {
            put(&auth, &format!("claude-{number}.json"), account);
        }
        command.args(["--listen", "127.0.0.1:0"]).arg("--auth-dir").arg(&auth);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home.path());
        command.env("XDG_RUNTIME_DIR", runtime);
        command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
        // Valgrind knows no landlock, and what is counted or profiled is written into a file when the daemon has ended.
        command.env("PROXYD_SANDBOX__LANDLOCK", "off");
        // For counting: else a copy of more than 2 KiB is one instruction for each byte, and a compiler that moves a future once more looks dear.
        let never = 1_000_000_000;
        let copies =
            format!("glibc.cpu.x86_rep_movsb_threshold={never}:glibc.cpu.x86_rep_stosb_threshold={never}");
        command.env("GLIBC_TUNABLES", copies);
        // One thread takes the work in the same order each time, and misses none of what is noted.
        command.env("TOKIO_WORKER_THREADS", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut stderr = BufReader::new(child.stderr.take().context("no standard error")?);
        match ready(&mut stderr) {
            Ok(address) => Ok(Self { child, stderr, address, _home: home }),
            Err(error) => {
                let _ended_already = child.kill();
                let _reaped = child.wait();
                Err(error)
            }
        }
    }

    /// Ends it as a service manager does, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        // Lines that nobody takes would hold it up.
        io::copy(&mut self.stderr, &mut io::sink())?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("the daemon ended with {status}") }
    }
}

/// Reads what it says until it says where it listens.
fn ready(stderr: &mut impl BufRead) -> anyhow::Result<SocketAddr> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stderr.read_line(&mut line)? == 0 {
            bail!("the daemon ended: {said}");
        }
        if line.contains("proxyd is ready") {
            let (_, address) = line.split_once("http://").context("no address in its line")?;
            let is_of_it = |c: &char| c.is_ascii_digit() || matches!(c, '.' | ':');
            return Ok(address.chars().take_while(is_of_it).collect::<String>().parse()?);
        }
        said.push_str(&line);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Reads callgrind's format: `fn=` and `cfn=` name functions by number and, the first time, name; `calls=` follows the one that is
/// called.
fn read(text: &str) -> Option<Count> {
    let mut allocators = Vec::new();
    let (mut instructions, mut allocations, mut called) = (None, 0, "");
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("totals:") {
            instructions = number.trim().parse().ok();
        } else if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if ALLOCATORS.contains(&name) {
                allocators.push(number);
            }
            called = number;
        } else if let Some(calls) = line.strip_prefix("calls=")
            && allocators.contains(&called)
        {
            allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
        }
    }
    Some(Count { instructions: instructions?, allocations })
}
