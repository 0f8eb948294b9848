//! The accept loops. `axum::serve` leaves silent and half-open connections standing, so connections are served here: with
//! deadlines, no more of them than there are descriptors for, and an end when the daemon stops.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::unistd::Gid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::auth::Origin;
use super::connection::{self, Crowd, Ending, Place, Socket};
use super::gatekeeper::{Gatekeeper, Visitor};
use super::guard::Entrance;
use super::listener::{Accepted, Listen, Listener};
use super::peer::{self, Peer};
use super::serving::Open;
use super::throttle::Source;
use super::tls::{self, Certificate};
use super::trust::Trust;
use crate::tasks::Tasks;

/// Who has just connected is about to ask: one that stops waits so long for the first byte.
const FRESH: Duration = Duration::from_secs(1);
/// After a failed accept (no descriptors left) the loop waits this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    /// Of every request that comes now.
    pub(super) rules: Arc<ArcSwap<Rules>>,
    /// There may be another certificate.
    pub(super) renewed: Arc<Notify>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) tasks: Tasks,
    pub(super) ending: Ending,
}

/// Who is served, and how. Replaced as a whole when the configuration says otherwise.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) gatekeeper: Gatekeeper,
    pub(super) trust: Trust,
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl Doors {
    /// Accepts on one more address, until that one is closed.
    pub(super) fn open(&self, wanted: Listen, bound: Listen, listener: Listener) -> Open {
        let closing = self.ending.stopping.child_token();
        let ending = Ending { stopping: closing.clone(), kill: self.ending.kill.clone() };
        let accepting = accept(listener, Self { ending, ..self.clone() });
        let accepting = self.tasks.spawn_vital_until("http", closing.clone(), accepting);
        Open { wanted, bound, closing, accepting }
    }

    /// Looks whether the certificate's files changed, off the runtime's threads.
    pub(super) async fn renew(self) {
        loop {
            let certificate = self.rules.load().certificate.clone();
            tokio::select! {
                () = tokio::time::sleep(tls::LOOK), if certificate.is_some() => {}
                () = self.renewed.notified() => {}
                () = self.ending.kill.cancelled() => return,
            }
            if let Some(certificate) = certificate {
                // One that panicked is tried again.
                let _looked = self.tasks.spawn_blocking(move || certificate.look()).await;
            }
        }
    }
}

async fn accept(listener: Listener, doors: Doors) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = doors.ending.stopping.cancelled() => return,
        };
        match accepted {
            Ok(accepted) => {
                tokio::select! {
                    // Who has been accepted is served, if there is room, though the daemon stops.
                    biased;
                    () = doors.crowd.room() => {}
                    () = doors.ending.stopping.cancelled() => return,
                }
                let place = doors.crowd.enter();
                doors.tasks.spawn(connection(accepted, place, doors.clone()));
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                doors.crowd.make_room();
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(accepted: Accepted, place: Place, doors: Doors) {
    let _open = doors.rules.load().gatekeeper.metrics.connection();
    let standing = &place.standing;
    let may_leave = async {
        tokio::select! {
            () = standing.leave.cancelled() => {}
            () = async { tokio::join!(doors.ending.stopping.cancelled(), tokio::time::sleep(FRESH)); } => {}
        }
    };
    tokio::select! {
        spoke = accepted.spoke() => if spoke.is_err() { return },
        () = standing.end.cancelled() => return,
        // What has come already may not have been seen yet.
        () = may_leave => if !accepted.has_spoken() { return },
    }
    standing.begins();
    let rules = doors.rules.load_full();
    let Some(visitor) = visitor(&accepted, &rules).await else { return };
    let socket = match accepted {
        Accepted::Tcp { stream, .. } => Socket::Tcp(Arc::new(stream)),
        Accepted::Unix(stream) => Socket::Unix(Arc::new(stream)),
    };
    standing.is_on(&socket);
    match (&socket, &rules.certificate) {
        (Socket::Unix(_), _) | (Socket::Tcp(_), None) => serve(socket, visitor, &place, &doors).await,
        (Socket::Tcp(_), Some(certificate)) => {
            // On the heap: most connections are not TLS, and need not be as large.
            Box::pin(async {
                let shaken = tokio::select! {
                    shaken = certificate.acceptor().accept(socket) => shaken,
                    () = standing.end.cancelled() => return,
                    () = doors.ending.kill.cancelled() => return,
                };
                match shaken {
                    Ok(stream) => serve(stream, visitor, &place, &doors).await,
                    Err(error) => tracing::debug!(error = %error, "no TLS with a client"),
                }
            })
            .await;
        }
    }
}

async fn serve<S>(stream: S, visitor: Visitor, place: &Place, doors: &Doors)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handle = |request| {
        let (rules, standing) = (doors.rules.load_full(), Arc::clone(&place.standing));
        async move { rules.gatekeeper.handle(visitor, &standing, request).await }
    };
    connection::serve(stream, place, &doors.ending, handle).await;
}

/// Whose connection this is; `None` where it is gone already.
async fn visitor(accepted: &Accepted, rules: &Rules) -> Option<Visitor> {
    let (entrance, peer, gid, address) = match accepted {
        Accepted::Tcp { stream, remote } => {
            let local = stream.local_addr().ok()?;
            let tls = rules.certificate.is_some();
            (Entrance::Tcp { local, tls }, peer::owner(*remote, local), None, Some(remote.ip()))
        }
        Accepted::Unix(stream) => {
            let peer = stream.peer_cred().ok()?;
            (Entrance::Unix, Peer::Uid(peer.uid()), Some(Gid::from_raw(peer.gid())), None)
        }
    };
    let source = match (peer, address) {
        (Peer::Uid(uid), _) => Source::User(uid),
        (Peer::Unknown, Some(address)) if !address.to_canonical().is_loopback() => Source::of(address),
        (Peer::Unknown, _) => Source::Other,
    };
    let trusted = rules.trust.trusts(peer, gid).await;
    Some(Visitor { entrance, origin: Origin { trusted, source } })
}
