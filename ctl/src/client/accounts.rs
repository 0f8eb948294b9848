//! The calls about accounts.

use jiff::Timestamp;
use proxy_proto::v1::{
    Account, AccountChanges, AddAccountRequest, AddAccountResponse, DisableAccountRequest,
    EnableAccountRequest, ExportAccountRequest, ExportAccountResponse, GetAccountRequest,
    ImportAccountsRequest, ImportAccountsResponse, ListAccountsRequest, ListAccountsResponse,
    RefreshAccountRequest, RemoveAccountRequest, RemoveAccountResponse, RevokeAccountRequest,
    RevokeAccountResponse, UpdateAccountRequest, add_account_request,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Client, LOCAL, PROVIDER, required, silence};
use crate::clock;
use crate::error::{Error, Operation};

/// What is added to the pool.
#[derive(Debug)]
pub(crate) enum NewCredential {
    ApiKey(SecretString),
    SetupToken { token: SecretString, ends_at: Option<Timestamp> },
}

impl Client {
    pub(crate) async fn list(&self) -> Result<ListAccountsResponse, Error> {
        self.call(
            Operation::ListAccounts,
            LOCAL,
            self.accounts().list_accounts(ListAccountsRequest::default()),
        )
        .await
    }

    /// With what would become of a request for this model, or for none. A daemon that does not know the question leaves the
    /// answer out.
    pub(crate) async fn explain(&self, model: Option<String>) -> Result<ListAccountsResponse, Error> {
        let operation = Operation::ExplainAccounts;
        let request = ListAccountsRequest { explain: true, model: model.unwrap_or_default() };
        let list = self.call(operation.clone(), LOCAL, self.accounts().list_accounts(request)).await?;
        if !list.accounts.is_empty() && list.accounts.iter().all(|account| account.outlook.is_none()) {
            return Err(silence(operation, "what would become of a request", self.difference().await));
        }
        Ok(list)
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Account, Error> {
        self.show(name, false).await
    }

    /// With the plan's usage asked of the provider now, if `fresh`.
    pub(crate) async fn show(&self, name: &str, fresh: bool) -> Result<Account, Error> {
        let operation = operation("show", name);
        let request = GetAccountRequest { account: name.to_owned(), fresh };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().get_account(request)).await?;
        required(reply.account, operation)
    }

    /// Returns whether the credential was in the pool already.
    pub(crate) async fn add(
        &self,
        credential: NewCredential,
        settings: AccountChanges,
    ) -> Result<(Account, bool), Error> {
        let (credential, ends_at) = match credential {
            NewCredential::ApiKey(key) => {
                (add_account_request::Credential::ApiKey(key.expose_secret().to_owned()), None)
            }
            NewCredential::SetupToken { token, ends_at } => {
                (add_account_request::Credential::SetupToken(token.expose_secret().to_owned()), ends_at)
            }
        };
        let reserve = settings.reserve_percent;
        let request = AddAccountRequest {
            credential: Some(credential),
            settings: Some(settings),
            expires_at: ends_at.map(clock::to_proto),
        };
        let AddAccountResponse { account, replaced } =
            self.call(Operation::AddAccount, PROVIDER, self.accounts().add_account(request)).await?;
        let account = required(account, Operation::AddAccount)?;
        self.check_reserve(&account, reserve).await?;
        Ok((account, replaced))
    }

    pub(crate) async fn change(&self, name: &str, changes: AccountChanges) -> Result<Account, Error> {
        let operation = operation("change", name);
        let reserve = changes.reserve_percent;
        let request = UpdateAccountRequest { account: name.to_owned(), changes: Some(changes) };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().update_account(request)).await?;
        let account = required(reply.account, operation)?;
        self.check_reserve(&account, reserve).await?;
        Ok(account)
    }

    /// A daemon that does not know the reserve takes the rest and leaves it out.
    async fn check_reserve(&self, account: &Account, wanted: Option<u32>) -> Result<(), Error> {
        let held = account.settings.as_ref().map_or(0, |settings| settings.reserve_percent);
        match wanted {
            Some(wanted) if wanted != held => {
                Err(silence(Operation::SetReserve, "the reserve", self.difference().await))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn disable(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("disable", name);
        let request = DisableAccountRequest { account: name.to_owned() };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().disable_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn enable(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("enable", name);
        let request = EnableAccountRequest { account: name.to_owned() };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().enable_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn refresh(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("refresh", name);
        let request = RefreshAccountRequest { account: name.to_owned() };
        let reply = self.call(operation.clone(), PROVIDER, self.accounts().refresh_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn revoke(&self, name: &str) -> Result<RevokeAccountResponse, Error> {
        let request = RevokeAccountRequest { account: name.to_owned() };
        self.call(operation("revoke", name), PROVIDER, self.accounts().revoke_account(request)).await
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<RemoveAccountResponse, Error> {
        let request = RemoveAccountRequest { account: name.to_owned() };
        self.call(operation("remove", name), PROVIDER, self.accounts().remove_account(request)).await
    }

    /// A directory of the daemon's machine.
    pub(crate) async fn import(&self, directory: String, mv: bool) -> Result<ImportAccountsResponse, Error> {
        let request = ImportAccountsRequest { directory, r#move: mv };
        self.call(Operation::Import, PROVIDER, self.accounts().import_accounts(request)).await
    }

    /// Into a new file of the daemon's machine.
    pub(crate) async fn export(&self, name: &str, path: String) -> Result<ExportAccountResponse, Error> {
        let request = ExportAccountRequest { account: name.to_owned(), path };
        self.call(operation("export", name), LOCAL, self.accounts().export_account(request)).await
    }
}

fn operation(verb: &'static str, name: &str) -> Operation {
    Operation::Account { verb, name: name.to_owned() }
}
