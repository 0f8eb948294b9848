//! The keys that secrets at rest are sealed with, and what is done with them: a document is opened when it is read, and sealed when it
//! is written, so that nobody else in the daemon knows of either. Keys come from the service manager's credentials or from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::credentials::{self, CredentialError};
use super::read::{self, Unusable};
use crate::account::{Document, Form};
use crate::seal::{self, KeyFault, Place, SealError, SealKey};

/// The credential that holds the key.
const KEY: &str = "proxyd.seal-key";
/// That of the key before it, which opens and does not seal.
const OLD_KEY: &str = "proxyd.seal-key.old";

/// Where the store finds what is not in its directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The service manager's (`$CREDENTIALS_DIRECTORY`).
    pub credentials: Option<PathBuf>,
    /// `auth.seal_key_file`.
    pub key_file: Option<PathBuf>,
    /// `auth.old_seal_key_file`.
    pub old_key_file: Option<PathBuf>,
    /// `auth.seal`: what is written is sealed, where there is a key.
    pub seal: bool,
}

impl Config {
    /// What is read of it. A file may be replaced by another one, and so may the whole directory of credentials, by a mount: where all
    /// that lies above is such directories, those may be read. Of others' a service sees none there.
    pub fn places(&self) -> Vec<PathBuf> {
        let credentials = self.credentials.as_deref();
        let above = credentials.and_then(Path::parent).filter(|dir| dir.ends_with("credentials"));
        let files =
            [&self.key_file, &self.old_key_file].into_iter().flatten().filter_map(|file| file.parent());
        credentials.into_iter().chain(above).chain(files).map(Path::to_owned).collect()
    }
}

/// Without a key: nothing is sealed, and nothing that is sealed is opened.
#[derive(Clone, Default, Debug)]
pub struct Vault {
    key: Option<Arc<SealKey>>,
    old: Option<Arc<SealKey>>,
    is_sealing: bool,
}

/// Why there is a key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the credential {name} is no seal key: {fault}")]
    BadCredential { name: &'static str, fault: KeyFault },
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("{} is no seal key: {fault}", path.display())]
    BadFile { setting: &'static str, path: PathBuf, fault: KeyFault },
    #[error("cannot use {} as a seal key: {reason}", path.display())]
    File { setting: &'static str, path: PathBuf, reason: Unusable },
    #[error("the file gives another key than the credential {credential}: give one of the two")]
    Two { setting: &'static str, credential: &'static str },
    #[error(
        "there is an old seal key and no new one: give the new one as the credential {KEY} or by auth.seal_key_file; to have everything \
         unsealed, give the old one there and set auth.seal = false"
    )]
    OnlyOld,
}

impl VaultError {
    /// The key of the configuration that it is about.
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::BadFile { setting, .. } | Self::File { setting, .. } | Self::Two { setting, .. } => {
                Some(setting)
            }
            Self::BadCredential { .. } | Self::Credential(_) | Self::OnlyOld => None,
        }
    }
}

impl Vault {
    /// Reads the keys.
    pub fn load(config: &Config) -> Result<Self, VaultError> {
        let credentials = config.credentials.as_deref();
        let key = either(credentials, KEY, config.key_file.as_deref(), "auth.seal_key_file")?;
        let old = either(credentials, OLD_KEY, config.old_key_file.as_deref(), "auth.old_seal_key_file")?;
        match key {
            None if old.is_some() => Err(VaultError::OnlyOld),
            key => Ok(Self { is_sealing: config.seal && key.is_some(), key, old }),
        }
    }

    /// The id of the key that is sealed with; `None` where nothing is.
    pub fn seals_with(&self) -> Option<&str> {
        self.sealing().map(SealKey::id)
    }

    fn sealing(&self) -> Option<&SealKey> {
        self.key.as_deref().filter(|_| self.is_sealing)
    }

    /// The document with its secrets as they are.
    pub(crate) fn open(&self, document: Document) -> Result<Document, Unusable> {
        if !document.is_sealed() {
            return Ok(document);
        }
        let keys = self.key.iter().chain(&self.old).map(AsRef::as_ref);
        let owner = document.owner();
        document.with_secrets(Form::Plain, |field, text| {
            if !seal::is_sealed(text) {
                // A person put it there, to be sealed at the next write.
                return Ok(text.to_owned());
            }
            let opened = seal::open(keys.clone(), Place { field, owner: &owner }, text);
            let opened = opened.map_err(|problem| Unusable::Sealed { field, problem: Box::new(problem) })?;
            Ok(opened.as_str().to_owned())
        })
    }

    /// The bytes to write: sealed, where that is wanted.
    pub(super) fn bytes(&self, document: &Document) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let Some(key) = self.sealing() else { return Ok(Zeroizing::new(document.to_bytes())) };
        let owner = document.owner();
        let sealed = document.with_secrets(Form::Sealed, |field, secret| {
            seal::seal(key, Place { field, owner: &owner }, secret)
        })?;
        Ok(Zeroizing::new(sealed.to_bytes()))
    }

    /// Whether a document stands in its file as this store would write it.
    pub(super) fn is_as_written(&self, on_disk: &Document) -> bool {
        match self.sealing() {
            None => !on_disk.is_sealed(),
            Some(key) => on_disk.secrets().all(|(_, text)| seal::key_of(text) == Some(key.id())),
        }
    }

    #[cfg(test)]
    pub(crate) fn of(key: Option<&[u8]>, old: Option<&[u8]>, is_sealing: bool) -> Self {
        let parsed = |bytes: Option<&[u8]>| SealKey::parse(bytes?).ok().map(Arc::new);
        Self { key: parsed(key), old: parsed(old), is_sealing }
    }
}

/// The key that a credential, a file or both of them give.
fn either(
    credentials: Option<&Path>,
    name: &'static str,
    file: Option<&Path>,
    setting: &'static str,
) -> Result<Option<Arc<SealKey>>, VaultError> {
    let given = credentials.map(|dir| credentials::read(dir, name)).transpose()?.flatten();
    let given = given.map(|bytes| SealKey::parse(&bytes)).transpose();
    let given = given.map_err(|fault| VaultError::BadCredential { name, fault })?;
    let read = file.map(|path| from_file(path, setting)).transpose()?;
    match (given, read) {
        (Some(one), Some(two)) if one != two => Err(VaultError::Two { setting, credential: name }),
        (one, two) => Ok(one.or(two).map(Arc::new)),
    }
}

fn from_file(path: &Path, setting: &'static str) -> Result<SealKey, VaultError> {
    let bytes = read::read_private(path).map(Zeroizing::new);
    let bytes = bytes.map_err(|reason| VaultError::File { setting, path: path.to_owned(), reason })?;
    SealKey::parse(&bytes).map_err(|fault| VaultError::BadFile { setting, path: path.to_owned(), fault })
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
