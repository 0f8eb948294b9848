//! Credentials that are no login: API keys and setup tokens.

use std::sync::Arc;

use super::{Admin, AdminError};
use crate::account::{Changes, Document, api_key_problem, word};
use crate::clock::{SignedDuration, Timestamp, after};
use crate::pool::Member;
use crate::secret::{AccessToken, ApiKey};

/// What the provider gives a setup token to live.
const SETUP_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What is added.
#[derive(Debug)]
pub enum NewCredential {
    ApiKey(ApiKey),
    /// A long-lived access token without a refresh token. Where nobody knows its end, it is at most a year away.
    SetupToken {
        token: AccessToken,
        ends_at: Option<Timestamp>,
    },
}

impl Admin {
    /// Puts a credential into the pool. One that is there already keeps its account, and takes over the settings given.
    /// Returns whether it was there.
    pub async fn add(
        &self,
        credential: NewCredential,
        changes: Changes,
    ) -> Result<(Arc<Member>, bool), AdminError> {
        let now = self.clock.now();
        let gateway = changes.base_url.as_ref().is_some_and(|url| !url.trim().is_empty());
        let mut document = match &credential {
            NewCredential::ApiKey(key) => {
                check_key(key, gateway)?;
                Document::for_api_key(key)
            }
            NewCredential::SetupToken { token, ends_at } => {
                check_token(token, *ends_at, now)?;
                Document::for_setup_token(token, ends_at.unwrap_or(after(now, SETUP_TOKEN_LIFE)), now)
            }
        };
        let account = document.to_new_account(now)?;
        if let Some(known) = self.pool.get(&account.id) {
            return Ok((self.add_again(known, &credential, changes).await?, true));
        }
        self.check(&account, &changes)?;
        document.change(&changes);
        let account = document.to_account(account.file)?;
        let (store, file) = (self.store.clone(), account.file.clone());
        let work = move || {
            let reservation = store.reserve_new()?;
            store.create(reservation, &file, &document).map_err(|(error, _)| error)
        };
        self.blocking(work).await?;
        let id = account.id.clone();
        tracing::info!(account.id = %id, kind = kind(&credential), "account added");
        self.pool.publish(account);
        Ok((self.pool.get(&id).ok_or(AdminError::Gone)?, false))
    }

    /// A credential that is here takes over what was said of it this time.
    async fn add_again(
        &self,
        known: Arc<Member>,
        credential: &NewCredential,
        changes: Changes,
    ) -> Result<Arc<Member>, AdminError> {
        let ends_at = match credential {
            NewCredential::ApiKey(_) => None,
            NewCredential::SetupToken { ends_at, .. } => *ends_at,
        };
        match ends_at {
            None if changes.is_empty() => Ok(known),
            None => self.change(&known, changes).await,
            Some(end) => {
                self.check(&known.account, &changes)?;
                let change = move |document: &mut Document| {
                    document.change(&changes);
                    document.set_end(end);
                };
                self.changed(&known, change).await
            }
        }
    }
}

fn kind(credential: &NewCredential) -> &'static str {
    match credential {
        NewCredential::ApiKey(_) => "api_key",
        NewCredential::SetupToken { .. } => "setup_token",
    }
}

fn check_key(key: &ApiKey, gateway: bool) -> Result<(), AdminError> {
    match api_key_problem(key.expose(), gateway) {
        Some(problem) => Err(AdminError::BadCredential { what: "API key", problem }),
        None => Ok(()),
    }
}

fn check_token(token: &AccessToken, ends_at: Option<Timestamp>, now: Timestamp) -> Result<(), AdminError> {
    let text = token.expose();
    let bad = |problem| Err(AdminError::BadCredential { what: "setup token", problem });
    match word(text) {
        Err(problem) => bad(problem),
        Ok(()) if !text.starts_with("sk-ant-oat") => bad(
            "it does not start with sk-ant-oat; an API key goes into --key-file, a login is made by `proxyctl login claude`",
        ),
        Ok(()) if ends_at.is_some_and(|end| end <= now) => bad("it has ended already"),
        Ok(()) => Ok(()),
    }
}
