//! Lines of standard input, read so that waiting for one can be given up at any time: nothing is left behind
//! that still reads, and the terminal's settings are never touched.

use std::io::{self, Stdin};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use secrecy::SecretString;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The longest line that is kept.
const LONGEST: usize = 8192;

/// One line, or why there is none.
#[derive(Debug)]
pub(crate) enum Line {
    Text(SecretString),
    /// Longer than anything that could be meant, or not UTF-8.
    Unreadable,
    End,
}

/// Standard input, line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    input: Input,
    buffer: Vec<u8>,
    /// Within a line that is too long: everything up to its end is dropped.
    skipping: bool,
}

#[derive(Debug)]
enum Input {
    /// A terminal, pipe or socket.
    Waits(AsyncFd<Stdin>),
    /// A regular file or /dev/null, which never makes a reader wait and which epoll refuses.
    Ready(Stdin),
}

impl Lines {
    /// Must be called within the runtime.
    pub(crate) fn new() -> Self {
        #[expect(
            deprecated,
            reason = "it asks for a descriptor that stays the same and open, as standard input does"
        )]
        let waits = AsyncFd::with_interest(io::stdin(), Interest::READABLE);
        let input = waits.map_or_else(|_| Input::Ready(io::stdin()), Input::Waits);
        Self { input, buffer: Vec::new(), skipping: false }
    }

    /// The next line. Dropping the future loses nothing. A failure to read counts as the end.
    pub(crate) async fn next(&mut self) -> Line {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if std::mem::take(&mut self.skipping) {
                    return Line::Unreadable;
                }
                return text(line);
            }
            if self.buffer.len() > LONGEST {
                self.skipping = true;
            }
            if self.skipping {
                self.buffer.clear();
            }
            let mut chunk = [0; 1024];
            match self.input.read(&mut chunk).await {
                Ok(0) | Err(_) if self.buffer.is_empty() => return Line::End,
                Ok(0) | Err(_) => return text(std::mem::take(&mut self.buffer)),
                Ok(read) => self.buffer.extend(chunk.iter().take(read)),
            }
        }
    }
}

impl Input {
    async fn read(&self, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Ready(stdin) => Ok(nix::unistd::read(stdin, chunk)?),
            Self::Waits(stdin) => loop {
                let mut guard = stdin.readable().await?;
                // The descriptor blocks, so it is read only when a read is known to return at once.
                if readable_now(guard.get_inner())? {
                    return Ok(nix::unistd::read(guard.get_inner(), chunk)?);
                }
                guard.clear_ready();
            },
        }
    }
}

fn readable_now(stdin: &Stdin) -> io::Result<bool> {
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    Ok(nix::poll::poll(&mut fds, PollTimeout::ZERO)? > 0)
}

fn text(line: Vec<u8>) -> Line {
    String::from_utf8(line).map_or(Line::Unreadable, |line| Line::Text(line.into()))
}
