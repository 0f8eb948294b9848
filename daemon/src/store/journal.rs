//! The one file here that grows by lines: what is worth remembering and may be lost. Appended to as things happen,
//! and written anew, whole, when it holds too much that is old. What its lines say is its writer's business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};

use super::{Store, StoreError};

const JOURNAL: &str = ".owners.jsonl";
/// Becomes the journal when it is whole.
const NEXT: &str = ".owners.next";
/// Nothing of ours grows larger.
const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// Whether lines must outlast a power cut, or only the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durable {
    Yes,
    No,
}

impl Store {
    /// The lines there are; none where there is no journal yet.
    pub fn read_journal(&self) -> io::Result<Vec<u8>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            .open(self.journal());
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(io::Error::other("it is not a private file of our own"));
        }
        let mut lines = Vec::new();
        file.take(MAX_SIZE).read_to_end(&mut lines)?;
        Ok(lines)
    }

    /// Adds whole lines. After an error the last line may be torn: write it anew.
    pub fn append_journal(&self, lines: &[u8], durable: Durable) -> Result<(), StoreError> {
        let append = || {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(O_NOFOLLOW | O_CLOEXEC)
                .open(self.journal())?;
            file.write_all(lines)?;
            if durable == Durable::Yes { file.sync_data() } else { Ok(()) }
        };
        append().map_err(|error| self.failed("note whose state is whose", error))
    }

    /// Puts these lines in place of all there are. On an error the old ones stay.
    pub fn replace_journal(&self, lines: &[u8]) -> Result<(), StoreError> {
        let next = self.0.path.join(NEXT);
        let replace = || {
            // What a crash left behind, or a failure.
            let _none_there = fs::remove_file(&next);
            let mut file: File = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(O_NOFOLLOW | O_CLOEXEC)
                .open(&next)?;
            file.write_all(lines)?;
            file.sync_all()?;
            fs::rename(&next, self.journal())
        };
        let replaced: io::Result<()> = replace();
        if replaced.is_err() {
            // The next try removes what cannot be removed now.
            let _best_effort = fs::remove_file(&next);
        }
        replaced.map_err(|error| self.failed("note whose state is whose", error))?;
        self.sync_dir()
    }

    fn journal(&self) -> PathBuf {
        self.0.path.join(JOURNAL)
    }
}
