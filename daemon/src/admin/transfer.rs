//! Accounts from another directory, and one account into a file. The daemon reads and writes them itself: no token crosses
//! the control socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Admin, AdminError};
use crate::account::{Account, Document, FileName};
use crate::chain::ErrorChain;
use crate::id::AccountId;
use crate::pool::Member;
use crate::store::{Candidate, Edit, Source, StoreError};

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

impl Admin {
    /// Takes over every account of a directory, one file after another: one that is refused stops none of the others.
    pub async fn import(&self, dir: &Path, transfer: Transfer) -> Result<Vec<Imported>, AdminError> {
        let (source, candidates) = self.outside.read(self.store.clone(), dir.to_owned()).await?;
        let source = Arc::new(source);
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
        let known = self.known(&new)?;
        if let Some(token) = document.refresh_token().filter(|_| candidate.tries > 0) {
            let (store, tries, now) = (self.store.clone(), candidate.tries, self.clock.now());
            let inheriting = self.blocking(move || store.inherit_tries(&token, tries, now)).await;
            inheriting.map_err(|error: AdminError| ErrorChain(&error).to_string())?;
        }
        let taken = match known {
            None => self.create(new, document.clone()).await.map(|member| (Taken::Added, member)),
            Some(known) if is_newer(&new, &known.account) => self.renew(&known, new, document.clone()).await,
            Some(known) => Ok((Taken::Unchanged, known)),
        };
        taken.map_err(|error| ErrorChain(&error).to_string())
    }

    /// The account of the pool whose tokens a file holds: the one it names, or the one that has a token of its.
    fn known(&self, new: &Account) -> Result<Option<Arc<Member>>, String> {
        let snapshot = self.pool.snapshot();
        let first = |is: fn(&Account, &Account) -> bool| {
            snapshot.members.iter().find(|member| is(&member.account, new)).map(Arc::clone)
        };
        let named = first(|here, new| here.id == new.id).or_else(|| first(shares_token));
        match first(Account::is_same_identity).filter(|_| named.is_none()) {
            None => Ok(named),
            // An e-mail address alone may belong to two organizations: whose tokens these are is not known.
            Some(alike) => Err(format!(
                "it may be the account {} or the same person in another organization, and does not say which; log in with \
                 `proxyctl login claude` instead",
                alike.account.id
            )),
        }
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
    async fn renew(
        &self,
        known: &Member,
        new: Account,
        newer: Document,
    ) -> Result<(Taken, Arc<Member>), AdminError> {
        let id = known.account.id.clone();
        // A refresh in flight ends first: it would write over them, or they over what it got.
        self.refresher.close(&id).await;
        let (store, file) = (self.store.clone(), known.account.file.clone());
        let refresher = self.refresher.clone();
        let work = move || {
            let mut taken = Taken::Unchanged;
            let edit = |here: &Account, document: &mut Document| {
                // It may have been refreshed since it was looked at.
                if !is_newer(&new, &refresher.newest(here.clone())) {
                    return Edit::Leave;
                }
                taken = Taken::Updated;
                document.take_tokens(&newer);
                Edit::Write
            };
            let reservation = store.reserve_update(&file)?;
            let held = store.update_if(reservation, &file, edit).map_err(|(error, _)| error)?;
            Ok::<_, StoreError>((taken, held.account))
        };
        let renewed = self.blocking(work).await;
        let Ok((Taken::Updated, account)) = renewed else {
            // Tokens of it that still wait to be saved are not to be lost for this.
            self.refresher.reopen(&id);
            return Ok((renewed?.0, self.pool.get(&id).ok_or(AdminError::Gone)?));
        };
        self.refresher.reset(&id);
        self.pool.replace(account);
        tracing::info!(account.id = %id, "account imported with newer tokens");
        Ok((Taken::Updated, self.pool.get(&id).ok_or(AdminError::Gone)?))
    }

    async fn delete_source(&self, source: Arc<Source>, candidate: Candidate) -> Option<String> {
        let problem = match self.outside.delete(source, candidate).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Some(format!("it is saved here, but the file could not be deleted there: {problem}"))
    }

    /// Writes an account's file, tokens included, to a new private file.
    pub async fn export(&self, id: &AccountId, path: &Path) -> Result<(), AdminError> {
        let member = self.pool.get(id).ok_or(AdminError::Gone)?;
        if member.account.file.is_credential() {
            return Err(AdminError::Credential { name: member.account.file.to_string() });
        }
        if member.trouble().unsaved {
            return Err(AdminError::Unsaved);
        }
        let file = member.account.file.clone();
        self.outside.export(self.store.clone(), file, path.to_owned()).await?;
        tracing::info!(account.id = %id, "account exported");
        Ok(())
    }
}

/// Whether both hold the same token, whoever they say they are.
fn shares_token(one: &Account, other: &Account) -> bool {
    let (Some(one), Some(other)) = (one.oauth(), other.oauth()) else { return false };
    one.access == other.access || (one.refresh.is_some() && one.refresh == other.refresh)
}

/// Whether the tokens of a file are worth more than those that are here.
fn is_newer(new: &Account, here: &Account) -> bool {
    let (Some(theirs), Some(ours)) = (new.oauth(), here.oauth()) else { return false };
    let is_loss = theirs.refresh.is_none() && ours.refresh.is_some();
    // What the issuer refuses is worth nothing.
    let is_spent = here.needs_login.is_some() && theirs.refresh != ours.refresh;
    let is_later = (new.last_refresh, theirs.expires_at) > (here.last_refresh, ours.expires_at);
    !is_loss && (is_spent || is_later)
}
