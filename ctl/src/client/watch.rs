//! The daemon's streams.

use std::time::Duration;

use proxy_proto::v1::activity_client::ActivityClient;
use proxy_proto::v1::daemon_client::DaemonClient;
use proxy_proto::v1::{
    WatchAccountsRequest, WatchAccountsResponse, WatchActivityRequest, WatchActivityResponse,
    WatchEventsRequest, WatchEventsResponse,
};
use tonic::{Response, Status, Streaming};

use super::Client;
use crate::error::{Error, Operation};

/// A stream of the daemon.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    client: Client,
    operation: Operation,
    messages: Streaming<T>,
}

impl Client {
    /// The pool whenever it changes.
    pub(crate) async fn watch_accounts(&self) -> Result<Watched<WatchAccountsResponse>, Error> {
        let watching = self.accounts().watch_accounts(WatchAccountsRequest {}).await;
        self.watched(Operation::WatchAccounts, watching).await
    }

    /// What happens to the accounts from now on.
    pub(crate) async fn watch_events(&self) -> Result<Watched<WatchEventsResponse>, Error> {
        let mut daemon = DaemonClient::new(self.channel.clone());
        let watching = daemon.watch_events(WatchEventsRequest {}).await;
        self.watched(Operation::WatchEvents, watching).await
    }

    /// What is going on, again each time the interval is over.
    pub(crate) async fn watch_activity(
        &self,
        interval: Duration,
    ) -> Result<Watched<WatchActivityResponse>, Error> {
        let mut activity = ActivityClient::new(self.channel.clone());
        let interval = prost_types::Duration::try_from(interval).ok();
        let watching = activity.watch_activity(WatchActivityRequest { interval }).await;
        self.watched(Operation::WatchActivity, watching).await
    }

    pub(super) async fn watched<T>(
        &self,
        operation: Operation,
        watching: Result<Response<Streaming<T>>, Status>,
    ) -> Result<Watched<T>, Error> {
        match watching {
            Ok(messages) => Ok(Watched { client: self.clone(), operation, messages: messages.into_inner() }),
            Err(status) => Err(self.refusal(operation, status).await),
        }
    }
}

impl<T> Watched<T> {
    /// The next message of a stream that has an end; `None` there.
    pub(crate) async fn next_if_any(&mut self) -> Result<Option<T>, Error> {
        match self.messages.message().await {
            Ok(message) => Ok(message),
            Err(status) => Err(self.client.refusal(self.operation.clone(), status).await),
        }
    }

    /// The next message. That there is no further one is an error: a watch has no end but the daemon's.
    pub(crate) async fn next(&mut self) -> Result<T, Error> {
        match self.messages.message().await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Error::WatchEnded),
            Err(status) => match self.client.refusal(self.operation.clone(), status).await {
                Error::ConnectionLost { .. } => Err(Error::WatchEnded),
                refused => Err(refused),
            },
        }
    }
}
