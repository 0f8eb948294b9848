//! `proxyd` under callgrind, from its start to its end, with as many requests in between as are asked for.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy_tests::daemon::{key_file, private_dir, put};

use crate::wire::{self, Upstream};
use crate::works::{Answer, Work};

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

/// A program that is killed where nobody waited for its end.
struct Running(Child);

pub(crate) fn count(
    program: &Path,
    work: &Work,
    requests: u64,
    keep: Option<&Path>,
) -> anyhow::Result<Count> {
    let home = tempfile::tempdir().context("cannot make a directory")?;
    let counted = keep.map_or_else(|| home.path().join("counted"), PathBuf::from);
    let upstream = Upstream::start(&work.answer)?;
    let (running, address, stderr) = start(program, home.path(), &counted, &upstream)?;
    let steps = match &work.answer {
        Answer::Whole(_) => 1,
        Answer::Steps(pieces) => pieces.len(),
    };
    wire::ask(address, &work.request, FIRST + requests, &upstream, steps)?;
    running.stop(stderr)?;
    let text = fs::read_to_string(&counted).context("callgrind left no count")?;
    read(&text).context("callgrind's count cannot be read")
}

fn start(
    program: &Path,
    home: &Path,
    counted: &Path,
    upstream: &Upstream,
) -> anyhow::Result<(Running, SocketAddr, BufReader<ChildStderr>)> {
    let (auth, runtime) = (private_dir(home.join("auth")), private_dir(home.join("runtime")));
    for number in 0..ACCOUNTS {
        put(&auth, &format!("claude-{number}.json"), &key_file(&format!("sk-ant-api03-FAKE-{number}")));
    }
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", counted.display()));
    command.arg(program).args(["--listen", "127.0.0.1:0"]).arg("--auth-dir").arg(&auth);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home);
    command.env("XDG_RUNTIME_DIR", runtime);
    command.env("PROXYD_CLAUDE__API_BASE_URL", format!("http://{}", upstream.address));
    // Valgrind knows no landlock, and writes its count into a file when the daemon has ended.
    command.env("PROXYD_SANDBOX__LANDLOCK", "off");
    // Else a copy of more than 2 KiB is one instruction for each byte, and a compiler that moves a future once more looks dear.
    let never = 1_000_000_000;
    let copies =
        format!("glibc.cpu.x86_rep_movsb_threshold={never}:glibc.cpu.x86_rep_stosb_threshold={never}");
    command.env("GLIBC_TUNABLES", copies);
    // One thread takes the work in the same order each time.
    command.env("TOKIO_WORKER_THREADS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().context("valgrind cannot be started")?);
    let mut stderr = BufReader::new(running.0.stderr.take().context("no standard error")?);
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stderr.read_line(&mut line)? == 0 {
            bail!("the daemon ended: {said}");
        }
        if line.contains("proxyd is ready") {
            let (_, address) = line.split_once("http://").context("no address in its line")?;
            let is_of_it = |c: &char| c.is_ascii_digit() || matches!(c, '.' | ':');
            let address = address.chars().take_while(is_of_it).collect::<String>().parse()?;
            return Ok((running, address, stderr));
        }
        said.push_str(&line);
    }
}

impl Running {
    /// Ends it as a service manager does, and waits until it has.
    fn stop(mut self, stderr: BufReader<ChildStderr>) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGTERM)?;
        // Lines that nobody takes would hold it up.
        for line in stderr.lines() {
            line?;
        }
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { bail!("the daemon ended with {status}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
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
