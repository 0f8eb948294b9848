//! Where a crash can fall: before everything the store does to the disk. A test lets the process "die" at each of
//! these points in turn and looks at what the next start makes of it; outside of the unit tests this is nothing.

use std::io;
use std::path::Path;

/// The process may die here.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "under test it fails")]
pub(super) fn point() -> io::Result<()> {
    Ok(())
}

/// The process may die here, and what was written to `path` may not be on the disk.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "under test it fails")]
pub(super) fn unsynced(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use arranged::{Crash, arrange, happened, has_unsynced, point, unsynced};

#[cfg(test)]
mod arranged {
    use std::cell::Cell;
    use std::fs::OpenOptions;

    use super::{Path, io};

    /// What is lost with the process.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Crash {
        /// The process alone: what it wrote is there.
        Killed,
        /// The power: half of what was not synced.
        PowerCut,
    }

    #[derive(Clone, Copy)]
    struct Plan {
        points_left: usize,
        crash: Crash,
        is_over: bool,
        /// It died with something written and not synced.
        has_unsynced: bool,
    }

    thread_local! {
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    }

    /// Lets this thread's store die after so many more points; `None` lets it live.
    pub(crate) fn arrange(plan: Option<(usize, Crash)>) {
        let plan =
            plan.map(|(points_left, crash)| Plan { points_left, crash, is_over: false, has_unsynced: false });
        PLAN.set(plan);
    }

    /// Whether it died.
    pub(crate) fn happened() -> bool {
        PLAN.get().is_some_and(|plan| plan.is_over)
    }

    /// Whether a power cut would have taken more with it.
    pub(crate) fn has_unsynced() -> bool {
        PLAN.get().is_some_and(|plan| plan.has_unsynced)
    }

    pub(crate) fn point() -> io::Result<()> {
        let Some(mut plan) = PLAN.get() else { return Ok(()) };
        plan.is_over |= plan.points_left == 0;
        plan.points_left = plan.points_left.saturating_sub(1);
        PLAN.set(Some(plan));
        if plan.is_over { Err(io::Error::other("it crashed")) } else { Ok(()) }
    }

    pub(crate) fn unsynced(path: &Path) -> io::Result<()> {
        if happened() {
            return point();
        }
        let died = point();
        if let (Err(_), Some(plan)) = (&died, PLAN.get()) {
            PLAN.set(Some(Plan { has_unsynced: true, ..plan }));
            if plan.crash == Crash::PowerCut {
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_len(file.metadata()?.len() / 2)?;
            }
        }
        died
    }
}
