//! A file that appears whole or not at all. The space is taken first: a temporary file of mode 0600 in the
//! same directory, preallocated and synced, so that a full disk shows before a single-use token is spent.
//! Then write, fsync, rename; the caller syncs the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{StoreError, Unusable, crash};

/// Room for one account file. Accounts are 1-3 KiB; a document larger than this still fits where the disk has
/// room.
const RESERVED: i64 = 16 * 1024;

/// What a temporary file is for: a rewrite may only replace a file that is still there, a new one stands for
/// itself.
pub(super) const UPDATE: &str = ".update-";
pub(super) const CREATE: &str = ".create-";

/// Space in the directory for one file. Dropped unused, it leaves nothing behind.
#[derive(Debug)]
pub struct Reservation {
    dir: PathBuf,
    temp: Option<(PathBuf, File)>,
}

impl Reservation {
    pub(super) fn update(dir: &Path, file: &str) -> Result<Self, StoreError> {
        Self::take(dir, &format!("{UPDATE}{}.{file}", unique()))
    }

    pub(super) fn create(dir: &Path) -> Result<Self, StoreError> {
        Self::take(dir, &format!("{CREATE}{}.json", unique()))
    }

    /// A reservation without a file, for a write that must be tried again from the start.
    pub(super) fn spent(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), temp: None }
    }

    fn take(dir: &Path, name: &str) -> Result<Self, StoreError> {
        let path = dir.join(name);
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC).open(&path)
        };
        let file = crash::point().and_then(|()| open());
        let file = file.map_err(|error| failed("create a file", dir, error))?;
        // From here on a failure removes the file again, by `Drop`.
        let reservation = Self { dir: dir.to_owned(), temp: Some((path, file)) };
        if let Some((_, file)) = &reservation.temp {
            let reserve = || {
                crash::point()?;
                nix::fcntl::posix_fallocate(file, 0, RESERVED)?;
                crash::point()?;
                file.sync_all()
            };
            reserve().map_err(|error| failed("reserve space", dir, error))?;
        }
        Ok(reservation)
    }

    /// Writes `bytes` and puts the file in its place. On an error the reservation is given back: the bytes
    /// are still the caller's, and a later try may succeed.
    pub(super) fn commit(mut self, place: Place<'_>, bytes: &[u8]) -> Result<(), (StoreError, Self)> {
        match self.try_commit(place, bytes) {
            Ok(()) => {
                self.temp = None;
                Ok(())
            }
            Err(error) if place.is_gone(&error) => Err((StoreError::Unusable(Unusable::Gone), self)),
            Err(error) => Err((failed("save the file", &self.dir, error), self)),
        }
    }

    fn try_commit(&mut self, place: Place<'_>, bytes: &[u8]) -> io::Result<()> {
        match self.write_and_place(place, bytes) {
            Err(error) if place.is_gone(&error) => Err(error),
            // Somebody swept the temporary file away, or moved the directory: a new one does as well.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.temp.take().is_some() => {
                self.write_and_place(place, bytes)
            }
            written => written,
        }
    }

    fn write_and_place(&mut self, place: Place<'_>, bytes: &[u8]) -> io::Result<()> {
        if self.temp.is_none() {
            let name = place.path().file_name().and_then(|name| name.to_str()).unwrap_or("account.json");
            *self = Self::update(&self.dir, name).map_err(io::Error::other)?;
        }
        let Some((path, file)) = &mut self.temp else { return Err(io::ErrorKind::NotFound.into()) };
        crash::point()?;
        file.rewind()?;
        file.write_all(bytes)?;
        crash::point()?;
        file.set_len(bytes.len() as u64)?;
        crash::unsynced(path)?;
        file.sync_all()?;
        crash::point()?;
        match place {
            Place::New(target) => fs::rename(path, target),
            Place::Existing(target) => exchange(path, target),
        }
    }
}

/// Where a file goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    New(&'a Path),
    /// In place of a file that must still be there: what a person deleted is not brought back.
    Existing(&'a Path),
}

impl<'a> Place<'a> {
    fn path(self) -> &'a Path {
        match self {
            Self::New(path) | Self::Existing(path) => path,
        }
    }

    fn is_gone(self, error: &io::Error) -> bool {
        let Self::Existing(target) = self else { return false };
        error.kind() == io::ErrorKind::NotFound && target.symlink_metadata().is_err()
    }
}

/// Swaps the two files, which fails where one of them is missing, and removes the one that was replaced. A
/// file system that cannot swap renames.
fn exchange(temp: &Path, target: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, temp, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE) {
        // What cannot be removed now is removed by the next start: it is the older of the two.
        Ok(()) => crash::point().and_then(|()| fs::remove_file(temp)).or(Ok(())),
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => fs::rename(temp, target),
        Err(errno) => Err(errno.into()),
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((path, _)) = self.temp.as_ref().filter(|_| crash::point().is_ok()) {
            // What cannot be removed now is removed by the next start: it holds no whole document.
            let _best_effort = fs::remove_file(path);
        }
    }
}

/// Tells a full disk from every other failure.
pub(super) fn failed(action: &'static str, dir: &Path, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::NoSpace { dir: dir.to_owned(), source }
        }
        _ => StoreError::Io { action, dir: dir.to_owned(), source },
    }
}

fn unique() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
