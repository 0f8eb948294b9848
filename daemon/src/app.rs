//! The composition root: builds every component from its own part of the configuration, and runs them until
//! the daemon is to stop.

mod reconfigure;
mod run;

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Outside};
use crate::announce::Announcer;
use crate::claude::{self, Api, OAuthClient, Tls, TransportError};
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::control::{self, ControlSocket, Group};
use crate::diagnosis::Diagnosis;
use crate::http::{self, Listen, Server};
use crate::keeper::Keeper;
use crate::keys::{Keys, LoadError};
use crate::login::Logins;
use crate::notice::Notices;
#[cfg(feature = "otlp")]
use crate::otlp::Exporter;
use crate::owners::Owners;
use crate::pool::Pool;
use crate::proxy::{self, Proxy};
use crate::refresh::Refresher;
use crate::reload::{Asked, Configuration, Reloader, Watching};
use crate::sandbox::{Landlock, Places};
use crate::socket::SocketError;
use crate::store::{OpenError, Store, Vault, VaultError};
use crate::stored::StoredResponses;
use crate::systemd::Given;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::usage::Usage;
use crate::users::LookupError;
use reconfigure::Reconfigure;
pub use run::Broken;

/// The whole daemon, bound and loaded, not serving yet.
#[derive(Debug)]
pub struct App {
    server: Server,
    metrics_server: Option<Server>,
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter>,
    socket: ControlSocket,
    control: control::State,
    http: http::State,
    reloader: Reloader,
    notices: Notices,
    keeper: Keeper,
    stored: StoredResponses,
    refresher: Refresher,
    pool: Arc<Pool>,
    clock: Clock,
    tasks: Tasks,
    cut: CancellationToken,
    configuration: Configuration,
    asked: Asked,
    reconfigure: Reconfigure,
}

