//! The connection to the daemon: over the control socket of this machine, or through `ssh` over that of
//! another. It says what went wrong in the same words for the first connection and a later one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use proxy_proto::socket;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::greeting::{Greeting, Watched};
use super::ssh::Remote;
use super::whose;
use crate::error::{Error, Operation, Place};

/// Which daemon is meant.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Socket(PathBuf),
    Remote(Arc<Remote>),
}

/// The socket to use when none is named: this user's daemon if it has one, else the system's.
pub(crate) fn default_socket() -> PathBuf {
    // A directory that may not be looked into counts as present, so that the error says "not permitted".
    let present = |path: &PathBuf| !matches!(path.try_exists(), Ok(false));
    let given = PathBuf::from(socket::SYSTEM_GIVEN);
    let system = if present(&given) { given } else { PathBuf::from(socket::SYSTEM) };
    match socket::user() {
        Some(user) if present(&user) || !present(&system) => user,
        _ => system,
    }
}

/// A connection to the socket of a daemon that may be trusted.
pub(crate) async fn local(path: &Path) -> Result<UnixStream, Error> {
    let stream = UnixStream::connect(path).await.map_err(|source| connect_error(path, source))?;
    whose::check(&stream, path)?;
    Ok(stream)
}

/// What a client needs to know of its connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    target: Target,
    greeting: Greeting,
}

impl Link {
    /// Connects at once, so that a daemon that is not reached is told before anything else happens.
    pub(super) async fn open(target: &Target) -> Result<(Self, Channel), Error> {
        let link = Self { target: target.clone(), greeting: Greeting::default() };
        let first = Arc::new(Mutex::new(Some(link.dial().await?)));
        let again = link.clone();
        // The connection made above serves the first calls; a daemon that was restarted is connected to anew.
        let connector = tower::service_fn(move |_| {
            let (ready, link) = (first.lock().ok().and_then(|mut first| first.take()), again.clone());
            async move {
                match ready {
                    Some(stream) => Ok(TokioIo::new(stream)),
                    None => link.dial().await.map(TokioIo::new),
                }
            }
        });
        // Servers in other languages insist on this authority.
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
        Ok((link, channel))
    }

    async fn dial(&self) -> Result<Watched, Error> {
        match &self.target {
            Target::Socket(path) => Ok(Watched::new(local(path).await?, &self.greeting)),
            Target::Remote(remote) => {
                let stream = remote.dial(&self.greeting).await?;
                self.stranger().map_or(Ok(stream), Err)
            }
        }
    }

    /// What is behind a status that was made on this side: the daemon did not say it.
    pub(super) fn failure(&self, operation: Operation, status: Status) -> Error {
        if let Some(stranger) = self.stranger() {
            return stranger;
        }
        match (&self.target, connect_failure(&status)) {
            (Target::Socket(path), Some(kind)) => connect_error(path, kind.into()),
            _ => Error::ConnectionLost { operation, source: Box::new(status) },
        }
    }

    fn stranger(&self) -> Option<Error> {
        let said = self.greeting.foreign()?;
        let place = match &self.target {
            Target::Socket(path) => Place::Socket(path.clone()),
            Target::Remote(remote) => Place::Host(remote.host().clone()),
        };
        Some(Error::NotADaemon { place, said })
    }
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

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
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
}
