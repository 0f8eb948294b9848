//! The calls about client keys.

use proxy_proto::v1::keys_client::KeysClient;
use proxy_proto::v1::{
    CreateKeyRequest, CreateKeyResponse, GetKeyRequest, Key, ListKeysRequest, ListKeysResponse,
    RevokeKeyRequest,
};
use tonic::transport::Channel;

use super::{Client, LOCAL};
use crate::error::{Error, Operation};

impl Client {
    pub(crate) async fn create_key(
        &self,
        request: CreateKeyRequest,
    ) -> Result<(Key, CreateKeyResponse), Error> {
        let operation = Operation::CreateKey { name: request.name.clone() };
        let mut reply = self.call(operation.clone(), LOCAL, self.keys().create_key(request)).await?;
        let key = one(reply.key.take(), operation.clone())?;
        if reply.secret.is_empty() {
            return Err(Error::Incomplete { operation, field: "the key itself" });
        }
        Ok((key, reply))
    }

    pub(crate) async fn list_keys(&self) -> Result<ListKeysResponse, Error> {
        self.call(Operation::ListKeys, LOCAL, self.keys().list_keys(ListKeysRequest {})).await
    }

    pub(crate) async fn get_key(&self, name: &str) -> Result<Key, Error> {
        let operation = Operation::Key { verb: "show", name: name.to_owned() };
        let request = GetKeyRequest { key: name.to_owned() };
        let reply = self.call(operation.clone(), LOCAL, self.keys().get_key(request)).await?;
        one(reply.key, operation)
    }

    pub(crate) async fn revoke_key(&self, name: &str) -> Result<Key, Error> {
        let operation = Operation::Key { verb: "revoke", name: name.to_owned() };
        let request = RevokeKeyRequest { key: name.to_owned() };
        let reply = self.call(operation.clone(), LOCAL, self.keys().revoke_key(request)).await?;
        one(reply.key, operation)
    }

    fn keys(&self) -> KeysClient<Channel> {
        KeysClient::new(self.channel.clone())
    }
}

fn one(key: Option<Key>, operation: Operation) -> Result<Key, Error> {
    key.ok_or(Error::Incomplete { operation, field: "the key" })
}
