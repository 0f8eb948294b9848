//! The one writer of the auth directory. What it writes is private (0600), whole and durable before anyone
//! uses it. Accounts come from other directories and go to other files here, too.
//!
//! Everything here blocks; callers run it off the runtime's threads. Nothing else in the daemon writes into
//! the directory, and nothing here knows what a pool or an issuer is.

mod atomic;
pub(crate) mod crash;
mod credentials;
mod export;
mod form;
mod import;
mod intent;
mod journal;
mod keys_file;
mod lock;
mod read;
mod recover;
mod responses;
mod scan;
mod state_file;
mod survey;
mod vault;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use atomic::Place;
pub use atomic::Reservation;
pub use credentials::CredentialError;
pub use export::ExportError;
pub use import::{Candidate, DeleteError, ImportError, Source};
pub use intent::{Intent, MOST_TRIES};
pub use journal::Durable;
pub use read::{Loaded, Unusable};
pub use recover::Recovered;
pub use responses::StoredFile;
pub use scan::{Finding, Scan};
pub use survey::Survey;
pub use vault::{Config, Vault, VaultError};

use crate::account::{Account, Document, FileName};
use crate::chain::ErrorChain;
use crate::seal::SealError;

/// The auth directory, owned: a second owner is refused.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    vault: Vault,
    /// The service manager's directory of API keys and other secrets.
    credentials: Option<PathBuf>,
    /// Serializes read-modify-write of a file. Never held across anything but file work.
    writing: Mutex<()>,
    /// Held for as long as the store lives.
    _lock: lock::DirLock,
}

/// Why the auth directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use the auth directory {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the auth directory {} belongs to uid {owner}, and this daemon runs as uid {uid}", path.display())]
    ForeignOwner { path: PathBuf, owner: u32, uid: u32 },
    #[error("others may write to the auth directory {} (mode {mode:04o}): use one of its own, or run: chmod 700 {0}", path.display())]
    Shared { path: PathBuf, mode: u32 },
    #[error("the auth directory {} is in use by another proxyd: two owners of one refresh token would log each other out", path.display())]
    InUse { path: PathBuf },
    #[error("the auth directory {} cannot be written", path.display())]
    NotWritable { path: PathBuf, source: StoreError },
}

