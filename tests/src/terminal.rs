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
use std::process::Stdio;
use std::thread::JoinHandle;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use tokio::process::Child;
use tokio::sync::watch;

use crate::binaries::{Machine, programs};
use crate::wait::within;

/// The interrupt key.
const CTRL_C: u8 = 3;
/// Wide enough that no line of a program wraps.
const SIZE: Winsize = Winsize { ws_row: 60, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

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

impl Terminal {
    /// `proxyctl` with these arguments, as the foreground program of its terminal.
    pub fn proxyctl(machine: &Machine, args: &[&str]) -> Self {
        let terminal = openpty(Some(&SIZE), None).expect("a pseudo-terminal");
        let mut settings = tcgetattr(&terminal.slave).expect("its settings");
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal.slave, SetArg::TCSANOW, &settings).expect("its settings");
        let end = || Stdio::from(terminal.slave.try_clone().expect("another descriptor"));
        // The interrupt key reaches only a program whose controlling terminal this is.
        let mut command = machine.command("setsid");
        command.arg("--ctty").arg(&programs().proxyctl).args(args).env("TERM", "dumb");
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("the program starts");
        // Ours go, so that the terminal ends when the program does.
        drop((command, terminal.slave));
        let keyboard = File::from(terminal.master);
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
