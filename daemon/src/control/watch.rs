//! The streams: the pool whenever it changes, and what happens to it. Each watcher has one task and at most one message
//! under way, so one that does not read costs nothing and holds up nobody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proxy_proto::v1::{EventKind, WatchAccountsResponse, WatchEventsResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{State, convert};
use crate::clock::Timestamp;
use crate::events::{Event, Kind, News, Subscription};
use crate::id::AccountId;
use crate::pool;

/// Watchers at once: more of them are a program gone wrong.
const MOST: usize = 64;
/// What no event tells (requests in flight, a limit whose time is over) is looked for this often.
const LOOK: Duration = Duration::from_secs(1);

/// The places there are for watchers.
#[derive(Clone, Debug)]
pub struct Watchers(Arc<Semaphore>);

impl Default for Watchers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// What a watcher reads.
pub(super) type Stream<T> = ReceiverStream<Result<T, Status>>;
pub(super) type Sender<T> = mpsc::Sender<Result<T, Status>>;

impl State {
    pub(super) fn watched_accounts(&self) -> Result<Stream<WatchAccountsResponse>, Status> {
        let place = self.place()?;
        let (sender, stream) = mpsc::channel(1);
        // From before the first look, so that nothing is missed in between.
        let events = self.pool.events().subscribe();
        self.tasks.spawn(accounts(self.clone(), events, sender, place));
        Ok(ReceiverStream::new(stream))
    }

    pub(super) fn watched_events(&self) -> Result<Stream<WatchEventsResponse>, Status> {
        let place = self.place()?;
        let (sender, stream) = mpsc::channel(1);
        let events = self.pool.events().subscribe();
        self.tasks.spawn(events_of(self.clone(), events, sender, place));
        Ok(ReceiverStream::new(stream))
    }

    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.watchers.0)
            .try_acquire_owned()
            .map_err(|_| Status::failed_precondition(format!("{MOST} watchers are connected: end one first")))
    }

    /// Waits until the watcher takes the message. `None` once it left or the daemon stops.
    pub(super) async fn give<T>(&self, sender: &Sender<T>, message: T) -> Option<()> {
        tokio::select! {
            given = sender.send(Ok(message)) => given.ok(),
            () = self.tasks.stopping() => None,
        }
    }

    /// Waits for something to look at. `None` once the watcher left or the daemon stops.
    async fn next<T>(&self, events: &mut Subscription, sender: &Sender<T>) -> Option<Look> {
        tokio::select! {
            news = events.next() => news.map(Look::At),
            () = tokio::time::sleep(LOOK) => Some(Look::Around),
            () = sender.closed() => None,
            () = self.tasks.stopping() => None,
        }
    }
}

enum Look {
    At(News),
    Around,
}

async fn accounts(
    state: State,
    mut events: Subscription,
    sender: Sender<WatchAccountsResponse>,
    _place: OwnedSemaphorePermit,
) {
    let mut shown = None;
    loop {
        let (accounts, invalid_files) = state.list();
        let now = WatchAccountsResponse { accounts, invalid_files };
        if shown.as_ref() != Some(&now) {
            if state.give(&sender, now.clone()).await.is_none() {
                return;
            }
            shown = Some(now);
        }
        if state.next(&mut events, &sender).await.is_none() {
            return;
        }
    }
}

async fn events_of(
    state: State,
    mut events: Subscription,
    sender: Sender<WatchEventsResponse>,
    _place: OwnedSemaphorePermit,
) {
    let mut cooling = Cooling::of(&state);
    loop {
        let Some(look) = state.next(&mut events, &sender).await else { return };
        let told = match look {
            Look::At(News::Event(event)) => vec![describe(event)],
            Look::At(News::Missed(missed)) => vec![missed_events(missed, state.clock.now())],
            Look::Around => Vec::new(),
        };
        let recovered = cooling.recovered(&state).into_iter().map(describe);
        for event in told.into_iter().chain(recovered) {
            if state.give(&sender, event).await.is_none() {
                return;
            }
        }
    }
}

/// The accounts that upstream limits: that a limit is over is no event, it is only seen.
struct Cooling(HashSet<AccountId>);

impl Cooling {
    fn of(state: &State) -> Self {
        let (snapshot, now) = (state.pool.snapshot(), state.clock.now());
        let cooling =
            snapshot.members.iter().filter(|member| matches!(member.state(now), pool::State::Cooling { .. }));
        Self(cooling.map(|member| member.account.id.clone()).collect())
    }

    /// Those that are ready again.
    fn recovered(&mut self, state: &State) -> Vec<Event> {
        let before = std::mem::replace(self, Self::of(state)).0;
        let now = state.clock.now();
        let members = before.difference(&self.0).filter_map(|id| state.pool.get(id));
        let ready = members.filter(|member| member.is_usable(now));
        ready.map(|member| member.event(Kind::Recovered, "", now)).collect()
    }
}

fn describe(event: Event) -> WatchEventsResponse {
    let Event { at, kind, account, name, detail } = event;
    WatchEventsResponse {
        at: Some(convert::timestamp(at)),
        kind: convert::event_kind(kind).into(),
        account: account.map(|id| id.to_string()).unwrap_or_default(),
        name,
        detail,
    }
}

fn missed_events(missed: u64, at: Timestamp) -> WatchEventsResponse {
    WatchEventsResponse {
        at: Some(convert::timestamp(at)),
        kind: EventKind::Missed.into(),
        detail: format!("{missed} events were missed: the reader was too slow"),
        ..WatchEventsResponse::default()
    }
}
