//! Accounts from another directory, and one account into a file. The daemon reads and writes them itself: no token crosses
//! the control socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Admin, AdminError};
use crate::account::{Account, Document, FileName};
use crate::chain::ErrorChain;
use crate::id::AccountId;
use crate::pool::Member;
use crate::store::{Candidate, Source, StoreError};

/// What happens to a file whose account was taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// It stays: a second copy of its tokens.
    Copy,
    /// It is deleted once the account is saved here.
    Move,
}

/// What became of one file of the directory.
#[derive(Debug)]
pub struct Imported {
    pub path: PathBuf,
    /// In words, for a file that was refused.
    pub taken: Result<(Taken, Arc<Member>), String>,
    /// What a person should know all the same.
    pub remark: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    Added,
    /// The account that was here holds the newer tokens now.
    Updated,
    /// What is here is as new or newer.
    Unchanged,
}

fn holds_same_tokens(one: &Account, other: &Account) -> bool {
    let refresh = |account: &Account| account.oauth().and_then(|tokens| tokens.refresh.clone());
    refresh(one).is_some() && refresh(one) == refresh(other)
}

impl Admin {
    /// Takes over every account of a directory, one file after another: one that is refused stops none of the others.
    pub async fn import(&self, dir: &Path, transfer: Transfer) -> Result<Vec<Imported>, AdminError> {
        let (store, dir) = (self.store.clone(), dir.to_owned());
        let read = move || {
            let source = store.open_source(&dir)?;
            let candidates = source.candidates()?;
            Ok::<_, AdminError>((Arc::new(source), candidates))
        };
        let (source, candidates) = self.blocking(read).await?;
        let mut imported = Vec::new();
        for candidate in candidates {
            let path = candidate.path.clone();
            let taken = self.take(&candidate).await;
            let remark = match (&taken, transfer) {
                (Ok(_), Transfer::Move) => self.delete_source(Arc::clone(&source), candidate).await,
                _ => None,
            };
            imported.push(Imported { path, taken, remark });
        }
        self.refresher.wake();
        Ok(imported)
    }

    async fn take(&self, candidate: &Candidate) -> Result<(Taken, Arc<Member>), String> {
        let document = candidate.content.as_ref().map_err(ToString::to_string)?;
        // Whether it is a Claude account may be said by its name alone.
        let name = candidate.path.file_name().and_then(|name| name.to_str()).map(FileName::parse);
        if let Some(Ok(name)) = name {
            document.to_account(name).map_err(|error| error.to_string())?;
        }
        let new = document.to_new_account(self.clock.now()).map_err(|error| error.to_string())?;
        let snapshot = self.pool.snapshot();
        let known = snapshot.members.iter().find(|member| member.account.is_same_identity(&new));
        let taken = match known {
            // An e-mail address alone may belong to two organizations: whose tokens these are is not known.
            Some(known) if known.account.id != new.id && !holds_same_tokens(&known.account, &new) => {
                return Err(format!(
                    "it may be the account {} or the same person in another organization, and does not say which; log in with \
                     `proxyctl login claude` instead",
                    known.account.id
                ));
            }
            None => self.create(new, document.clone()).await.map(|member| (Taken::Added, member)),
            Some(known) if new.oauth().is_some() && new.last_refresh > known.account.last_refresh => {
                self.renew(known, document.clone()).await.map(|member| (Taken::Updated, member))
            }
            Some(known) => Ok((Taken::Unchanged, Arc::clone(known))),
        };
        taken.map_err(|error| ErrorChain(&error).to_string())
    }

    async fn create(&self, account: Account, document: Document) -> Result<Arc<Member>, AdminError> {
        let (store, file) = (self.store.clone(), account.file.clone());
        let work = move || {
            let reservation = store.reserve_new()?;
            store.create(reservation, &file, &document).map_err(|(error, _)| error)
        };
        self.blocking(work).await?;
        let id = account.id.clone();
        tracing::info!(account.id = %id, "account imported");
        self.pool.publish(account);
        self.pool.get(&id).ok_or(AdminError::Gone)
    }

    /// Puts newer tokens into the file of an account that is here; what a person set on it stays.
    async fn renew(&self, known: &Member, newer: Document) -> Result<Arc<Member>, AdminError> {
        let id = known.account.id.clone();
        // A refresh in flight ends first: it would write over them.
        self.refresher.close(&id).await;
        let (store, file) = (self.store.clone(), known.account.file.clone());
        let work = move || {
            let reservation = store.reserve_update(&file)?;
            let updated = store.update(reservation, &file, |document| document.take_tokens(&newer));
            updated.map_err(|(error, _)| error)
        };
        let updated = match self.blocking::<_, StoreError>(work).await {
            Ok(updated) => updated,
            Err(error) => {
                // Tokens of it that still wait to be saved are not to be lost for this.
                self.refresher.reopen(&id);
                return Err(error);
            }
        };
        self.refresher.reset(&id);
        self.pool.replace(updated.account);
        tracing::info!(account.id = %id, "account imported with newer tokens");
        self.pool.get(&id).ok_or(AdminError::Gone)
    }

    async fn delete_source(&self, source: Arc<Source>, candidate: Candidate) -> Option<String> {
        let deleting = self.tasks.spawn_blocking(move || source.delete(&candidate)).await;
        let problem = match deleting {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the work ended without a result".to_owned(),
        };
        Some(format!("it is saved here, but the file could not be deleted there: {problem}"))
    }

    /// Writes an account's file, tokens included, to a new private file.
    pub async fn export(&self, id: &AccountId, path: &Path) -> Result<(), AdminError> {
        let member = self.pool.get(id).ok_or(AdminError::Gone)?;
        if member.trouble().unsaved {
            return Err(AdminError::Unsaved);
        }
        let (store, file, path) = (self.store.clone(), member.account.file.clone(), path.to_owned());
        let work = move || {
            let loaded = store.read(&file).map_err(StoreError::Unusable)?;
            Ok::<_, AdminError>(store.export(&path, &loaded.document)?)
        };
        self.blocking(work).await?;
        tracing::info!(account.id = %id, "account exported");
        Ok(())
    }
}
