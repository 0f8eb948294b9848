//! The calls about the daemon's log.

use proxy_proto::v1::logs_client::LogsClient;
use proxy_proto::v1::{
    GetLogLevelRequest, GetLogLevelResponse, LogLevel, SetLogLevelRequest, SetLogLevelResponse,
    WatchLogsRequest, WatchLogsResponse,
};
use tonic::transport::Channel;

use super::watch::Watched;
use super::{Client, LOCAL};
use crate::error::{Error, Operation};

impl Client {
    /// The lines that the request asks for.
    pub(crate) async fn watch_logs(
        &self,
        request: WatchLogsRequest,
    ) -> Result<Watched<WatchLogsResponse>, Error> {
        let operation = match request.account.as_str() {
            "" => Operation::ReadLogs,
            name => Operation::Account { verb: "read the log of", name: name.to_owned() },
        };
        let watching = self.logs().watch_logs(request).await;
        self.watched(operation, watching).await
    }

    pub(crate) async fn log_level(&self) -> Result<GetLogLevelResponse, Error> {
        self.call(Operation::ShowLogLevel, LOCAL, self.logs().get_log_level(GetLogLevelRequest {})).await
    }

    pub(crate) async fn set_log_level(&self, level: LogLevel) -> Result<SetLogLevelResponse, Error> {
        let request = SetLogLevelRequest { level: level.into() };
        self.call(Operation::SetLogLevel, LOCAL, self.logs().set_log_level(request)).await
    }

    fn logs(&self) -> LogsClient<Channel> {
        LogsClient::new(self.channel.clone())
    }
}
