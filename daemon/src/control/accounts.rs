//! The `Accounts` service.

use std::sync::Arc;

use proxy_proto::v1::{
    self, AddApiKeyRequest, AddApiKeyResponse, DisableAccountRequest, DisableAccountResponse,
    EnableAccountRequest, EnableAccountResponse, GetAccountRequest, GetAccountResponse, ListAccountsRequest,
    ListAccountsResponse, RefreshAccountRequest, RefreshAccountResponse, RevokeAccountRequest,
    RevokeAccountResponse,
};
use tonic::{Request, Response, Status};

use super::{State, convert};
use crate::account::Account;
use crate::pool::{Member, Snapshot};
use crate::secret::ApiKey;

/// A label longer than this is no label.
const LONGEST_LABEL: usize = 100;

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

    async fn add_api_key(
        &self,
        request: Request<AddApiKeyRequest>,
    ) -> Result<Response<AddApiKeyResponse>, Status> {
        let AddApiKeyRequest { api_key, label } = request.into_inner();
        let label = Some(label.trim().to_owned()).filter(|label| !label.is_empty());
        if label
            .as_ref()
            .is_some_and(|label| label.chars().count() > LONGEST_LABEL || label.contains(char::is_control))
        {
            return Err(Status::invalid_argument(format!(
                "the label must be one line of at most {LONGEST_LABEL} characters"
            )));
        }
        let (member, replaced) = self
            .admin
            .add_api_key(ApiKey::new(api_key), label)
            .await
            .map_err(|error| convert::admin_error(&error))?;
        Ok(Response::new(AddApiKeyResponse { account: Some(self.describe(&member)), replaced }))
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
        find(&self.pool.snapshot(), wanted)
    }
}

/// The account a person means: by id, label, e-mail or file, or by the beginning of its id.
fn find(snapshot: &Snapshot, wanted: &str) -> Result<Arc<Member>, Status> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Err(Status::invalid_argument("name an account: its id, label, e-mail or file"));
    }
    let matching = |is: &dyn Fn(&Account) -> bool| -> Vec<Arc<Member>> {
        snapshot.members.iter().filter(|member| is(&member.account)).cloned().collect()
    };
    let exact = matching(&|account| is_named(account, wanted));
    let found =
        if exact.is_empty() { matching(&|account| account.id.as_str().starts_with(wanted)) } else { exact };
    match found.as_slice() {
        [] => Err(Status::not_found(format!("there is no account {wanted:?}; see `proxyctl accounts list`"))),
        [one] => Ok(Arc::clone(one)),
        several => {
            let ids: Vec<_> = several.iter().map(|member| member.account.id.as_str()).collect();
            Err(Status::failed_precondition(format!(
                "{wanted:?} could be any of {}; name one by its id",
                ids.join(", ")
            )))
        }
    }
}

fn is_named(account: &Account, wanted: &str) -> bool {
    let email = account.identity.email.as_deref();
    let file = wanted.rsplit('/').next().unwrap_or(wanted);
    account.id.as_str() == wanted
        || account.label.as_deref() == Some(wanted)
        || email.is_some_and(|email| email.eq_ignore_ascii_case(wanted))
        || account.file.as_str() == file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, FileName};
    use crate::clock::Clock;
    use crate::pool::Pool;

    fn pool() -> Pool {
        let pool = Pool::new(Clock::system());
        for (name, json) in [
            (
                "claude-a.json",
                r#"{"access_token":"a","account_uuid":"u","organization_uuid":"1","email":"me@example.com","label":"work"}"#,
            ),
            (
                "claude-b.json",
                r#"{"access_token":"b","account_uuid":"u","organization_uuid":"2","email":"me@example.com","label":"home"}"#,
            ),
        ] {
            let document = Document::parse(json.as_bytes()).unwrap();
            pool.publish(document.to_account(FileName::parse(name).unwrap()).unwrap());
        }
        pool
    }

    #[test]
    fn an_account_is_found_by_each_of_its_names() {
        let snapshot = pool().snapshot();
        let work =
            snapshot.members.iter().find(|member| member.account.label.as_deref() == Some("work")).unwrap();
        let id = work.account.id.as_str();
        for name in [id, &id[..6], "work", "claude-a.json", "/some/dir/claude-a.json"] {
            assert_eq!(find(&snapshot, name).unwrap().account.id, work.account.id, "{name}");
        }
    }

    #[test]
    fn an_ambiguous_name_lists_the_candidates() {
        let status = find(&pool().snapshot(), "ME@example.com").unwrap_err();
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        assert!(
            pool()
                .snapshot()
                .members
                .iter()
                .all(|member| status.message().contains(member.account.id.as_str()))
        );
    }

    #[test]
    fn an_unknown_name_is_not_found() {
        assert_eq!(find(&pool().snapshot(), "nobody").unwrap_err().code(), tonic::Code::NotFound);
        assert_eq!(find(&pool().snapshot(), " ").unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
