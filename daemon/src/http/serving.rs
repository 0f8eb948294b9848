//! The server while it serves: another configuration takes effect here, and an end.
//!
//! Addresses that come are bound before anything changes, and those that go stop accepting before the rules change, so that
//! nobody is served at an address by rules that were not meant for it. What is served goes on to its end.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::doors::{Doors, Rules};
use super::listener::{BindError, Listen, Listener, give};
use super::server::{StartError, Stop, access, called, warn_of_open_doors};
use super::tls::Certificate;
use super::trust::Trust;
use super::{Auth, Config};
use crate::chain::ErrorChain;
use crate::keys::Keys;
use crate::socket::SocketError;

/// After the cut, streams get this long to write their last event.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The server that serves; clones share it.
#[derive(Clone, Debug)]
pub struct Serving(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    doors: Doors,
    /// In the order of the configuration.
    open: Mutex<Vec<Open>>,
    config: ArcSwap<Config>,
    keys: Keys,
    /// The sockets are systemd's, and never made anew.
    is_given: bool,
    stop: Stop,
    descriptors: usize,
}

/// An address that is listened on.
#[derive(Debug)]
pub(super) struct Open {
    /// As the configuration names it.
    pub(super) wanted: Listen,
    pub(super) bound: Listen,
    /// Cancelled when it accepts no more, and its connections are to end after the request that they serve.
    pub(super) closing: CancellationToken,
    pub(super) accepting: JoinHandle<()>,
}

/// What serving takes beside its doors.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) config: Config,
    pub(super) keys: Keys,
    /// The sockets are those that systemd handed over.
    pub(super) is_given: bool,
    pub(super) stop: Stop,
    /// The limit of open files.
    pub(super) descriptors: usize,
}

/// Why the addresses stay as they were.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "{address} can be reached from other machines, and there is no client key: make one with `proxyctl keys create NAME`, and reload \
         again"
    )]
    NoKeys { address: Listen },
    /// One that goes stands in its way, and would have to go first.
    #[error("{address} cannot be had while {held} is served on that port")]
    Held { address: Listen, held: Listen },
    #[error(
        "HTTP is served on the sockets that systemd hands over, in place of http.listen: change the addresses in its socket unit, and \
         restart that and proxyd"
    )]
    Given,
    #[error("cannot tell the address of a listening socket")]
    Address(#[source] io::Error),
    #[error("the addresses stay as they are, since other keys of http could not be applied")]
    NotTried,
}

/// What became of another configuration. Everything but the addresses is applied as a whole or not at all.
#[derive(Debug)]
pub struct Reconfigured {
    pub rules: Result<(), StartError>,
    pub listen: Result<(), ListenError>,
}

/// What another configuration needs, had before anything changes.
struct Prepared {
    config: Config,
    trust: Trust,
    certificate: Option<Arc<Certificate>>,
    /// The rules differ in who is let in: whoever is in comes in anew.
    is_strict: bool,
    listen: Result<Vec<Ready>, ListenError>,
}

/// A listener that is new.
struct Ready {
    wanted: Listen,
    bound: Listen,
    listener: Listener,
}

impl Serving {
    pub(super) fn new(doors: Doors, open: Vec<Open>, rest: Rest) -> Self {
        let Rest { config, keys, is_given, stop, descriptors } = rest;
        let config = ArcSwap::from_pointee(config);
        Self(Arc::new(Inner { doors, open: Mutex::new(open), config, keys, is_given, stop, descriptors }))
    }

    /// How programs reach it now, for people.
    pub fn called(&self) -> Vec<String> {
        called(&self.addresses(), &self.0.config.load())
    }

    /// The addresses as bound now.
    pub fn addresses(&self) -> Vec<Listen> {
        self.0.open().iter().map(|open| open.bound.clone()).collect()
    }

    /// Serves by another configuration from now on, as far as that can be had.
    pub async fn configure(&self, config: Config) -> Reconfigured {
        // Names are looked up, files are read and sockets made: all of that may take its time.
        let inner = Arc::clone(&self.0);
        let prepared = self.0.doors.tasks.spawn_blocking(move || inner.prepare(config)).await;
        match prepared {
            Ok(Ok(prepared)) => Reconfigured { rules: Ok(()), listen: self.0.apply(prepared).await },
            Ok(Err(error)) => Reconfigured { rules: Err(error), listen: Err(ListenError::NotTried) },
            // It panicked, and nothing has changed.
            Err(_) => Reconfigured { rules: Err(StartError::Aborted), listen: Err(ListenError::NotTried) },
        }
    }

