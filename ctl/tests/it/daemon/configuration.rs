//! The scripted daemon's configuration.

use proxy_proto::v1::configuration_server::Configuration;
use proxy_proto::v1::*;
use tonic::{Request, Response, Status};

use super::{FakeDaemon, Reply, Services};

impl FakeDaemon {
    pub(crate) fn configuration(self, reply: Result<Vec<ConfigurationKey>, Status>) -> Self {
        let reply = reply.map(|keys| GetConfigurationResponse { keys });
        self.script().configuration.0.push_back(Reply::Now(reply));
        self
    }

    pub(crate) fn reload(self, reply: Result<ReloadResponse, Status>) -> Self {
        self.script().reload.0.push_back(Reply::Now(reply));
        self
    }
}

#[tonic::async_trait]
impl Configuration for Services {
    async fn get_configuration(
        &self,
        _: Request<GetConfigurationRequest>,
    ) -> Result<Response<GetConfigurationResponse>, Status> {
        self.answer("configuration".to_owned(), |script| &mut script.configuration).await
    }

    async fn reload(&self, _: Request<ReloadRequest>) -> Result<Response<ReloadResponse>, Status> {
        self.answer("reload".to_owned(), |script| &mut script.reload).await
    }
}
