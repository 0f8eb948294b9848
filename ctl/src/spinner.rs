//! A sign of life while the daemon asks somebody else and a person waits: on a terminal alone, on standard error, and gone before the next word.

use std::io::IsTerminal as _;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval_at};
use unicode_width::UnicodeWidthStr as _;

use crate::output::{self, Output};

/// What is over sooner needs no sign.
const SOON: Duration = Duration::from_millis(300);
const TURN: Duration = Duration::from_millis(100);
const PLAIN: [&str; 4] = ["|", "/", "-", "\\"];
const FULL: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Does the work, and says these words while it lasts.
pub(crate) async fn while_it_lasts<T>(words: &str, output: &Output, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if output.is_json() || output::is_dumb() || !std::io::stderr().is_terminal() {
        return work.await;
    }
    let frames: &[&str] = if output::shows_unicode() { &FULL } else { &PLAIN };
    let mut turns = interval_at(Instant::now() + SOON, TURN);
    let mut shown = "";
    let mut frames = frames.iter().cycle();
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                if !shown.is_empty() {
                    output::stderr(&format!("\r{:width$}\r", "", width = words.width() + 2));
                }
                return done;
            }
            _ = turns.tick() => {
                shown = frames.next().copied().unwrap_or_default();
                output::stderr(&format!("\r{shown} {words}"));
            }
        }
    }
}
