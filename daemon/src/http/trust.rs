//! Whose programs are served without a key: the daemon's own user's, root's, and those of the users and groups that the
//! configuration names.

use std::sync::Arc;

use nix::unistd::{Gid, Uid, geteuid};

use super::peer::Peer;
use crate::tasks::Tasks;
use crate::users::{self, Group, LookupError};

#[derive(Clone, Debug)]
pub(super) struct Trust {
    own: Uid,
    users: Vec<Uid>,
    groups: Arc<[Group]>,
    tasks: Tasks,
}

impl Trust {
    /// Blocks while the system looks the names up.
    pub(super) fn new(users: &[String], groups: &[String], tasks: Tasks) -> Result<Self, LookupError> {
        let users = users.iter().map(|name| users::user(name, "http.users")).collect::<Result<_, _>>()?;
        let groups = groups.iter().map(|name| Group::find(name, "http.groups")).collect::<Result<_, _>>()?;
        Ok(Self { own: geteuid(), users, groups, tasks })
    }

    /// Asked once a connection. `gid` is the primary group of the calling process, where the kernel tells it.
    pub(super) async fn trusts(&self, peer: Peer, gid: Option<Gid>) -> bool {
        let Peer::Uid(uid) = peer else { return false };
        let uid = Uid::from_raw(uid);
        if uid == self.own || uid.is_root() || self.users.contains(&uid) {
            return true;
        }
        if self.groups.is_empty() {
            return false;
        }
        // The user database may be on another machine.
        let groups = Arc::clone(&self.groups);
        let looking = self.tasks.spawn_blocking(move || groups.iter().any(|group| group.has(uid, gid)));
        // A lookup that panicked has proved nothing.
        looking.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No user has this number.
    const STRANGER: u32 = 4_000_000_000;

    fn trust(users: &[&str], groups: &[&str]) -> Trust {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Trust::new(&owned(users), &owned(groups), Tasks::new()).unwrap()
    }

    #[tokio::test]
    async fn the_own_user_and_root_are_trusted_and_nobody_else_by_default() {
        let trust = trust(&[], &[]);
        assert!(trust.trusts(Peer::Uid(geteuid().as_raw()), None).await);
        assert!(trust.trusts(Peer::Uid(0), None).await);
        assert!(!trust.trusts(Peer::Uid(STRANGER), Some(Gid::from_raw(0))).await);
        assert!(!trust.trusts(Peer::Unknown, None).await);
    }

    #[tokio::test]
    async fn users_and_members_of_groups_are_trusted_where_they_are_named() {
        assert!(trust(&[&STRANGER.to_string()], &[]).trusts(Peer::Uid(STRANGER), None).await);
        let root = trust(&[], &["root"]);
        assert!(root.trusts(Peer::Uid(STRANGER), Some(Gid::from_raw(0))).await);
        assert!(!root.trusts(Peer::Uid(STRANGER), Some(Gid::from_raw(STRANGER))).await);
        assert!(!root.trusts(Peer::Unknown, Some(Gid::from_raw(0))).await);
    }
}
