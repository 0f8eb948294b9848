//! The control plane: gRPC on a unix socket, for the daemon's own user, root and a configured group. No token
//! or key is ever in a reply, but a new client key in the one that made it. Health and reflection are served as every gRPC tool expects them.

mod accounts;
mod activity;
mod addresses;
mod configuration;
mod connection;
mod convert;
mod daemon;
mod diagnosis;
mod group;
mod incoming;
mod keys;
mod login_failure;
mod logins;
mod logs;
mod peer;
mod socket;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proxy_proto::v1::accounts_server::{self, AccountsServer};
use proxy_proto::v1::activity_server::{self, ActivityServer};
use proxy_proto::v1::configuration_server::{self, ConfigurationServer};
use proxy_proto::v1::daemon_server::{self, DaemonServer};
use proxy_proto::v1::diagnosis_server::{self, DiagnosisServer};
use proxy_proto::v1::keys_server::{self, KeysServer};
use proxy_proto::v1::logins_server::{self, LoginsServer};
use proxy_proto::v1::logs_server::{self, LogsServer};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

pub use self::addresses::Addresses;
pub use self::group::{Group, GroupConfig, GroupRights};
pub use socket::ControlSocket;
pub use watch::Watchers;

use crate::admin::Admin;
use crate::clock::{Clock, Timestamp};
use crate::diagnosis::Diagnosis;
use crate::keys::Keys;
use crate::login::Logins;
use crate::pool::Pool;
use crate::proxy::History;
use crate::proxy::activity::Activity;
use crate::refresh::Refresher;
use crate::reload::Configuration;
use crate::store::Store;
use crate::tasks::Tasks;
use crate::usage::Usage;

/// How long calls under way may take once the daemon stops.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// What the services share.
#[derive(Clone, Debug)]
pub struct State {
    pub admin: Admin,
    pub logins: Logins,
    pub keys: Keys,
    pub pool: Arc<Pool>,
    pub refresher: Refresher,
    pub store: Store,
    pub clock: Clock,
    pub tasks: Tasks,
    pub info: Info,
    pub usage: Usage,
    pub history: Arc<History>,
    pub activity: Arc<Activity>,
    pub watchers: Watchers,
    pub configuration: Configuration,
    pub diagnosis: Diagnosis,
}

/// What `GetStatus` tells about the process.
#[derive(Clone, Debug)]
pub struct Info {
    pub started_at: Timestamp,
    /// As host:port, or unix:/path.
    pub http_listen: Addresses,
    pub control_socket: PathBuf,
    pub callback_port: u16,
}

/// Why the control plane ended before the daemon did.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the descriptions of the control API cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("the control socket is not served any more")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until the daemon stops.
pub async fn serve(socket: ControlSocket, state: State) -> Result<(), ServeError> {
    let tasks = state.tasks.clone();
    let (listener, group, _removed_on_drop) = socket.into_parts();
    let overdue = {
        let tasks = tasks.clone();
        async move {
            tasks.stopping().await;
            tokio::time::sleep(LAST_CALLS).await;
        }
    };
    let (health, health_service) = health_reporter();
    tell_health(&health, ServingStatus::Serving).await;
    let incoming = incoming::incoming(listener);
    let serving = Server::builder()
        .layer(peer::Rights::of_this_process(group, tasks.clone()))
        .add_service(health_service)
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?)
        .add_service(AccountsServer::new(state.clone()))
        .add_service(DiagnosisServer::new(state.clone()))
        .add_service(ActivityServer::new(state.clone()))
        .add_service(KeysServer::new(state.clone()))
        .add_service(LoginsServer::new(state.clone()))
        .add_service(ConfigurationServer::new(state.clone()))
        .add_service(LogsServer::new(state.clone()))
        .add_service(DaemonServer::new(state))
        .serve_with_incoming_shutdown(incoming, async move {
            tasks.stopping().await;
            // Those who watch are told before the connections end.
            tell_health(&health, ServingStatus::NotServing).await;
        });
    tokio::select! {
        served = serving => Ok(served?),
        // A client that holds its connection open does not hold up the daemon's end. Work that must finish has a task of its own.
        () = overdue => Ok(()),
    }
}

/// Of the whole, which has no name, and of each service.
async fn tell_health(health: &HealthReporter, status: ServingStatus) {
    let services = [
        accounts_server::SERVICE_NAME,
        diagnosis_server::SERVICE_NAME,
        activity_server::SERVICE_NAME,
        keys_server::SERVICE_NAME,
        logins_server::SERVICE_NAME,
        configuration_server::SERVICE_NAME,
        logs_server::SERVICE_NAME,
        daemon_server::SERVICE_NAME,
    ];
    for service in std::iter::once("").chain(services) {
        health.set_service_status(service, status).await;
    }
}

fn described() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proxy_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
