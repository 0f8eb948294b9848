//! A real `sshd` on a loopback port of its own, run by whoever runs the tests, and an `ssh` in PATH that knows
//! only this test's keys.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Once, Stdio};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::binaries::programs;
use crate::needs::available;
use crate::wait::within;

/// The other machine: an `sshd`, and beside it what the client needs to reach it.
#[derive(Debug)]
pub struct Sshd {
    home: TempDir,
    port: u16,
    user: String,
    _child: Child,
}

impl Sshd {
    /// `None` where this machine has no sshd or ssh; the person has been told.
    pub async fn start() -> Option<Self> {
        if !available("sshd", &["sshd", "ssh", "ssh-keygen"]) {
            return None;
        }
        let home = tempfile::tempdir().expect("a temporary directory");
        let user = User::from_uid(geteuid()).expect("the user database").expect("this user").name;
        if geteuid().is_root() {
            // sshd insists on it to confine the part of it that has no rights.
            fs::create_dir_all("/run/sshd").expect("sshd's directory");
        }
        for name in ["host", "other", "client"] {
            key(&home.path().join(name));
        }
        fs::create_dir(home.path().join("bin")).expect("a directory");
        std::os::unix::fs::symlink(&programs().proxyctl, home.path().join("bin/proxyctl")).expect("a link");
        // The port is free until somebody else takes it; then another is tried.
        for _ in 0..5 {
            let probe = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = probe.local_addr().expect("its number").port();
            drop(probe);
            if let Some(child) = serve(home.path(), port).await {
                let sshd = Self { home, port, user, _child: child };
                sshd.set_known("host");
                return Some(sshd);
            }
        }
        let log = fs::read_to_string(home.path().join("sshd.log")).unwrap_or_default();
        assert!(log.is_empty(), "sshd does not start:\n{log}");
        None
    }

    /// What `--host` takes.
    pub fn url(&self) -> String {
        format!("ssh://{}@127.0.0.1:{}", self.user, self.port)
    }

    /// A directory whose `ssh` is the system's with this test's configuration.
    pub fn client_path(&self) -> PathBuf {
        self.home.path().join("client-bin")
    }

    /// Takes `proxyctl` away from the other machine.
    #[must_use]
    pub fn without_proxyctl(self) -> Self {
        fs::remove_file(self.home.path().join("bin/proxyctl")).expect("it is there");
        self
    }

    /// Makes the client expect another host key.
    #[must_use]
    pub fn with_wrong_host_key(self) -> Self {
        self.set_known("other");
        self
    }

    /// A port of this machine on which nobody listens.
    pub fn url_nobody_answers(&self) -> String {
        let probe = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = probe.local_addr().expect("its number").port();
        format!("ssh://{}@127.0.0.1:{port}", self.user)
    }

    fn set_known(&self, host_key: &str) {
        let home = self.home.path();
        let known = fs::read_to_string(home.join(format!("{host_key}.pub"))).expect("the host's key");
        put(&home.join("known_hosts"), &format!("[127.0.0.1]:{} {known}", self.port), 0o600);
        let config = format!(
            "IdentityFile {0}/client\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {0}/known_hosts\n\
             GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nBatchMode yes\n",
            home.display()
        );
        put(&home.join("ssh_config"), &config, 0o600);
        fs::create_dir_all(self.client_path()).expect("a directory");
        let real = ["/usr/bin/ssh", "/usr/local/bin/ssh", "/bin/ssh"];
        let real = real.iter().find(|path| Path::new(path).is_file()).expect("the system's ssh");
        // It leaves its process id behind, so that a test can see that it has ended.
        let script = format!(
            "#!/bin/sh\necho $$ >> {0}/ssh.pids\nexec {real} -F {0}/ssh_config \"$@\"\n",
            home.display()
        );
        put(&self.client_path().join("ssh"), &script, 0o700);
    }

    /// The processes that `ssh` was started as, the oldest first.
    pub fn clients(&self) -> Vec<i32> {
        let pids = fs::read_to_string(self.home.path().join("ssh.pids")).unwrap_or_default();
        pids.lines().map(|pid| pid.parse().expect("a process id")).collect()
    }
}

async fn serve(home: &Path, port: u16) -> Option<Child> {
    let dir = home.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/client.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PrintMotd no\nPrintLastLog no\nSetEnv PATH={dir}/bin:/usr/bin:/bin\n"
    );
    put(&home.join("sshd_config"), &config, 0o600);
    let log = fs::File::create(home.join("sshd.log")).expect("a log");
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(home.join("sshd_config"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    let mut child = command.spawn().expect("sshd runs");
    let up = async {
        loop {
            if child.try_wait().expect("its state").is_some() {
                return false;
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return true;
            }
            tokio::task::yield_now().await;
        }
    };
    within("sshd listens", up).await.then_some(child)
}

fn key(path: &Path) {
    let mut keygen = Once::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(path);
    assert!(keygen.status().expect("ssh-keygen runs").success());
}

fn put(path: &Path, text: &str, mode: u32) {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(mode).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
}
