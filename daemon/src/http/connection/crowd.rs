//! All connections at once: no more of them than there are descriptors for, and none beyond its deadlines. Where there are too
//! many, those that wait longest for a request make room for those that come.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Deadlines;
use super::standing::{Due, Stage, Standing};

/// Between two looks for room, should a connection have become idle meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// Deadlines are kept this exactly, or more exactly where they are short.
const COARSEST: Duration = Duration::from_millis(500);
const FINEST: Duration = Duration::from_millis(10);
/// A connection counts as new for this long.
const NEW: Duration = Duration::from_secs(1);
/// When there is no room, one in so many of the connections makes room at once: each look goes through all of them.
const SHARE: usize = 64;

#[derive(Debug)]
pub(in crate::http) struct Crowd {
    bounds: ArcSwap<Bounds>,
    members: Mutex<Members>,
    /// Somebody left.
    left: Notify,
    /// Somebody came.
    came: Notify,
}

#[derive(Debug)]
struct Bounds {
    most: usize,
    deadlines: Deadlines,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    all: HashMap<u64, Arc<Standing>>,
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(in crate::http) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    pub(in crate::http) standing: Arc<Standing>,
}

impl Crowd {
    pub(in crate::http) fn new(most: usize, deadlines: Deadlines) -> Self {
        let bounds = ArcSwap::from_pointee(Bounds { most, deadlines });
        Self { bounds, members: Mutex::default(), left: Notify::new(), came: Notify::new() }
    }

    /// Holds so many from now on, for so long. Where there are more, those that wait make room as others come.
    pub(in crate::http) fn bound(&self, most: usize, deadlines: Deadlines) {
        self.bounds.store(Arc::new(Bounds { most, deadlines }));
    }

    /// Ends every connection after the request that it serves or that is on its way: the next one is judged anew.
    pub(in crate::http) fn send_away(&self) {
        self.lock().all.values().for_each(|standing| standing.leave.cancel());
    }

    /// Waits until there is room for one more, and makes it where somebody only waits.
    pub(in crate::http) async fn room(&self) {
        loop {
            let left = self.left.notified();
            if self.lock().all.len() < self.bounds.load().most {
                return;
            }
            self.make_room();
            let _at_the_latest = tokio::time::timeout(LOOK, left).await;
        }
    }

    pub(in crate::http) fn enter(self: &Arc<Self>) -> Place {
        let standing = Arc::new(Standing::new());
        let mut members = self.lock();
        let number = members.next;
        members.next += 1;
        members.all.insert(number, Arc::clone(&standing));
        drop(members);
        self.came.notify_one();
        Place { crowd: Arc::clone(self), number, standing }
    }

