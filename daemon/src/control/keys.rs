//! The `Keys` service. A new key leaves the daemon here, once, towards whoever had it made.

use proxy_proto::v1::{
    self, CreateKeyRequest, CreateKeyResponse, GetKeyRequest, GetKeyResponse, ListKeysRequest,
    ListKeysResponse, RevokeKeyRequest, RevokeKeyResponse,
};
use tonic::{Code, Request, Response, Status};

use super::{State, convert};
use crate::chain::ErrorChain;
use crate::clock::{SignedDuration, Timestamp};
use crate::id::AccountId;
use crate::keys::{Counts, CreateError, FindError, Key, NewKey, RevokeError, Rules};

#[tonic::async_trait]
impl v1::keys_server::Keys for State {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let new = self.wanted(request.into_inner())?;
        let keys = self.keys.clone();
        let (key, secret) =
            self.files(move || keys.create(new)).await?.map_err(|error| create_error(&error))?;
        Ok(Response::new(CreateKeyResponse {
            key: Some(self.key(&key)),
            secret: secret.expose().to_owned(),
            http_listen: self.info.http_listen.get(),
        }))
    }

    async fn list_keys(&self, _: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let keys = self.keys.list().iter().map(|key| self.key(key)).collect();
        Ok(Response::new(ListKeysResponse { keys }))
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let key = self.keys.find(request.get_ref().key.trim()).map_err(|error| find_error(&error))?;
        Ok(Response::new(GetKeyResponse { key: Some(self.key(&key)) }))
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let found = self.keys.find(request.get_ref().key.trim()).map_err(|error| find_error(&error))?;
        let keys = self.keys.clone();
        let revoked = self.files(move || keys.revoke(&found.id)).await?;
        let key = revoked.map_err(|error| revoke_error(&error))?;
        Ok(Response::new(RevokeKeyResponse { key: Some(self.key(&key)) }))
    }
}

impl State {
    fn wanted(&self, request: CreateKeyRequest) -> Result<NewKey, Status> {
        let CreateKeyRequest { name, expires_at, rules, accounts } = request;
        let expires_at = expires_at.map(|at| Timestamp::new(at.seconds, at.nanos)).transpose();
        let expires_at =
            expires_at.map_err(|_| Status::invalid_argument("expires_at is outside of all calendars"))?;
        let mut ids: Vec<AccountId> = Vec::new();
        for account in accounts {
            let id = self.find(&account)?.account.id.clone();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let v1::KeyRules { models, requests_per_minute, tokens_per_minute, concurrency, wait } =
            rules.unwrap_or_default();
        let rules = Rules {
            models,
            accounts: ids,
            rpm: requests_per_minute,
            tpm: tokens_per_minute,
            concurrency,
            wait: wait.map_or(Ok(SignedDuration::ZERO), duration)?,
        };
        Ok(NewKey { name, expires_at, rules })
    }

    /// Work that ends although the caller goes away.
    async fn files<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
        let ended = self.tasks.spawn_blocking(work).await;
        ended.map_err(|_| Status::internal("the work ended without a result"))
    }

    fn key(&self, key: &Key) -> v1::Key {
        let Rules { models, accounts, rpm, tpm, concurrency, wait } = &key.rules;
        let Counts { requests, tokens, refused, running, waiting } = key.counts();
        let has_expired = key.has_expired(self.clock.now());
        let state = if has_expired { v1::KeyState::Expired } else { v1::KeyState::Active };
        v1::Key {
            id: key.id.to_string(),
            name: key.name.clone(),
            state: state.into(),
            created_at: Some(convert::timestamp(key.created_at)),
            expires_at: key.expires_at.map(convert::timestamp),
            last_used_at: key.last_used_at().map(convert::timestamp),
            rules: Some(v1::KeyRules {
                models: models.clone(),
                requests_per_minute: *rpm,
                tokens_per_minute: *tpm,
                concurrency: *concurrency,
                wait: wait
                    .is_positive()
                    .then(|| prost_types::Duration { seconds: wait.as_secs(), nanos: wait.subsec_nanos() }),
            }),
            accounts: accounts.iter().map(|id| self.key_account(id)).collect(),
            counts: Some(v1::KeyCounts { requests, tokens, refused, running, waiting }),
        }
    }

    fn key_account(&self, id: &AccountId) -> v1::KeyAccount {
        let member = self.pool.get(id);
        let name = member.map(|member| member.account.called().to_owned()).unwrap_or_default();
        v1::KeyAccount { id: id.to_string(), name }
    }
}

fn duration(wait: prost_types::Duration) -> Result<SignedDuration, Status> {
    let prost_types::Duration { seconds, nanos } = wait;
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(Status::invalid_argument("wait is no duration"));
    }
    // The file holds milliseconds: what is shown now is what is there after a start.
    Ok(SignedDuration::from_secs(seconds)
        .saturating_add(SignedDuration::from_millis((nanos / 1_000_000).into())))
}

fn create_error(error: &CreateError) -> Status {
    let code = match error {
        CreateError::Unfit(_) => Code::InvalidArgument,
        CreateError::NameTaken(_) => Code::AlreadyExists,
        CreateError::TooMany => Code::OutOfRange,
        CreateError::Random(_) => Code::Internal,
        CreateError::Save(_) => Code::ResourceExhausted,
    };
    Status::new(code, ErrorChain(error).to_string())
}

fn revoke_error(error: &RevokeError) -> Status {
    let code = match error {
        RevokeError::Gone => Code::NotFound,
        RevokeError::Save(_) => Code::ResourceExhausted,
    };
    Status::new(code, ErrorChain(error).to_string())
}

fn find_error(error: &FindError) -> Status {
    let code = match error {
        FindError::None(_) => Code::NotFound,
        FindError::Several { .. } => Code::FailedPrecondition,
    };
    Status::new(code, error.to_string())
}