    /// Answers to these names from now on, and is otherwise as it was.
    pub async fn answer_to(&self, hosts: &[String]) -> Result<(), StartError> {
        let config = Config { hosts: hosts.to_owned(), ..Config::clone(&self.0.config.load()) };
        self.configure(config).await.rules
    }

    /// Goes on until told to stop, then drains. When it returns every connection is closed.
    pub async fn serve(self) {
        let Inner { doors, stop, .. } = &*self.0;
        let (watched, kill) = (Arc::clone(&doors.crowd), doors.ending.kill.clone());
        let watching = doors.tasks.spawn_vital("http deadlines", async move {
            tokio::select! {
                () = watched.watch() => {}
                () = kill.cancelled() => {}
            }
        });
        let renewing = doors.tasks.spawn_vital("certificate", doors.clone().renew());
        stop.stopping.cancelled().await;
        let open = std::mem::take(&mut *self.0.open());
        for open in open {
            // A loop ends when it is told to; one that panicked has closed its listener all the same.
            let _ended = open.accepting.await;
        }
        let drain = self.0.config.load().drain;
        if tokio::time::timeout(drain, doors.crowd.gone()).await.is_err() {
            tracing::warn!("the grace period is over: open streams end with an error event");
            stop.cut.cancel();
            let _last_words = tokio::time::timeout(LAST_WORDS, doors.crowd.gone()).await;
        }
        doors.ending.kill.cancel();
        let _ended = watching.await;
        let _ended = renewing.await;
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks, and changes nothing.
    fn prepare(&self, config: Config) -> Result<Prepared, StartError> {
        let (now, rules) = (self.config.load(), self.doors.rules.load());
        let trust = Trust::new(&config.users, &config.groups, self.doors.tasks.clone())?;
        let certificate = if config.tls == now.tls {
            rules.certificate.clone()
        } else {
            config.tls.clone().map(Certificate::load).transpose()?.map(Arc::new)
        };
        let is_strict = config.tls != now.tls
            || (config.auth, &config.users, &config.groups) != (now.auth, &now.users, &now.groups);
        let listen = self.bind(&config);
        Ok(Prepared { config, trust, certificate, is_strict, listen })
    }

    /// Binds the addresses that come.
    fn bind(&self, config: &Config) -> Result<Vec<Ready>, ListenError> {
        if self.is_given {
            return Err(ListenError::Given);
        }
        let access = access(config).map_err(StartError::from)?;
        let mut going: Vec<_> =
            self.open().iter().map(|open| (open.wanted.clone(), open.bound.clone())).collect();
        let mut coming = Vec::new();
        for wanted in &config.listen {
            match going.iter().position(|(known, _)| known == wanted) {
                Some(known) => drop(going.remove(known)),
                None => coming.push(wanted),
            }
        }
        if let Some(address) = coming.iter().find(|listen| !listen.is_local())
            && config.auth != Auth::Nobody
            && self.keys.is_empty()
        {
            return Err(ListenError::NoKeys { address: (*address).clone() });
        }
        let bind = |wanted: &Listen| {
            let listener = Listener::bind(wanted, &access).map_err(|error| held(error, wanted, &going))?;
            let bound = listener.address().map_err(ListenError::Address)?;
            Ok(Ready { wanted: wanted.clone(), bound, listener })
        };
        coming.into_iter().map(bind).collect()
    }

    async fn apply(&self, prepared: Prepared) -> Result<(), ListenError> {
        let Prepared { mut config, trust, certificate, is_strict, listen } = prepared;
        let (bound, failed) = match listen {
            Ok(bound) => (bound, None),
            Err(error) => {
                config.listen.clone_from(&self.config.load().listen);
                (Vec::new(), Some(error))
            }
        };
        self.close_others(&config.listen).await;
        self.rule(&config, trust, certificate, is_strict);
        if is_strict || !bound.is_empty() {
            warn_of_open_doors(&config);
        }
        self.open_new(bound, &config.listen);
        self.config.store(Arc::new(config));
        failed.map_or(Ok(()), Err)
    }

    /// Those that are not wanted accept no more.
    async fn close_others(&self, wanted: &[Listen]) {
        let mut wanted = wanted.to_vec();
        let closed = {
            let mut open = self.open();
            let (kept, closed): (Vec<_>, Vec<_>) = open.drain(..).partition(|open| {
                let found = wanted.iter().position(|wanted| *wanted == open.wanted);
                found.map(|found| wanted.swap_remove(found)).is_some()
            });
            *open = kept;
            closed
        };
        for open in closed {
            open.closing.cancel();
            let _ended = open.accepting.await;
            tracing::info!(listen = %open.bound, "listens there no more");
        }
    }

    /// Every request that comes is judged by this from now on.
    fn rule(&self, config: &Config, trust: Trust, certificate: Option<Arc<Certificate>>, is_strict: bool) {
        let limits = config.limits.within(self.descriptors);
        let gatekeeper = self.doors.rules.load().gatekeeper.with(config);
        gatekeeper.admission.resize(limits.requests, limits.waiting, limits.body_kib(), &self.doors.tasks);
        self.doors.crowd.bound(limits.connections, config.deadlines);
        self.doors.rules.store(Arc::new(Rules { gatekeeper, trust, certificate }));
        self.doors.renewed.notify_one();
        if is_strict && !self.is_given {
            self.give_sockets(config);
        }
        if is_strict {
            self.doors.crowd.send_away();
        }
    }

    /// Who may connect to the unix sockets follows from who is served.
    fn give_sockets(&self, config: &Config) {
        let open = self.open();
        let paths = open.iter().filter_map(|open| match &open.bound {
            Listen::Unix(path) => Some(path),
            Listen::Tcp(_) => None,
        });
        for path in paths {
            let given = access(config).map_err(StartError::from).and_then(|access| Ok(give(path, &access)?));
            if let Err(error) = given {
                tracing::warn!(error = %ErrorChain(&error), "a socket is open to whom it was open to before");
            }
        }
    }

    fn open_new(&self, bound: Vec<Ready>, order: &[Listen]) {
        let mut open = self.open();
        for Ready { wanted, bound, listener } in bound {
            tracing::info!(listen = %bound, "listens there, too");
            open.push(self.doors.open(wanted, bound, listener));
        }
        open.sort_by_key(|open| order.iter().position(|wanted| *wanted == open.wanted));
    }
}

/// What stands in the way of an address may be one of ours that goes.
fn held(error: BindError, wanted: &Listen, going: &[(Listen, Listen)]) -> ListenError {
    if let (BindError::Tcp { source, .. }, Listen::Tcp(address)) = (&error, wanted)
        && source.kind() == io::ErrorKind::AddrInUse
        && let Some((_, held)) = going.iter().find(|(_, bound)| overlaps(bound, *address))
    {
        return ListenError::Held { address: wanted.clone(), held: held.clone() };
    }
    error.into()
}

/// Whether both take one port of one address.
fn overlaps(bound: &Listen, address: SocketAddr) -> bool {
    let Listen::Tcp(bound) = bound else { return false };
    bound.port() == address.port() && (bound.ip().is_unspecified() || address.ip().is_unspecified())
}

impl ListenError {
    /// Whether it stands in its own way, so that the next start can have it.
    pub fn needs_start(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::Given)
    }

    /// Whether the file of a socket could not be made, which may be the sandbox.
    pub fn is_forbidden(&self) -> bool {
        let Self::Bind(BindError::Unix(SocketError::Io { source, .. })) = self else { return false };
        source.kind() == io::ErrorKind::PermissionDenied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_overlaps_with_one_that_stands_for_all_on_its_port() {
        let overlap = |bound: &str, wanted: &str| overlaps(&bound.parse().unwrap(), wanted.parse().unwrap());
        assert!(overlap("127.0.0.1:80", "0.0.0.0:80") && overlap("[::]:80", "127.0.0.1:80"));
        assert!(!overlap("127.0.0.1:80", "0.0.0.0:81") && !overlap("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!overlap("unix:/x", "0.0.0.0:80"));
    }
}
