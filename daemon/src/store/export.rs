//! One account's file, written to where a person wants it: a new private file, or nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Store;
use crate::account::Document;

/// Why an account was not written there. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the path {} is not that of a file: give an absolute one", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} exists already: nothing is ever overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("{} lies in the auth directory, where it would be a second owner of its tokens", path.display())]
    InAuthDirectory { path: PathBuf },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl Store {
    /// Writes `document` to the new file `path`, mode 0600, durable when this returns. Links are not followed at its end.
    pub fn export(&self, path: &Path, document: &Document) -> Result<(), ExportError> {
        let failed = |source| ExportError::Write { path: path.to_owned(), source };
        let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), path.is_absolute()) else {
            return Err(ExportError::NotAFile { path: path.to_owned() });
        };
        let parent = parent.canonicalize().map_err(failed)?;
        if parent.starts_with(self.dir()) {
            return Err(ExportError::InAuthDirectory { path: path.to_owned() });
        }
        let target = parent.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC);
        let mut file = match options.open(&target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ExportError::Exists { path: path.to_owned() });
            }
            opened => opened.map_err(failed)?,
        };
        let written = file.write_all(&document.to_bytes()).and_then(|()| file.sync_all());
        let durable = written.and_then(|()| File::open(&parent)?.sync_all());
        durable.map_err(|source| {
            // Half a file of tokens is worse than none.
            let _best_effort = fs::remove_file(&target);
            failed(source)
        })
    }
}
