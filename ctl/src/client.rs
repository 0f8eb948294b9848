//! The daemon as this program sees it: one method an RPC, each with a limit of time and with errors that say
//! what was asked. It speaks only over the unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proxy_proto::socket;
use proxy_proto::v1::accounts_client::AccountsClient;
use proxy_proto::v1::daemon_client::DaemonClient;
use proxy_proto::v1::logins_client::LoginsClient;
use proxy_proto::v1::{
    Account, AccountChanges, AddAccountRequest, AddAccountResponse, BeginLoginRequest, BeginLoginResponse,
    CancelLoginRequest, CompleteLoginRequest, CompleteLoginResponse, DisableAccountRequest,
    EnableAccountRequest, GetAccountRequest, GetStatusRequest, GetStatusResponse, ListAccountsRequest,
    ListAccountsResponse, RefreshAccountRequest, RevokeAccountRequest, RevokeAccountResponse,
    add_account_request,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::clock;
use crate::error::{Error, LoginFailure, Operation, Refusal};

/// For what the daemon knows by itself.
const LOCAL: Duration = Duration::from_secs(10);
/// For what the daemon asks the provider about.
const PROVIDER: Duration = Duration::from_secs(90);
/// For a cancellation, on which nothing depends: the daemon forgets a login by itself.
const CANCEL: Duration = Duration::from_secs(2);

/// A connection to the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    channel: Channel,
    socket: PathBuf,
}

/// The socket to use when none is named: this user's daemon if it has one, else the system's.
pub(crate) fn default_socket() -> PathBuf {
    // A directory that may not be looked into counts as present, so that the error says "not permitted".
    let present = |path: &PathBuf| !matches!(path.try_exists(), Ok(false));
    let system = PathBuf::from(socket::SYSTEM);
    match socket::user() {
        Some(user) if present(&user) || !present(&system) => user,
        _ => system,
    }
}

