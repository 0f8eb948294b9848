//! What is about to be asked with a refresh token, on disk before it is asked. A refresh token is good for one
//! call: whoever finds an intent after a crash knows that its token may be spent, and whoever finds none knows
//! that it is not.
//!
//! Each call has a file of its own, named by the token and not by the account's file: it outlives whatever a
//! person does to that, it counts no more once the file holds another token, and to take it back needs no
//! space. A file that is not whole was never acted upon and counts for nothing.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::read::{self, Unusable};
use super::{Store, StoreError, crash};
use crate::clock::Timestamp;
use crate::secret::RefreshToken;

const PREFIX: &str = ".intent-";

/// Calls that may be begun with one refresh token while nothing is known of the ones before: the first, and one
/// more to find out what became of it.
pub const MOST_TRIES: usize = 2;

/// A call that is about to be made. It stands until [`Store::withdraw`] or [`Store::settle`].
#[derive(Debug)]
#[must_use = "the call counts as made until it is withdrawn or settled"]
pub struct Intent {
    path: PathBuf,
}

impl Store {
    /// How many calls with this token were begun and came to no end that anybody knows.
    pub fn tries(&self, token: &RefreshToken) -> Result<usize, StoreError> {
        tries(self.dir(), &token.fingerprint()).map_err(|error| self.failed("read what was asked", error))
    }

    /// Puts on disk that a call with this token is about to be made.
    pub fn intend(&self, token: &RefreshToken, at: Timestamp) -> Result<Intent, StoreError> {
        let fingerprint = token.fingerprint();
        let failed = |error| self.failed("write down what will be asked", error);
        let path = free_path(self.dir(), &fingerprint).map_err(failed)?;
        let written = write(&path, &fingerprint, at).map_err(failed).and_then(|()| self.sync_dir());
        if written.is_err() && crash::point().is_ok() {
            // The call is not made, so it must not count. If this fails, too, it counts all the same: too often
            // is better than too rarely.
            let _best_effort = fs::remove_file(&path);
        }
        written.map(|()| Intent { path })
    }

    /// Takes over what another owner of the token began with it: here, too, it is tried no more often.
    pub fn inherit_tries(&self, token: &RefreshToken, tries: usize, at: Timestamp) -> Result<(), StoreError> {
        for _ in self.tries(token)?..tries.min(MOST_TRIES) {
            // It stands like the other's did.
            let _intent = self.intend(token, at)?;
        }
        Ok(())
    }

    /// The call certainly did not spend the token.
    pub fn withdraw(&self, intent: &Intent) -> Result<(), StoreError> {
        self.remove_intent(&intent.path)?;
        self.sync_dir()
    }

    /// What became of the token is known and saved: the calls that were begun with it count no more.
    pub fn settle(&self, token: &RefreshToken) -> Result<(), StoreError> {
        let fingerprint = token.fingerprint();
        for path in paths(self.dir(), &fingerprint) {
            self.remove_intent(&path)?;
        }
        self.sync_dir()
    }

    /// Every token of which it is not known whether it is spent, by its fingerprint, and the calls begun with it.
    pub fn open_intents(&self) -> io::Result<HashMap<String, usize>> {
        let mut open = HashMap::new();
        for entry in self.dir().read_dir()? {
            let path = entry?.path();
            if let Some(fingerprint) =
                fingerprint_in(&path).filter(|fingerprint| is_whole(&path, fingerprint))
            {
                *open.entry(fingerprint.to_owned()).or_default() += 1;
            }
        }
        Ok(open)
    }

    fn remove_intent(&self, path: &Path) -> Result<(), StoreError> {
        match crash::point().and_then(|()| fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("take back what was written down", error))
            }
            _ => Ok(()),
        }
    }
}

/// As [`Store::tries`], of a fingerprint.
pub(super) fn tries(dir: &Path, fingerprint: &str) -> io::Result<usize> {
    let mut count = 0;
    for path in paths(dir, fingerprint) {
        match read::read_private(&path) {
            Ok(bytes) if names(&bytes, fingerprint) => count += 1,
            Ok(_) | Err(Unusable::Gone) => {}
            Err(Unusable::Io(error)) => return Err(error),
            // Something else of that name: nobody knows what it is, so it counts.
            Err(_) => count += 1,
        }
    }
    Ok(count)
}

/// Removes what counts for nothing: intents that are not whole, and those whose token no file holds any more.
/// `held` is `None` where not every file could be read.
pub(super) fn sweep(dir: &Path, held: Option<&HashSet<String>>) -> io::Result<()> {
    for entry in dir.read_dir()? {
        let path = entry?.path();
        let Some(fingerprint) = fingerprint_in(&path) else { continue };
        let is_over = held.is_some_and(|held| !held.contains(fingerprint));
        if is_over || !is_whole(&path, fingerprint) {
            crash::point()?;
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(error = %error, "what counts for nothing any more stays written down");
            }
        }
    }
    Ok(())
}

fn write(path: &Path, fingerprint: &str, at: Timestamp) -> io::Result<()> {
    crash::point()?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC)
        .open(path)?;
    crash::point()?;
    file.write_all(format!("{}\n", json!({"token": fingerprint, "at": at.to_string()})).as_bytes())?;
    crash::unsynced(path)?;
    file.sync_all()
}

fn paths(dir: &Path, fingerprint: &str) -> [PathBuf; MOST_TRIES] {
    std::array::from_fn(|n| dir.join(format!("{PREFIX}{}.{fingerprint}", n + 1)))
}

/// Where no whole intent is yet.
fn free_path(dir: &Path, fingerprint: &str) -> io::Result<PathBuf> {
    let free = paths(dir, fingerprint).into_iter().find(|path| !is_whole(path, fingerprint));
    free.ok_or_else(|| io::Error::other("the token was tried as often as it may be"))
}

fn fingerprint_in(path: &Path) -> Option<&str> {
    let (_, fingerprint) = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
    Some(fingerprint)
}

fn is_whole(path: &Path, fingerprint: &str) -> bool {
    match read::read_private(path) {
        Ok(bytes) => names(&bytes, fingerprint),
        Err(Unusable::Gone) => false,
        Err(_) => true,
    }
}

fn names(bytes: &[u8], fingerprint: &str) -> bool {
    let record: Value = serde_json::from_slice(bytes).unwrap_or_default();
    record.get("token").and_then(Value::as_str) == Some(fingerprint)
}

/// Whether a call with the token of that fingerprint was begun.
pub(super) fn was_asked(dir: &Path, token: Option<&RefreshToken>) -> io::Result<bool> {
    token.map_or(Ok(false), |token| tries(dir, &token.fingerprint()).map(|tries| tries > 0))
}

/// Makes the directory's names durable.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    crash::point()?;
    File::open(dir)?.sync_all()
}
