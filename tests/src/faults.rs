//! Faults of the system below a real `proxyd`, put there from outside, so that the program is the one that ships: system
//! calls that fail or kill, by strace, and a small disk that can be full or read-only.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::binaries::{Daemon, Live, Machine};
use crate::needs;

/// System calls of a running daemon that do not do what they should, for as long as this lives.
#[derive(Debug)]
pub struct Fault {
    strace: Live,
}

impl Fault {
    /// Whether there are faults on this machine; the person has been told.
    pub fn can_be() -> bool {
        // That it is installed is not enough: a machine may forbid to trace what is no child.
        static CAN_BE: OnceLock<bool> = OnceLock::new();
        let attach = "sleep 1 & exec strace -qq -o /dev/null -p $!";
        *CAN_BE.get_or_init(|| {
            needs::available("strace", &["strace"]) && needs::runs("strace", "sh", &["-c", attach])
        })
    }

    /// `what` as strace's `inject=` takes it: `fsync:error=EIO`. Calls are counted from here on.
    pub async fn into(daemon: &Daemon, what: &str) -> Self {
        let calls = what.split(':').next().expect("the calls come first");
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-p", &daemon.pid().to_string()]);
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={what}")]);
        command.kill_on_drop(true);
        let mut strace = Live::start(command);
        strace.stderr_line("attached").await;
        Self { strace }
    }

    /// From here on all is well again.
    pub async fn lift(self) {
        self.strace.signal(Signal::SIGINT);
        self.strace.finish().await;
    }
}

/// A disk of 64 KiB that only one daemon sees, as its auth directory.
#[derive(Debug)]
pub struct Disk {
    /// Of `mount -t tmpfs`.
    options: &'static str,
}

impl Disk {
    /// Whether this machine lets the tests mount anything; the person has been told.
    pub fn can_be() -> bool {
        let mount = "mount -t tmpfs -o size=64k tmpfs /tmp";
        needs::available("mount", &["unshare", "nsenter", "mount"])
            && needs::runs("mount", "unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", mount])
    }

    pub fn of(options: &'static str) -> Self {
        Self { options }
    }

    pub(crate) fn command(&self, machine: &Machine, program: &Path) -> Command {
        let dir = crate::daemon::private_dir(machine.auth_dir());
        let mut command = machine.command("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        // What was in the directory moves to the disk.
        command.arg(
            "mkdir \"$1.then\" && cp -p \"$1\"/* \"$1.then\" && mount -t tmpfs -o \"$2\" tmpfs \"$1\" && \
             cp -p \"$1.then\"/* \"$1\" && shift 2 && exec \"$0\" \"$@\"",
        );
        command.arg(program).arg(dir).arg(format!("mode=700,{}", self.options));
        command
    }
}

/// The auth directory as the daemon sees it, looked at from outside.
#[derive(Debug)]
pub struct Inside {
    pid: String,
    dir: PathBuf,
}

impl Inside {
    pub fn of(daemon: &Daemon, machine: &Machine) -> Self {
        Self { pid: daemon.pid().to_string(), dir: machine.auth_dir() }
    }

    fn path(&self, name: &str) -> PathBuf {
        let dir = self.dir.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(&self.pid).join("root").join(dir).join(name)
    }

    pub fn read(&self, name: &str) -> Value {
        crate::daemon::read(&self.path(name))
    }

    /// Takes all the space there is. Returns where.
    pub fn fill(&self) -> PathBuf {
        let path = self.path("filler");
        let mut file = open(&path).expect("a file");
        while file.write_all(&[0; 1024]).is_ok() {}
        path
    }

    /// Takes all the names there are. Returns them.
    pub fn use_up_names(&self) -> Vec<PathBuf> {
        let paths = (0..).map(|n| self.path(&format!("filler-{n}")));
        paths.take_while(|path| open(path).is_ok()).collect()
    }

    /// Makes the directory one that cannot be written, or undoes it.
    pub async fn make_read_only(&self, read_only: bool) {
        let script = if read_only {
            "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\""
        } else {
            // Not unmounted: the daemon may be looking into it just now.
            "mount -o remount,rw,bind \"$0\""
        };
        let mut enter = Command::new("nsenter");
        enter.args([
            "--target",
            &self.pid,
            "--user",
            "--preserve-credentials",
            "--mount",
            "sh",
            "-c",
            script,
        ]);
        let entered = enter.arg(&self.dir).status().await.expect("nsenter runs");
        assert!(entered.success(), "{script}");
    }
}

fn open(path: &Path) -> std::io::Result<fs::File> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}
