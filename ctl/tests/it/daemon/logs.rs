//! The scripted daemon's log.

use proxy_proto::v1::logs_server::Logs;
use proxy_proto::v1::*;
use tonic::{Request, Response, Status};

use super::activity::Messages;
use super::{FakeDaemon, Reply, Services};

impl FakeDaemon {
    /// One reading of the log, which ends after these.
    pub(crate) fn logs(self, lines: Vec<WatchLogsResponse>) -> Self {
        self.script().logs.0.push_back(Reply::Now(Ok(lines)));
        self
    }

    /// How much is logged, whether that is asked for or was before it is changed.
    pub(crate) fn log_level(self, level: LogLevel) -> Self {
        self.script().log_level.0.push_back(Reply::Now(Ok(level)));
        self
    }
}

#[tonic::async_trait]
impl Logs for Services {
    type WatchLogsStream = Messages<WatchLogsResponse>;

    async fn watch_logs(
        &self,
        request: Request<WatchLogsRequest>,
    ) -> Result<Response<Self::WatchLogsStream>, Status> {
        let WatchLogsRequest { history, follow, account, request_id, least } = request.into_inner();
        let words = [
            ("follow", follow.then(|| "yes".to_owned())),
            ("account", (!account.is_empty()).then_some(account)),
            ("request", (!request_id.is_empty()).then_some(request_id)),
            (
                "least",
                LogLevel::try_from(least).ok().filter(|_| least != 0).map(|it| it.as_str_name().to_owned()),
            ),
        ];
        let words = words.into_iter().filter_map(|(name, value)| Some(format!(" {name}:{}", value?)));
        let call = format!("logs {history}{}", words.collect::<String>());
        let lines = self.answer(call, |script| &mut script.logs).await?;
        Ok(Response::new(self.stream(lines.into_inner())))
    }

    async fn get_log_level(
        &self,
        _: Request<GetLogLevelRequest>,
    ) -> Result<Response<GetLogLevelResponse>, Status> {
        let level = self.answer("log level".to_owned(), |script| &mut script.log_level).await?.into_inner();
        Ok(Response::new(GetLogLevelResponse { level: level.into() }))
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<SetLogLevelResponse>, Status> {
        let call = format!("set {}", request.get_ref().level().as_str_name());
        let before = self.answer(call, |script| &mut script.log_level).await?.into_inner();
        Ok(Response::new(SetLogLevelResponse { before: before.into() }))
    }
}
