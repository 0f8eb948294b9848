//! The way to a daemon on another machine: the system's own `ssh`, with its agent, configuration and known
//! hosts, runs `proxyctl dial-stdio` there. What it says on standard error reaches the person as it is.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::greeting::{Greeting, Watched};
use super::host::Host;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;

/// How long `ssh` may take to end by itself once nothing more is sent, and then once it was told to.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A daemon behind `ssh`: one process, and another only if the connection was lost.
#[derive(Debug)]
pub(crate) struct Remote {
    host: Host,
    /// A path on the other machine; without it, the rules of that machine.
    socket: Option<PathBuf>,
    json: bool,
    child: Mutex<Option<Child>>,
}

impl Remote {
    pub(crate) fn new(host: Host, socket: Option<PathBuf>, json: bool) -> Self {
        Self { host, socket, json, child: Mutex::new(None) }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The socket that the person named there.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Waits until the daemon there says its first word, as long as `ssh` may ask the person for something.
    pub(super) async fn dial(&self, greeting: &Greeting) -> Result<Watched, Error> {
        let mut interrupt = Interrupt::listen()?;
        self.end().await;
        let mut command = Command::new("ssh");
        command.args(self.host.arguments(self.socket.as_deref(), self.json));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = spawn(&mut command).map_err(|source| Error::NoSsh { source })?;
        let (Some(stdout), Some(stdin)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(Error::NoSsh { source: io::ErrorKind::BrokenPipe.into() });
        };
        *self.child.lock().await = Some(child);
        let mut stream = Watched::new(tokio::io::join(stdout, stdin), greeting);
        tokio::select! {
            // A failure to read is an end: how the process ended says why.
            greeted = stream.is_greeted() => if greeted.unwrap_or(false) {
                return Ok(stream);
            },
            () = interrupt.caught() => {
                self.stop().await;
                return Err(Error::Stopped);
            }
        }
        drop(stream);
        let host = self.host.clone();
        Err(match self.end().await {
            Some(status) => failure(host, status),
            None => Error::SshEnded { host, how: "without a word".to_owned() },
        })
    }

    /// Lets the process end, as it does when nothing is sent any more, and sees to it that it did.
    pub(crate) async fn end(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().await.take()?;
        match timeout(LAST_WORDS, child.wait()).await {
            Ok(status) => status.ok(),
            Err(_elapsed) => terminate(child).await,
        }
    }

    /// Ends the process at once.
    pub(crate) async fn stop(&self) {
        if let Some(child) = self.child.lock().await.take() {
            terminate(child).await;
        }
    }
}

/// Asks first: `ssh` then gives the terminal its echo back, if it was asking for a passphrase.
async fn terminate(mut child: Child) -> Option<ExitStatus> {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ended_meanwhile = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if let Ok(status) = timeout(LAST_WORDS, child.wait()).await {
        return status.ok();
    }
    let _ended_meanwhile = child.kill().await;
    None
}

/// Ctrl-C at a terminal reaches every process there. `ssh` must outlive it: a login is still to be cancelled
/// through it. A new process keeps the signals that were blocked when it was made.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let keep = SigSet::from_iter([Signal::SIGINT, Signal::SIGHUP]);
    let before = keep.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let spawned = command.spawn();
    before.thread_set_mask()?;
    spawned
}

/// What the end of `ssh` means before a daemon spoke. It gives the other side's exit code, or 255 for its own.
fn failure(host: Host, status: ExitStatus) -> Error {
    match status.code() {
        Some(255) => Error::SshFailed { host },
        Some(126 | 127) => Error::NoRemoteProxyctl { host },
        Some(2) => Error::RemoteTooOld { host },
        Some(3) => Error::SaidThere { host, exit: Exit::NotRunning },
        Some(6) => Error::SaidThere { host, exit: Exit::NotPermitted },
        _ => Error::SshEnded { host, how: status.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn each_end_of_ssh_has_its_exit_code() {
        for (code, exit) in [
            (255, Exit::NotRunning),
            (127, Exit::NotRunning),
            (126, Exit::NotRunning),
            (2, Exit::Failed),
            (3, Exit::NotRunning),
            (6, Exit::NotPermitted),
            (1, Exit::Failed),
            (0, Exit::Failed),
        ] {
            let host = "ssh://server".parse().unwrap();
            assert_eq!(failure(host, ExitStatus::from_raw(code << 8)).exit(), exit, "{code}");
        }
    }

    #[tokio::test]
    async fn ssh_is_spared_the_terminals_interrupt_and_we_are_not() {
        let mut command = Command::new("grep");
        command.args(["SigBlk", "/proc/self/status"]).stdout(Stdio::piped());
        let child = spawn(&mut command).unwrap();
        let said = String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap();
        let blocked = u64::from_str_radix(said.trim_start_matches("SigBlk:").trim(), 16).unwrap();
        assert_eq!(blocked & 0b11, 0b11, "{said}");
        let ours = SigSet::thread_get_mask().unwrap();
        assert!(!ours.contains(Signal::SIGINT) && !ours.contains(Signal::SIGHUP));
    }
}
