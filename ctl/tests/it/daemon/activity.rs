//! What a daemon tells of what is going on, and streams that stay open as its own do.

use std::sync::Arc;

use proxy_proto::v1::activity_server::Activity;
use proxy_proto::v1::*;
use tokio::sync::Semaphore;
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status};

use super::{FakeDaemon, Reply, Services, status};

pub(super) type Messages<T> = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

impl FakeDaemon {
    /// Lets `top` begin, with these messages of each stream. The streams stay open after them.
    pub(crate) fn watched(
        self,
        activity: Vec<WatchActivityResponse>,
        pools: Vec<WatchAccountsResponse>,
        events: Vec<WatchEventsResponse>,
    ) -> Self {
        self.script().streams_stay = true;
        self.queue_watch(Reply::Now(Ok(activity)), pools, events);
        self
    }

    /// The streams end after their messages.
    pub(crate) fn ending(self) -> Self {
        self.script().streams_stay = false;
        self
    }

    /// Lets `top` begin once more, once the test adds a permit and lets its streams stay open.
    pub(crate) fn watched_again(
        self,
        activity: Vec<WatchActivityResponse>,
        pools: Vec<WatchAccountsResponse>,
    ) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        self.queue_watch(Reply::Held(Ok(activity), Arc::clone(&gate)), pools, vec![]);
        (self, gate)
    }

    /// Those that are asked for from now on stay open.
    pub(crate) fn let_streams_stay(&self) {
        self.script().streams_stay = true;
    }

    /// Only the requests are watched, and the stream ends.
    pub(crate) fn looks(self, activity: Vec<WatchActivityResponse>) -> Self {
        self.script().activity.0.push_back(Reply::Now(Ok(activity)));
        self
    }

    pub(crate) fn refuses_to_be_watched(self, refusal: Status) -> Self {
        self.script().activity.0.push_back(Reply::Now(Err(refusal)));
        self
    }

    fn queue_watch(
        &self,
        activity: Reply<Vec<WatchActivityResponse>>,
        pools: Vec<WatchAccountsResponse>,
        events: Vec<WatchEventsResponse>,
    ) {
        let mut script = self.script();
        script.activity.0.push_back(activity);
        script.pools.0.push_back(Reply::Now(Ok(pools)));
        script.events.0.push_back(Reply::Now(Ok(events)));
        script.status.0.push_back(Reply::Now(Ok(status())));
    }
}

impl Services {
    /// A stream of these messages.
    pub(super) fn stream<T: Send + 'static>(&self, messages: Vec<T>) -> Messages<T> {
        let told = tokio_stream::iter(messages.into_iter().map(Ok));
        if self.0.lock().unwrap().streams_stay {
            Box::pin(told.chain(tokio_stream::pending()))
        } else {
            Box::pin(told)
        }
    }
}

#[tonic::async_trait]
impl Activity for Services {
    type WatchActivityStream = Messages<WatchActivityResponse>;

    async fn watch_activity(
        &self,
        request: Request<WatchActivityRequest>,
    ) -> Result<Response<Self::WatchActivityStream>, Status> {
        let interval =
            request.into_inner().interval.map(|interval| std::time::Duration::try_from(interval).unwrap());
        let call = format!("watch activity every {:?}", interval.unwrap_or_default());
        let messages = self.answer(call, |script| &mut script.activity).await?;
        Ok(Response::new(self.stream(messages.into_inner())))
    }
}
