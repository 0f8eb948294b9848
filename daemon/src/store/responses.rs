//! Stored responses: a private file each, in a directory of their own. They may be lost, so nobody waits for the disk; and
//! they never take the last of the space, which tokens need.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::statvfs::statvfs;

use super::{Store, read};
use crate::clock::Timestamp;
use crate::wire::responses::ResponseId;

/// Below the auth directory, whose lock says whose they are; no scan for accounts looks into it.
const DIR: &str = ".responses";
const EXTENSION: &str = "json";
/// A file that is being written.
const TEMP: &str = ".new";
/// The largest request there is, and its answer.
const MAX_SIZE: u64 = 64 * 1024 * 1024;
/// So much stays free for what must not be lost.
const SPARE: u64 = 64 * 1024 * 1024;

/// A stored response as the directory shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredFile {
    pub id: ResponseId,
    pub bytes: u64,
    /// When it was last used.
    pub used: Timestamp,
}

impl Store {
    /// What is stored. What a crash left half written is deleted.
    pub fn list_responses(&self) -> io::Result<Vec<StoredFile>> {
        let dir = self.responses();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                // What cannot be deleted is no reason to know of none.
                let _best_effort = fs::remove_file(&path);
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if let (Some(id), true) = (id_of(&path), meta.is_file()) {
                let used = Timestamp::from_second(meta.mtime()).unwrap_or(Timestamp::UNIX_EPOCH);
                found.push(StoredFile { id, bytes: meta.len(), used });
            }
        }
        Ok(found)
    }

    pub fn read_response(&self, id: &ResponseId) -> Result<Vec<u8>, read::Unusable> {
        read::read_private_up_to(MAX_SIZE, &self.response(id))
    }

    /// Writes one. It appears whole, marked as used at this time.
    pub fn write_response(&self, id: &ResponseId, bytes: &[u8], used: Timestamp) -> io::Result<()> {
        let dir = self.responses();
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let free = statvfs(&dir)?;
        let free = free.blocks_available().saturating_mul(free.fragment_size());
        if free < SPARE.saturating_add(bytes.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let temp = dir.join(format!("{id}{TEMP}"));
        match fs::remove_file(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let write = || {
            let flags = nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(flags)
                .open(&temp)?;
            file.write_all(bytes)?;
            file.set_modified(seconds(used))?;
            fs::rename(&temp, self.response(id))
        };
        write().inspect_err(|_| {
            // It takes space that a token may need.
            let _gone = fs::remove_file(&temp);
        })
    }

    /// Marks one as used.
    pub fn touch_response(&self, id: &ResponseId, used: Timestamp) -> io::Result<()> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(self.response(id))?;
        file.set_modified(seconds(used))
    }

    /// Deletes one. That it is gone already is no error.
    pub fn remove_response(&self, id: &ResponseId) -> io::Result<()> {
        match fs::remove_file(self.response(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn responses(&self) -> PathBuf {
        self.0.path.join(DIR)
    }

    fn response(&self, id: &ResponseId) -> PathBuf {
        self.responses().join(format!("{id}.{EXTENSION}"))
    }
}

/// File times to the second are enough for what lives for hours.
fn seconds(at: Timestamp) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn id_of(path: &Path) -> Option<ResponseId> {
    let name = path.file_name()?.to_str()?;
    ResponseId::parse(name.strip_suffix(EXTENSION)?.strip_suffix('.')?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn id(text: &str) -> ResponseId {
        ResponseId::parse(text).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_written_is_private_listed_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.list_responses().unwrap(), []);
        store.write_response(&id("resp_a"), b"one", at(100)).unwrap();
        store.write_response(&id("resp_a"), b"two!", at(200)).unwrap();
        let modes = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(modes(store.responses()), 0o700);
        assert_eq!(modes(store.response(&id("resp_a"))), 0o600);
        assert_eq!(store.read_response(&id("resp_a")).unwrap(), b"two!");
        store.touch_response(&id("resp_a"), at(300)).unwrap();
        let listed = StoredFile { id: id("resp_a"), bytes: 4, used: at(300) };
        assert_eq!(store.list_responses().unwrap(), [listed]);
        assert!(store.scan().unwrap().files.is_empty());
        store.remove_response(&id("resp_a")).unwrap();
        store.remove_response(&id("resp_a")).unwrap();
        assert!(store.read_response(&id("resp_a")).is_err());
    }

    #[test]
    fn what_a_crash_left_half_written_goes_and_foreign_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.write_response(&id("resp_a"), b"one", at(100)).unwrap();
        let half = store.responses().join("resp_b.new");
        let foreign = store.responses().join("notes.json");
        fs::create_dir(store.responses().join("foreign.new")).unwrap();
        for path in [&half, &foreign] {
            OpenOptions::new().write(true).create_new(true).open(path).unwrap();
        }
        assert_eq!(store.list_responses().unwrap().len(), 1);
        assert!(!half.exists() && foreign.exists());
    }
}
