//! The file of the client keys: their hashes and rules. Unlike what is merely remembered it may not be lost, so it is written
//! as tokens are: whole, private and durable before anybody is told. No scan for accounts reads it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nix::libc::{O_CLOEXEC, O_NOFOLLOW};

use super::{Store, StoreError, Unusable, crash, read};

const NAME: &str = ".keys.json";
/// Becomes the file when it is whole.
const NEXT: &str = ".keys.next";
/// As many keys as there may be, each with as many rules as it may have, need less.
const MAX_SIZE: u64 = 64 * 1024 * 1024;

impl Store {
    /// The absolute path of the file.
    pub fn keys_path(&self) -> PathBuf {
        self.0.path.join(NAME)
    }

    /// What the file holds; `None` where there is none.
    pub fn read_keys(&self) -> Result<Option<Vec<u8>>, Unusable> {
        match read::read_private_up_to(MAX_SIZE, &self.keys_path()) {
            Err(Unusable::Gone) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Puts these bytes in place of what the file holds. On an error the file is as it was, unless it is only the
    /// durability of the change that is in doubt: then it is whole all the same.
    pub fn write_keys(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let _writing = self.0.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let next = self.0.path.join(NEXT);
        let write = || {
            crash::point()?;
            // What a crash left behind.
            match fs::remove_file(&next) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            crash::point()?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(O_NOFOLLOW | O_CLOEXEC)
                .open(&next)?;
            crash::point()?;
            file.write_all(bytes)?;
            crash::unsynced(&next)?;
            file.sync_all()?;
            crash::point()?;
            fs::rename(&next, self.keys_path())
        };
        write().map_err(|error| {
            if crash::point().is_ok() {
                // It takes space that a token may need; what cannot be removed now is removed by the next write.
                let _best_effort = fs::remove_file(&next);
            }
            self.failed("save the client keys", error)
        })?;
        self.sync_dir()
    }
}
