//! Where the data plane listens: TCP addresses and unix sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::socket::{Access, Purpose, SocketError, SocketFile, listen_on, make_dir};
use crate::systemd::{GivenHttp, GivenUnix};

const HTTP: Purpose =
    Purpose { name: "HTTP socket", option: "--listen", key: "http.listen", group_key: "http.groups" };

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Of each connection's socket, in bytes; the kernel adds as much for its own use.
const SEND_BUFFER: u32 = 128 * 1024;

/// One entry of `http.listen`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address} (http.listen){}", hint(source))]
    Tcp { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Unix(#[from] SocketError),
    #[error("cannot use a socket that systemd hands over (\"http\")")]
    Given(#[source] io::Error),
}

/// A bound socket. The file of a unix one that is ours goes when this does.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
    /// Its file is not ours.
    GivenUnix(UnixListener, PathBuf),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp { stream: TcpStream, remote: SocketAddr },
    Unix(UnixStream),
}

impl Listener {
    /// Must be called within the runtime that will serve it.
    pub(super) fn bind(to: &Listen, access: &Access) -> Result<Self, BindError> {
        match to {
            Listen::Tcp(address) => {
                let bound = bind_tcp(*address);
                bound.map(Self::Tcp).map_err(|source| BindError::Tcp { address: *address, source })
            }
            Listen::Unix(path) => {
                let (listener, file) = listen_on(path, HTTP, access)?;
                let listener = UnixListener::from_std(listener).map_err(|source| SocketError::Io {
                    of: HTTP,
                    path: path.clone(),
                    source,
                })?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Takes a socket that was made for us, as it is. Must be called within the runtime that will serve it.
    pub(super) fn take(given: GivenHttp) -> Result<Self, BindError> {
        match given {
            GivenHttp::Tcp(listener) => {
                // Connections inherit it. More memory for each is no reason not to serve.
                let _best_effort = setsockopt(&listener, sockopt::SndBuf, &(SEND_BUFFER as usize));
                TcpListener::from_std(listener).map(Self::Tcp).map_err(BindError::Given)
            }
            GivenHttp::Unix(GivenUnix { listener, path }) => {
                let listener = UnixListener::from_std(listener).map_err(BindError::Given)?;
                Ok(Self::GivenUnix(listener, path))
            }
        }
    }

    /// As bound, with the real port.
    pub(super) fn address(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Self::Unix(_, file) => Ok(Listen::Unix(file.path().to_owned())),
            Self::GivenUnix(_, path) => Ok(Listen::Unix(path.clone())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                // Without it a client on the same machine may wait 40 ms for the end of an answer.
                let _best_effort = stream.set_nodelay(true);
                Ok(Accepted::Tcp { stream, remote })
            }
            Self::Unix(listener, _) | Self::GivenUnix(listener, _) => {
                Ok(Accepted::Unix(listener.accept().await?.0))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart need not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    // Left to itself the kernel holds megabytes for each client that does not read, and counts them as ours.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Opens the file of a unix socket that is bound to those who can connect by another configuration.
pub(super) fn give(path: &Path, access: &Access) -> Result<(), BindError> {
    Ok(crate::socket::give(path, HTTP, access)?)
}

/// Makes the directories of unix sockets, as binding them does.
pub(super) fn make_dirs(listen: &[Listen], access: &Access) -> Result<(), BindError> {
    for listen in listen {
        if let Listen::Unix(path) = listen {
            make_dir(path, HTTP, access)?;
        }
    }
    Ok(())
}

impl Accepted {
    /// Whether a first byte, or the end, of what the client sends is here.
    pub(super) fn has_spoken(&self) -> bool {
        !matches!(self.look(), Err(Errno::EAGAIN))
    }

    fn look(&self) -> nix::Result<usize> {
        let descriptor = match self {
            Self::Tcp { stream, .. } => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        };
        recv(descriptor, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)
    }

    /// Resolves with the first byte, or the end, of what the client sends.
    pub(super) async fn spoke(&self) -> io::Result<()> {
        loop {
            let look = || self.look().map_err(io::Error::from);
            let looked = match self {
                Self::Tcp { stream, .. } => {
                    stream.readable().await?;
                    stream.try_io(Interest::READABLE, look)
                }
                Self::Unix(stream) => {
                    stream.readable().await?;
                    stream.try_io(Interest::READABLE, look)
                }
            };
            match looked {
                // It was said to be readable, and is not: a look alone tells.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                looked => return looked.map(drop),
            }
        }
    }
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(format!("{text:?} has no absolute path: write \"unix:/path/to/http.sock\""))
            };
        }
        let address = text.parse().map(Self::Tcp);
        address.map_err(|_| {
            format!(
                "{text:?} is not an address: write ip:port, as in \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path\""
            )
        })
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another program listens there; stop it, or choose another address with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need a privilege; choose another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tcp_or_a_path_and_says_so_again() {
        for text in ["127.0.0.1:8080", "[::1]:0", "0.0.0.0:80", "unix:/run/proxyd/http.sock"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["", "localhost:8080", "127.0.0.1", "unix:", "unix:http.sock", "/run/http.sock"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_files_are_this_machines_own() {
        let local = |text: &str| text.parse::<Listen>().unwrap().is_local();
        assert!(local("127.0.0.2:1") && local("[::1]:1") && local("unix:/x"));
        assert!(!local("0.0.0.0:1") && !local("192.0.2.1:1") && !local("[::]:1"));
    }
}
