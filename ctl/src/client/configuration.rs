//! The calls about the daemon's configuration.

use std::time::Duration;

use proxy_proto::v1::configuration_client::ConfigurationClient;
use proxy_proto::v1::{GetConfigurationRequest, GetConfigurationResponse, ReloadRequest, ReloadResponse};

use super::{Client, LOCAL};
use crate::error::{Error, Operation};

/// Users and groups may be looked up at another machine, and one reload waits for another.
const RELOAD: Duration = Duration::from_mins(1);

impl Client {
    pub(crate) async fn configuration(&self) -> Result<GetConfigurationResponse, Error> {
        let mut client = ConfigurationClient::new(self.channel.clone());
        let asked = client.get_configuration(GetConfigurationRequest {});
        self.call(Operation::ShowConfiguration, LOCAL, asked).await
    }

    pub(crate) async fn reload(&self) -> Result<ReloadResponse, Error> {
        let mut client = ConfigurationClient::new(self.channel.clone());
        self.call(Operation::Reload, RELOAD, client.reload(ReloadRequest {})).await
    }
}
