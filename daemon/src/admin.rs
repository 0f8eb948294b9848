//! What a person does with an account beside logging it in: add a key, switch it off and on, revoke it.

use std::sync::Arc;

use crate::account::{Account, Document, FileName};
use crate::claude::oauth::RevokeError;
use crate::claude::{Closed, OAuthClient, Way};
use crate::clock::Clock;
use crate::id::AccountId;
use crate::pool::{Member, Pool};
use crate::refresh::Refresher;
use crate::secret::ApiKey;
use crate::store::{Store, StoreError};
use crate::tasks::Tasks;

/// The component behind the control plane's verbs.
#[derive(Clone, Debug)]
pub struct Admin {
    pub store: Store,
    pub pool: Arc<Pool>,
    pub oauth: OAuthClient,
    pub refresher: Refresher,
    pub clock: Clock,
    pub tasks: Tasks,
}

/// Why a verb had no effect.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("the API key is not usable: {0}")]
    BadKey(&'static str),
    #[error("the account left the pool meanwhile")]
    Gone,
    /// The provider cannot be told, so the file stays.
    #[error("the account was not revoked")]
    Closed(#[source] Closed),
    #[error("the change could not be saved")]
    Store(#[source] StoreError),
    #[error("the work ended without a result")]
    Aborted,
}

/// What became of a revocation at the provider. The file is deleted in any case.
#[derive(Debug)]
pub enum Revocation {
    Revoked,
    Failed(RevokeError),
    /// API keys, and tokens without a refresh token.
    NotOffered,
}

impl Admin {
    /// Puts an API key into the pool. One that is there already keeps its account; a label given is taken
    /// over.
    pub async fn add_api_key(
        &self,
        key: ApiKey,
        label: Option<String>,
    ) -> Result<(Arc<Member>, bool), AdminError> {
        check_key(&key)?;
        let now = self.clock.now();
        let document = Document::for_api_key(&key, label.as_deref());
        let broken = |error| AdminError::Store(StoreError::Unusable(crate::store::Unusable::Broken(error)));
        let id = AccountId::derive("api-key", &[key.expose()]);
        let file = FileName::for_account(&id, now);
        let account = document.to_account(file.clone()).map_err(broken)?;
        if let Some(known) = self.pool.get(&id) {
            let member = match label {
                Some(label) => self.update(&known, move |document| document.set_label(&label)).await?,
                None => known,
            };
            return Ok((member, true));
        }
        let store = self.store.clone();
        let work = move || {
            let reservation = store.reserve_new()?;
            store.create(reservation, &file, &document).map_err(|(error, _)| error)
        };
        self.blocking(work).await?;
        tracing::info!(account.id = %id, kind = "api_key", "account added");
        self.pool.publish(account);
        Ok((self.pool.get(&id).ok_or(AdminError::Gone)?, false))
    }

    /// Switches an account off, or on again with its cooldowns forgotten.
    pub async fn set_disabled(&self, member: &Member, disabled: bool) -> Result<Arc<Member>, AdminError> {
        let member = self.update(member, move |document| document.set_disabled(disabled)).await?;
        if !disabled {
            member.forgive();
        }
        tracing::info!(account.id = %member.account.id, disabled, "account switched");
        self.refresher.wake();
        Ok(member)
    }

    /// Takes the account out of the pool, deletes its file, whose name is returned, and revokes it at the
    /// provider (best effort).
    pub async fn revoke(&self, id: &AccountId) -> Result<(FileName, Revocation), AdminError> {
        // A refresh in flight ends first, so that the token revoked is the newest.
        self.refresher.close(id).await;
        let revoked = self.revoke_closed(id).await;
        self.refresher.reset(id);
        revoked
    }

    async fn revoke_closed(&self, id: &AccountId) -> Result<(FileName, Revocation), AdminError> {
        let account = self.newest(id).await?.ok_or(AdminError::Gone)?;
        let token = account.oauth().and_then(|tokens| tokens.refresh.as_ref());
        let way = token.map(|_| Way::of(&account)).transpose().map_err(AdminError::Closed)?;
        // The file goes first: for as long as it is there a scan puts the account back, and the provider may
        // take its time.
        let (store, file) = (self.store.clone(), account.file.clone());
        self.blocking(move || store.remove(&file)).await?;
        self.pool.remove(id);
        let revocation = match token.zip(way) {
            Some((token, way)) => {
                self.oauth.revoke(token, &way).await.map_or_else(Revocation::Failed, |()| Revocation::Revoked)
            }
            None => Revocation::NotOffered,
        };
        tracing::info!(account.id = %id, revoked = matches!(revocation, Revocation::Revoked), "account revoked and deleted");
        Ok((account.file, revocation))
    }

    /// The account with the token the issuer holds as current: what its file says, unless that is still to be
    /// saved.
    async fn newest(&self, id: &AccountId) -> Result<Option<Account>, AdminError> {
        let Some(member) = self.pool.get(id) else { return Ok(None) };
        let (store, file) = (self.store.clone(), member.account.file.clone());
        let read =
            self.tasks.spawn_blocking(move || store.read(&file)).await.map_err(|_| AdminError::Aborted)?;
        let account = read.map_or_else(|_| member.account.clone(), |loaded| loaded.account);
        Ok(Some(self.refresher.newest(account)))
    }

    async fn update(
        &self,
        member: &Member,
        change: impl FnOnce(&mut Document) + Send + 'static,
    ) -> Result<Arc<Member>, AdminError> {
        let (store, file) = (self.store.clone(), member.account.file.clone());
        let work = move || {
            let reservation = store.reserve_update(&file)?;
            store.update(reservation, &file, change).map_err(|(error, _)| error)
        };
        let account: Account = self.blocking(work).await?.account;
        let id = account.id.clone();
        self.pool.replace(account);
        self.pool.get(&id).ok_or(AdminError::Gone)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AdminError> {
        self.tasks.spawn_blocking(work).await.map_err(|_| AdminError::Aborted)?.map_err(AdminError::Store)
    }
}

fn check_key(key: &ApiKey) -> Result<(), AdminError> {
    let text = key.expose();
    if text.is_empty() {
        return Err(AdminError::BadKey("it is empty"));
    }
    if text.len() > 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AdminError::BadKey("it must be one word of printable ASCII characters"));
    }
    if text.starts_with("sk-ant-oat") || text.starts_with("sk-ant-ort") {
        return Err(AdminError::BadKey("it is an OAuth token; use `proxyctl login claude` instead"));
    }
    Ok(())
}
