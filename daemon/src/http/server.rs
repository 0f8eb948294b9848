//! The server before it serves: its listeners, and who is served by them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::alone;
use super::auth::{Auth, Authenticator};
use super::connection::{Crowd, Ending};
use super::doors::{Doors, Rules};
use super::gatekeeper::Gatekeeper;
use super::guard::Guard;
use super::limits::Limits;
use super::line::Refusals;
use super::listener::{BindError, Listen, Listener, make_dirs};
use super::serving::{Rest, Serving};
use super::throttle::Throttle;
use super::tls::{Certificate, TlsError};
use super::trust::Trust;
use super::{Config, State, routes};
use crate::keys::Keys;
use crate::socket::Access;
use crate::systemd::GivenHttp;
use crate::tasks::Tasks;
use crate::users::{Group, LookupError};

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error(
        "{address} (http.listen, or a socket of systemd's) can be reached from other machines, and there is no client key: start proxyd on a loopback address, \
         make one with `proxyctl keys create NAME`, and start it here then"
    )]
    NoKeys { address: Listen },
    #[error(
        "cannot listen on {address} (metrics.listen): another program may listen there, or this machine has no such address"
    )]
    Metrics { address: SocketAddr, source: io::Error },
    #[error("cannot tell the address of a listening socket")]
    Address(#[source] io::Error),
    #[error("the work ended without a result")]
    Aborted,
}

/// Bound listeners; nothing is served before [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    addresses: Vec<Listen>,
    /// systemd handed them over.
    is_given: bool,
    trust: Trust,
    certificate: Option<Arc<Certificate>>,
    config: Config,
    serves: Serves,
}

/// What is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Serves {
    Everything,
    /// Metrics alone, to whoever reaches them.
    Metrics,
}

/// How a stop goes.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Cancelled when accepting is to end.
    pub stopping: CancellationToken,
    /// Cancelled by the server when the grace period of the streams still open is over.
    pub cut: CancellationToken,
}

impl Server {
    /// Makes the directories of unix sockets.
    pub fn make_dirs(config: &Config) -> Result<(), StartError> {
        Ok(make_dirs(&config.listen, &access(config)?)?)
    }

    /// Must be called within the runtime that will serve it.
    /// Sockets that are given take the place of `http.listen`.
    pub fn bind(
        mut config: Config,
        given: Vec<GivenHttp>,
        keys: &Keys,
        tasks: Tasks,
    ) -> Result<Self, StartError> {
        let given = given.into_iter().map(Listener::take).collect::<Result<Vec<_>, _>>()?;
        let is_given = !given.is_empty();
        if !given.is_empty() {
            let addresses = given.iter().map(Listener::address).collect::<Result<_, _>>();
            config.listen = addresses.map_err(StartError::Address)?;
            let listen = config.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            tracing::info!(
                listen,
                "serving HTTP on the sockets that systemd hands over, in place of http.listen"
            );
        }
        let reachable = config.listen.iter().find(|listen| !listen.is_local());
        if let Some(address) = reachable.filter(|_| config.auth != Auth::Nobody && keys.is_empty()) {
            return Err(StartError::NoKeys { address: address.clone() });
        }
        let trust = Trust::new(&config.users, &config.groups, tasks)?;
        let certificate = config.tls.clone().map(Certificate::load).transpose()?.map(Arc::new);
        let access = access(&config)?;
        let listeners = if given.is_empty() {
            config
                .listen
                .iter()
                .map(|listen| Listener::bind(listen, &access))
                .collect::<Result<Vec<_>, _>>()?
        } else {
            given
        };
        let addresses = listeners.iter().map(Listener::address).collect::<Result<_, _>>();
        let addresses = addresses.map_err(StartError::Address)?;
        warn_of_open_doors(&config);
        let serves = Serves::Everything;
        Ok(Self { listeners, addresses, is_given, trust, certificate, config, serves })
    }

    /// That of `metrics.listen`; `None` where it is empty. `hosts` are those of `http.hosts`.
    pub fn bind_metrics(
        listen: &[SocketAddr],
        hosts: &[String],
        tasks: Tasks,
    ) -> Result<Option<Self>, StartError> {
        if listen.is_empty() {
            return Ok(None);
        }
        let config = alone::config(listen, hosts);
        let bind = |address: &SocketAddr| {
            let bound = Listener::bind(&Listen::Tcp(*address), &Access::Everybody);
            bound.map_err(|error| match error {
                BindError::Tcp { address, source } => StartError::Metrics { address, source },
                error @ (BindError::Unix(_) | BindError::Given(_)) => error.into(),
            })
        };
        let listeners = listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(Listener::address).collect::<Result<_, _>>();
        let addresses = addresses.map_err(StartError::Address)?;
        for address in listen.iter().filter(|address| !address.ip().is_loopback()) {
            tracing::warn!(listen = %address, "whoever reaches this address may read the metrics (metrics.listen)");
        }
        let trust = Trust::new(&[], &[], tasks)?;
        let (is_given, certificate, serves) = (false, None, Serves::Metrics);
        Ok(Some(Self { listeners, addresses, is_given, trust, certificate, config, serves }))
    }

