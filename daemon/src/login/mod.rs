//! Logging an account in: begin makes state, verifier and deadline; complete exchanges the code, stores the
//! account and publishes it. No token and no verifier leaves the daemon, and the verifier is never stored.

mod pkce;
mod session;

use std::sync::Arc;

use url::Url;

use crate::account::{Account, Document, Identity};
use crate::chain::ErrorChain;
use crate::claude::oauth::{Grant, TokenError};
use crate::claude::{OAuthClient, Way};
use crate::clock::{Clock, SignedDuration, Timestamp, after};
use crate::id::LoginId;
use crate::pool::{Pool, Trouble};
use crate::refresh::Refresher;
use crate::secret::{AuthorizationCode, LoginState};
use crate::store::{Reservation, Store, StoreError, Unusable};
use crate::tasks::Tasks;
use session::{Session, Sessions};

/// How long a person has between begin and complete.
const TIME_LIMIT: SignedDuration = SignedDuration::from_mins(5);

/// The login component.
#[derive(Clone, Debug)]
pub struct Logins(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sessions: Sessions,
    oauth: OAuthClient,
    store: Store,
    pool: Arc<Pool>,
    refresher: Refresher,
    clock: Clock,
    tasks: Tasks,
}

/// Where the provider sends the browser at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redirect {
    /// To the caller's loopback listener on this port.
    Loopback(u16),
    /// To the provider's own page, which shows the code to copy.
    Paste,
}

/// What the person wants of the account. What is not wanted stays as it is on an account that is there.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Wishes {
    pub label: Option<String>,
    pub priority: Option<i32>,
}

/// A login that waits for the browser.
#[derive(Debug)]
pub struct Begun {
    pub id: LoginId,
    pub authorize_url: Url,
    pub state: LoginState,
    pub redirect_uri: String,
    pub deadline: Timestamp,
}

/// A login that succeeded.
#[derive(Debug)]
pub struct Completed {
    pub account: Account,
    /// An account of the same identity was there and has been replaced.
    pub replaced: bool,
}

