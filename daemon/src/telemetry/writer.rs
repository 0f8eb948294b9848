//! The one thread that writes lines down. It may wait for a journal that hangs, for a pipe that nobody reads and for a disk
//! that is full, and nobody waits for it: lines that it does not come to are dropped and counted, and once it can go on it
//! says how many there were. It ends with the process, which waits for it a moment at most.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracing::dispatcher::{self, Dispatch};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry, fmt};

use super::record::Record;
use super::ring::Ring;
use crate::clock::Timestamp;

/// Before the names of fields in the journal.
const FIELD_PREFIX: &str = "PROXYD";

/// So much text goes out in one write at most, and a line.
const MOST_HELD: usize = 16 * 1024;

/// While more and more lines are dropped, they are told this often.
const TELL_AGAIN: Duration = Duration::from_secs(1);

thread_local! {
    /// When the line that is written happened.
    static AT: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

/// Where lines go, and how.
#[derive(Debug)]
pub(super) enum Sink {
    /// To layers that were made for it: the journal's, or readable text's.
    Layers { dispatch: Dispatch, lost: Arc<AtomicBool> },
    /// A line each of text or JSON, several at a time where they are there.
    Lines { file: File, form: Form, held: String },
}

/// How a line is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Text,
    Json,
}

impl Sink {
    /// systemd's journal.
    pub(super) fn journal() -> io::Result<Self> {
        let journal = tracing_journald::layer()?.with_field_prefix(Some(FIELD_PREFIX.to_owned()));
        Ok(Self::of(Registry::default().with(journal).with(Silent), Arc::default()))
    }

    /// Lines for a person, on stderr.
    pub(super) fn text() -> io::Result<Self> {
        // Colours only for a person: in a file they are noise.
        let colours = io::stderr().is_terminal();
        Ok(Self::text_to(stderr()?, colours))
    }

    pub(super) fn text_to(file: File, colours: bool) -> Self {
        if !colours {
            return Self::lines(file, Form::Text);
        }
        let lost = Arc::new(AtomicBool::default());
        let lines = Lines { file: Arc::new(file), lost: Arc::clone(&lost) };
        let text = fmt::layer().with_writer(lines).with_ansi(colours).with_target(false).with_timer(AsItWas);
        Self::of(Registry::default().with(text).with(Silent), lost)
    }

    /// A JSON object a line, on stderr.
    pub(super) fn json() -> io::Result<Self> {
        Ok(Self::lines(stderr()?, Form::Json))
    }

    fn lines(file: File, form: Form) -> Self {
        Self::Lines { file, form, held: String::new() }
    }

    fn of(subscriber: impl Subscriber + Send + Sync, lost: Arc<AtomicBool>) -> Self {
        Self::Layers { dispatch: Dispatch::new(subscriber), lost }
    }

    /// As [`Sink::write`], on a thread that does nothing else.
    #[cfg(test)]
    pub(super) fn write_here(&mut self, record: &Record) -> bool {
        match self {
            Self::Layers { dispatch, .. } => {
                let dispatch = dispatch.clone();
                dispatcher::with_default(&dispatch, || self.write(record))
            }
            Self::Lines { .. } => self.write(record),
        }
    }

    /// Writes a line and all that are held, and waits as long as that takes. Says whether it went out; the journal does not tell.
    fn write(&mut self, record: &Record) -> bool {
        self.hold(record);
        match self {
            Self::Layers { lost, .. } => {
                AT.set(record.at());
                record.replay();
                !lost.swap(false, Ordering::Relaxed)
            }
            Self::Lines { file, held, .. } => {
                let is_written = file.write_all(held.as_bytes()).is_ok();
                held.clear();
                held.shrink_to(MOST_HELD);
                is_written
            }
        }
    }

    /// Keeps a line for the next write.
    fn hold(&mut self, record: &Record) {
        if let Self::Lines { form, held, .. } = self {
            held.push_str(&match form {
                Form::Text => record.to_text(),
                Form::Json => record.to_json(),
            });
            held.push('\n');
        }
    }

    /// Whether another line can wait for one that comes at once.
    fn may_hold(&self) -> bool {
        matches!(self, Self::Lines { held, .. } if held.len() < MOST_HELD)
    }
}

/// A descriptor of our own: the standard library's has a lock, on which others would wait for this thread.
fn stderr() -> io::Result<File> {
    io::stderr().as_fd().try_clone_to_owned().map(File::from)
}

/// Starts the thread.
pub(super) fn start(ring: Arc<Ring>, sink: Sink) -> io::Result<()> {
    thread::Builder::new().name("log".to_owned()).spawn(move || run(&ring, sink))?;
    Ok(())
}

fn run(ring: &Ring, mut sink: Sink) {
    match &sink {
        Sink::Layers { dispatch, .. } => {
            let dispatch = dispatch.clone();
            dispatcher::with_default(&dispatch, || write_all(ring, &mut sink));
        }
        Sink::Lines { .. } => write_all(ring, &mut sink),
    }
}

fn write_all(ring: &Ring, sink: &mut Sink) -> ! {
    let (mut told, mut told_at) = (0, None::<Instant>);
    let mut held = 0;
    loop {
        let record = ring.take();
        held += 1;
        if sink.may_hold() && ring.is_behind() {
            sink.hold(&record);
            continue;
        }
        let is_written = sink.write(&record);
        for _ in 0..std::mem::take(&mut held) {
            ring.done(is_written);
        }
        let dropped = ring.dropped();
        // Where lines come faster than they can be written for long, this one is not to be every other.
        let is_due = told_at.is_none_or(|at| at.elapsed() >= TELL_AGAIN) || !ring.is_behind();
        if is_written && dropped > told && is_due {
            super::tell_dropped(dropped - told, dropped);
            (told, told_at) = (dropped, Some(Instant::now()));
        }
    }
}

/// Keeps the layers of the thread from having a say in what others log: they get what was chosen already.
struct Silent;

impl<S: Subscriber> Layer<S> for Silent {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        false
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }
}

/// Tells when a line happened, which is not when it is written.
struct AsItWas;

impl FormatTime for AsItWas {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        write!(out, "{:.6}", AT.get())
    }
}

/// Writes lines and remembers when one was lost: the layer above has nobody to tell.
#[derive(Clone, Debug)]
struct Lines {
    file: Arc<File>,
    lost: Arc<AtomicBool>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (&*self.file).write_all(bytes).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
