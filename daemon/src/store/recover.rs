//! What a crash left behind. A process killed after a file was written and synced but before its rename
//! leaves the newest token of an account in a temporary file: the next start adopts it when it is whole and
//! newer, and removes it otherwise.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::atomic::{CREATE, UPDATE};
use super::read;
use crate::account::{Account, Document, FileName};
use crate::id::AccountId;

/// A temporary file that became its account's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    pub account: AccountId,
}

pub(super) fn recover(dir: &Path) -> io::Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(target) = target_of(name) else { continue };
        let adopted = adopt(dir, &entry.path(), &target)?;
        match adopted {
            Some(account) => recovered.push(Recovered { account }),
            None => fs::remove_file(entry.path())?,
        }
    }
    File::open(dir)?.sync_all()?;
    Ok(recovered)
}

enum Target {
    /// A rewrite of this file, which must still be there: one that a person deleted stays deleted.
    Existing(FileName),
    /// A new account, complete in itself.
    New,
}

fn target_of(name: &str) -> Option<Target> {
    if name.starts_with(CREATE) {
        return Some(Target::New);
    }
    let (_, file) = name.strip_prefix(UPDATE)?.split_once('.')?;
    FileName::parse(file).ok().map(Target::Existing)
}

fn adopt(dir: &Path, temp: &Path, target: &Target) -> io::Result<Option<AccountId>> {
    let Ok(bytes) = read::read_private(temp) else { return Ok(None) };
    let Ok(document) = Document::parse(&bytes) else { return Ok(None) };
    let file = match target {
        Target::Existing(file) => {
            let (Ok(written), Ok(current)) = (document.to_account(file.clone()), read::read(dir, file))
            else {
                return Ok(None);
            };
            if written.id != current.account.id || !is_newer(&written, &current.account) {
                return Ok(None);
            }
            file.clone()
        }
        Target::New => {
            let Some(placeholder) = FileName::parse("claude-recovered.json").ok() else { return Ok(None) };
            let Ok(account) = document.to_account(placeholder) else { return Ok(None) };
            FileName::for_account(&account.id, account.last_refresh.unwrap_or_default())
        }
    };
    fs::rename(temp, dir.join(file.as_str()))?;
    Ok(document.to_account(file).ok().map(|account| account.id))
}

fn is_newer(written: &Account, current: &Account) -> bool {
    written.last_refresh > current.last_refresh
}
