//! The calls about the daemon itself, but its streams.

use proxy_proto::v1::daemon_client::DaemonClient;
use proxy_proto::v1::{
    ExplainRequestRequest, ExplainRequestResponse, GetStatusRequest, GetStatusResponse, SetStrategyRequest,
    SetStrategyResponse, Strategy,
};
use tonic::transport::Channel;

use super::{Client, LOCAL, silence};
use crate::error::{Error, Operation};
use crate::version;

impl Client {
    pub(crate) async fn status(&self) -> Result<GetStatusResponse, Error> {
        self.call(Operation::ShowStatus, LOCAL, self.daemon().get_status(GetStatusRequest {})).await
    }

    /// A status that tells the strategy: a daemon that does not know the word leaves it out.
    pub(crate) async fn strategy(&self) -> Result<GetStatusResponse, Error> {
        let operation = Operation::ShowStrategy;
        let status =
            self.call(operation.clone(), LOCAL, self.daemon().get_status(GetStatusRequest {})).await?;
        if status.strategy == i32::from(Strategy::Unspecified) {
            let difference = version::difference(&status.version, status.api_revision);
            return Err(silence(operation, "the strategy", difference));
        }
        Ok(status)
    }

    pub(crate) async fn set_strategy(&self, strategy: Strategy) -> Result<SetStrategyResponse, Error> {
        let request = SetStrategyRequest { strategy: strategy.into() };
        self.call(Operation::SetStrategy, LOCAL, self.daemon().set_strategy(request)).await
    }

    /// What became of the request of this id.
    pub(crate) async fn request(&self, id: &str) -> Result<ExplainRequestResponse, Error> {
        let operation = Operation::ExplainRequest { id: id.to_owned() };
        let request = ExplainRequestRequest { request_id: id.to_owned() };
        self.call(operation, LOCAL, self.daemon().explain_request(request)).await
    }

    fn daemon(&self) -> DaemonClient<Channel> {
        DaemonClient::new(self.channel.clone())
    }
}
