//! The control socket.

use std::path::Path;

use tokio::net::UnixListener;

use super::group::Group;
use crate::socket::{Access, Purpose, SocketError, SocketFile, listen_on, make_dir};

const CONTROL: Purpose = Purpose {
    name: "control socket",
    option: "--control-socket",
    key: "control.socket",
    group_key: "control.group",
};

/// A listening control socket. Its file goes when this does.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    group: Option<Group>,
    file: SocketFile,
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
        Ok(Self { listener, group, file })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn into_parts(self) -> (UnixListener, Option<Group>, SocketFile) {
        (self.listener, self.group, self.file)
    }
}

fn access(group: Option<&Group>) -> Access {
    group.map_or(Access::Owner, |group| Access::Group(group.group.clone()))
}