/// Why a login did not succeed, by what is to be done next.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error(
        "no such login: it was completed or cancelled, or the daemon restarted meanwhile; begin a new one"
    )]
    NotFound,
    #[error("the login's time is over ({} minutes); begin a new one", TIME_LIMIT.as_mins())]
    Expired,
    #[error("the state is not this login's: the answer belongs to another login or was tampered with")]
    WrongState,
    #[error("too many logins wait for an answer; complete or cancel one, or try again in {} minutes", TIME_LIMIT.as_mins())]
    TooMany,
    /// The login goes on: it can be completed once there is space.
    #[error("the account could not be saved; nothing is lost, complete the login again once it can be")]
    CannotSave(#[source] StoreError),
    /// The code is spent: only a new login helps.
    #[error("the provider did not accept the login")]
    Refused(#[source] TokenError),
    /// The login goes on: the code may still be good.
    #[error("the provider could not complete the login")]
    Unavailable(#[source] TokenError),
    #[error("no random numbers from the system")]
    Random(#[from] getrandom::Error),
    #[error("the login ended without a result")]
    Aborted,
}

impl Logins {
    pub fn new(
        oauth: OAuthClient,
        store: Store,
        pool: Arc<Pool>,
        refresher: Refresher,
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        Self(Arc::new(Inner { sessions: Sessions::default(), oauth, store, pool, refresher, clock, tasks }))
    }

    /// Begins a login whose answer the browser brings to `redirect`.
    pub fn begin(&self, redirect: Redirect, wishes: Wishes) -> Result<Begun, LoginError> {
        let now = self.0.clock.now();
        let (verifier, state) = (pkce::verifier()?, pkce::state()?);
        let redirect_uri = match redirect {
            Redirect::Loopback(port) => format!("http://localhost:{port}/callback"),
            Redirect::Paste => self.0.oauth.config().paste_redirect_uri.to_string(),
        };
        let authorize_url = self.authorize_url(&redirect_uri, &pkce::challenge(&verifier), &state);
        let (id, deadline) = (LoginId::new(), after(now, TIME_LIMIT));
        let session = Session {
            state: state.clone(),
            verifier,
            redirect_uri: redirect_uri.clone(),
            wishes,
            deadline,
            issued: None,
        };
        self.0.sessions.insert(id.clone(), session, now)?;
        tracing::info!(login.id = %id, "login begun");
        Ok(Begun { id, authorize_url, state, redirect_uri, deadline })
    }

    /// Exchanges the code and stores the account. Runs to its end even if the caller goes away: the code is
    /// single use.
    pub async fn complete(
        &self,
        id: LoginId,
        code: AuthorizationCode,
        state: LoginState,
    ) -> Result<Completed, LoginError> {
        let inner = Arc::clone(&self.0);
        let completing = async move {
            let result = inner.complete(&id, &code, &state).await;
            match &result {
                Ok(done) => {
                    tracing::info!(login.id = %id, account.id = %done.account.id, replaced = done.replaced, "login completed");
                }
                Err(error) => {
                    tracing::warn!(login.id = %id, error = %ErrorChain(error), "login not completed");
                }
            }
            result
        };
        self.0.tasks.spawn(completing).await.unwrap_or(Err(LoginError::Aborted))
    }

    /// Forgets a login; one that is gone already is no error.
    pub fn cancel(&self, id: &LoginId) {
        if self.0.sessions.take(id).is_some() {
            tracing::info!(login.id = %id, "login cancelled");
        }
    }

    fn authorize_url(&self, redirect_uri: &str, challenge: &str, state: &LoginState) -> Url {
        let config = self.0.oauth.config();
        let mut url = config.authorize_url.clone();
        url.query_pairs_mut()
            .append_pair("code", "true")
            .append_pair("client_id", &config.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &config.scopes.join(" "))
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", state.expose());
        url
    }
}

impl Inner {
    async fn complete(
        &self,
        id: &LoginId,
        code: &AuthorizationCode,
        state: &LoginState,
    ) -> Result<Completed, LoginError> {
        self.sessions.check(id, state, self.clock.now())?;
        // Space before the exchange: a code is single use, and so is what it buys.
        let store = self.store.clone();
        let reserving = self.tasks.spawn_blocking(move || store.reserve_new()).await;
        let reservation = reserving.map_err(|_| LoginError::Aborted)?.map_err(LoginError::CannotSave)?;
        let mut session = self.sessions.take(id).ok_or(LoginError::NotFound)?;
        let grant = match session.issued.take() {
            Some(grant) => grant,
            None => match self.exchange(&session, code).await {
                Ok(grant) => grant,
                Err(error @ LoginError::Unavailable(_)) => {
                    self.sessions.put_back(id.clone(), session);
                    return Err(error);
                }
                Err(error) => return Err(error),
            },
        };
        match self.keep(&grant, &session.wishes, reservation).await {
            Ok(completed) => Ok(completed),
            Err(error) => {
                // The tokens exist: the login can be completed once they can be saved.
                session.issued = Some(grant);
                self.sessions.put_back(id.clone(), session);
                Err(error)
            }
        }
    }

    async fn exchange(&self, session: &Session, code: &AuthorizationCode) -> Result<Grant, LoginError> {
        let exchanged =
            self.oauth.exchange(code, &session.verifier, &session.state, &session.redirect_uri).await;
        let mut grant = exchanged.map_err(|error| match error {
            TokenError::RateLimited { .. } | TokenError::Server { .. } | TokenError::Transport(_) => {
                LoginError::Unavailable(error)
            }
            TokenError::InvalidGrant { .. } | TokenError::Refused { .. } | TokenError::Malformed { .. } => {
                LoginError::Refused(error)
            }
        })?;
        if grant.identity.account_uuid.is_none() {
            let profile = self.oauth.profile(&grant.tokens.access, &Way::Configured).await;
            grant.identity = merge(grant.identity, profile.unwrap_or_default());
        }
        Ok(grant)
    }

    /// Stores the account in place of every one of the same identity, then publishes it.
    async fn keep(
        &self,
        grant: &Grant,
        wishes: &Wishes,
        reservation: Reservation,
    ) -> Result<Completed, LoginError> {
        let snapshot = self.pool.snapshot();
        let known: Vec<Account> = snapshot.members.iter().map(|member| member.account.clone()).collect();
        let (store, grant, wishes) = (self.store.clone(), grant.clone(), wishes.clone());
        let work = move || replace(&store, &grant, &wishes, known, reservation);
        let (account, old) = self
            .tasks
            .spawn_blocking(work)
            .await
            .map_err(|_| LoginError::Aborted)?
            .map_err(LoginError::CannotSave)?;
        self.pool.publish(account.clone());
        for gone in old.iter().filter(|gone| gone.id != account.id) {
            self.pool.remove(&gone.id);
        }
        if let Some(member) = self.pool.get(&account.id) {
            member.forgive();
            member.set_trouble(Trouble::default());
        }
        self.refresher.reset(&account.id);
        self.refresher.wake();
        Ok(Completed { account, replaced: !old.is_empty() })
    }
}

/// Writes the new file, and only then deletes those of the same identity.
fn replace(
    store: &Store,
    grant: &Grant,
    wishes: &Wishes,
    known: Vec<Account>,
    reservation: Reservation,
) -> Result<(Account, Vec<Account>), StoreError> {
    let broken = |error| StoreError::Unusable(Unusable::Broken(error));
    let mut document =
        Document::for_login(&grant.identity, &grant.tokens, grant.scope.as_deref(), grant.issued_at);
    if let Some(label) = &wishes.label {
        document.set_label(label);
    }
    if let Some(priority) = wishes.priority {
        document.set_priority(priority);
    }
    let account = document.to_new_account(grant.issued_at).map_err(broken)?;
    let old: Vec<Account> = known.into_iter().filter(|other| other.is_same_identity(&account)).collect();
    // What another key sealed is not ours to delete: it may be opened again.
    let mut sealed = Vec::new();
    for other in &old {
        match store.read(&other.file) {
            Ok(loaded) => document.inherit(&loaded.document),
            Err(Unusable::Sealed { .. }) => sealed.push(&other.file),
            Err(_) => {}
        }
    }
    let account = document.to_new_account(grant.issued_at).map_err(broken)?;
    store.create(reservation, &account.file, &document).map_err(|(error, _)| error)?;
    for other in old.iter().filter(|other| other.file != account.file && !sealed.contains(&&other.file)) {
        if let Err(error) = store.remove(&other.file) {
            // The newer file wins at every scan, so nothing breaks: the old one is shown as superseded.
            tracing::warn!(account.id = %other.id, error = %ErrorChain(&error), "cannot delete the file of the account that logged in again");
        }
    }
    Ok((account, old))
}

fn merge(known: Identity, profile: Identity) -> Identity {
    Identity {
        email: known.email.or(profile.email),
        account_uuid: known.account_uuid.or(profile.account_uuid),
        organization_uuid: known.organization_uuid.or(profile.organization_uuid),
        organization_name: known.organization_name.or(profile.organization_name),
    }
}
