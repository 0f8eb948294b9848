//! The end of an account: revoked at the provider, or only removed here.

use super::{Admin, AdminError};
use crate::account::{Account, FileName};
use crate::claude::Way;
use crate::claude::oauth::RevokeError;
use crate::id::AccountId;

/// What became of a revocation at the provider. The file is deleted in any case.
#[derive(Debug)]
pub enum Revocation {
    Revoked,
    Failed(RevokeError),
    /// API keys, and tokens without a refresh token.
    NotOffered,
}

impl Admin {
    /// Takes the account out of the pool, deletes its file, whose name is returned, and revokes it at the
    /// provider (best effort).
    pub async fn revoke(&self, id: &AccountId) -> Result<(FileName, Revocation), AdminError> {
        // A refresh in flight ends first, so that the token revoked is the newest.
        self.refresher.close(id).await;
        let revoked = self.revoke_closed(id).await;
        self.settle(id, revoked.is_ok());
        revoked
    }

    /// Takes the account out of the pool and deletes its file, whose name is returned. The provider is told nothing.
    pub async fn remove(&self, id: &AccountId) -> Result<FileName, AdminError> {
        // A refresh in flight ends first, or it would spend a token for nobody.
        self.refresher.close(id).await;
        let removed = match self.pool.get(id) {
            Some(member) => self.delete(&member.account).await.map(|()| member.account.file.clone()),
            None => Err(AdminError::Gone),
        };
        self.settle(id, removed.is_ok());
        let file = removed?;
        tracing::info!(account.id = %id, "account removed");
        Ok(file)
    }

    /// Afterwards. An account that is still there keeps what the refresher knows of it: tokens that wait to be saved, too.
    fn settle(&self, id: &AccountId, gone: bool) {
        if gone {
            self.refresher.reset(id);
        } else {
            self.refresher.reopen(id);
        }
    }

    async fn revoke_closed(&self, id: &AccountId) -> Result<(FileName, Revocation), AdminError> {
        let account = self.newest(id).await?.ok_or(AdminError::Gone)?;
        let token = account.oauth().and_then(|tokens| tokens.refresh.as_ref());
        let way = match token {
            // Before the file is gone: an account that may not send is not revoked at the provider.
            Some(_) => Way::of(&account).map_err(AdminError::Closed)?,
            None => Way::Configured,
        };
        // The file goes first: for as long as it is there a scan puts the account back, and the provider may
        // take its time.
        self.delete(&account).await?;
        let revocation = match token {
            Some(token) => {
                let revoked = self.oauth.revoke(token, &way).await;
                revoked.map_or_else(Revocation::Failed, |()| Revocation::Revoked)
            }
            None => Revocation::NotOffered,
        };
        tracing::info!(account.id = %id, revoked = matches!(revocation, Revocation::Revoked), "account revoked and deleted");
        Ok((account.file, revocation))
    }

    async fn delete(&self, account: &Account) -> Result<(), AdminError> {
        let (store, file) = (self.store.clone(), account.file.clone());
        self.blocking(move || store.remove(&file)).await?;
        self.pool.remove(&account.id);
        Ok(())
    }
}
