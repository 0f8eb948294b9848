//! The scripted daemon's keys.

use proxy_proto::v1::keys_server::Keys;
use proxy_proto::v1::*;
use tonic::{Request, Response, Status};

use super::samples::at;
use super::{FakeDaemon, Reply, Services};

/// A new key: to be printed once, to standard output.
pub(crate) const CLIENT_KEY: &str = "sk-proxyd-FAKE-canary-54";

pub(crate) fn client_key() -> Key {
    Key {
        id: "key_3f2a9c0d71be".to_owned(),
        name: "ci".to_owned(),
        state: KeyState::Active.into(),
        created_at: Some(at(0)),
        rules: Some(KeyRules::default()),
        counts: Some(KeyCounts::default()),
        ..Key::default()
    }
}

impl FakeDaemon {
    pub(crate) fn keys(self, keys: Vec<Key>) -> Self {
        self.script().keys.0.push_back(Reply::Now(Ok(ListKeysResponse { keys })));
        self
    }

    pub(crate) fn key(self, reply: Result<Key, Status>) -> Self {
        self.script().key.0.push_back(Reply::Now(reply));
        self
    }

    pub(crate) fn create_key(self, reply: Result<Key, Status>) -> Self {
        let reply = reply.map(|key| CreateKeyResponse {
            key: Some(key),
            secret: CLIENT_KEY.to_owned(),
            http_listen: vec!["127.0.0.1:8787".to_owned(), "unix:/run/proxyd/http.sock".to_owned()],
        });
        self.script().create_key.0.push_back(Reply::Now(reply));
        self
    }
}

#[tonic::async_trait]
impl Keys for Services {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let CreateKeyRequest { name, expires_at, rules, accounts } = request.into_inner();
        let KeyRules { models, requests_per_minute, tokens_per_minute, concurrency, wait } = rules.unwrap();
        let mut call = format!("create key {name}");
        let words = [
            ("expires", expires_at.map(|at| at.to_string())),
            ("models", (!models.is_empty()).then(|| models.join(" "))),
            ("accounts", (!accounts.is_empty()).then(|| accounts.join(" "))),
            ("rpm", requests_per_minute.map(|number| number.to_string())),
            ("tpm", tokens_per_minute.map(|number| number.to_string())),
            ("concurrency", concurrency.map(|number| number.to_string())),
            ("wait", wait.map(|wait| wait.to_string())),
        ];
        for (name, value) in words {
            call.extend(value.map(|value| format!(" {name}:{value}")));
        }
        self.answer(call, |script| &mut script.create_key).await
    }

    async fn list_keys(&self, _: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        self.answer("keys".to_owned(), |script| &mut script.keys).await
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let call = format!("show key {}", request.get_ref().key);
        let key = Some(self.answer(call, |script| &mut script.key).await?.into_inner());
        Ok(Response::new(GetKeyResponse { key }))
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let call = format!("revoke key {}", request.get_ref().key);
        let key = Some(self.answer(call, |script| &mut script.key).await?.into_inner());
        Ok(Response::new(RevokeKeyResponse { key }))
    }
}
