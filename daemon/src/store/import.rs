//! Account files of another directory, read with the same care as our own, and deleted there only once they are saved here.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Store;
use super::intent;
use super::read::{self, Unusable};
use super::vault::Vault;
use crate::account::Document;

/// Files of a directory that are looked at; more of them are no auth directory.
const MOST_FILES: usize = 10_000;

/// Why nothing can be taken from a directory.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the path {} is not absolute", path.display())]
    Relative { path: PathBuf },
    #[error("cannot read the directory {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is this daemon's own auth directory: its accounts are in the pool already", path.display())]
    OwnDirectory { path: PathBuf },
    #[error(
        "the directory {} is in use by another proxyd: two owners of one refresh token log each other out; stop it first", path.display()
    )]
    InUse { path: PathBuf },
    #[error("the directory {} holds more than {MOST_FILES} files", path.display())]
    TooMany { path: PathBuf },
}

/// Why a file whose account was taken over stays where it was.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("it was written anew meanwhile, so import it once more")]
    Changed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Another directory, ours for as long as this lives where it has a lock.
#[derive(Debug)]
pub struct Source {
    dir: PathBuf,
    /// What this daemon sealed it opens there, too.
    vault: Vault,
    _lock: Option<File>,
}

/// A file that is named like an account's.
#[derive(Debug)]
pub struct Candidate {
    pub path: PathBuf,
    pub content: Result<Document, Unusable>,
    /// The calls that its owner began with its refresh token and that came to no known end.
    pub tries: usize,
}

impl Store {
    /// Opens a directory to take accounts from.
    pub fn open_source(&self, dir: &Path) -> Result<Source, ImportError> {
        let failed = |source| ImportError::Read { path: dir.to_owned(), source };
        if !dir.is_absolute() {
            return Err(ImportError::Relative { path: dir.to_owned() });
        }
        let dir = dir.canonicalize().map_err(failed)?;
        if dir == self.dir() {
            return Err(ImportError::OwnDirectory { path: dir });
        }
        let lock = open_lock(&dir).map_err(failed)?;
        match lock.as_ref().map_or(Ok(()), File::try_lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ImportError::InUse { path: dir }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Ok(Source { dir, vault: self.0.vault.clone(), _lock: lock })
    }
}

impl Source {
    /// Every file that is named like an account's, in the order of names.
    pub fn candidates(&self) -> Result<Vec<Candidate>, ImportError> {
        let failed = |source| ImportError::Read { path: self.dir.clone(), source };
        let mut paths = Vec::new();
        for entry in self.dir.read_dir().map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if paths.len() >= MOST_FILES {
                return Err(ImportError::TooMany { path: self.dir.clone() });
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // Claude Code hides its login; it is looked at to be refused by name.
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            if is_json && (!name.starts_with('.') || name == ".credentials.json") {
                paths.push(path);
            }
        }
        paths.sort();
        let candidate = |path: PathBuf| {
            let content = self.read(&path);
            let token = content.as_ref().ok().and_then(Document::refresh_token);
            let tries = token.map_or(Ok(0), |token| intent::tries(&self.dir, &token.fingerprint()));
            Ok(Candidate { content, path, tries: tries.map_err(failed)? })
        };
        paths.into_iter().map(candidate).collect()
    }

    /// Deletes a file whose account is saved elsewhere, for good. One that was written anew stays: another program that
    /// still runs may have put the next refresh token there.
    pub fn delete(&self, candidate: &Candidate) -> Result<(), DeleteError> {
        let now = self.read(&candidate.path);
        if !matches!((&now, &candidate.content), (Ok(now), Ok(then)) if now == then) {
            return Err(DeleteError::Changed);
        }
        fs::remove_file(&candidate.path)?;
        Ok(File::open(&self.dir)?.sync_all()?)
    }

    fn read(&self, path: &Path) -> Result<Document, Unusable> {
        self.vault.open(read::document(path)?)
    }
}

fn open_lock(dir: &Path) -> io::Result<Option<File>> {
    use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
    // Non-blocking, so that a named pipe cannot hold us up.
    let flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    match OpenOptions::new().read(true).custom_flags(flags).open(dir.join(".lock")) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
