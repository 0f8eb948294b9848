//! A part of a run as a process: started on its core, asked how much it used, ended with its handle.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// A start or an end that takes longer is none.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_micros(250);

/// A running part. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
    /// Parts of this program end when this is closed, so that none outlives a bench that was killed.
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Part {
    /// Starts a program that ends by itself when its input does.
    pub(crate) fn talking(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { child, input, output })
    }

    /// Starts somebody else's program, whose output goes where `command` says.
    pub(crate) fn silent(mut command: Command) -> Result<Self> {
        let child =
            command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, input: None, output: None })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.as_mut().context("it says nothing")?.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a part of the bench ended early: {:?}", self.child.wait());
        Ok(line.trim_end().to_owned())
    }

    /// Lets it end by itself, and reads what it still says.
    pub(crate) fn finish(mut self) -> Result<String> {
        drop(self.input.take());
        let mut said = String::new();
        if let Some(output) = &mut self.output {
            output.read_to_string(&mut said)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "a part of the bench ended with {status}");
        Ok(said)
    }

    /// Ends it as a service manager would.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGTERM)?;
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(since.elapsed() < PATIENCE, "a part of the bench does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits until `GET /readyz` says 200, and tells how long after `since` that was.
    pub(crate) fn ready(&mut self, address: SocketAddr, since: Instant) -> Result<Duration> {
        loop {
            if asks(address).unwrap_or(false) {
                return Ok(since.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended before it was ready: {status}");
            }
            ensure!(since.elapsed() < PATIENCE, "it does not become ready");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn asks(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}

/// A port of loopback that is free now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Processor time that a process has used, of all its threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).context("the times in /proc/PID/stat")?;
    let second = sysconf(SysconfVar::CLK_TCK)?.context("ticks a second")?;
    Ok(Duration::from_secs_f64(to_f64(ticks) / to_f64(u64::try_from(second)?)))
}

/// Fields 14 and 15 of proc_pid_stat(5), counted after the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// Memory of a process in KiB: what is its own and its share of what it shares. Where only root may see that, what is resident.
pub(crate) fn memory_kib(pid: u32) -> Result<u64> {
    let shared = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let found = shared.ok().and_then(|text| field(&text, "Pss:"));
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        field(&status, "VmRSS:")
    };
    found.or_else(resident).context("the memory of a part")
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Counts and sizes as they are calculated with; they are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "no count of a bench reaches 2^52")]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{field, ticks};

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 91 0 0 0 120 34 0 0 20 0 5 0 100";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_found_by_its_field() {
        let text = "5-7 ---p [rollup]\nRss:      900 kB\nPss:      812 kB\nPss_Anon: 700 kB\n";
        assert_eq!(field(text, "Pss:"), Some(812));
        assert_eq!(field(text, "VmRSS:"), None);
    }
}
