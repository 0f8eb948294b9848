//! The way an account's traffic takes: its own proxy where a person set one, else the configured way. It fails
//! closed: a way comes from an account that may send, and a proxy that cannot be used is never gone around.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::TransportConfig;
use super::transport::{Through, Tls, TransportError};
use crate::account::Account;
use crate::address::ProxyUrl;
use crate::pool::Pool;

/// One way to the outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// As the daemon's configuration says.
    Configured,
    /// An account's own proxy.
    Proxy(ProxyUrl),
}

/// A setting that decides what is sent where cannot be used, so nothing is sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the account sends nothing while a setting of it cannot be used: {reason}")]
pub struct Closed {
    pub reason: String,
}

impl Way {
    /// The only way this account's traffic may take.
    pub fn of(account: &Account) -> Result<Self, Closed> {
        match (account.closed_by(), &account.settings.proxy) {
            (Some(reason), _) => Err(Closed { reason }),
            (None, Some(proxy)) => Ok(Self::Proxy(proxy.clone())),
            (None, None) => Ok(Self::Configured),
        }
    }

    /// Whether it is an account's own.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Proxy(_))
    }
}

/// How a client for a way is made, whose connections are made in this time.
type Make<C> = fn(Through<'_>, &Tls, Duration) -> Result<C, TransportError>;

/// The clients of all ways, made when first needed. There is one for each proxy, however many accounts use it.
#[derive(Debug)]
pub(super) struct Ways<C> {
    transport: TransportConfig,
    tls: Tls,
    make: Make<C>,
    pool: Arc<Pool>,
    made: Mutex<Made<C>>,
}

#[derive(Debug)]
struct Made<C> {
    configured: C,
    connect_timeout: Duration,
    /// Of the pool that `clients` was last compared with.
    generation: u64,
    clients: HashMap<ProxyUrl, C>,
}

impl<C: Clone> Ways<C> {
    pub(super) fn new(
        transport: &TransportConfig,
        tls: &Tls,
        pool: Arc<Pool>,
        make: Make<C>,
    ) -> Result<Self, TransportError> {
        let connect_timeout = transport.timeouts.connect;
        let configured = make(transport.through(), tls, connect_timeout)?;
        let generation = pool.snapshot().generation();
        let made = Mutex::new(Made { configured, connect_timeout, generation, clients: HashMap::new() });
        Ok(Self { transport: transport.clone(), tls: tls.clone(), make, pool, made })
    }

    /// Makes connections in this time from now on, by clients that are new: who holds an old one ends with it.
    pub(super) fn connect_within(&self, timeout: Duration) -> Result<(), TransportError> {
        let mut made = self.lock();
        if made.connect_timeout != timeout {
            made.configured = (self.make)(self.transport.through(), &self.tls, timeout)?;
            made.connect_timeout = timeout;
            made.clients.clear();
        }
        Ok(())
    }

    /// The client of a way.
    pub(super) fn client(&self, way: &Way) -> Result<C, TransportError> {
        let mut made = self.lock();
        made.forget_unused(&self.pool);
        let Way::Proxy(proxy) = way else { return Ok(made.configured.clone()) };
        if let Some(client) = made.clients.get(proxy) {
            return Ok(client.clone());
        }
        let client = (self.make)(Through::Proxy(proxy), &self.tls, made.connect_timeout)?;
        made.clients.insert(proxy.clone(), client.clone());
        Ok(client)
    }

    fn lock(&self) -> MutexGuard<'_, Made<C>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Made<C> {
    /// Keeps no client, and no password, of a proxy that no account uses any more: looked at whenever the pool
    /// has changed.
    fn forget_unused(&mut self, pool: &Pool) {
        let snapshot = pool.snapshot();
        if snapshot.generation() != self.generation {
            self.generation = snapshot.generation();
            self.clients
                .retain(|proxy, _| snapshot.settings().any(|used| used.proxy.as_ref() == Some(proxy)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Document, FileName};
    use crate::claude::Timeouts;
    use crate::clock::{ManualClock, Timestamp};

    fn account(proxy: &str) -> Account {
        let json = format!(r#"{{"access_token":"a","account_uuid":"u","proxy_url":"{proxy}"}}"#);
        let document = Document::parse(json.as_bytes()).unwrap();
        document.to_account(FileName::parse("claude-a.json").unwrap()).unwrap()
    }

    /// A client that knows only where it goes; each is made once.
    fn ways(pool: &Arc<Pool>) -> Ways<Arc<str>> {
        let make: Make<Arc<str>> = |through, _, _| {
            Ok(match through {
                Through::Nothing => "direct".into(),
                Through::Proxy(proxy) | Through::ProxyExcept(proxy, _) => proxy.server().into(),
            })
        };
        let second = Duration::from_secs(1);
        let transport = TransportConfig {
            proxy_url: None,
            exceptions: None,
            ca_file: None,
            timeouts: Timeouts { connect: second, head: second, silence: second },
        };
        Ways::new(&transport, &Tls::load(None, false).unwrap(), Arc::clone(pool), make).unwrap()
    }

    fn pool() -> Arc<Pool> {
        Arc::new(Pool::new(crate::pool::Config::default(), ManualClock::at(Timestamp::UNIX_EPOCH).clock()))
    }

    #[test]
    fn an_account_goes_its_own_way_or_the_configured_one_or_none() {
        assert_eq!(Way::of(&account("")), Ok(Way::Configured));
        let own = Way::of(&account("http://me:FAKE-pw@p.example")).unwrap();
        assert!(own.is_own() && !format!("{own:?}").contains("FAKE-pw"));
        let closed = Way::of(&account("p.example:1080")).unwrap_err();
        assert!(closed.to_string().contains("`proxy_url`"), "{closed}");
    }

    #[test]
    fn another_time_for_connections_makes_new_clients_and_the_same_time_none() {
        let (pool, way) = (pool(), Way::of(&account("http://p.example")).unwrap());
        let ways = ways(&pool);
        let both = || [&way, &Way::Configured].map(|way| ways.client(way).unwrap());
        let before = both();
        ways.connect_within(Duration::from_secs(1)).unwrap();
        assert!(both().iter().zip(&before).all(|(one, other)| Arc::ptr_eq(one, other)));
        ways.connect_within(Duration::from_secs(2)).unwrap();
        assert!(both().iter().zip(&before).all(|(one, other)| !Arc::ptr_eq(one, other) && one == other));
    }

    #[test]
    fn one_client_is_made_for_each_proxy() {
        let (pool, way) = (pool(), Way::of(&account("http://p.example")).unwrap());
        let ways = ways(&pool);
        let first = ways.client(&way).unwrap();
        assert_eq!(&*first, "http://p.example:80");
        assert!(Arc::ptr_eq(&first, &ways.client(&way).unwrap()));
        assert_eq!(&*ways.client(&Way::Configured).unwrap(), "direct");
    }

    #[test]
    fn a_proxy_that_no_account_uses_any_more_is_forgotten() {
        let pool = pool();
        let ways = ways(&pool);
        let kept = || ways.made.lock().unwrap().clients.len();
        for n in 0..50 {
            let account = account(&format!("http://p{n}.example"));
            pool.publish(account.clone());
            ways.client(&Way::of(&account).unwrap()).unwrap();
            assert_eq!(kept(), 1);
        }
        pool.publish(account(""));
        ways.client(&Way::Configured).unwrap();
        assert_eq!(kept(), 0);
    }
}
