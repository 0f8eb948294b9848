//! A real program on a pseudo-terminal of its own, with a person who reads the screen and types.
//!
//! The terminal echoes nothing: what is on the screen is what the program wrote, so that a test may look for
//! secrets there although it typed them.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use tokio::process::Child;
use tokio::sync::watch;

use crate::binaries::{Machine, programs};
use crate::wait::within;

/// The interrupt key.
const CTRL_C: u8 = 3;
/// Wide enough that no line of a program wraps.
const SIZE: [&str; 4] = ["cols", "200", "rows", "60"];

/// A program on a terminal. Killed if the test ends before it.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: watch::Receiver<String>,
    reader: JoinHandle<()>,
    /// How much of the screen has been read by the person.
    read: usize,
}

/// How a program left its terminal.
#[derive(Debug)]
pub struct Left {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub screen: String,
}

/// Both ends of a new terminal: the person's and the program's. No program that is started meanwhile gets them unasked, which
/// would keep it from hanging up.
pub fn open() -> (File, File) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pseudo-terminal");
    grantpt(&master).expect("its other end is ours");
    unlockpt(&master).expect("its other end may be opened");
    let mut slave = File::options();
    slave.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
    let slave = slave.open(ptsname_r(&master).expect("its name")).expect("its other end");
    let master = master.as_fd().try_clone_to_owned().expect("another descriptor");
    (File::from(master), slave)
}

impl Terminal {
    /// `proxyctl` with these arguments, as the foreground program of its terminal.
    pub fn proxyctl(machine: &Machine, args: &[&str]) -> Self {
        let (keyboard, slave) = open();
        let tty = Stdio::from(slave.try_clone().expect("another descriptor"));
        let sized = Command::new("stty").args(SIZE).stdin(tty).status().expect("stty");
        assert!(sized.success(), "stty: {sized}");
        let mut settings = tcgetattr(&slave).expect("its settings");
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&slave, SetArg::TCSANOW, &settings).expect("its settings");
        let end = || Stdio::from(slave.try_clone().expect("another descriptor"));
        // The interrupt key reaches only a program whose controlling terminal this is.
        let mut command = machine.command("setsid");
        command.arg("--ctty").arg(&programs().proxyctl).args(args).env("TERM", "dumb");
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("the program starts");
        // Ours go, so that the terminal ends when the program does.
        drop((command, slave));
        let (writer, screen) = watch::channel(String::new());
        let mut source = keyboard.try_clone().expect("another descriptor");
        let reader = std::thread::spawn(move || {
            let (mut chunk, mut whole) = ([0; 4096], Vec::new());
            // A terminal whose program has ended reads as an error.
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                whole.extend(chunk.iter().take(length));
                writer.send_replace(String::from_utf8_lossy(&whole).replace('\r', ""));
            }
        });
        Self { child, keyboard, screen, reader, read: 0 }
    }

    /// Waits for the next line with that text, from where the last one was found.
    pub async fn line(&mut self, text: &str) -> String {
        let from = self.read;
        let found = |screen: &str| {
            let mut at = from;
            screen.get(from..)?.split_inclusive('\n').find_map(|line| {
                at += line.len();
                (line.ends_with('\n') && line.contains(text)).then(|| (at, line.trim_end().to_owned()))
            })
        };
        let waiting = self.screen.wait_for(|screen| found(screen).is_some());
        let seen = within(text, waiting).await.map(|screen| found(&screen)).unwrap_or_default();
        let seen = seen.or_else(|| found(&self.screen.borrow()));
        assert!(seen.is_some(), "no line with {text:?} on the screen:\n{}", *self.screen.borrow());
        let (read, line) = seen.unwrap_or_default();
        self.read = read;
        line
    }

    pub fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    pub fn press_ctrl_c(&mut self) {
        self.keyboard.write_all(&[CTRL_C]).expect("it reads");
    }

    /// Waits for the end of the program and of everything it wrote.
    pub async fn left(mut self) -> Left {
        let status = within("the program ends", self.child.wait()).await.expect("its end");
        let reader = self.reader;
        within("the terminal ends", async {
            while !reader.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Left { code: status.code(), screen: self.screen.borrow().clone() }
    }
}
