//! The control plane: gRPC on a unix socket, for the daemon's own user and root. No token or key is ever in a
//! reply.

mod accounts;
mod convert;
mod daemon;
mod login_failure;
mod logins;
mod peer;
mod socket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proxy_proto::v1::accounts_server::AccountsServer;
use proxy_proto::v1::daemon_server::DaemonServer;
use proxy_proto::v1::logins_server::LoginsServer;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;

pub use socket::{ControlSocket, SocketError};

use crate::admin::Admin;
use crate::clock::{Clock, Timestamp};
use crate::login::Logins;
use crate::pool::Pool;
use crate::refresh::Refresher;
use crate::store::Store;
use crate::tasks::Tasks;

/// How long calls under way may take once the daemon stops.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// What the services share.
#[derive(Clone, Debug)]
pub struct State {
    pub admin: Admin,
    pub logins: Logins,
    pub pool: Arc<Pool>,
    pub refresher: Refresher,
    pub store: Store,
    pub clock: Clock,
    pub tasks: Tasks,
    pub info: Info,
}

/// What `GetStatus` tells about the process.
#[derive(Clone, Debug)]
pub struct Info {
    pub started_at: Timestamp,
    pub http_listen: Vec<SocketAddr>,
    pub control_socket: PathBuf,
    pub callback_port: u16,
}

/// Serves until the daemon stops.
pub async fn serve(socket: ControlSocket, state: State) -> Result<(), tonic::transport::Error> {
    let tasks = state.tasks.clone();
    let (listener, _removed_on_drop) = socket.into_parts();
    let overdue = {
        let tasks = tasks.clone();
        async move {
            tasks.stopping().await;
            tokio::time::sleep(LAST_CALLS).await;
        }
    };
    let serving = Server::builder()
        .layer(InterceptorLayer::new(peer::Rights::of_this_process()))
        .add_service(AccountsServer::new(state.clone()))
        .add_service(LoginsServer::new(state.clone()))
        .add_service(DaemonServer::new(state))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move {
            tasks.stopping().await;
        });
    tokio::select! {
        served = serving => served,
        // A client that holds its connection open does not hold up the daemon's end. Work that must finish has a task of its own.
        () = overdue => Ok(()),
    }
}
