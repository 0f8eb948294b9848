//! What a person does with an account beside logging it in: add it, change it, switch it off and on, revoke or remove it,
//! take accounts over from another directory and give one away.

mod add;
mod edit;
mod outside;
mod retire;
mod transfer;

use std::sync::Arc;

pub use add::NewCredential;
pub use outside::Outside;
pub use retire::Revocation;
pub use transfer::{Imported, Taken, Transfer};

use crate::account::{Account, DocumentError};
use crate::claude::{Closed, OAuthClient};
use crate::clock::Clock;
use crate::id::AccountId;
use crate::pool::Pool;
use crate::refresh::Refresher;
use crate::store::Store;
use crate::store::{ExportError, ImportError, StoreError, Unusable};
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
    pub outside: Outside,
}

/// Why a verb had no effect.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("the {what} is not usable: {problem}")]
    BadCredential { what: &'static str, problem: &'static str },
    /// All of them, each naming what it is about.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    #[error("the account left the pool meanwhile")]
    Gone,
    /// The provider cannot be told, so the file stays.
    #[error("the account was not revoked")]
    Closed(#[source] Closed),
    #[error("the change could not be saved")]
    Store(#[source] StoreError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Export(#[from] ExportError),
    /// What would be written is not what the account's next refresh needs.
    #[error(
        "the account's newest token could not be saved yet and is in memory only: export it once that is saved"
    )]
    Unsaved,
    /// There is no file of the account's to write.
    #[error(
        "the account's key is the credential {name}, which only the service manager can change: edit the LoadCredential= or \
         LoadCredentialEncrypted= line of the unit (`systemctl edit proxyd`), and restart it"
    )]
    Credential { name: String },
    #[error("the work ended without a result")]
    Aborted,
}

impl Admin {
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

    async fn blocking<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, AdminError>
    where
        AdminError: From<E>,
    {
        Ok(self.tasks.spawn_blocking(work).await.map_err(|_| AdminError::Aborted)??)
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Credential { name } => Self::Credential { name },
            error => Self::Store(error),
        }
    }
}

impl From<DocumentError> for AdminError {
    fn from(error: DocumentError) -> Self {
        Self::Store(StoreError::Unusable(Unusable::Broken(error)))
    }
}