/// Why the daemon cannot start. Each names what and where.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("cannot read the auth directory")]
    Scan(#[source] std::io::Error),
    #[error(transparent)]
    Keys(#[from] LoadError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Http(#[from] http::StartError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl App {
    /// Makes the directories that are missing, and says what the daemon opens from its start on: the sandbox is made of it.
    /// What is given is there already.
    pub fn prepare(loaded: &Loaded, given: &Given) -> Result<Places, StartError> {
        let Loaded { config, sources, .. } = loaded;
        Store::make(&config.auth_dir)?;
        let mut sockets = Vec::new();
        if given.control.is_none() {
            let group = config.control_group.clone().map(Group::find).transpose()?;
            ControlSocket::make_dir(&config.control_socket, group.as_ref())?;
            sockets.push(&config.control_socket);
        }
        if !given.has_http() {
            Server::make_dirs(&config.http)?;
            sockets.extend(config.http.listen.iter().filter_map(|listen| match listen {
                Listen::Unix(path) => Some(path),
                Listen::Tcp(_) => None,
            }));
        }
        // Certificates are renewed by putting other files in their place.
        let tls = config.http.tls.iter().flat_map(|files| [&files.cert, &files.key]);
        let tls = tls.flat_map(|file| [Some(file.clone()), file.canonicalize().ok()]).flatten();
        let tls = tls.filter_map(|file| file.parent().map(Path::to_owned));
        let read = config.claude.transport.ca_file.iter().cloned().chain(tls).chain(config.store.places());
        let read = read.chain(sources.places());
        Ok(Places {
            state: [&config.auth_dir].into_iter().chain(&config.sandbox.state_dir).cloned().collect(),
            sockets: sockets.into_iter().filter_map(|socket| socket.parent().map(Path::to_owned)).collect(),
            read: read.filter(|place| place.exists()).collect(),
        })
    }

    /// Takes the directory, the sockets and the accounts. Fails before anything is served. `outside` opens what a person
    /// names later; what is given is served in place of what the configuration says.
    pub async fn start(
        loaded: Loaded,
        clock: Clock,
        outside: Outside,
        given: Given,
    ) -> Result<Self, StartError> {
        let running = loaded.valued();
        let Loaded { config, sources, .. } = loaded;
        let vault = Vault::load(&config.store)?;
        let store = Store::open_with(&config.auth_dir, vault, config.store.credentials.clone())?;
        for recovered in store.recover().map_err(StartError::Scan)? {
            tracing::warn!(account.id = %recovered.account, "adopted a token that a crash had left behind");
        }
        store.put_in_form().map_err(StartError::Scan)?;
        let keys = Keys::load(store.clone(), clock.clone())?;
        let tls = Tls::load(config.claude.transport.ca_file.as_deref(), needs_roots(&config))?;
        let pool = Arc::new(Pool::new(config.pool.clone(), clock.clone()));
        let oauth = OAuthClient::new(
            config.claude.oauth.clone(),
            &config.claude.transport,
            &tls,
            clock.clone(),
            Arc::clone(&pool),
        )?;
        let api = Api::new(&config.claude, &tls, Arc::clone(&pool))?;
        let tasks = Tasks::new();
        let metrics_server = Server::bind_metrics(&config.metrics_listen, &config.http.hosts, tasks.clone())?;
        let server = Server::bind(config.http, given.http, &keys, tasks.clone())?;
        let group = config.control_group.clone().map(Group::find).transpose()?;
        let socket = match given.control {
            Some(socket) => ControlSocket::take(socket, group)?,
            None => ControlSocket::bind(&config.control_socket, group)?,
        };

        let cut = CancellationToken::new();
        let metrics = Arc::new(Metrics::new(clock.clone()));
        let refresher = Refresher::new(
            config.refresh,
            store.clone(),
            Arc::clone(&pool),
            oauth.clone(),
            clock.clone(),
            tasks.clone(),
            Arc::clone(&metrics),
        )
        .map_err(StartError::Scan)?;
        let reloader = Reloader {
            store: store.clone(),
            pool: Arc::clone(&pool),
            refresher: refresher.clone(),
            tasks: tasks.clone(),
            watching: Watching::default(),
        };
        let keeper = Keeper { store: store.clone(), pool: Arc::clone(&pool), tasks: tasks.clone() };
        keeper.recall();
        reloader.reconcile().await.map_err(StartError::Scan)?;
        let owners = Owners::load(store.clone(), Arc::clone(&pool), clock.clone(), tasks.clone()).await;
        let stored =
            StoredResponses::load(config.responses, store.clone(), clock.clone(), tasks.clone()).await;
        let logins = Logins::new(
            oauth.clone(),
            store.clone(),
            Arc::clone(&pool),
            refresher.clone(),
            clock.clone(),
            tasks.clone(),
        );
        let admin = Admin {
            store: store.clone(),
            pool: Arc::clone(&pool),
            oauth: oauth.clone(),
            refresher: refresher.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            outside,
        };
        let components = proxy::Components {
            pool: Arc::clone(&pool),
            refresher: refresher.clone(),
            api: api.clone(),
            clock: clock.clone(),
            owners,
            stored: stored.clone(),
            metrics: Arc::clone(&metrics),
            cut: cut.clone(),
        };
        let proxy = Proxy::new(components, config.proxy.clone());
        let (configuration, asked) = Configuration::new(reconfigure::in_use(&running));
        let http_listen = control::Addresses::new(server.called());
        let info = control::Info {
            started_at: clock.now(),
            http_listen: http_listen.clone(),
            control_socket: socket.path().to_owned(),
            callback_port: config.callback_port,
        };
        let diagnosis = Diagnosis {
            store: store.clone(),
            pool: Arc::clone(&pool),
            oauth: oauth.clone(),
            hosts: claude::hosts(&config.claude),
            watching: reloader.watching.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            looking: Arc::default(),
        };
        let control = control::State {
            admin,
            logins,
            keys: keys.clone(),
            pool: Arc::clone(&pool),
            refresher: refresher.clone(),
            store,
            clock: clock.clone(),
            tasks: tasks.clone(),
            info,
            usage: Usage::new(
                oauth.clone(),
                Arc::clone(&pool),
                refresher.clone(),
                clock.clone(),
                tasks.clone(),
            ),
            watchers: control::Watchers::default(),
            diagnosis,
            history: Arc::clone(proxy.history()),
            configuration: configuration.clone(),
            activity: Arc::clone(proxy.activity()),
        };
        let notices = Notices::new(Arc::clone(&pool), clock.clone(), tasks.clone());
        let reconfigure = Reconfigure {
            sources,
            running,
            pool: Arc::clone(&pool),
            proxy: proxy.clone(),
            stored: stored.clone(),
            refresher: refresher.clone(),
            api,
            oauth: oauth.clone(),
            http_listen,
            is_sandboxed: config.sandbox.landlock == Landlock::Required,
            watches: config.watch,
            announcer: Announcer { pool: Arc::clone(&pool), clock: clock.clone(), tasks: tasks.clone() },
            tasks: tasks.clone(),
        };
        let http = http::State {
            proxy,
            pool: Arc::clone(&pool),
            keys,
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics,
        };
        #[cfg(feature = "otlp")]
        let exporter = config
            .otlp
            .map(|config| Exporter::new(config, &tls, &http.metrics, clock.clone()))
            .transpose()?;
        Ok(Self {
            server,
            metrics_server,
            #[cfg(feature = "otlp")]
            exporter,
            socket,
            control,
            http,
            reloader,
            notices,
            keeper,
            stored,
            refresher,
            pool,
            clock,
            tasks,
            cut,
            configuration,
            asked,
            reconfigure,
        })
    }

    /// The HTTP addresses as bound.
    pub fn addresses(&self) -> &[Listen] {
        self.server.addresses()
    }

    /// Where metrics are served alone, as bound.
    pub fn metrics_addresses(&self) -> &[Listen] {
        self.metrics_server.as_ref().map_or(&[], Server::addresses)
    }

    pub fn control_socket(&self) -> &Path {
        self.socket.path()
    }

    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub fn keys(&self) -> &Keys {
        &self.http.keys
    }

    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    pub fn refresher(&self) -> &Refresher {
        &self.refresher
    }

    /// By which a reload of the configuration is asked for.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }
}

fn needs_roots(config: &Config) -> bool {
    let oauth = &config.claude.oauth;
    [&config.claude.api_base_url, &oauth.token_url, &oauth.revoke_url, &oauth.profile_url, &oauth.usage_url]
        .into_iter()
        .chain(config.otlp.as_ref().map(|otlp| &otlp.endpoint))
        .any(|url| url.scheme() == "https")
}