    /// The addresses as bound, with real port numbers.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// How programs reach it, for people.
    pub fn called(&self) -> Vec<String> {
        called(&self.addresses, &self.config)
    }

    /// As a client writes them.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        urls(&self.addresses, &self.config)
    }

    /// Serves from now on, until told to stop. `descriptors` is the limit of open files.
    pub fn open(self, state: State, stop: Stop, descriptors: usize) -> Serving {
        let Self { listeners, addresses, is_given, trust, certificate, config, serves } = self;
        let limits = config.limits.within(descriptors);
        tracing::debug!(connections = limits.connections, requests = limits.requests, "limits");
        let (tasks, keys) = (state.tasks.clone(), state.keys.clone());
        let gatekeeper = gatekeeper(state, &config, serves, limits, stop.cut.clone());
        let doors = Doors {
            rules: Arc::new(ArcSwap::from_pointee(Rules { gatekeeper, trust, certificate })),
            renewed: Arc::default(),
            crowd: Arc::new(Crowd::new(limits.connections, config.deadlines)),
            tasks,
            ending: Ending { stopping: stop.stopping.clone(), kill: CancellationToken::new() },
        };
        let listeners = config.listen.clone().into_iter().zip(addresses).zip(listeners);
        let opened = listeners.map(|((wanted, bound), listener)| doors.open(wanted, bound, listener));
        let opened = opened.collect();
        Serving::new(doors, opened, Rest { config, keys, is_given, stop, descriptors })
    }
}

/// Addresses as they are listened on, but the first of `http.hosts`, else loopback, for those that stand for all; with https://
/// in front where that is needed.
pub(super) fn called(addresses: &[Listen], config: &Config) -> Vec<String> {
    let scheme = if config.tls.is_some() { "https://" } else { "" };
    let tcp = |address: &SocketAddr| match (config.hosts.first(), address.ip()) {
        (Some(host), ip) if ip.is_unspecified() && host.contains(':') => host.clone(),
        (Some(host), ip) if ip.is_unspecified() => format!("{host}:{}", address.port()),
        (None, IpAddr::V4(ip)) if ip.is_unspecified() => format!("127.0.0.1:{}", address.port()),
        (None, IpAddr::V6(ip)) if ip.is_unspecified() => format!("[::1]:{}", address.port()),
        _ => address.to_string(),
    };
    let called = addresses.iter().map(|address| match address {
        Listen::Tcp(address) => format!("{scheme}{}", tcp(address)),
        Listen::Unix(_) => address.to_string(),
    });
    called.collect()
}

/// As a client writes them.
fn urls(addresses: &[Listen], config: &Config) -> impl Iterator<Item = String> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    addresses.iter().map(move |address| match address {
        Listen::Tcp(address) => format!("{scheme}://{address}"),
        Listen::Unix(_) => address.to_string(),
    })
}

/// Who can connect to a unix socket at all: whom the configuration names, where it names anybody.
pub(super) fn access(config: &Config) -> Result<Access, LookupError> {
    Ok(match (config.auth, config.users.as_slice(), config.groups.as_slice()) {
        (Auth::PeerOrKey, [], []) => Access::Owner,
        (Auth::PeerOrKey, [], [group]) => Access::Group(Group::find(group, "http.groups")?),
        _ => Access::Everybody,
    })
}

pub(super) fn warn_of_open_doors(config: &Config) {
    for listen in config.listen.iter().filter(|listen| !listen.is_local()) {
        if config.auth == Auth::Nobody {
            tracing::warn!(listen = %listen, "whoever reaches this address may use the accounts: http.auth is none-i-know");
        }
        if config.tls.is_none() {
            tracing::warn!(listen = %listen, "keys and requests cross the network unencrypted here: set http.tls_cert and http.tls_key");
        }
    }
    if config.auth == Auth::Nobody && config.listen.iter().all(Listen::is_local) {
        tracing::warn!("every user of this machine may use the accounts: http.auth is none-i-know");
    }
}

fn gatekeeper(
    state: State,
    config: &Config,
    serves: Serves,
    limits: Limits,
    cut: CancellationToken,
) -> Gatekeeper {
    let Config { auth, hosts, origins, passthrough, deadlines, .. } = config;
    Gatekeeper {
        guard: Guard { hosts: hosts.clone(), origins: origins.clone() },
        authenticator: Authenticator { auth: *auth, keys: state.keys.clone(), throttle: Throttle::default() },
        admission: Arc::new(Admission::new(limits.requests, limits.waiting, limits.body_kib())),
        passthrough: *passthrough,
        clock: state.clock.clone(),
        metrics: Arc::clone(&state.metrics),
        tasks: state.tasks.clone(),
        told: Throttle::default(),
        refusals: Refusals::default(),
        cut,
        patience: deadlines.body,
        activity: Arc::clone(state.proxy.activity()),
        router: match serves {
            Serves::Everything => routes::router(state),
            Serves::Metrics => routes::of_metrics(state),
        },
    }
}
