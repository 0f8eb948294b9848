//! Unix sockets: bound, closed to others (but to whom they are for), and only then listening. A socket that a crash
//! left behind is replaced; one that answers is not.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::{Gid, chown};

use crate::users::Group;

/// What a socket is for, in the words of errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purpose {
    /// As in "the control socket".
    pub name: &'static str,
    /// How another path is chosen.
    pub option: &'static str,
    /// The key of its path.
    pub key: &'static str,
    /// The key of its group.
    pub group_key: &'static str,
}

/// Who can connect. What they may do then is not decided here.
#[derive(Clone, Debug)]
pub enum Access {
    /// The daemon's own user (and root): 0600.
    Owner,
    /// And the members of a group: 0660.
    Group(Group),
    /// Everybody who can reach it: 0666.
    Everybody,
}

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another program listens on the {} {}; stop it, or choose another with {}", of.name, path.display(), of.option)]
    InUse { of: Purpose, path: PathBuf },
    #[error("{} is in the way of the {} and is no socket; remove it, or choose another with {}", path.display(), of.name, of.option)]
    NotASocket { of: Purpose, path: PathBuf },
    #[error("cannot make the {} {} ({})", of.name, path.display(), of.key)]
    Io { of: Purpose, path: PathBuf, source: io::Error },
    #[error(
        "proxyd may not give {} to the group {group} ({}): add the user that proxyd runs as to it with `usermod -aG {group} USER` and log in anew, or run proxyd as root",
        path.display(), of.group_key
    )]
    NotInGroup { of: Purpose, path: PathBuf, group: String, source: io::Error },
}

/// The file of a socket, removed on drop if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// A socket that listens, without blocking, and its file.
pub fn listen_on(
    path: &Path,
    of: Purpose,
    access: &Access,
) -> Result<(UnixListener, SocketFile), SocketError> {
    let failed = |source| SocketError::Io { of, path: path.to_owned(), source };
    make_dir(path, of, access)?;
    if let Access::Group(group) = access {
        warn_of_closed_directories(path, of, group).map_err(failed)?;
    }
    remove_stale(path, of)?;
    let address = UnixAddr::new(path).map_err(|errno| failed(errno.into()))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket =
        socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(|errno| failed(errno.into()))?;
    bind(socket.as_raw_fd(), &address).map_err(|errno| failed(errno.into()))?;
    // Nobody can connect before `listen`, so there is no moment at which others could.
    give(path, of, access)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    let file = SocketFile { path: path.to_owned(), inode };
    listen(&socket, Backlog::new(1024).unwrap_or(Backlog::MAXALLOWABLE))
        .map_err(|errno| failed(errno.into()))?;
    Ok((socket.into(), file))
}

/// Opens the file of a socket to whom it is for, and closes it to everybody else.
pub fn give(path: &Path, of: Purpose, access: &Access) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { of, path: path.to_owned(), source };
    match access {
        Access::Owner => fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed),
        Access::Group(group) => open_to(path, of, group, 0o660),
        Access::Everybody => fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed),
    }
}

impl SocketFile {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the directory of `socket` with those above it. What is made is the daemon's alone, or lets those through that the
/// socket is for; what was there stays as it is.
pub fn make_dir(socket: &Path, of: Purpose, access: &Access) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { of, path: socket.to_owned(), source };
    let Some(dir) = socket.parent() else { return Ok(()) };
    let missing: Vec<&Path> = dir.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    match access {
        Access::Owner => Ok(()),
        Access::Group(group) => missing.iter().try_for_each(|made| open_to(made, of, group, 0o710)),
        Access::Everybody => {
            let open = |made: &&Path| fs::set_permissions(made, Permissions::from_mode(0o711));
            missing.iter().try_for_each(open).map_err(failed)
        }
    }
}

/// Tells a person where a directory keeps the group out.
fn warn_of_closed_directories(socket: &Path, of: Purpose, group: &Group) -> io::Result<()> {
    for above in socket.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        let meta = fs::metadata(above)?;
        if !lets_through(meta.mode(), meta.gid(), group.gid) {
            tracing::warn!(
                "{0} keeps the group {1} from the {2}: `chgrp {1} {0} && chmod g+x {0}` lets it through",
                above.display(),
                group.name,
                of.name,
            );
        }
    }
    Ok(())
}

fn open_to(path: &Path, of: Purpose, group: &Group, mode: u32) -> Result<(), SocketError> {
    chown(path, None, Some(group.gid)).map_err(|errno| match errno {
        Errno::EPERM => {
            let (path, group) = (path.to_owned(), group.name.clone());
            SocketError::NotInGroup { of, path, group, source: errno.into() }
        }
        _ => SocketError::Io { of, path: path.to_owned(), source: errno.into() },
    })?;
    let failed = |source| SocketError::Io { of, path: path.to_owned(), source };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)
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

fn remove_stale(path: &Path, of: Purpose) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { of, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            Err(SocketError::NotASocket { of, path: path.to_owned() })
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed)
            }
            Ok(_) => Err(SocketError::InUse { of, path: path.to_owned() }),
            Err(error) => Err(failed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Purpose =
        Purpose { name: "test socket", option: "--test", key: "test.socket", group_key: "test.group" };

    fn owners(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
        listen_on(path, OF, &Access::Owner)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_socket_is_private_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/test.sock");
        let socket = owners(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(owners(&path), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(owners(&path).is_ok());
        let file = dir.path().join("file");
        fs::File::create(&file).unwrap();
        assert!(matches!(owners(&file), Err(SocketError::NotASocket { .. })));
        assert!(file.exists());
    }

    #[test]
    fn a_path_longer_than_the_system_takes_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = owners(&dir.path().join("x".repeat(120))).unwrap_err();
        assert!(error.to_string().contains("(test.socket)"), "{error}");
    }

    #[test]
    fn a_group_gets_the_socket_and_the_directories_made_for_it_but_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/test.sock");
        let before = fs::metadata(dir.path()).unwrap().mode();
        // The group this process has anyway, so that it may give files to it.
        let own = Group { name: "own".to_owned(), gid: nix::unistd::getegid() };
        let _socket = listen_on(&path, OF, &Access::Group(own)).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(fs::metadata(&path).unwrap().gid(), nix::unistd::getegid().as_raw());
        assert_eq!((mode(&dir.path().join("a/b")), mode(&dir.path().join("a"))), (0o710, 0o710));
        assert_eq!(fs::metadata(dir.path()).unwrap().mode(), before);
    }

    #[test]
    fn a_socket_for_everybody_can_be_reached_by_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/test.sock");
        let _socket = listen_on(&path, OF, &Access::Everybody).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o666, 0o711));
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
