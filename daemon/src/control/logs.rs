//! The `Logs` service: the lines that are in memory, and how much is logged. A reader has one message under way and reads the
//! lines themselves at its own pace; what went before it came is counted, and nobody who writes a line waits for it.

use std::sync::Arc;
use std::time::Duration;

use proxy_proto::v1::{
    self, GetLogLevelRequest, GetLogLevelResponse, LogLevel, LogLine, SetLogLevelRequest,
    SetLogLevelResponse, WatchLogsRequest, WatchLogsResponse, watch_logs_response::What,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::watch::{Sender, Stream};
use super::{State, convert};
use crate::telemetry::{self, News, Record};

/// New lines are looked for this often: a line wakes nobody, so that writing one stays cheap.
const LOOK: Duration = Duration::from_millis(200);

#[tonic::async_trait]
impl v1::logs_server::Logs for State {
    type WatchLogsStream = Stream<WatchLogsResponse>;

    async fn watch_logs(
        &self,
        request: Request<WatchLogsRequest>,
    ) -> Result<Response<Self::WatchLogsStream>, Status> {
        let request = request.into_inner();
        let wanted = Wanted::of(&request, self)?;
        let place = self.place()?;
        let (sender, stream) = mpsc::channel(1);
        self.tasks.spawn(lines(self.clone(), request, wanted, sender, place));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn get_log_level(
        &self,
        _: Request<GetLogLevelRequest>,
    ) -> Result<Response<GetLogLevelResponse>, Status> {
        Ok(Response::new(GetLogLevelResponse { level: told(telemetry::level()).into() }))
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<SetLogLevelResponse>, Status> {
        let level = filter(request.get_ref().level())
            .ok_or_else(|| Status::invalid_argument("this daemon does not know that level"))?;
        let before = telemetry::level();
        telemetry::set_level(level);
        tracing::info!(level = %level, before = %before, "the log level is another one until the next start or a reload with another log.level");
        Ok(Response::new(SetLogLevelResponse { before: told(before).into() }))
    }
}

/// Which lines a reader wants.
#[derive(Debug)]
struct Wanted {
    account: Option<String>,
    request: Option<String>,
    least: LevelFilter,
}

impl Wanted {
    fn of(request: &WatchLogsRequest, state: &State) -> Result<Self, Status> {
        let account = match request.account.as_str() {
            "" => None,
            name => Some(state.find(name)?.account.id.to_string()),
        };
        let id = request.request_id.trim();
        Ok(Self {
            account,
            request: (!id.is_empty()).then(|| id.to_owned()),
            least: filter(request.least()).unwrap_or(LevelFilter::TRACE),
        })
    }

    fn takes(&self, record: &Record) -> bool {
        let is = |name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| record.says(name, wanted));
        record.level() <= self.least
            && is("request.id", self.request.as_deref())
            && is("account.id", self.account.as_deref())
    }
}

async fn lines(
    state: State,
    request: WatchLogsRequest,
    wanted: Wanted,
    sender: Sender<WatchLogsResponse>,
    _place: OwnedSemaphorePermit,
) {
    let News { lines, mut next, .. } = telemetry::kept_lines();
    let fitting: Vec<Arc<Record>> = lines.into_iter().filter(|record| wanted.takes(record)).collect();
    let most = usize::try_from(request.history).unwrap_or(usize::MAX);
    for record in fitting.iter().skip(fitting.len().saturating_sub(most)) {
        if state.give(&sender, line(record)).await.is_none() {
            return;
        }
    }
    drop(fitting);
    if !request.follow {
        return;
    }
    loop {
        let news = telemetry::lines_since(next);
        next = news.next;
        let missed = (news.missed > 0).then_some(WatchLogsResponse { what: Some(What::Missed(news.missed)) });
        let fitting = news.lines.iter().filter(|record| wanted.takes(record)).map(|record| line(record));
        for message in missed.into_iter().chain(fitting) {
            if state.give(&sender, message).await.is_none() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = sender.closed() => return,
            () = state.tasks.stopping() => return,
        }
    }
}

fn line(record: &Record) -> WatchLogsResponse {
    let fields = record.fields().into_iter().map(|(name, value)| (name.to_owned(), value));
    let line = LogLine {
        at: Some(convert::timestamp(record.at())),
        level: told(LevelFilter::from_level(record.level())).into(),
        message: record.message(),
        target: record.target().to_owned(),
        fields: fields.collect(),
    };
    WatchLogsResponse { what: Some(What::Line(line)) }
}

fn filter(level: LogLevel) -> Option<LevelFilter> {
    let level = match level {
        LogLevel::Unspecified => return None,
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    Some(LevelFilter::from_level(level))
}

/// Unspecified where nothing is logged at all.
fn told(level: LevelFilter) -> LogLevel {
    match level.into_level() {
        None => LogLevel::Unspecified,
        Some(Level::ERROR) => LogLevel::Error,
        Some(Level::WARN) => LogLevel::Warn,
        Some(Level::INFO) => LogLevel::Info,
        Some(Level::DEBUG) => LogLevel::Debug,
        Some(Level::TRACE) => LogLevel::Trace,
    }
}
