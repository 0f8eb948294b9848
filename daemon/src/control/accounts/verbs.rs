//! From requests to what [`crate::admin`] does, and back.

use std::path::Path;

use proxy_proto::v1::{
    self, AddAccountRequest, AddAccountResponse, ExportAccountResponse, ImportAccountsRequest, ImportOutcome,
    ImportedFile, RemoveAccountResponse, RevokeAccountResponse, add_account_request,
};
use tonic::Status;

use super::super::{State, convert};
use crate::account::{Changes, ModelAlias, ProxyText};
use crate::admin::{Imported, NewCredential, Taken, Transfer};
use crate::clock::Timestamp;
use crate::secret::{AccessToken, ApiKey};

impl State {
    pub(super) async fn add(&self, request: AddAccountRequest) -> Result<AddAccountResponse, Status> {
        let AddAccountRequest { credential, settings, expires_at } = request;
        let credential = match credential {
            Some(add_account_request::Credential::ApiKey(_)) if expires_at.is_some() => {
                return Err(Status::invalid_argument(
                    "an API key has no end: expires_at is for setup tokens",
                ));
            }
            Some(add_account_request::Credential::ApiKey(key)) => NewCredential::ApiKey(ApiKey::new(key)),
            Some(add_account_request::Credential::SetupToken(token)) => {
                let ends_at = expires_at.map(|at| Timestamp::new(at.seconds, at.nanos)).transpose();
                let ends_at = ends_at
                    .map_err(|_| Status::invalid_argument("expires_at is outside of all calendars"))?;
                NewCredential::SetupToken { token: AccessToken::new(token), ends_at }
            }
            None => return Err(Status::invalid_argument("there is no credential to add")),
        };
        let changes = settings.map(changes).unwrap_or_default();
        let (member, replaced) =
            self.admin.add(credential, changes).await.map_err(|error| convert::admin_error(&error))?;
        Ok(AddAccountResponse { account: Some(self.describe(&member)), replaced })
    }

    pub(super) async fn update(
        &self,
        account: &str,
        wanted: Option<v1::AccountChanges>,
    ) -> Result<v1::Account, Status> {
        let member = self.find(account)?;
        let changes = wanted.map(changes).unwrap_or_default();
        if changes.is_empty() {
            return Err(Status::invalid_argument("there is nothing to change"));
        }
        let changed =
            self.admin.change(&member, changes).await.map_err(|error| convert::admin_error(&error))?;
        Ok(self.describe(&changed))
    }

    pub(super) async fn switch(&self, account: &str, disabled: bool) -> Result<v1::Account, Status> {
        let member = self.find(account)?;
        let changed =
            self.admin.set_disabled(&member, disabled).await.map_err(|error| convert::admin_error(&error))?;
        Ok(self.describe(&changed))
    }

    pub(super) async fn revoke(&self, account: &str) -> Result<RevokeAccountResponse, Status> {
        let id = self.find(account)?.account.id.clone();
        let (admin, revoked) = (self.admin.clone(), id.clone());
        let (file, revocation) = self.to_its_end(async move { admin.revoke(&revoked).await }).await?;
        let (provider, provider_error) = convert::revocation(&revocation);
        Ok(RevokeAccountResponse {
            id: id.to_string(),
            path: self.store.place_of(&file),
            provider: provider.into(),
            provider_error,
        })
    }

    pub(super) async fn remove(&self, account: &str) -> Result<RemoveAccountResponse, Status> {
        let id = self.find(account)?.account.id.clone();
        let (admin, removed) = (self.admin.clone(), id.clone());
        let file = self.to_its_end(async move { admin.remove(&removed).await }).await?;
        Ok(RemoveAccountResponse { id: id.to_string(), path: self.store.place_of(&file) })
    }

    pub(super) async fn import(&self, request: ImportAccountsRequest) -> Result<Vec<ImportedFile>, Status> {
        let ImportAccountsRequest { directory, r#move } = request;
        let transfer = if r#move { Transfer::Move } else { Transfer::Copy };
        let admin = self.admin.clone();
        let imported =
            self.to_its_end(async move { admin.import(Path::new(&directory), transfer).await }).await?;
        Ok(imported.into_iter().map(|file| self.imported(file)).collect())
    }

    pub(super) async fn export(&self, account: &str, path: String) -> Result<ExportAccountResponse, Status> {
        let id = self.find(account)?.account.id.clone();
        let exported = self.admin.export(&id, Path::new(&path)).await;
        exported.map_err(|error| convert::admin_error(&error))?;
        Ok(ExportAccountResponse { id: id.to_string(), path })
    }

    fn imported(&self, file: Imported) -> ImportedFile {
        let Imported { path, taken, remark } = file;
        let path = path.display().to_string();
        match taken {
            Ok((taken, member)) => ImportedFile {
                path,
                outcome: match taken {
                    Taken::Added => ImportOutcome::Added,
                    Taken::Updated => ImportOutcome::Updated,
                    Taken::Unchanged => ImportOutcome::Unchanged,
                }
                .into(),
                reason: remark.unwrap_or_default(),
                account: Some(self.describe(&member)),
            },
            Err(reason) => {
                ImportedFile { path, outcome: ImportOutcome::Refused.into(), reason, account: None }
            }
        }
    }

    /// On a task of its own: a caller that goes away must not leave it half done.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, crate::admin::AdminError>> + Send + 'static,
    ) -> Result<T, Status> {
        let ended = self.tasks.spawn(work).await;
        let result = ended.map_err(|_| Status::internal("the work ended without a result"))?;
        result.map_err(|error| convert::admin_error(&error))
    }
}

fn changes(changes: v1::AccountChanges) -> Changes {
    let alias = |v1::ModelAlias { alias, model }: v1::ModelAlias| ModelAlias { alias, model };
    Changes {
        label: changes.label,
        priority: changes.priority,
        weight: changes.weight,
        reserve: changes.reserve_percent,
        prefix: changes.prefix,
        proxy_url: changes.proxy_url.map(ProxyText),
        base_url: changes.base_url,
        aliases: changes.model_aliases.map(|list| list.aliases.into_iter().map(alias).collect()),
        excluded: changes.excluded_models.map(|list| list.patterns),
        note: changes.note,
    }
}