/// Why a write did not happen. The directory is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no space for the file in {}", dir.display())]
    NoSpace { dir: PathBuf, source: io::Error },
    #[error("cannot {action} in {}", dir.display())]
    Io { action: &'static str, dir: PathBuf, source: io::Error },
    #[error("cannot seal the account's secrets")]
    Seal(#[from] SealError),
    /// There is no file: the account's key is the service manager's.
    #[error("the account's key is the credential {name}, which only the service manager can change")]
    Credential { name: String },
    /// The file was deleted or broken meanwhile: it stays as it is.
    #[error("the account's file cannot be rewritten")]
    Unusable(#[source] Unusable),
}

/// What a rewrite does with the file it found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    Write,
    /// It is no longer the file that was meant.
    Leave,
}

impl Store {
    /// Makes the directory where it is missing, with those above it, for this user alone.
    pub fn make(path: &Path) -> Result<(), OpenError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| OpenError::Io { path: path.to_owned(), source })
    }

    /// As [`Store::open_with`], with nothing sealed and no credentials.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, Vault::default(), None)
    }

    /// Takes the directory: makes it where it is missing, closes it to others, locks it, and shows by a trial
    /// reservation that it can be written.
    pub fn open_with(path: &Path, vault: Vault, credentials: Option<PathBuf>) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        Self::make(path)?;
        let path = path.canonicalize().map_err(io_error)?;
        let dir = File::open(&path).map_err(io_error)?;
        let meta = dir.metadata().map_err(io_error)?;
        let uid = nix::unistd::geteuid().as_raw();
        if meta.uid() != uid {
            return Err(OpenError::ForeignOwner { path, owner: meta.uid(), uid });
        }
        if meta.mode() & 0o1022 != 0 {
            return Err(OpenError::Shared { path, mode: meta.mode() & 0o7777 });
        }
        if meta.mode() & 0o077 != 0 {
            tracing::warn!(
                mode = format!("{:o}", meta.mode() & 0o777),
                "auth directory was open to others: closing it to 0700"
            );
            dir.set_permissions(fs::Permissions::from_mode(0o700)).map_err(io_error)?;
        }
        let Some(lock) = lock::DirLock::take(&path).map_err(io_error)? else {
            return Err(OpenError::InUse { path });
        };
        let store = Self(Arc::new(Inner { path, vault, credentials, writing: Mutex::new(()), _lock: lock }));
        match Reservation::update(&store.0.path, "trial.json") {
            // Full today is no reason not to serve the accounts there are: nothing is refreshed until there
            // is space.
            Err(error @ StoreError::NoSpace { .. }) => {
                tracing::error!(error = %ErrorChain(&error), "the auth directory has no space: tokens cannot be refreshed");
            }
            Err(source) => return Err(OpenError::NotWritable { path: store.0.path.clone(), source }),
            Ok(_trial) => {}
        }
        Ok(store)
    }

    pub fn dir(&self) -> &Path {
        &self.0.path
    }

    /// How it is now.
    pub fn survey(&self) -> io::Result<Survey> {
        survey::survey(self.dir())
    }

    /// Where an account comes from, for a person: the absolute path of its file, or its credential.
    pub fn place_of(&self, file: &FileName) -> String {
        if file.is_credential() {
            return format!("credential {file}");
        }
        self.path_of(file).display().to_string()
    }

    fn path_of(&self, file: &FileName) -> PathBuf {
        self.0.path.join(file.as_str())
    }

    /// Reads every account file of the directory, and every API key among the credentials.
    pub fn scan(&self) -> io::Result<Scan> {
        let mut scan = scan::scan(&self.0.path, &self.0.vault)?;
        if let Some(credentials) = &self.0.credentials {
            credentials::scan(credentials, &mut scan);
        }
        Ok(scan)
    }

    /// Reads one account file, or credential, as it is now.
    pub fn read(&self, file: &FileName) -> Result<Loaded, Unusable> {
        match &self.0.credentials {
            Some(credentials) if file.is_credential() => credentials::account(credentials, file),
            _ => read::read(&self.0.path, &self.0.vault, file),
        }
    }

    /// Adopts what a crash left behind between the writing of a file and its appearance. Called once, before
    /// the first scan.
    pub fn recover(&self) -> io::Result<Vec<Recovered>> {
        recover::recover(&self.0.path, &self.0.vault)
    }

    /// What was learned about the accounts in the last run, as it was saved; `None` where there is nothing to read.
    pub fn load_state(&self) -> Option<Vec<u8>> {
        state_file::load(&self.0.path)
    }

    /// Saves what was learned about the accounts, beside their files.
    pub fn save_state(&self, bytes: &[u8]) -> io::Result<()> {
        state_file::save(&self.0.path, bytes)
    }

    /// Makes room for a rewrite of `file`, before anything is asked of an issuer.
    pub fn reserve_update(&self, file: &FileName) -> Result<Reservation, StoreError> {
        not_a_credential(file)?;
        Reservation::update(&self.0.path, file.as_str())
    }

    /// Makes room for a new file whose name is not known yet.
    pub fn reserve_new(&self) -> Result<Reservation, StoreError> {
        Reservation::create(&self.0.path)
    }

    /// For a write that could not be foreseen: it takes its space when it is made.
    pub fn unreserved(&self) -> Reservation {
        Reservation::spent(&self.0.path)
    }

    /// Writes a new account's file. On an error the reservation is given back, to be tried again.
    pub fn create(
        &self,
        reservation: Reservation,
        file: &FileName,
        document: &Document,
    ) -> Result<(), (StoreError, Reservation)> {
        let _writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.commit(reservation, Place::New(&self.path_of(file)), document)
    }

    /// Rewrites `file`: `change` gets the document as it is *now*, so that what a person edited meanwhile
    /// stays. A file that was deleted meanwhile stays deleted.
    pub fn update(
        &self,
        reservation: Reservation,
        file: &FileName,
        change: impl FnOnce(&mut Document),
    ) -> Result<Loaded, (StoreError, Reservation)> {
        self.update_if(reservation, file, |_, document| {
            change(document);
            Edit::Write
        })
    }

    /// As [`Store::update`], where `edit` may also leave the file as it found it. Returns what the file holds
    /// afterwards.
    pub fn update_if(
        &self,
        reservation: Reservation,
        file: &FileName,
        edit: impl FnOnce(&Account, &mut Document) -> Edit,
    ) -> Result<Loaded, (StoreError, Reservation)> {
        let _writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = not_a_credential(file) {
            return Err((error, reservation));
        }
        let mut current = match self.read(file) {
            Ok(current) => current,
            Err(unusable) => return Err((StoreError::Unusable(unusable), reservation)),
        };
        if edit(&current.account, &mut current.document) == Edit::Leave {
            return Ok(current);
        }
        let account = match current.document.to_account(file.clone()) {
            Ok(account) => account,
            Err(error) => return Err((StoreError::Unusable(Unusable::Broken(error)), reservation)),
        };
        self.commit(reservation, Place::Existing(&self.path_of(file)), &current.document)?;
        Ok(Loaded { account, document: current.document })
    }

    /// Deletes an account's file for good. One that is gone already is no error.
    pub fn remove(&self, file: &FileName) -> Result<(), StoreError> {
        not_a_credential(file)?;
        let _writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match crash::point().and_then(|()| fs::remove_file(self.path_of(file))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("delete the file", error))
            }
            _ => self.sync_dir(),
        }
    }

    fn commit(
        &self,
        reservation: Reservation,
        place: Place<'_>,
        document: &Document,
    ) -> Result<(), (StoreError, Reservation)> {
        let bytes = match self.0.vault.bytes(document) {
            Ok(bytes) => bytes,
            Err(error) => return Err((error.into(), reservation)),
        };
        reservation.commit(place, &bytes)?;
        // The rename is in place: even if this fails, nothing older can come back but by a power cut, and the
        // caller tries again.
        self.sync_dir().map_err(|error| (error, Reservation::spent(&self.0.path)))
    }

    /// Syncs the directory that has the path *now*: it may have been moved and made anew.
    fn sync_dir(&self) -> Result<(), StoreError> {
        intent::sync(&self.0.path).map_err(|error| self.failed("make the change durable", error))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> StoreError {
        atomic::failed(action, &self.0.path, source)
    }
}

/// What the service manager keeps is not written here.
fn not_a_credential(file: &FileName) -> Result<(), StoreError> {
    if file.is_credential() { Err(StoreError::Credential { name: file.to_string() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
