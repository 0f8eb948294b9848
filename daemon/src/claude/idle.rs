//! Connections to upstream that wait for their next request, bounded in number and time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::driven::Driven;

/// Shorter than the idle limit of the usual load balancer (60 s), so that a connection is rarely found
/// closed.
const TIMEOUT: Duration = Duration::from_secs(50);
/// Kept ready per host: a burst of agents comes back within seconds and should find its connections warm.
const MOST: usize = 256;
/// Those that upstream has closed, and those whose time is over, are looked for this often.
const SWEEP: Duration = Duration::from_secs(5);

/// Where a connection leads.
pub(super) type Host = (Scheme, Authority);

#[derive(Debug)]
pub(super) struct Idle {
    kept: Mutex<Kept>,
    /// Ends the sweep.
    gone: CancellationToken,
    _gone_with_this: DropGuard,
}

/// One, and since when.
type Waiting = (Box<Driven>, Instant);

#[derive(Debug, Default)]
struct Kept {
    /// There are few, and the last one used is the last in its list.
    hosts: Vec<(Host, Vec<Waiting>)>,
    is_swept: bool,
}

impl Idle {
    pub(super) fn new() -> Arc<Self> {
        let gone = CancellationToken::new();
        Arc::new(Self { kept: Mutex::default(), _gone_with_this: gone.clone().drop_guard(), gone })
    }

    /// One that is open, as far as is known here: the one that was used last.
    pub(super) fn take(&self, host: &Host) -> Option<Box<Driven>> {
        loop {
            let (mut driven, since) = {
                let mut kept = self.lock();
                kept.hosts.iter_mut().find(|(known, _)| known == host)?.1.pop()?
            };
            if since.elapsed() < TIMEOUT && driven.is_free() {
                return Some(driven);
            }
        }
    }

    pub(super) fn put(self: &Arc<Self>, host: &Host, driven: Box<Driven>) {
        let mut kept = self.lock();
        let one = (driven, Instant::now());
        match kept.hosts.iter_mut().find(|(known, _)| known == host) {
            Some((_, some)) if some.len() < MOST => some.push(one),
            Some(_) => {}
            None => kept.hosts.push((host.clone(), vec![one])),
        }
        if !std::mem::replace(&mut kept.is_swept, true) {
            drop(kept);
            // It ends with the client.
            TokioExecutor::new().execute(sweep(Arc::downgrade(self), self.gone.clone()));
        }
    }

    /// Whether any is left.
    fn sweep(&self) -> bool {
        let mut kept = self.lock();
        let now = Instant::now();
        for (_, some) in &mut kept.hosts {
            some.retain_mut(|(driven, since)| now.duration_since(*since) < TIMEOUT && driven.is_free());
            some.shrink_to_fit();
        }
        kept.hosts.retain(|(_, some)| !some.is_empty());
        kept.is_swept = !kept.hosts.is_empty();
        kept.is_swept
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks through them for as long as there are any.
async fn sweep(idle: Weak<Idle>, gone: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            () = gone.cancelled() => return,
        }
        if idle.upgrade().is_none_or(|idle| !idle.sweep()) {
            return;
        }
    }
}
