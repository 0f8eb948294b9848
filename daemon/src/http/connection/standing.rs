//! What one connection is about, known to its stream, its requests and the [`Crowd`]: whether it waits, sends a head, or is
//! served, since when, and whether it is to end.
//!
//! [`Crowd`]: super::crowd::Crowd

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Deadlines;
use super::framing::Fault;
use super::socket::Socket;

/// A client that is told that its head is late gets this long to hear it.
const TELLING: Duration = Duration::from_secs(5);

/// Shared by all that serve one connection.
#[derive(Debug)]
pub(in crate::http) struct Standing {
    state: Mutex<State>,
    /// Wakes whoever reads.
    reader: AtomicWaker,
    /// A request began to be answered.
    served: Notify,
    /// Asked whether the client is still there.
    pub(super) socket: OnceLock<Socket>,
    /// Cancelled when the connection is to make room for another, unless a request is on its way.
    pub(in crate::http) leave: CancellationToken,
    /// Cancelled when the connection is to end whatever it does.
    pub(in crate::http) end: CancellationToken,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    since: Instant,
    /// Since when the client takes nothing of what it is sent.
    stuck: Option<Instant>,
    /// Its head is late: its reader is to say so.
    late: bool,
    /// Why nothing more of it is read.
    fault: Option<Fault>,
}

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    /// Nothing was asked yet.
    Silent,
    /// Between two requests.
    Idle,
    /// A request has begun, and its head is not complete.
    Head,
    /// A request is answered.
    Busy,
}

/// What is to be done about a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Nothing,
    /// Its head is late, and it can be told.
    Tell,
    End(&'static str),
}

impl Standing {
    pub(in crate::http) fn new() -> Self {
        let state =
            State { stage: Stage::Silent, since: Instant::now(), stuck: None, late: false, fault: None };
        Self {
            state: Mutex::new(state),
            reader: AtomicWaker::new(),
            served: Notify::new(),
            socket: OnceLock::new(),
            leave: CancellationToken::new(),
            end: CancellationToken::new(),
        }
    }

    /// A head begins, unless a request is answered still.
    pub(in crate::http) fn begins(&self) {
        let mut state = self.lock();
        if matches!(state.stage, Stage::Silent | Stage::Idle) {
            state.enter(Stage::Head);
        }
    }

    /// A request is answered until what is returned is dropped.
    pub(in crate::http) fn busy(self: &Arc<Self>) -> Busy {
        self.lock().enter(Stage::Busy);
        self.served.notify_one();
        Busy(Arc::clone(self))
    }

    /// Whether the client takes what it is sent.
    pub(super) fn sending<T>(&self, sent: &Poll<T>, was_stuck: &mut bool) {
        let is_stuck = sent.is_pending();
        if *was_stuck || is_stuck {
            let mut state = self.lock();
            state.stuck = is_stuck.then(|| state.stuck.filter(|_| *was_stuck).unwrap_or_else(Instant::now));
            *was_stuck = is_stuck;
        }
    }

    /// Whether the head that is read is late; if not, the reader is woken once it is.
    pub(super) fn is_late(&self, context: &Context<'_>) -> bool {
        self.reader.register(context.waker());
        self.lock().late
    }

    /// What is due by now. A head that is late is told once.
    pub(super) fn due(&self, now: Instant, deadlines: &Deadlines) -> Due {
        let mut state = self.lock();
        if state.stuck.is_some_and(|since| is_over(since, now, deadlines.send)) {
            return Due::End("its client takes nothing of what it is sent");
        }
        let since = state.since;
        match state.stage {
            Stage::Silent if is_over(since, now, deadlines.first_byte) => Due::End("nothing was asked"),
            Stage::Idle if is_over(since, now, deadlines.idle) => Due::End("nothing more was asked"),
            Stage::Head if state.late && is_over(since, now, TELLING) => {
                Due::End("its request did not come to its end")
            }
            Stage::Head if !state.late && is_over(since, now, deadlines.head) => {
                state.late = true;
                state.since = now;
                Due::Tell
            }
            Stage::Silent | Stage::Idle | Stage::Head | Stage::Busy => Due::Nothing,
        }
    }

    /// Nothing more is read: what is asked next is to be answered with this.
    pub(super) fn refuse(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// Why the request that just came is refused, if it is: it stands in for what could not be read.
    pub(in crate::http) fn fault(&self) -> Option<Fault> {
        self.lock().fault
    }

    /// Resolves once no request is on its way that the server does not know of.
    pub(super) async fn between_heads(&self) {
        while self.stage().0 == Stage::Head {
            self.served.notified().await;
        }
    }

    pub(super) fn tell(&self) {
        self.reader.wake();
    }

    /// This is its socket.
    pub(in crate::http) fn is_on(&self, socket: &Socket) {
        let _only_once = self.socket.set(socket.clone());
    }

    /// Its socket, while a request is answered.
    pub(super) fn busy_socket(&self) -> Option<&Socket> {
        self.socket.get().filter(|_| self.stage().0 == Stage::Busy)
    }

    /// Asks it to make room for another. One whose request has begun must, since nobody else would.
    pub(super) fn make_room(&self) {
        match self.stage().0 {
            Stage::Silent | Stage::Idle => self.leave.cancel(),
            Stage::Head | Stage::Busy => self.end.cancel(),
        }
    }

    /// Whether it was asked to leave, and has not left yet.
    pub(super) fn is_leaving(&self) -> bool {
        self.end.is_cancelled() || (self.leave.is_cancelled() && self.stage().0 < Stage::Head)
    }

    /// The stage and since when, for the choice of who makes room.
    pub(super) fn stage(&self) -> (Stage, Instant) {
        let state = self.lock();
        (state.stage, state.since)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(since: Instant, now: Instant, limit: Duration) -> bool {
    now.duration_since(since) >= limit
}

impl State {
    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }
}

/// A request that is answered. Dropped with the last of its answer.
#[derive(Debug)]
pub(in crate::http) struct Busy(Arc<Standing>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().enter(Stage::Idle);
        // A head that came meanwhile begins now.
        self.0.reader.wake();
    }
}
