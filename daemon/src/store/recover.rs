//! What a crash left behind. A process killed after a file was written and synced but before its rename
//! leaves the newest token of an account in a temporary file: the next start adopts it when it is whole and
//! newer, and removes it otherwise. Which of two is newer is told by the intents first: a token that was asked
//! with is the older one, whatever the clock said when they were written.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::atomic::{CREATE, UPDATE};
use super::read::Unusable;
use super::vault::Vault;
use super::{crash, intent, read, scan};
use crate::account::{Account, Document, FileName};
use crate::id::AccountId;
use crate::secret::RefreshToken;

/// A temporary file that became its account's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    pub account: AccountId,
}

pub(super) fn recover(dir: &Path, vault: &Vault) -> io::Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(target) = target_of(name) else { continue };
        match adopt(dir, vault, &entry.path(), &target)? {
            Use::Adopted(account) => recovered.push(Recovered { account }),
            Use::None => crash::point().and_then(|()| fs::remove_file(entry.path()))?,
            Use::Unknown => tracing::warn!("a file that a crash left behind cannot be judged yet: it stays"),
        }
    }
    // What was adopted must be there for good before anything is forgotten that it was adopted by.
    intent::sync(dir)?;
    intent::sweep(dir, held(dir, vault)?.as_ref())?;
    intent::sync(dir)?;
    Ok(recovered)
}

/// The fingerprints of all refresh tokens in the directory; `None` where a file cannot be read.
fn held(dir: &Path, vault: &Vault) -> io::Result<Option<HashSet<String>>> {
    let mut held = HashSet::new();
    for finding in scan::scan(dir, vault)?.files.into_values() {
        let Ok(loaded) = finding else { return Ok(None) };
        held.extend(refresh_token(&loaded.account).map(RefreshToken::fingerprint));
    }
    Ok(Some(held))
}

enum Target {
    /// A rewrite of this file, which must still be there: one that a person deleted stays deleted.
    Existing(FileName),
    /// A new account, complete in itself.
    New,
}

/// What a temporary file is good for.
enum Use {
    Adopted(AccountId),
    None,
    /// It, or the file it is for, cannot be read now: it may hold the only good token of its account.
    Unknown,
}

fn target_of(name: &str) -> Option<Target> {
    if name.starts_with(CREATE) {
        return Some(Target::New);
    }
    let (_, file) = name.strip_prefix(UPDATE)?.split_once('.')?;
    FileName::parse(file).ok().map(Target::Existing)
}

fn adopt(dir: &Path, vault: &Vault, temp: &Path, target: &Target) -> io::Result<Use> {
    let Ok(bytes) = read::read_private(temp) else { return Ok(Use::Unknown) };
    // Written whole, and not cut to its length yet: what was reserved follows it.
    let bytes = without_zeros(&bytes);
    let Ok(document) = Document::parse(bytes) else { return Ok(Use::None) };
    // It is whole, so another key may open it.
    let Ok(document) = vault.open(document) else { return Ok(Use::Unknown) };
    let (id, file) = match target {
        Target::Existing(file) => {
            let Ok(written) = document.to_account(file.clone()) else { return Ok(Use::None) };
            let current = match read::read(dir, vault, file) {
                Ok(current) => current.account,
                Err(Unusable::Gone) => return Ok(Use::None),
                Err(_) => return Ok(Use::Unknown),
            };
            if written.id != current.id || !is_newer(dir, &written, &current)? {
                return Ok(Use::None);
            }
            (current.id, file.clone())
        }
        Target::New => {
            let Some(placeholder) = FileName::parse("claude-recovered.json").ok() else {
                return Ok(Use::None);
            };
            let Ok(account) = document.to_account(placeholder) else { return Ok(Use::None) };
            let file = FileName::for_account(&account.id, account.last_refresh.unwrap_or_default());
            (account.id, file)
        }
    };
    crash::point()?;
    let written = OpenOptions::new().write(true).custom_flags(nix::libc::O_NOFOLLOW).open(temp)?;
    written.set_len(bytes.len() as u64)?;
    written.sync_all()?;
    crash::point()?;
    fs::rename(temp, dir.join(file.as_str()))?;
    Ok(Use::Adopted(id))
}

fn is_newer(dir: &Path, written: &Account, current: &Account) -> io::Result<bool> {
    let (new, old) = (refresh_token(written), refresh_token(current));
    if new != old {
        if intent::was_asked(dir, new)? {
            return Ok(false);
        }
        if intent::was_asked(dir, old)? {
            return Ok(true);
        }
    }
    Ok(written.last_refresh > current.last_refresh)
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..length).unwrap_or_default()
}

fn refresh_token(account: &Account) -> Option<&RefreshToken> {
    account.oauth()?.refresh.as_ref()
}
