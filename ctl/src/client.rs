//! The daemon as this program sees it: one method an RPC, each with a limit of time and with errors that say
//! what was asked. It speaks only over a unix socket: one of this machine, or through `ssh` one of another.

mod accounts;
mod configuration;
mod daemon;
mod diagnosis;
mod greeting;
mod host;
mod keys;
mod logs;
mod ssh;
mod transport;
mod watch;
mod whose;

use std::time::Duration;

use proxy_proto::v1::accounts_client::AccountsClient;
use proxy_proto::v1::daemon_client::DaemonClient;
use proxy_proto::v1::logins_client::LoginsClient;
use proxy_proto::v1::{
    Account, BeginLoginRequest, BeginLoginResponse, CancelLoginRequest, CompleteLoginRequest,
    CompleteLoginResponse, GetStatusRequest,
};
use secrecy::{ExposeSecret as _, SecretString};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

pub(crate) use self::accounts::NewCredential;
pub(crate) use self::host::Host;
pub(crate) use self::ssh::Remote;
use self::transport::Link;
pub(crate) use self::transport::{Target, default_socket, local};
pub(crate) use self::watch::Watched;
use crate::clock;
use crate::error::{Error, LoginFailure, Operation, Refusal};
use crate::version;

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
    link: Link,
}

impl Client {
    /// Connects at once, so that a daemon that is not reached is told before anything else happens.
    pub(crate) async fn connect(target: &Target) -> Result<Self, Error> {
        let (link, channel) = Link::open(target).await?;
        Ok(Self { channel, link })
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
            Ok(Err(status)) => Err(self.refusal(operation, status).await),
            Err(_elapsed) => Err(Error::NoAnswer { operation, limit }),
        }
    }

    /// A status with a source was made on this side of the socket: the daemon did not say it.
    async fn refusal(&self, operation: Operation, status: Status) -> Error {
        if std::error::Error::source(&status).is_some() {
            return self.link.failure(operation, status);
        }
        if operation == Operation::CompleteLogin
            && let Some(failure) = LoginFailure::of(&status, clock::now())
        {
            return Error::LoginFailed(failure);
        }
        if status.code() == Code::Unimplemented
            && let Some(difference) = self.difference().await
        {
            return Error::Revision { operation, difference };
        }
        let refusal = Refusal::of(status.code(), &operation);
        Error::Refused { operation, refusal, message: status.message().to_owned() }
    }

    /// How the daemon's release differs from this one, if it does and tells.
    async fn difference(&self) -> Option<version::Difference> {
        let mut daemon = DaemonClient::new(self.channel.clone());
        let asked = tokio::time::timeout(LOCAL, daemon.get_status(GetStatusRequest {})).await;
        let status = asked.ok()?.ok()?.into_inner();
        version::difference(&status.version, status.api_revision)
    }
}

/// The daemon left out what was asked for: it is of a release that does not know the question, or has a fault.
fn silence(operation: Operation, field: &'static str, difference: Option<version::Difference>) -> Error {
    match difference {
        Some(difference) => Error::Revision { operation, difference },
        None => Error::Incomplete { operation, field },
    }
}

fn required(account: Option<Account>, operation: Operation) -> Result<Account, Error> {
    account.ok_or(Error::Incomplete { operation, field: "the account" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[tokio::test]
    async fn a_daemon_that_never_answers_is_not_waited_for_without_end() {
        let directory = tempfile::TempDir::new().unwrap();
        let socket = directory.path().join("control.sock");
        let _listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let client = Client::connect(&Target::Socket(socket)).await.unwrap();
        let silence = std::future::pending::<Result<Response<()>, Status>>();
        let err = client.call(Operation::ListAccounts, Duration::from_millis(1), silence).await.unwrap_err();
        assert_eq!(err.exit(), Exit::TimedOut);
    }

    #[tokio::test]
    async fn a_daemon_that_went_away_between_two_calls_is_told_as_not_running() {
        let directory = tempfile::TempDir::new().unwrap();
        let socket = directory.path().join("control.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let client = Client::connect(&Target::Socket(socket)).await.unwrap();
        drop(listener);
        // The first call finds its connection closed, a later one that there is nobody to connect to.
        let mut err = client.status().await.unwrap_err();
        while err.exit() == Exit::Failed {
            err = client.status().await.unwrap_err();
        }
        assert_eq!(err.exit(), Exit::NotRunning, "{err:?}");
    }
}
