//! One refresh-token family has one owner: an advisory lock on a file of the directory, released by the
//! kernel however the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The directory is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct DirLock(#[expect(dead_code, reason = "held open: the lock goes with it")] File);

impl DirLock {
    /// `None` when another process holds the directory.
    pub(super) fn take(dir: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC)
            .open(dir.join(".lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
