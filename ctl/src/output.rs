//! Where words go: data to standard output, talk to standard error, and in JSON mode nothing on standard
//! output that is not JSON. A reader that went away is no error. Colour codes are taken out where nobody can
//! see them.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use ratatui::crossterm::terminal::window_size;
use serde::Serialize;

use crate::error::Error;
use crate::json;
use crate::place;
use crate::text;

/// The streams of one run.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    /// The reader of standard output has gone: there is nobody left to write for.
    reader_gone: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, reader_gone: false }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes `text` as it is to standard output, at once.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), Error> {
        if self.reader_gone {
            return Ok(());
        }
        let mut stdout = anstream::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(err) if err.kind() == ErrorKind::BrokenPipe => {
                self.reader_gone = true;
                Ok(())
            }
            Err(source) => Err(Error::Stdout { source }),
        }
    }

    /// Whether the reader of standard output has gone: then there is nothing left to do but to end.
    pub(crate) fn is_unread(&self) -> bool {
        self.reader_gone
    }

    /// Whether standard output is a terminal that can be drawn on, and a person reads it.
    pub(crate) fn is_screen(&self) -> bool {
        !self.json && std::io::stdout().is_terminal() && !is_dumb()
    }

    /// Shows `text` in place of what was shown before; where there is no screen, behind it.
    pub(crate) fn screen(&mut self, text: &str) -> Result<(), Error> {
        if !self.is_screen() {
            return self.data(text);
        }
        let plain = || anstream::adapter::strip_str(text).to_string();
        let text = if shows_colour() { text.to_owned() } else { plain() };
        // Home, each line to its end, the rest below: nothing flickers, and nothing is left to restore.
        let drawn = format!("\u{1b}[H{}\u{1b}[J", text.replace('\n', "\u{1b}[K\n"));
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(drawn.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|source| Error::Stdout { source })
    }

    /// Writes one JSON document, as one line.
    pub(crate) fn document<T: Serialize>(&mut self, document: &T) -> Result<(), Error> {
        let mut line = serde_json::to_string(document).map_err(|err| Error::Stdout { source: err.into() })?;
        line.push('\n');
        self.data(&line)
    }

    /// Tells the person something; a program that asked for JSON is spared it.
    pub(crate) fn talk(&self, line: &str) {
        if !self.json {
            self.notice(line);
        }
    }

    /// Tells the person something that must be said in every mode.
    #[expect(clippy::unused_self, reason = "one way to write, whatever the mode")]
    pub(crate) fn notice(&self, line: &str) {
        stderr(&format!("{line}\n"));
    }

    /// Asks the person at the terminal something, in every mode; the cursor stays on the line.
    #[expect(clippy::unused_self, reason = "one way to write, whatever the mode")]
    pub(crate) fn prompt(&self, question: &str) {
        stderr(question);
    }

    /// Says what failed, why, and what to do: three lines, or one of JSON.
    pub(crate) fn error(&self, err: &Error) {
        if err.is_said() {
            return;
        }
        if self.json {
            if let Ok(line) = serde_json::to_string(&json::ErrorDocument::from(err)) {
                stderr(&format!("{line}\n"));
            }
            return;
        }
        let (red, bold) = (AnsiColor::Red.on_default().bold(), Style::new().bold());
        let mut lines = format!("{red}error:{red:#} {}\n", text::clean(&err.to_string()));
        if let Some(cause) = err.cause() {
            let _infallible = writeln!(lines, "{bold}cause:{bold:#} {}", text::clean(&cause));
        }
        let _infallible = writeln!(lines, "  {bold}try:{bold:#} {}", text::clean(&err.hint()));
        stderr(&lines);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a terminal can do is said by the environment and nowhere else"
)]
/// Whether a terminal, if there is one, can only be written on.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Whether standard output shows colours, and the person wants them.
pub(crate) fn shows_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// The columns that a line of standard output may take: as `COLUMNS` says, which `watch` sets although it reads from a pipe, else those of
/// the terminal. `None` where nothing says so.
pub(crate) fn width() -> Option<usize> {
    let named = place::variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let of_terminal = || {
        let size = std::io::stdout().is_terminal().then(window_size)?.ok()?;
        Some(usize::from(size.columns))
    };
    named.or_else(of_terminal).filter(|columns| *columns > 0)
}

/// Whether the person's terminal shows more than ASCII, as the locale says.
#[expect(clippy::disallowed_methods, reason = "the locale is said by the environment and nowhere else")]
pub(crate) fn shows_unicode() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os);
    let locale =
        named.map(|locale| locale.to_string_lossy().to_ascii_lowercase()).find(|name| !name.is_empty());
    locale.is_some_and(|locale| locale.contains("utf-8") || locale.contains("utf8"))
}

/// Writes to standard error. That nobody reads it changes nothing about what was done.
pub(crate) fn stderr(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _unread = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
