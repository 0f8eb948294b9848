//! The control socket: bound, closed to others (but to the configured group), and only then listening. A socket
//! that a crash left behind is replaced; one that answers is not.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::{Gid, chown};
use tokio::net::UnixListener;

use super::group::Group;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another proxyd listens on the control socket {}; stop it, or choose another with --control-socket", path.display())]
    InUse { path: PathBuf },
    #[error("{} is in the way of the control socket and is no socket; remove it, or choose another with --control-socket", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot make the control socket {} (control.socket)", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "proxyd may not give {} to the group {group} (control.group): add the user that proxyd runs as to it with `usermod -aG {group} USER` and log in anew, or run proxyd as root",
        path.display()
    )]
    NotInGroup { path: PathBuf, group: String, source: io::Error },
}

/// A listening control socket. Its file goes when this does.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    group: Option<Group>,
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
    pub fn bind(path: &Path, group: Option<Group>) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        make_dir(path, group.as_ref())?;
        remove_stale(path)?;
        let address = UnixAddr::new(path).map_err(|errno| failed(errno.into()))?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
            .map_err(|errno| failed(errno.into()))?;
        bind(socket.as_raw_fd(), &address).map_err(|errno| failed(errno.into()))?;
        // Nobody can connect before `listen`, so there is no moment at which others could.
        match &group {
            None => fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?,
            Some(group) => open_to(path, group, 0o660)?,
        }
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        let file = SocketFile { path: path.to_owned(), inode };
        listen(&socket, Backlog::new(128).unwrap_or(Backlog::MAXALLOWABLE))
            .map_err(|errno| failed(errno.into()))?;
        let listener = UnixListener::from_std(socket.into()).map_err(failed)?;
        Ok(Self { listener, group, file })
    }

    pub fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn into_parts(self) -> (UnixListener, Option<Group>, SocketFile) {
        (self.listener, self.group, self.file)
    }
}

/// Makes the directory of `socket` with those above it. What is made is the daemon's alone, or lets the group through;
/// what was there stays as it is, and a person is told if it keeps the group out.
fn make_dir(socket: &Path, group: Option<&Group>) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: socket.to_owned(), source };
    let Some(dir) = socket.parent() else { return Ok(()) };
    let missing: Vec<&Path> = dir.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let Some(group) = group else { return Ok(()) };
    missing.iter().try_for_each(|made| open_to(made, group, 0o710))?;
    for above in dir.ancestors().filter(|above| !above.as_os_str().is_empty()) {
        let meta = fs::metadata(above).map_err(failed)?;
        if !lets_through(meta.mode(), meta.gid(), group.gid) {
            tracing::warn!(
                "{0} keeps the group {1} from the control socket: `chgrp {1} {0} && chmod g+x {0}` lets it through",
                above.display(),
                group.name,
            );
        }
    }
    Ok(())
}

fn open_to(path: &Path, group: &Group, mode: u32) -> Result<(), SocketError> {
    chown(path, None, Some(group.gid)).map_err(|errno| match errno {
        Errno::EPERM => {
            SocketError::NotInGroup { path: path.to_owned(), group: group.name.clone(), source: errno.into() }
        }
        _ => SocketError::Io { path: path.to_owned(), source: errno.into() },
    })?;
    let permissions = Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|source| SocketError::Io { path: path.to_owned(), source })
}

/// Whether members of the group may pass a directory of this mode and group.
fn lets_through(mode: u32, owner: u32, group: Gid) -> bool {
    if owner == group.as_raw() { mode & 0o010 != 0 } else { mode & 0o001 != 0 }
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
        let socket = ControlSocket::bind(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(ControlSocket::bind(&path, None), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(ControlSocket::bind(&path, None).is_ok());
        let file = dir.path().join("file");
        fs::File::create(&file).unwrap();
        assert!(matches!(ControlSocket::bind(&file, None), Err(SocketError::NotASocket { .. })));
        assert!(file.exists());
    }

    #[tokio::test]
    async fn a_path_longer_than_the_system_takes_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120));
        assert!(matches!(ControlSocket::bind(&path, None), Err(SocketError::Io { .. })));
    }

    /// The group this process has anyway, so that it may give files to it.
    fn own_group() -> Group {
        let rights = super::super::group::GroupRights::Read;
        Group { name: "own".to_owned(), gid: nix::unistd::getegid(), rights }
    }

    #[tokio::test]
    async fn a_group_gets_the_socket_and_the_directories_made_for_it_but_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/control.sock");
        let before = fs::metadata(dir.path()).unwrap().mode();
        let _socket = ControlSocket::bind(&path, Some(own_group())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o660);
        assert_eq!(fs::metadata(&path).unwrap().gid(), nix::unistd::getegid().as_raw());
        assert_eq!((mode(&dir.path().join("a/b")), mode(&dir.path().join("a"))), (0o710, 0o710));
        assert_eq!(fs::metadata(dir.path()).unwrap().mode(), before);
    }

    #[test]
    fn a_directory_lets_its_group_or_everybody_through() {
        let group = Gid::from_raw(50);
        for (mode, owner, through) in
            [(0o710, 50, true), (0o700, 50, false), (0o701, 50, false), (0o755, 0, true), (0o710, 0, false)]
        {
            assert_eq!(lets_through(mode, owner, group), through, "{mode:o} {owner}");
        }
    }
}
