//! The `Accounts` service.

mod find;
mod verbs;

use std::sync::Arc;

use proxy_proto::v1::{
    self, AddAccountRequest, AddAccountResponse, DisableAccountRequest, DisableAccountResponse,
    EnableAccountRequest, EnableAccountResponse, ExportAccountRequest, ExportAccountResponse,
    GetAccountRequest, GetAccountResponse, ImportAccountsRequest, ImportAccountsResponse,
    ListAccountsRequest, ListAccountsResponse, RefreshAccountRequest, RefreshAccountResponse,
    RemoveAccountRequest, RemoveAccountResponse, RevokeAccountRequest, RevokeAccountResponse,
    UpdateAccountRequest, UpdateAccountResponse, WatchAccountsRequest, WatchAccountsResponse,
};
use tonic::{Request, Response, Status};

use super::{State, convert, watch};
use crate::pool::{Asked, Member};
use crate::usage::Wanted;

#[tonic::async_trait]
impl v1::accounts_server::Accounts for State {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let ListAccountsRequest { explain, model } = request.into_inner();
        let (mut accounts, invalid_files) = self.list();
        if explain {
            self.explain(&mut accounts, &model);
        }
        Ok(Response::new(ListAccountsResponse { accounts, invalid_files }))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let GetAccountRequest { account, fresh } = request.into_inner();
        let member = self.find(&account)?;
        self.usage.ask(&member, if fresh { Wanted::Fresh } else { Wanted::Recent }).await;
        // The asking may have refreshed its token.
        let member = self.pool.get(&member.account.id).unwrap_or(member);
        Ok(Response::new(GetAccountResponse { account: Some(self.describe(&member)) }))
    }

    type WatchAccountsStream = watch::Stream<WatchAccountsResponse>;

    async fn watch_accounts(
        &self,
        _: Request<WatchAccountsRequest>,
    ) -> Result<Response<Self::WatchAccountsStream>, Status> {
        self.watched_accounts().map(Response::new)
    }

    async fn add_account(
        &self,
        request: Request<AddAccountRequest>,
    ) -> Result<Response<AddAccountResponse>, Status> {
        Ok(Response::new(self.add(request.into_inner()).await?))
    }

    async fn update_account(
        &self,
        request: Request<UpdateAccountRequest>,
    ) -> Result<Response<UpdateAccountResponse>, Status> {
        let UpdateAccountRequest { account, changes } = request.into_inner();
        let account = self.update(&account, changes).await?;
        Ok(Response::new(UpdateAccountResponse { account: Some(account) }))
    }

    async fn remove_account(
        &self,
        request: Request<RemoveAccountRequest>,
    ) -> Result<Response<RemoveAccountResponse>, Status> {
        Ok(Response::new(self.remove(&request.get_ref().account).await?))
    }

    async fn import_accounts(
        &self,
        request: Request<ImportAccountsRequest>,
    ) -> Result<Response<ImportAccountsResponse>, Status> {
        let files = self.import(request.into_inner()).await?;
        Ok(Response::new(ImportAccountsResponse { files }))
    }

    async fn export_account(
        &self,
        request: Request<ExportAccountRequest>,
    ) -> Result<Response<ExportAccountResponse>, Status> {
        let ExportAccountRequest { account, path } = request.into_inner();
        Ok(Response::new(self.export(&account, path).await?))
    }

    async fn revoke_account(
        &self,
        request: Request<RevokeAccountRequest>,
    ) -> Result<Response<RevokeAccountResponse>, Status> {
        Ok(Response::new(self.revoke(&request.get_ref().account).await?))
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
        let usage = self.usage.known(&member.account).map(convert::usage);
        let refresh_due_at = self.refresher.next_refresh(member).map(convert::timestamp);
        v1::Account { usage, refresh_due_at, ..convert::account(member, &self.store, self.clock.now()) }
    }

    /// The pool as it is. What it shows of the plans' usage is asked anew in passing, where that is due.
    pub(super) fn list(&self) -> (Vec<v1::Account>, Vec<v1::InvalidFile>) {
        let snapshot = self.pool.snapshot();
        snapshot.members.iter().for_each(|member| self.usage.ask_in_passing(member));
        let accounts = snapshot.members.iter().map(|member| self.describe(member)).collect();
        let invalid = snapshot.invalid.iter().map(|file| convert::invalid_file(file, &self.store)).collect();
        (accounts, invalid)
    }

    /// Adds what would become of a request for `model`.
    fn explain(&self, accounts: &mut [v1::Account], model: &str) {
        for (id, outlook) in self.pool.outlook(&Asked::messages(model)) {
            if let Some(account) = accounts.iter_mut().find(|account| account.id == id.as_str()) {
                account.outlook = Some(convert::outlook(outlook));
            }
        }
    }

    pub(super) fn find(&self, wanted: &str) -> Result<Arc<Member>, Status> {
        find::find(&self.pool.snapshot(), wanted)
    }
}
