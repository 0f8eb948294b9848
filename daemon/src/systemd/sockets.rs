//! Sockets that the service manager made and listens on for us (`sd_listen_fds(3)`): any number called `http`, one called
//! `control`. They stay open while we are not there, so what connects during a restart waits instead of being refused.
//!
//! Their files are the manager's: never removed here. Nothing is shut down on them either, since the next process goes on with
//! the same ones.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::PathBuf;

use listenfd::ListenFd;
use nix::sys::socket::{AddressFamily, SockType, getsockopt, sockopt};

const HTTP: &str = "http";
const CONTROL: &str = "control";
/// The kinds that can be told apart; `Inet` stands for IPv6, too.
const KINDS: &[(AddressFamily, SockType, &str)] = &[
    (AddressFamily::Unix, SockType::Stream, "a unix stream socket"),
    (AddressFamily::Inet, SockType::Stream, "a TCP socket"),
    (AddressFamily::Unix, SockType::Datagram, "a unix datagram socket"),
    (AddressFamily::Inet, SockType::Datagram, "a UDP socket"),
    (AddressFamily::Unix, SockType::SeqPacket, "a unix socket of packets"),
];

/// What the environment says of the sockets: `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Announced<'a> {
    pub pid: Option<&'a str>,
    pub fds: Option<&'a str>,
    pub names: Option<&'a str>,
}

/// The sockets that were handed over.
#[derive(Default, Debug)]
pub struct Given {
    pub http: Vec<GivenHttp>,
    pub control: Option<GivenUnix>,
}

/// One called `http`.
#[derive(Debug)]
pub enum GivenHttp {
    Tcp(TcpListener),
    Unix(GivenUnix),
}

/// A listening unix socket, and where.
#[derive(Debug)]
pub struct GivenUnix {
    pub listener: UnixListener,
    /// `@name` where it is abstract.
    pub path: PathBuf,
}

/// A socket that cannot be used. Socket units name theirs by `FileDescriptorName=`.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    #[error("LISTEN_FDS is {0:?} and must be the number of sockets that systemd hands over")]
    Count(String),
    #[error("systemd hands over {sockets} sockets and {names} names (LISTEN_FDNAMES): each socket needs one")]
    Names { sockets: usize, names: usize },
    #[error(
        "systemd hands over {socket} named {name:?}: it must be named \"http\" or \"control\" (FileDescriptorName= of its socket unit)"
    )]
    UnknownName { socket: Described, name: String },
    #[error("systemd hands over {socket} named {name:?}, and it must be {wanted}")]
    Kind { socket: Described, name: &'static str, wanted: &'static str },
    #[error(
        "systemd hands over {socket} named \"control\", and another one before: there is one control socket"
    )]
    SecondControl { socket: Described },
    #[error("cannot use {socket} that systemd hands over")]
    Io {
        socket: Described,
        #[source]
        source: io::Error,
    },
}

/// A socket in the words of an error: which, what it is and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// Its number as a file descriptor of this process.
    number: usize,
    what: &'static str,
    listens: bool,
    address: Option<String>,
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file descriptor {}, {}", self.number, self.what)?;
        if let Some(address) = &self.address {
            write!(f, " at {address}")?;
        }
        if self.listens { Ok(()) } else { f.write_str(" that does not listen,") }
    }
}

impl Given {
    /// Takes what was handed to this process, which may be nothing. Takes the announcement out of the environment, so it must be
    /// called once, before any thread is started; the sockets go to no child.
    pub fn take(announced: Announced<'_>) -> Result<Self, GivenError> {
        // Meant for whoever started us: the variables went through a shell.
        if announced.pid != Some(std::process::id().to_string().as_str()) {
            return Ok(Self::default());
        }
        let Some(fds) = announced.fds else { return Ok(Self::default()) };
        // More than a process can have is a mistake, and would be asked for one by one.
        let count = fds.parse::<u16>().map_err(|_| GivenError::Count(fds.to_owned()))?;
        let names = names(usize::from(count), announced.names)?;
        let mut sockets = ListenFd::from_env();
        let mut given = Self::default();
        for (index, name) in names.into_iter().enumerate() {
            given.put(index + 3, name, take(&mut sockets, index))?;
        }
        Ok(given)
    }

    /// Whether HTTP is served on these, and on nothing else.
    pub fn has_http(&self) -> bool {
        !self.http.is_empty()
    }

