//! The `Accounts` service.

mod find;

use std::sync::Arc;

use proxy_proto::v1::{
    self, AddAccountRequest, AddAccountResponse, DisableAccountRequest, DisableAccountResponse,
    EnableAccountRequest, EnableAccountResponse, ExportAccountRequest, ExportAccountResponse,
    GetAccountRequest, GetAccountResponse, ImportAccountsRequest, ImportAccountsResponse,
    ListAccountsRequest, ListAccountsResponse, RefreshAccountRequest, RefreshAccountResponse,
    RemoveAccountRequest, RemoveAccountResponse, RevokeAccountRequest, RevokeAccountResponse,
    UpdateAccountRequest, UpdateAccountResponse, WatchAccountsRequest, WatchAccountsResponse,
    add_account_request,
};
use tonic::{Request, Response, Status};

use super::{State, convert};
use crate::account::settings;
use crate::pool::Member;
use crate::secret::ApiKey;

#[tonic::async_trait]
impl v1::accounts_server::Accounts for State {
    async fn list_accounts(
        &self,
        _: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let snapshot = self.pool.snapshot();
        let accounts = snapshot.members.iter().map(|member| self.describe(member)).collect();
        let invalid_files =
            snapshot.invalid.iter().map(|file| convert::invalid_file(file, &self.store)).collect();
        Ok(Response::new(ListAccountsResponse { accounts, invalid_files }))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let member = self.find(&request.get_ref().account)?;
        Ok(Response::new(GetAccountResponse { account: Some(self.describe(&member)) }))
    }

    type WatchAccountsStream = tokio_stream::Empty<Result<WatchAccountsResponse, Status>>;

    async fn watch_accounts(
        &self,
        _: Request<WatchAccountsRequest>,
    ) -> Result<Response<Self::WatchAccountsStream>, Status> {
        Err(Status::unimplemented("watching accounts"))
    }

    async fn add_account(
        &self,
        request: Request<AddAccountRequest>,
    ) -> Result<Response<AddAccountResponse>, Status> {
        let AddAccountRequest { credential, settings, expires_at: _ } = request.into_inner();
        let Some(add_account_request::Credential::ApiKey(api_key)) = credential else {
            return Err(Status::unimplemented("adding a setup token"));
        };
        let label = settings.and_then(|settings| settings.label).unwrap_or_default();
        let label = settings::label(&label)
            .map_err(|problem| Status::invalid_argument(format!("the label {problem}")))?;
        let (member, replaced) = self
            .admin
            .add_api_key(ApiKey::new(api_key), label)
            .await
            .map_err(|error| convert::admin_error(&error))?;
        Ok(Response::new(AddAccountResponse { account: Some(self.describe(&member)), replaced }))
    }

    async fn update_account(
        &self,
        _: Request<UpdateAccountRequest>,
    ) -> Result<Response<UpdateAccountResponse>, Status> {
        Err(Status::unimplemented("changing an account"))
    }

    async fn remove_account(
        &self,
        _: Request<RemoveAccountRequest>,
    ) -> Result<Response<RemoveAccountResponse>, Status> {
        Err(Status::unimplemented("removing an account"))
    }

    async fn import_accounts(
        &self,
        _: Request<ImportAccountsRequest>,
    ) -> Result<Response<ImportAccountsResponse>, Status> {
        Err(Status::unimplemented("importing accounts"))
    }

    async fn export_account(
        &self,
        _: Request<ExportAccountRequest>,
    ) -> Result<Response<ExportAccountResponse>, Status> {
        Err(Status::unimplemented("exporting an account"))
    }

    async fn revoke_account(
        &self,
        request: Request<RevokeAccountRequest>,
    ) -> Result<Response<RevokeAccountResponse>, Status> {
        let id = self.find(&request.get_ref().account)?.account.id.clone();
        // On a task of its own: a caller that goes away must not leave it half done.
        let (admin, revoked) = (self.admin.clone(), id.clone());
        let revoking = self.tasks.spawn(async move { admin.revoke(&revoked).await });
        let result = revoking.await.map_err(|_| Status::internal("the revocation ended without a result"))?;
        let (file, revocation) = result.map_err(|error| convert::admin_error(&error))?;
        let (provider, provider_error) = convert::revocation(&revocation);
        Ok(Response::new(RevokeAccountResponse {
            id: id.to_string(),
            path: self.store.path_of(&file).display().to_string(),
            provider: provider.into(),
            provider_error,
        }))
    }

    async fn disable_account(
        &self,
        request: Request<DisableAccountRequest>,
    ) -> Result<Response<DisableAccountResponse>, Status> {
        let account = self.switch(&request.get_ref().account, true).await?;
        Ok(Response::new(DisableAccountResponse { account: Some(account) }))
    }

    async fn enable_account(
        &self,
        request: Request<EnableAccountRequest>,
    ) -> Result<Response<EnableAccountResponse>, Status> {
        let account = self.switch(&request.get_ref().account, false).await?;
        Ok(Response::new(EnableAccountResponse { account: Some(account) }))
    }

    async fn refresh_account(
        &self,
        request: Request<RefreshAccountRequest>,
    ) -> Result<Response<RefreshAccountResponse>, Status> {
        let member = self.find(&request.get_ref().account)?;
        if member.account.oauth().is_none() {
            return Err(Status::failed_precondition(
                "an API key is not refreshed: it is good until it is revoked",
            ));
        }
        self.refresher
            .refresh_now(&member.account.id)
            .await
            .map_err(|error| convert::refresh_error(&error))?;
        let now = self.pool.get(&member.account.id).unwrap_or(member);
        Ok(Response::new(RefreshAccountResponse { account: Some(self.describe(&now)) }))
    }
}

impl State {
    pub(super) fn describe(&self, member: &Member) -> v1::Account {
        convert::account(member, &self.store, self.clock.now())
    }

    async fn switch(&self, account: &str, disabled: bool) -> Result<v1::Account, Status> {
        let member = self.find(account)?;
        let changed =
            self.admin.set_disabled(&member, disabled).await.map_err(|error| convert::admin_error(&error))?;
        Ok(self.describe(&changed))
    }

    fn find(&self, wanted: &str) -> Result<Arc<Member>, Status> {
        find::find(&self.pool.snapshot(), wanted)
    }
}
