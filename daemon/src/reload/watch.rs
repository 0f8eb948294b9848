//! The inotify watch on a directory. It carries no data: an event that could matter wakes the
//! reconcile, nothing more.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

pub(super) struct Watch {
    dir: PathBuf,
    /// In the words of the log.
    name: &'static str,
    wake: mpsc::Sender<()>,
    armed: Option<Armed>,
    watching: Watching,
}

/// Whether the directory is watched now; clones look at the same.
#[derive(Clone, Debug, Default)]
pub struct Watching(Arc<AtomicBool>);

impl Watching {
    /// Else it is only read from time to time.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Armed {
    /// The directory that is watched; `None` while there is none.
    watched: Option<Identity>,
    /// Watches for as long as it lives.
    _watcher: RecommendedWatcher,
}

/// Which directory it is, whatever its name: device, inode, and its birth where the file system tells it,
/// since inodes are used again.
type Identity = (u64, u64, Option<SystemTime>);

impl Watch {
    pub(super) fn new(dir: &Path, name: &'static str, wake: mpsc::Sender<()>, watching: Watching) -> Self {
        let mut watch = Self { dir: dir.to_owned(), name, wake, armed: None, watching };
        watch.rearm();
        watch
    }

    /// Watches the directory that has this path *now*: after it was moved and made anew the old watch sees
    /// the old one. Whether it is another than before.
    pub(super) fn follow(&mut self) -> bool {
        let watched = self.armed.as_ref().and_then(|armed| armed.watched);
        let found = identity(&self.dir);
        if watched.is_none() || watched != found {
            self.rearm();
        }
        watched != found
    }

    fn rearm(&mut self) {
        match arm(&self.dir, self.wake.clone()) {
            Ok(armed) => self.armed = Some(armed),
            Err(error) => {
                if self.armed.take().is_some() || matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
                    tracing::warn!(error = %error, "cannot watch {}: it is looked at every 30 s instead", self.name);
                }
            }
        }
        let is_on = self.armed.as_ref().is_some_and(|armed| armed.watched.is_some());
        self.watching.0.store(is_on, Ordering::Relaxed);
    }
}

fn arm(dir: &Path, wake: mpsc::Sender<()>) -> notify::Result<Armed> {
    let own = dir.to_owned();
    let on_event = move |event: notify::Result<Event>| {
        if event.map_or(true, |event| matters(&event, &own)) {
            // Full means that a wake-up is under way already.
            let _under_way = wake.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(on_event)?;
    // Only the parent sees that the directory came back. One that cannot be watched leaves that to the timer.
    let parent = dir.parent().map_or(Ok(()), |parent| watcher.watch(parent, RecursiveMode::NonRecursive));
    let watched = identity(dir);
    if watched.is_some() || parent.is_err() {
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
    }
    Ok(Armed { watched, _watcher: watcher })
}

fn identity(dir: &Path) -> Option<Identity> {
    dir.metadata().ok().map(|meta| (meta.dev(), meta.ino(), meta.created().ok()))
}

/// Our own reads raise events too (open, close without write): those would wake us for ever. An overflow
/// comes as an event without paths and must not be missed. Of the parent's other entries nothing matters, and of the
/// directory's own none that is hidden, since no account has such a name and files of ours do; but a hidden link may be where
/// the others lead through.
fn matters(event: &Event, dir: &Path) -> bool {
    if event.need_rescan() {
        return true;
    }
    let is_hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    if !event
        .paths
        .iter()
        .any(|path| path == dir || path.parent() == Some(dir) && (!is_hidden(path) || path.is_symlink()))
    {
        return false;
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
        let dir = Path::new("/auth");
        let wakes = |kind| matters(&Event::new(kind).add_path(dir.join("claude-x.json")), dir);
        assert!(wakes(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(wakes(EventKind::Remove(RemoveKind::File)));
        assert!(wakes(EventKind::Modify(ModifyKind::Name(RenameMode::To))));
        assert!(!wakes(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!wakes(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(!wakes(EventKind::Create(CreateKind::File)));
    }

    #[test]
    fn an_overflow_without_paths_wakes_it_too() {
        assert!(matters(&Event::new(EventKind::Other).set_flag(Flag::Rescan), Path::new("/auth")));
    }

    #[test]
    fn hidden_files_are_nobodys_account() {
        let dir = Path::new("/auth");
        let renamed = |paths: &[&str]| {
            let event = Event::new(EventKind::Modify(ModifyKind::Name(RenameMode::Both)));
            matters(&paths.iter().fold(event, |event, path| event.add_path(dir.join(path))), dir)
        };
        assert!(!renamed(&[".owners.next", ".owners.jsonl"]));
        assert!(renamed(&[".update-1.claude-x.json", "claude-x.json"]));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(!matters(&Event::new(written).add_path(dir.join(".owners.jsonl")), dir));
    }

    #[test]
    fn of_the_parent_only_the_directory_itself_matters() {
        let moved = |path| {
            let kind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
            matters(&Event::new(kind).add_path(path), Path::new("/state/auth"))
        };
        assert!(moved("/state/auth".into()) && moved("/state/auth/claude-x.json".into()));
        assert!(!moved("/state/other".into()) && !moved("/state".into()));
    }
}
