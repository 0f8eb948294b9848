//! The inotify watch on the auth directory. It carries no data: an event that could matter wakes the reconcile, nothing more.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

pub(super) struct Watch {
    dir: PathBuf,
    wake: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    pub(super) fn new(dir: &Path, wake: mpsc::Sender<()>) -> Self {
        let mut watch = Self { dir: dir.to_owned(), wake, watcher: None };
        watch.rearm();
        watch
    }

    /// Watches the directory that has this path *now*: after it was moved and made anew the old watch sees the old one.
    pub(super) fn rearm(&mut self) {
        match arm(&self.dir, self.wake.clone()) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                if self.watcher.take().is_some() || matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
                    tracing::warn!(error = %error, "cannot watch the auth directory: it is read every 30 s instead");
                }
            }
        }
    }
}

fn arm(dir: &Path, wake: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let on_event = move |event: notify::Result<Event>| {
        if event.map_or(true, |event| matters(&event)) {
            // Full means that a wake-up is under way already.
            let _under_way = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(on_event)?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Our own reads raise events too (open, close without write): those would wake us for ever. An overflow comes as an event without paths
/// and must not be missed.
fn matters(event: &Event) -> bool {
    if event.need_rescan() {
        return true;
    }
    match event.kind {
        // Metadata too: chmod and chown decide whether a file may be used.
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Remove(_)
        | EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Metadata(_)) => true,
        // A file that is being written is looked at when it is closed; a link is never closed.
        EventKind::Create(_) => event.paths.iter().any(|path| is_link(path)),
        _ => false,
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| !meta.is_file() || meta.nlink() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, Flag, RemoveKind, RenameMode};

    #[test]
    fn only_what_can_change_an_account_wakes_the_reconcile() {
        let wakes = |kind| matters(&Event::new(kind));
        assert!(wakes(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(wakes(EventKind::Remove(RemoveKind::File)));
        assert!(wakes(EventKind::Modify(ModifyKind::Name(RenameMode::To))));
        assert!(!wakes(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!wakes(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(!wakes(EventKind::Create(CreateKind::File)));
    }

    #[test]
    fn an_overflow_without_paths_wakes_it_too() {
        assert!(matters(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
