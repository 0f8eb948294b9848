//! Who may use the control socket: root and the daemon's own user, by what the kernel says of the peer,
//! whatever the socket's mode.

use tonic::service::Interceptor;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Status};

#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    uid: u32,
}

impl Rights {
    pub(super) fn of_this_process() -> Self {
        Self { uid: nix::unistd::geteuid().as_raw() }
    }

    fn allows(self, uid: u32) -> bool {
        uid == self.uid || uid == 0
    }
}

impl Interceptor for Rights {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
        match peer {
            Some(peer) if self.allows(peer.uid()) => Ok(request),
            _ => {
                tracing::warn!(peer.uid = peer.map(|peer| peer.uid()), "control call refused");
                Err(Status::permission_denied("only root and the user that proxyd runs as may control it"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemons_own_user_have_rights() {
        let rights = Rights { uid: 1000 };
        assert!(rights.allows(1000) && rights.allows(0));
        assert!(!rights.allows(1001));
    }

    #[test]
    fn a_caller_whose_uid_is_unknown_is_refused() {
        assert!(Rights { uid: 1000 }.call(Request::new(())).is_err());
    }
}
