//! The control socket: bound, closed to others, and only then listening. A socket that a crash left behind is
//! replaced; one that answers is not.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use tokio::net::UnixListener;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another proxyd listens on the control socket {}; stop it, or choose another with --control-socket", path.display())]
    InUse { path: PathBuf },
    #[error("{} is in the way of the control socket and is no socket; remove it, or choose another with --control-socket", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot make the control socket {} (control.socket)", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A listening control socket. Its file goes when this does.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of the socket, removed on drop if it is still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Must be called within the runtime that will serve it.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        }
        remove_stale(path)?;
        let address = UnixAddr::new(path).map_err(|errno| failed(errno.into()))?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
            .map_err(|errno| failed(errno.into()))?;
        bind(socket.as_raw_fd(), &address).map_err(|errno| failed(errno.into()))?;
        // Nobody can connect before `listen`, so there is no moment at which others could.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        let file = SocketFile { path: path.to_owned(), inode };
        listen(&socket, Backlog::new(128).unwrap_or(Backlog::MAXALLOWABLE))
            .map_err(|errno| failed(errno.into()))?;
        let listener = UnixListener::from_std(socket.into()).map_err(failed)?;
        Ok(Self { listener, file })
    }

    pub fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _best_effort = fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => Err(SocketError::NotASocket { path: path.to_owned() }),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed)
            }
            Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
            Err(error) => Err(failed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(ControlSocket::bind(&path), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(ControlSocket::bind(&path).is_ok());
        let file = dir.path().join("file");
        fs::File::create(&file).unwrap();
        assert!(matches!(ControlSocket::bind(&file), Err(SocketError::NotASocket { .. })));
        assert!(file.exists());
    }

    #[tokio::test]
    async fn a_path_longer_than_the_system_takes_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120));
        assert!(matches!(ControlSocket::bind(&path), Err(SocketError::Io { .. })));
    }
}
