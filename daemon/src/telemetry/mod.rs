//! Logs and metrics. Where log lines go: the journal with structured fields when systemd started us, readable text or JSON
//! lines on stderr otherwise. What a line may say is decided where it is written: ids, states and reasons, never a token, a
//! prompt, a body or an e-mail.
//!
//! Nobody who writes a line waits for it to be written down: it goes into a bounded ring ([`ring`]), from which one thread
//! ([`writer`]) takes it.

pub mod metrics;
mod packed;
mod record;
mod recorder;
mod ring;
mod writer;

pub use metrics::Metrics;
pub use record::Record;
pub use ring::News;

use std::io;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::chain::ErrorChain;
use crate::clock::Clock;
use recorder::{Recorder, Threshold};
use ring::Ring;
use writer::Sink;

/// A process that ends waits this long for its last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Where to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Readable text on stderr.
    Text,
    /// A JSON object a line on stderr.
    Json,
    /// systemd's journal, with fields named `PROXYD_*`.
    Journal,
}

/// The process's: tracing has one subscriber for all of it.
static LOG: OnceLock<Log> = OnceLock::new();

/// The subscriber that takes lines, for the one thread that has another.
static GLOBAL: OnceLock<tracing::Dispatch> = OnceLock::new();

#[derive(Debug)]
struct Log {
    threshold: Arc<Threshold>,
    ring: Arc<Ring>,
}

/// Logging, until the process ends. Dropped, it waits a moment for what is not written down yet.
#[derive(Debug)]
#[must_use]
pub struct Logging {
    /// As long as nothing is written down.
    sink: Option<Sink>,
}

impl Logging {
    /// Has lines written down from now on, by a thread of its own; until then they are kept. A process that restricts itself
    /// does so before, so that the thread is restricted, too.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(&mut self) -> io::Result<()> {
        match (LOG.get(), self.sink.take()) {
            (Some(log), Some(sink)) => writer::start(Arc::clone(&log.ring), sink),
            _ => Ok(()),
        }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let _lines_are_lost = self.start();
        if let Some(log) = LOG.get() {
            log.ring.flush(LAST_LINES);
        }
    }
}

/// Takes log lines from now on, once per process. A journal that cannot be reached is no reason to stay away: lines go to stderr then, and
/// say so.
///
/// # Errors
/// There is no descriptor to be had.
pub fn init(level: LevelFilter, output: Output) -> io::Result<Logging> {
    let (sink, no_journal) = match output {
        Output::Text => (Sink::text()?, None),
        Output::Json => (Sink::json()?, None),
        Output::Journal => match Sink::journal() {
            Ok(journal) => (journal, None),
            Err(error) => (Sink::text()?, Some(error)),
        },
    };
    let log = LOG.get_or_init(|| Log { threshold: Arc::new(Threshold::new(level)), ring: Arc::default() });
    let recorder = Recorder {
        threshold: Arc::clone(&log.threshold),
        ring: Arc::clone(&log.ring),
        clock: Clock::system(),
    };
    Registry::default().with(recorder).init();
    let _once = GLOBAL.set(tracing::dispatcher::get_default(tracing::Dispatch::clone));
    // The default one writes to stderr, and waits for it.
    panic::set_hook(Box::new(panicked));
    if let Some(error) = no_journal {
        tracing::warn!(error = %ErrorChain(&error), "the journal cannot be reached: log lines go to stderr as text");
    }
    Ok(Logging { sink: Some(sink) })
}

/// Logs this much from now on. Without [`init`] nothing is logged at all.
pub fn set_level(level: LevelFilter) {
    if let Some(log) = LOG.get() {
        log.threshold.set(level);
        // What was found not wanted is asked no more until this.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// How much is logged now.
pub fn level() -> LevelFilter {
    LOG.get().map_or(LevelFilter::OFF, |log| log.threshold.get())
}

/// Lines since the start that were not written down: there were more than could be, or it failed.
pub fn dropped_lines() -> u64 {
    LOG.get().map_or(0, |log| log.ring.dropped())
}

/// The lines that are in memory, oldest first.
pub fn kept_lines() -> News {
    LOG.get().map_or_else(|| nothing(0), |log| log.ring.kept())
}

/// The lines that came since a look that said to go on from `next`.
pub fn lines_since(next: u64) -> News {
    LOG.get().map_or_else(|| nothing(next), |log| log.ring.since(next))
}

fn nothing(next: u64) -> News {
    News { missed: 0, lines: Vec::new(), next }
}

/// Says that lines were dropped, as any other line. It is said on the thread that writes them, whose own subscriber takes
/// what it is given and nothing else.
fn tell_dropped(lines: u64, since_start: u64) {
    if let Some(global) = GLOBAL.get() {
        tracing::dispatcher::with_default(global, || {
            tracing::warn!(
                lines,
                since_start,
                "log lines were dropped: they could not be written down in time"
            );
        });
    }
}

/// Where, and no word of what: a message could hold anything.
fn panicked(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let (file, line) = panic.location().map_or(("", 0), |location| (location.file(), location.line()));
    tracing::error!(thread = thread.name(), file, line, "a thread panicked");
}
