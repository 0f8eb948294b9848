//! The control socket.

use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::group::Group;
use crate::socket::{Access, Purpose, SocketError, SocketFile, listen_on, make_dir};
use crate::systemd::GivenUnix;

const CONTROL: Purpose = Purpose {
    name: "control socket",
    option: "--control-socket",
    key: "control.socket",
    group_key: "control.group",
};

/// A listening control socket. Its file goes when this does, if it is ours.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    group: Option<Group>,
    path: PathBuf,
    file: Option<SocketFile>,
}

impl ControlSocket {
    /// Makes the socket's directory, as [`ControlSocket::bind`] does.
    pub fn make_dir(socket: &Path, group: Option<&Group>) -> Result<(), SocketError> {
        make_dir(socket, CONTROL, &access(group))
    }

    /// Must be called within the runtime that will serve it.
    pub fn bind(path: &Path, group: Option<Group>) -> Result<Self, SocketError> {
        let (listener, file) = listen_on(path, CONTROL, &access(group.as_ref()))?;
        let listener = UnixListener::from_std(listener).map_err(|source| SocketError::Io {
            of: CONTROL,
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { listener, group, path: path.to_owned(), file: Some(file) })
    }

    /// Takes a socket that was made for us, as it is, whoever can connect to it. Must be called within the runtime that will
    /// serve it.
    pub fn take(given: GivenUnix, group: Option<Group>) -> Result<Self, SocketError> {
        let GivenUnix { listener, path } = given;
        match UnixListener::from_std(listener) {
            Ok(listener) => Ok(Self { listener, group, path, file: None }),
            Err(source) => Err(SocketError::Io { of: CONTROL, path, source }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn into_parts(self) -> (UnixListener, Option<Group>, Option<SocketFile>) {
        (self.listener, self.group, self.file)
    }
}

fn access(group: Option<&Group>) -> Access {
    group.map_or(Access::Owner, |group| Access::Group(group.group.clone()))
}