    /// Resolves once everybody has left.
    pub(in crate::http) async fn gone(&self) {
        loop {
            let left = self.left.notified();
            if self.lock().all.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Ends connections at their deadlines, for ever. Nothing is done while there is none.
    pub(in crate::http) async fn watch(&self) {
        loop {
            let Deadlines { first_byte, head, idle, send, .. } = self.bounds.load().deadlines;
            let shortest = [first_byte, head, idle, send].into_iter().min().unwrap_or(COARSEST);
            let every = (shortest / 4).clamp(FINEST, COARSEST);
            if self.lock().all.is_empty() {
                self.came.notified().await;
            }
            tokio::time::sleep(every).await;
            self.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        let bounds = self.bounds.load();
        let members = self.lock();
        end_abandoned(&members);
        for standing in members.all.values() {
            match standing.due(now, &bounds.deadlines) {
                Due::Nothing => {}
                Due::Tell => standing.tell(),
                Due::End(why) => {
                    tracing::debug!(reason = why, "connection ended");
                    standing.end.cancel();
                }
            }
        }
    }

    /// Ends those that wait longest for their next request, or their first; where nobody waits, those whose request does not
    /// come to its end.
    pub(in crate::http) fn make_room(&self) {
        let members = self.lock();
        let mut waiting: Vec<_> = members
            .all
            .values()
            .filter(|standing| !standing.is_leaving())
            .map(|standing| (standing.stage(), standing))
            .filter(|((stage, _), _)| *stage != Stage::Busy)
            .collect();
        let now = Instant::now();
        // Who has just come is about to ask.
        let is_new = |since: &Instant| now.duration_since(*since) < NEW;
        waiting.sort_unstable_by_key(|((stage, since), _)| (is_new(since), *stage, *since));
        let room = members.all.len() / SHARE + 1;
        for (_, standing) in waiting.into_iter().take(room) {
            standing.make_room();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends those that are served and whose client has closed its end, in one question to the kernel.
fn end_abandoned(members: &Members) {
    // nix has no name for it (poll(2)), and calls an answer with it none that it knows.
    let closed = PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
    let served = || members.all.values().filter_map(|standing| Some((standing, standing.busy_socket()?)));
    let (standings, mut sockets): (Vec<_>, Vec<_>) =
        served().map(|(standing, socket)| (standing, PollFd::new(socket.as_fd(), closed))).unzip();
    if sockets.is_empty() || poll(&mut sockets, PollTimeout::ZERO).is_err() {
        return;
    }
    for (standing, socket) in standings.into_iter().zip(&sockets) {
        if socket.any() != Some(false) {
            standing.end.cancel();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().all.remove(&self.number);
        self.crowd.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(most: usize) -> Arc<Crowd> {
        Arc::new(Crowd::new(most, Deadlines::default()))
    }

    async fn has_room(crowd: &Crowd) -> bool {
        tokio::select! {
            biased;
            () = crowd.room() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn who_waits_longest_makes_room_and_who_is_served_never_does() {
        let crowd = crowd(3);
        let busy = crowd.enter();
        let _serving = busy.standing.busy();
        let (old, new) = (crowd.enter(), crowd.enter());
        assert!(!has_room(&crowd).await);
        let ended = [&busy, &old, &new].map(|place| place.standing.is_leaving());
        assert_eq!(ended, [false, true, false]);
        drop(old);
        assert!(has_room(&crowd).await);
    }

    #[tokio::test]
    async fn who_never_asked_goes_before_who_may_ask_again_and_both_before_half_a_request() {
        let crowd = crowd(3);
        let places = [crowd.enter(), crowd.enter(), crowd.enter()];
        let ended = || places.each_ref().map(|place| place.standing.is_leaving());
        places[0].standing.begins();
        drop(places[1].standing.busy());
        for expected in [[false, false, true], [false, true, true], [true, true, true]] {
            assert!(!has_room(&crowd).await);
            assert_eq!(ended(), expected);
        }
    }

    #[tokio::test]
    async fn who_is_asked_to_leave_and_has_a_request_on_its_way_stays_for_it() {
        let crowd = crowd(1);
        let place = crowd.enter();
        assert!(!has_room(&crowd).await);
        assert!(place.standing.is_leaving());
        place.standing.begins();
        assert!(!place.standing.is_leaving());
        let busy = place.standing.busy();
        assert!(!has_room(&crowd).await);
        assert!(!place.standing.end.is_cancelled());
        drop(busy);
        assert!(place.standing.is_leaving());
    }

    #[tokio::test]
    async fn other_bounds_hold_from_now_on_and_who_is_sent_away_ends_after_its_request() {
        let crowd = crowd(1);
        let (busy, idle) = (crowd.enter(), crowd.enter());
        let _serving = busy.standing.busy();
        assert!(!has_room(&crowd).await);
        crowd.bound(3, Deadlines { first_byte: Duration::from_secs(1), ..Deadlines::default() });
        assert!(has_room(&crowd).await);
        crowd.sweep(Instant::now() + Duration::from_secs(1));
        assert!(idle.standing.end.is_cancelled() && !busy.standing.end.is_cancelled());
        crowd.send_away();
        assert!(busy.standing.leave.is_cancelled() && !busy.standing.is_leaving());
    }

    #[tokio::test]
    async fn each_stage_ends_at_its_own_deadline() {
        let deadlines = Deadlines::default();
        let crowd = crowd(9);
        let (silent, idle, busy) = (crowd.enter(), crowd.enter(), crowd.enter());
        drop(idle.standing.busy());
        let _serving = busy.standing.busy();
        let ended = |place: &Place| place.standing.end.is_cancelled();
        crowd.sweep(Instant::now() + deadlines.first_byte);
        assert_eq!([ended(&silent), ended(&idle), ended(&busy)], [true, false, false]);
        crowd.sweep(Instant::now() + deadlines.idle);
        assert_eq!([ended(&idle), ended(&busy)], [true, false]);
    }
}
