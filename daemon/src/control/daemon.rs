//! The `Daemon` service.

use proxy_proto::v1::{
    self, AccountCounts, ExplainRequestRequest, ExplainRequestResponse, GetStatusRequest, GetStatusResponse,
    SetStrategyRequest, SetStrategyResponse, WatchEventsRequest, WatchEventsResponse,
};
use tonic::{Request, Response, Status};

use super::{State, convert, watch};
use crate::clock::Timestamp;
use crate::diagnosis;
use crate::pool::{self, Snapshot};
use crate::proxy::MOST_REMEMBERED;

#[tonic::async_trait]
impl v1::daemon_server::Daemon for State {
    type WatchEventsStream = watch::Stream<WatchEventsResponse>;

    async fn watch_events(
        &self,
        _: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        self.watched_events().map(Response::new)
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let (snapshot, now) = (self.pool.snapshot(), self.clock.now());
        let usable = snapshot.members.iter().any(|member| member.is_usable(now));
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: Some(convert::timestamp(self.info.started_at)),
            http_listen: self.info.http_listen.get(),
            auth_dir: self.store.dir().display().to_string(),
            control_socket: self.info.control_socket.display().to_string(),
            ready: usable && !self.tasks.is_stopping(),
            accounts: Some(counts(&snapshot, now)),
            problems: problems(&snapshot),
            login_callback_port: u32::from(self.info.callback_port),
            api_revision: proxy_proto::REVISION,
            warnings: warnings(&snapshot, now),
            strategy: convert::strategy(self.pool.strategy()).into(),
            affinity: self.pool.has_affinity(),
            requests_in_flight: snapshot.members.iter().map(|member| member.in_flight()).sum(),
        }))
    }

    async fn explain_request(
        &self,
        request: Request<ExplainRequestRequest>,
    ) -> Result<Response<ExplainRequestResponse>, Status> {
        let id = &request.get_ref().request_id;
        let entry = self.history.find(id.trim()).ok_or_else(|| {
            Status::not_found(format!(
                "no request {id:?} is remembered: proxyd remembers the last {MOST_REMEMBERED} since it was started, and none \
                 that was refused before an account was looked for"
            ))
        })?;
        Ok(Response::new(convert::explained(&entry)))
    }

    async fn set_strategy(
        &self,
        request: Request<SetStrategyRequest>,
    ) -> Result<Response<SetStrategyResponse>, Status> {
        let wanted = convert::wanted_strategy(request.get_ref().strategy());
        let strategy =
            wanted.ok_or_else(|| Status::invalid_argument("this daemon does not know that strategy"))?;
        let before = convert::strategy(self.pool.strategy()).into();
        self.pool.set_strategy(strategy);
        tracing::info!(strategy = ?strategy, "accounts are chosen another way until the next start");
        Ok(Response::new(SetStrategyResponse { before }))
    }
}

fn counts(snapshot: &Snapshot, now: Timestamp) -> AccountCounts {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut counts = AccountCounts {
        total: number(snapshot.members.len()),
        invalid: number(snapshot.invalid.len()),
        ..AccountCounts::default()
    };
    for member in &snapshot.members {
        match member.state(now) {
            pool::State::Ready => counts.ready += 1,
            pool::State::Cooling { .. } => counts.cooling += 1,
            pool::State::NeedsLogin(_) => counts.needs_login += 1,
            pool::State::Disabled => counts.disabled += 1,
            pool::State::Invalid { .. } => counts.misconfigured += 1,
        }
    }
    counts
}

/// What a person should know although all is well so far.
fn warnings(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let told = snapshot.members.iter().filter(|member| !member.account.disabled).flat_map(|member| {
        let account = &member.account;
        diagnosis::warnings(account, now)
            .into_iter()
            .map(|warning| format!("account {}: {warning}", account.id))
    });
    told.collect()
}

/// What an operator should do something about.
fn problems(snapshot: &Snapshot) -> Vec<String> {
    let mut problems = Vec::new();
    for member in &snapshot.members {
        let (id, trouble) = (&member.account.id, member.trouble());
        match trouble.last_error {
            Some(error) if trouble.unsaved => problems.push(format!("account {id}: {error}")),
            Some(error) if !member.account.disabled && member.account.needs_login.is_none() => {
                problems.push(format!("account {id}: no refresh: {error}"));
            }
            _ => {}
        }
    }
    problems
}
