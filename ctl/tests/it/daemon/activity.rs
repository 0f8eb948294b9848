//! What a daemon tells of what is going on, and streams that stay open as its own do.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proxy_proto::v1::activity_server::Activity;
use proxy_proto::v1::*;
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Request, Response, Status};

use super::{FakeDaemon, Reply, Services, status};

pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

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

    /// The streams that stayed open end.
    pub(crate) fn end_streams(&self) {
        std::mem::take(&mut self.script().streams_end).cancel();
    }

    /// Lets `top` begin once more, once the test adds a permit.
    pub(crate) fn watched_again(
        self,
        activity: Vec<WatchActivityResponse>,
        pools: Vec<WatchAccountsResponse>,
    ) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        self.queue_watch(Reply::Held(Ok(activity), Arc::clone(&gate)), pools, vec![]);
        (self, gate)
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
    pub(super) fn stream<T: Send + Unpin + 'static>(&self, messages: Vec<T>) -> Messages<T> {
        let script = self.0.lock().unwrap();
        let end = script.streams_stay.then(|| Box::pin(script.streams_end.clone().cancelled_owned()));
        Box::pin(Told { messages: messages.into_iter(), end })
    }
}

/// Messages, and then nothing until the end, where there is one to wait for.
struct Told<T> {
    messages: std::vec::IntoIter<T>,
    end: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<T: Unpin> Stream for Told<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match (self.messages.next(), &mut self.end) {
            (Some(message), _) => Poll::Ready(Some(Ok(message))),
            (None, Some(end)) => end.as_mut().poll(context).map(|()| None),
            (None, None) => Poll::Ready(None),
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
