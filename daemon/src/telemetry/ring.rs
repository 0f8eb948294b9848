//! The last lines, in memory, bounded in number and size. Whoever writes a line puts it here and goes on; whoever reads, the
//! thread that writes them down as well as a person's `proxyctl logs`, comes after it at a pace of its own, and is told how
//! many lines went before it came.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::record::Record;

/// So many lines are kept.
const MOST_LINES: usize = 4096;
/// So many bytes of them, about.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// So long the writer lets lines come before it takes the first.
const NAP: Duration = Duration::from_millis(2);

/// The lines.
#[derive(Debug, Default)]
pub(super) struct Ring {
    lines: Mutex<Lines>,
    /// A line came that was waited for, or the writer went on while somebody waited for that.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<(Arc<Record>, usize)>,
    /// The number of the first that is kept; they are counted from the start.
    first: u64,
    bytes: usize,
    /// The number of the one that the writer takes next.
    writer: u64,
    /// Whether the writer has one in hand.
    is_writing: bool,
    /// Whether the writer waits for one.
    is_awaited: bool,
    /// Whether somebody waits for all of them to be written.
    is_flushed: bool,
    /// That the writer never saw, or could not write.
    dropped: u64,
}

/// What a reader gets next.
#[derive(Debug)]
pub struct News {
    /// Lines that went before it came.
    pub missed: u64,
    pub lines: Vec<Arc<Record>>,
    /// Where to go on.
    pub next: u64,
}

impl Ring {
    pub(super) fn push(&self, record: Record) {
        let size = record.size();
        let mut lines = self.lock();
        lines.bytes += size;
        lines.kept.push_back((Arc::new(record), size));
        while lines.kept.len() > MOST_LINES || (lines.bytes > MOST_BYTES && lines.kept.len() > 1) {
            let Some((_, size)) = lines.kept.pop_front() else { break };
            lines.bytes -= size;
            lines.first += 1;
            if lines.writer < lines.first {
                lines.writer = lines.first;
                lines.dropped += 1;
            }
        }
        let is_awaited = std::mem::take(&mut lines.is_awaited);
        drop(lines);
        // To call is a call into the kernel, and nobody but the writer hears of a line.
        if is_awaited {
            self.changed.notify_all();
        }
    }

    /// Waits for the next line; for the one writer. One that had to wait lets some more come, so that a crowd of lines wakes it
    /// once.
    pub(super) fn take(&self) -> Arc<Record> {
        let mut has_waited = false;
        let mut lines = self.lock();
        loop {
            if std::mem::take(&mut has_waited) {
                drop(lines);
                thread::sleep(NAP);
                lines = self.lock();
            }
            if let Some(record) = lines.at(lines.writer) {
                lines.writer += 1;
                lines.is_writing = true;
                return record;
            }
            lines.is_awaited = true;
            lines = self.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
            has_waited = true;
        }
    }

    /// The writer is done with its line.
    pub(super) fn done(&self, is_written: bool) {
        let mut lines = self.lock();
        lines.is_writing = false;
        lines.dropped += u64::from(!is_written);
        let is_flushed = lines.is_flushed;
        drop(lines);
        if is_flushed {
            self.changed.notify_all();
        }
    }

    /// Whether there is a line that the writer has not taken.
    pub(super) fn is_behind(&self) -> bool {
        let lines = self.lock();
        lines.at(lines.writer).is_some()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits until all there is was written down, and no longer than this.
    pub(super) fn flush(&self, at_most: Duration) {
        let mut lines = self.lock();
        lines.is_flushed = true;
        let is_behind = |lines: &mut Lines| lines.is_writing || lines.at(lines.writer).is_some();
        // Late is as good as never: the process ends either way.
        let _in_time = self.changed.wait_timeout_while(lines, at_most, is_behind);
    }

    /// What came at or after this number.
    pub(super) fn since(&self, number: u64) -> News {
        let lines = self.lock();
        let missed = lines.first.saturating_sub(number);
        let skipped = usize::try_from(number.saturating_sub(lines.first)).unwrap_or(usize::MAX);
        let news = lines.kept.iter().skip(skipped).map(|(record, _)| Arc::clone(record)).collect();
        News { missed, lines: news, next: lines.end() }
    }

    /// All that is kept. What went before is no loss to one who comes now.
    pub(super) fn kept(&self) -> News {
        let first = self.lock().first;
        News { missed: 0, ..self.since(first) }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // Nothing panics while it is held, and lines are whole.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn at(&self, number: u64) -> Option<Arc<Record>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.kept.get(place).map(|(record, _)| Arc::clone(record))
    }

    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
