//! The connections that the control plane takes: a bounded number at once, so that whoever may connect cannot take the
//! descriptors that refreshing and saving need. A member of the group cannot take all of them from the daemon's own user.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;

/// At once. Who comes then waits in the socket's queue.
const CONNECTIONS: usize = 64;
/// Of these, by others than the daemon's own user and root. Who of them comes then is turned away, so that the queue goes on.
const OF_OTHERS: usize = 48;
/// Before the next try where none can be taken, as with no descriptor left.
const RETRY: Duration = Duration::from_millis(100);

/// A connection's place among those at once, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _any: OwnedSemaphorePermit,
    _of_others: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Places {
    any: Arc<Semaphore>,
    of_others: Arc<Semaphore>,
}

impl Places {
    fn new() -> Self {
        Self { any: Arc::new(Semaphore::new(CONNECTIONS)), of_others: Arc::new(Semaphore::new(OF_OTHERS)) }
    }

    /// `None` where the others have all that they may have.
    fn seat(&self, any: OwnedSemaphorePermit, is_other: bool) -> Option<Place> {
        let of_others =
            if is_other { Some(Arc::clone(&self.of_others).try_acquire_owned().ok()?) } else { None };
        Some(Place { _any: any, _of_others: of_others })
    }
}

/// Every connection with its place, one after the other, for ever.
pub(super) fn incoming(listener: UnixListener) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold((listener, Places::new()), |(listener, places)| async move {
        loop {
            // Never closed, so there is always one in the end.
            let any = Arc::clone(&places.any).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let is_other = is_other(&stream);
                    let Some(place) = places.seat(any, is_other) else { continue };
                    return Some((Ok(Connection::new(stream, place)), (listener, places)));
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot take a connection to the control socket");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    })
}

fn is_other(stream: &UnixStream) -> bool {
    let uid = stream.peer_cred().ok().map(|peer| Uid::from_raw(peer.uid()));
    uid.is_none_or(|uid| !uid.is_root() && uid != Uid::effective())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn no_more_are_taken_at_once_and_the_next_waits_for_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let mut incoming = pin!(incoming(UnixListener::bind(&path).unwrap()));
        let mut clients = Vec::new();
        for _ in 0..=CONNECTIONS {
            clients.push(UnixStream::connect(&path).await.unwrap());
        }
        let mut taken = Vec::new();
        for _ in 0..CONNECTIONS {
            taken.push(incoming.next().await.unwrap().unwrap());
        }
        assert!(incoming.next().now_or_never().is_none());
        taken.pop();
        assert!(incoming.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn others_leave_places_to_the_daemons_own_user() {
        let places = Places::new();
        let any = || Arc::clone(&places.any).try_acquire_owned().unwrap();
        let others: Vec<_> = (0..OF_OTHERS).map(|_| places.seat(any(), true).unwrap()).collect();
        assert!(places.seat(any(), true).is_none());
        let own: Vec<_> = (OF_OTHERS..CONNECTIONS).map(|_| places.seat(any(), false).unwrap()).collect();
        assert_eq!(places.any.available_permits(), 0);
        drop((others, own));
        assert!(places.seat(any(), true).is_some());
    }
}
