//! One look at the whole directory: every account file with what it holds or why it is not used.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::read::{self, Loaded, Unusable};
use super::vault::Vault;
use crate::account::FileName;

/// What one file turned out to be.
pub type Finding = Result<Loaded, Unusable>;

/// Every file of the directory that is named like an account's, in the order of names.
#[derive(Debug, Default)]
pub struct Scan {
    pub files: BTreeMap<FileName, Finding>,
    /// Set where the service manager's credentials could not be looked at: what they hold is not known.
    pub unread_credentials: Option<io::Error>,
}

pub(super) fn scan(dir: &Path, vault: &Vault) -> io::Result<Scan> {
    let mut files = BTreeMap::new();
    for entry in dir.read_dir()? {
        let name = entry?.file_name();
        let Some(Ok(name)) = name.to_str().map(FileName::parse) else { continue };
        match read::read(dir, vault, &name) {
            Err(Unusable::Gone) => {}
            finding => drop(files.insert(name, finding)),
        }
    }
    Ok(Scan { files, unread_credentials: None })
}
