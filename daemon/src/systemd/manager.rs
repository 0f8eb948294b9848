//! Where the service manager listens (`NOTIFY_SOCKET`). A process has one, so this is one for the whole process, as its
//! environment is.
//!
//! The socket is connected before the sandbox closes: landlock lets nobody reach an abstract socket later, but goes on with what
//! was connected.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

/// A manager that hangs holds nobody up for longer.
const PATIENCE: Duration = Duration::from_secs(1);

static MANAGER: OnceLock<UnixDatagram> = OnceLock::new();

/// Connects to the socket that `NOTIFY_SOCKET` names, if it names one: a path, or `@name` of an abstract socket. Only the
/// first call does.
pub fn open(notify_socket: Option<&str>) {
    let Some(name) = notify_socket.filter(|name| !name.is_empty()) else { return };
    match connect(name) {
        Ok(socket) => drop(MANAGER.set(socket)),
        Err(error) => {
            tracing::warn!(error = %error, socket = name, "cannot reach the service manager (NOTIFY_SOCKET): it is told nothing");
        }
    }
}

/// Whether there is somebody to tell.
pub fn is_heard() -> bool {
    MANAGER.get().is_some()
}

pub(super) fn send(lines: &str) -> io::Result<()> {
    MANAGER.get().map_or(Ok(()), |socket| socket.send(lines.as_bytes()).map(drop))
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("proxyd-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, called) in [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
        ] {
            connect(&called).unwrap().send(b"READY=1\n").unwrap();
            let mut buffer = [0; 16];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1\n", "{called}");
        }
    }

    #[test]
    fn a_socket_that_is_not_there_is_an_error() {
        assert!(connect("@proxyd-nobody-listens-here").is_err() && connect("/nonexistent/notify").is_err());
    }
}