impl Client {
    /// Connects at once, so that a daemon that does not run is told before anything else happens.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, Error> {
        let refused = |source| connect_error(socket, source);
        let first = Arc::new(Mutex::new(Some(UnixStream::connect(socket).await.map_err(refused)?)));
        let path = socket.to_owned();
        // The connection made above serves the first calls; a daemon that was restarted is connected to anew.
        let connector = tower::service_fn(move |_| {
            let (ready, path) = (first.lock().ok().and_then(|mut first| first.take()), path.clone());
            async move {
                match ready {
                    Some(stream) => Ok(TokioIo::new(stream)),
                    None => UnixStream::connect(path).await.map(TokioIo::new),
                }
            }
        });
        // Servers in other languages insist on this authority.
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
        Ok(Self { channel, socket: socket.to_owned() })
    }

    pub(crate) async fn status(&self) -> Result<GetStatusResponse, Error> {
        let mut daemon = DaemonClient::new(self.channel.clone());
        self.call(Operation::ShowStatus, LOCAL, daemon.get_status(GetStatusRequest {})).await
    }

    pub(crate) async fn list(&self) -> Result<ListAccountsResponse, Error> {
        self.call(Operation::ListAccounts, LOCAL, self.accounts().list_accounts(ListAccountsRequest {})).await
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("show", name);
        let request = GetAccountRequest { account: name.to_owned(), fresh: false };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().get_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn add_key(&self, key: &SecretString, label: String) -> Result<(Account, bool), Error> {
        let credential = add_account_request::Credential::ApiKey(key.expose_secret().to_owned());
        let settings = AccountChanges { label: Some(label), ..AccountChanges::default() };
        let request =
            AddAccountRequest { credential: Some(credential), settings: Some(settings), expires_at: None };
        let AddAccountResponse { account, replaced } =
            self.call(Operation::AddKey, PROVIDER, self.accounts().add_account(request)).await?;
        Ok((required(account, Operation::AddKey)?, replaced))
    }

    pub(crate) async fn revoke(&self, name: &str) -> Result<RevokeAccountResponse, Error> {
        let request = RevokeAccountRequest { account: name.to_owned() };
        self.call(operation("revoke", name), PROVIDER, self.accounts().revoke_account(request)).await
    }

    pub(crate) async fn disable(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("disable", name);
        let request = DisableAccountRequest { account: name.to_owned() };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().disable_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn enable(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("enable", name);
        let request = EnableAccountRequest { account: name.to_owned() };
        let reply = self.call(operation.clone(), LOCAL, self.accounts().enable_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn refresh(&self, name: &str) -> Result<Account, Error> {
        let operation = operation("refresh", name);
        let request = RefreshAccountRequest { account: name.to_owned() };
        let reply = self.call(operation.clone(), PROVIDER, self.accounts().refresh_account(request)).await?;
        required(reply.account, operation)
    }

    pub(crate) async fn begin_login(&self, request: BeginLoginRequest) -> Result<BeginLoginResponse, Error> {
        self.call(Operation::BeginLogin, LOCAL, self.logins().begin_login(request)).await
    }

    /// Gives the daemon the browser's answer and waits until the account is saved.
    pub(crate) async fn complete_login(
        &self,
        login_id: &str,
        code: &SecretString,
        state: &SecretString,
    ) -> Result<(Account, CompleteLoginResponse), Error> {
        let request = CompleteLoginRequest {
            login_id: login_id.to_owned(),
            code: code.expose_secret().to_owned(),
            state: state.expose_secret().to_owned(),
        };
        let mut reply =
            self.call(Operation::CompleteLogin, PROVIDER, self.logins().complete_login(request)).await?;
        Ok((required(reply.account.take(), Operation::CompleteLogin)?, reply))
    }

    pub(crate) async fn cancel_login(&self, login_id: &str) -> Result<(), Error> {
        let request = CancelLoginRequest { login_id: login_id.to_owned() };
        self.call(Operation::CancelLogin, CANCEL, self.logins().cancel_login(request)).await.map(|_| ())
    }

    fn accounts(&self) -> AccountsClient<Channel> {
        AccountsClient::new(self.channel.clone())
    }

    fn logins(&self) -> LoginsClient<Channel> {
        LoginsClient::new(self.channel.clone())
    }

    async fn call<T>(
        &self,
        operation: Operation,
        limit: Duration,
        reply: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, reply).await {
            Ok(Ok(reply)) => Ok(reply.into_inner()),
            Ok(Err(status)) => Err(self.refusal(operation, status)),
            Err(_elapsed) => Err(Error::NoAnswer { operation, limit }),
        }
    }

    /// A status with a source was made on this side of the socket: the daemon did not say it.
    fn refusal(&self, operation: Operation, status: Status) -> Error {
        if std::error::Error::source(&status).is_none() {
            if operation == Operation::CompleteLogin
                && let Some(failure) = LoginFailure::of(&status, clock::now())
            {
                return Error::LoginFailed(failure);
            }
            let refusal = Refusal::of(status.code(), &operation);
            return Error::Refused { operation, refusal, message: status.message().to_owned() };
        }
        match connect_failure(&status) {
            Some(kind) => connect_error(&self.socket, kind.into()),
            None => Error::ConnectionLost { operation, source: Box::new(status) },
        }
    }
}

fn operation(verb: &'static str, name: &str) -> Operation {
    Operation::Account { verb, name: name.to_owned() }
}

fn required(account: Option<Account>, operation: Operation) -> Result<Account, Error> {
    account.ok_or(Error::Incomplete { operation, field: "the account" })
}

/// Why no connection could be made again, if that is what is behind a status.
fn connect_failure(status: &Status) -> Option<io::ErrorKind> {
    let first = std::error::Error::source(status);
    std::iter::successors(first, |err| err.source())
        .filter_map(|err| err.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .find(|kind| {
            matches!(
                kind,
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied
            )
        })
}

fn connect_error(socket: &Path, source: io::Error) -> Error {
    let socket = socket.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotRunning { socket, source },
        io::ErrorKind::PermissionDenied => Error::SocketForbidden { socket, source },
        _ => Error::Connect { socket, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_failed_connection_means_the_documented_exit_code() {
        for (kind, exit) in [
            (io::ErrorKind::NotFound, Exit::NotRunning),
            (io::ErrorKind::ConnectionRefused, Exit::NotRunning),
            (io::ErrorKind::PermissionDenied, Exit::NotPermitted),
            (io::ErrorKind::InvalidInput, Exit::Failed),
        ] {
            assert_eq!(connect_error(Path::new("/x"), kind.into()).exit(), exit, "{kind}");
        }
    }

    #[tokio::test]
    async fn a_daemon_that_never_answers_is_not_waited_for_without_end() {
        let client = Client {
            channel: Endpoint::from_static("http://localhost").connect_lazy(),
            socket: PathBuf::from("/x"),
        };
        let silence = std::future::pending::<Result<Response<()>, Status>>();
        let err = client.call(Operation::ListAccounts, Duration::from_millis(1), silence).await.unwrap_err();
        assert_eq!(err.exit(), Exit::TimedOut);
    }

    #[tokio::test]
    async fn a_daemon_that_went_away_between_two_calls_is_told_as_not_running() {
        let directory = tempfile::TempDir::new().unwrap();
        let socket = directory.path().join("control.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let client = Client::connect(&socket).await.unwrap();
        drop(listener);
        // The first call finds its connection closed, a later one that there is nobody to connect to.
        let mut err = client.status().await.unwrap_err();
        while err.exit() == Exit::Failed {
            err = client.status().await.unwrap_err();
        }
        assert_eq!(err.exit(), Exit::NotRunning, "{err:?}");
    }
}