    fn put(&mut self, number: usize, name: &str, taken: Taken) -> Result<(), GivenError> {
        match name {
            HTTP => {
                let http = taken.http(number)?;
                self.http.push(http);
            }
            CONTROL => {
                let control = taken.control(number)?;
                if self.control.is_some() {
                    return Err(GivenError::SecondControl { socket: Described::unix(number, &control.path) });
                }
                self.control = Some(control);
            }
            _ => {
                return Err(GivenError::UnknownName {
                    socket: taken.described(number),
                    name: name.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn names(sockets: usize, names: Option<&str>) -> Result<Vec<&str>, GivenError> {
    if sockets == 0 {
        return Ok(Vec::new());
    }
    // sd_listen_fds_with_names(3) calls them so where nobody named them.
    let names: Vec<_> = names.map_or_else(|| vec!["unknown"; sockets], |names| names.split(':').collect());
    if names.len() == sockets { Ok(names) } else { Err(GivenError::Names { sockets, names: names.len() }) }
}

/// What stands at one place.
#[derive(Debug)]
enum Taken {
    Socket { fd: OwnedFd, family: AddressFamily, kind: SockType, what: &'static str, listens: bool },
    NoSocket,
}

fn take(sockets: &mut ListenFd, index: usize) -> Taken {
    for (family, kind, what) in KINDS {
        // One of another kind stays in its place.
        if let Ok(Some(fd)) = sockets.take_custom::<OwnedFd>(index, *family as i32, *kind as i32, what) {
            return Taken::socket(fd, *family, *kind, what);
        }
    }
    Taken::NoSocket
}

impl Taken {
    fn socket(fd: OwnedFd, family: AddressFamily, kind: SockType, what: &'static str) -> Self {
        let listens = getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false);
        Self::Socket { fd, family, kind, what, listens }
    }

    fn http(self, number: usize) -> Result<GivenHttp, GivenError> {
        match self {
            Self::Socket {
                fd, family: AddressFamily::Inet, kind: SockType::Stream, listens: true, ..
            } => {
                let listener = TcpListener::from(fd);
                let described = |source| GivenError::Io {
                    socket: Described { number, what: "a TCP socket", listens: true, address: None },
                    source,
                };
                listener.set_nonblocking(true).map_err(described)?;
                Ok(GivenHttp::Tcp(listener))
            }
            Self::Socket {
                fd, family: AddressFamily::Unix, kind: SockType::Stream, listens: true, ..
            } => Ok(GivenHttp::Unix(GivenUnix::of(number, fd)?)),
            other => {
                let wanted = "a TCP or unix stream socket that listens (ListenStream= and Accept=no of its socket unit)";
                Err(GivenError::Kind { socket: other.described(number), name: HTTP, wanted })
            }
        }
    }

    fn control(self, number: usize) -> Result<GivenUnix, GivenError> {
        match self {
            Self::Socket {
                fd, family: AddressFamily::Unix, kind: SockType::Stream, listens: true, ..
            } => GivenUnix::of(number, fd),
            other => {
                let wanted =
                    "a unix stream socket that listens (ListenStream=/path and Accept=no of its socket unit)";
                Err(GivenError::Kind { socket: other.described(number), name: CONTROL, wanted })
            }
        }
    }

    fn described(self, number: usize) -> Described {
        match self {
            Self::Socket { fd, family, kind, what, listens } => {
                // Only a stream's address can be asked for by its type, and only its matters.
                let address = match (family, kind) {
                    (AddressFamily::Inet, SockType::Stream) => {
                        TcpListener::from(fd).local_addr().ok().map(|address| address.to_string())
                    }
                    (AddressFamily::Unix, _) => {
                        UnixListener::from(fd).local_addr().ok().map(|at| path(&at).display().to_string())
                    }
                    _ => None,
                };
                // Those of datagrams cannot listen; that they are of datagrams says it.
                let listens = listens || kind == SockType::Datagram;
                Described { number, what, listens, address }
            }
            Self::NoSocket => {
                Described { number, what: "no socket of a known kind", listens: true, address: None }
            }
        }
    }
}

impl GivenUnix {
    fn of(number: usize, fd: OwnedFd) -> Result<Self, GivenError> {
        let listener = UnixListener::from(fd);
        let failed = |source| GivenError::Io {
            socket: Described { number, what: "a unix stream socket", listens: true, address: None },
            source,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let path = path(&listener.local_addr().map_err(failed)?);
        Ok(Self { listener, path })
    }
}

impl Described {
    fn unix(number: usize, path: &std::path::Path) -> Self {
        let address = Some(path.display().to_string());
        Self { number, what: "a unix stream socket", listens: true, address }
    }
}

fn path(address: &UnixAddress) -> PathBuf {
    use std::os::linux::net::SocketAddrExt as _;
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => PathBuf::from(format!("@{}", String::from_utf8_lossy(name))),
        (None, None) => PathBuf::from("(without a name)"),
    }
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
