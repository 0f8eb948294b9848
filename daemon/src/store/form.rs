//! At a start, every account's file is put into the form in which it would be written today: sealed with today's key, or in clear.
//! One after the other, each as any other write is made, so that a crash in between leaves each file whole in one form or the other.

use std::io;

use super::{Edit, Store, StoreError, read, scan};
use crate::account::FileName;
use crate::chain::ErrorChain;
use crate::id::AccountId;

impl Store {
    /// Called once, after [`Store::recover`]. A file that cannot be rewritten serves as it is, and is put into form by its next change.
    /// What cannot be opened is not touched. Returns the accounts whose files were rewritten.
    pub fn put_in_form(&self) -> io::Result<Vec<AccountId>> {
        let files = scan::scan(&self.0.path, &self.0.vault)?.files;
        let accounts = files.into_iter().filter_map(|(file, finding)| finding.ok().map(|_| file));
        let others = accounts.filter(|file| {
            let on_disk = read::document(&self.path_of(file));
            on_disk.is_ok_and(|document| !self.0.vault.is_as_written(&document))
        });
        let key = self.0.vault.seals_with();
        let mut rewritten = Vec::new();
        for file in others {
            match self.rewrite(&file) {
                Ok(account) => {
                    if key.is_some() {
                        tracing::info!(account.id = %account, "the account's secrets are sealed");
                    } else {
                        tracing::warn!(account.id = %account, "the account's secrets are in clear again");
                    }
                    rewritten.push(account);
                }
                Err(error) => {
                    tracing::error!(file = %file.masked(), error = %ErrorChain(&error), "the account's secrets stay as they are on disk");
                }
            }
        }
        if let Some(key) = key {
            tracing::info!(key, "secrets at rest are sealed");
        }
        Ok(rewritten)
    }

    fn rewrite(&self, file: &FileName) -> Result<AccountId, StoreError> {
        let reservation = self.reserve_update(file)?;
        let written = self.update_if(reservation, file, |_, _| Edit::Write);
        written.map(|loaded| loaded.account.id).map_err(|(error, _)| error)
    }
}
