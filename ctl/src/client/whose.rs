//! Whose daemon listens on a socket. It is asked before anything is sent: a stranger's socket would be handed
//! authorization codes and keys.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{Uid, User, geteuid};
use proxy_proto::socket;
use tokio::net::UnixStream;

use crate::error::Error;

/// What matters of a directory.
#[derive(Debug, Clone, Copy)]
struct Directory {
    owner: u32,
    mode: u32,
}

/// Refuses a socket that is served by somebody else than this user, root or the system's daemon.
pub(super) fn check(stream: &UnixStream, path: &Path) -> Result<(), Error> {
    let peer = stream.peer_cred().map_err(|source| Error::Connect { socket: path.to_owned(), source })?;
    let system = if path == Path::new(socket::SYSTEM) { directories(path) } else { None };
    if is_accepted(peer.uid(), geteuid().as_raw(), system) {
        return Ok(());
    }
    let user = User::from_uid(Uid::from_raw(peer.uid())).ok().flatten().map(|user| user.name);
    Err(Error::Stranger { socket: path.to_owned(), uid: peer.uid(), user })
}

/// The directory of a socket and the one above it.
fn directories(path: &Path) -> Option<[Directory; 2]> {
    let look = |path: &Path| {
        let meta = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir)?;
        Some(Directory { owner: meta.uid(), mode: meta.mode() })
    };
    let directory = path.parent()?;
    Some([look(directory)?, look(directory.parent()?)?])
}

/// `system` is given for the system's socket: whoever owns its directory was put there by root, if nobody
/// else could have made that directory.
fn is_accepted(server: u32, own: u32, system: Option<[Directory; 2]>) -> bool {
    let trusted = |[directory, above]: [Directory; 2]| {
        above.owner == 0 && above.mode & 0o022 == 0 && directory.owner == server
    };
    server == own || server == 0 || system.is_some_and(trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_user_root_and_the_owner_of_the_systems_directory_are_accepted() {
        let directory = |owner, mode| Directory { owner, mode };
        let system = |owner, above, mode| Some([directory(owner, 0o755), directory(above, mode)]);
        for (server, own, system, accepted) in [
            (1000, 1000, None, true),
            (0, 1000, None, true),
            (1001, 1000, None, false),
            (1001, 0, None, false),
            (990, 1000, system(990, 0, 0o755), true),
            (990, 0, system(990, 0, 0o755), true),
            (991, 1000, system(990, 0, 0o755), false),
            (990, 1000, system(990, 990, 0o755), false),
            (990, 1000, system(990, 0, 0o1777), false),
            (990, 1000, system(990, 0, 0o775), false),
        ] {
            assert_eq!(is_accepted(server, own, system), accepted, "{server} {own} {system:?}");
        }
    }
}
