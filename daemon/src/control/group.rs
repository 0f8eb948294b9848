//! The group whose members may use the control socket beside root and the daemon's own user
//! (`control.group`), and who its members are. What it asks the system's user database may block.

use std::str::FromStr;

use nix::unistd::{Gid, Group as Entry, Uid, User, getgrouplist};

/// What `control.group` and `control.group_rights` say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupConfig {
    pub name: String,
    pub rights: GroupRights,
}

/// How much the members may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupRights {
    /// Look, and change nothing.
    Read,
    /// Everything but what reads and writes files of the member's choice with the daemon's identity.
    All,
}

/// Why the group cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error(
        "there is no group {name} (control.group): create it with `groupadd --system {name}`, or name another"
    )]
    Unknown { name: String },
    #[error("cannot look the group {name} up (control.group)")]
    Lookup { name: String, source: std::io::Error },
}

/// A group that exists.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) name: String,
    pub(super) gid: Gid,
    pub(super) rights: GroupRights,
}

impl Group {
    /// Blocks while the system looks.
    pub fn find(config: GroupConfig) -> Result<Self, GroupError> {
        let GroupConfig { name, rights } = config;
        match Entry::from_name(&name) {
            Ok(Some(entry)) => Ok(Self { name, gid: entry.gid, rights }),
            Ok(None) => Err(GroupError::Unknown { name }),
            Err(errno) => Err(GroupError::Lookup { name, source: errno.into() }),
        }
    }

    /// Whether this user belongs to it, by the primary group of the calling process or by the user database.
    /// Blocks while the system looks. A user the system does not know has no group but the process's own.
    pub(super) fn has(&self, uid: Uid, gid: Gid) -> bool {
        gid == self.gid || groups(uid).contains(&self.gid)
    }
}

fn groups(uid: Uid) -> Vec<Gid> {
    let user = User::from_uid(uid).ok().flatten();
    let name = user.as_ref().and_then(|user| std::ffi::CString::new(user.name.as_str()).ok());
    match (user, name) {
        (Some(user), Some(name)) => getgrouplist(&name, user.gid).unwrap_or_default(),
        _ => Vec::new(),
    }
}

impl FromStr for GroupRights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "read" => Ok(Self::Read),
            "all" => Ok(Self::All),
            _ => Err(format!("{text:?} must be read or all")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_does_not_exist_is_named_with_its_key() {
        let config = GroupConfig { name: "no-such-group".to_owned(), rights: GroupRights::Read };
        let error = Group::find(config).unwrap_err();
        assert!(error.to_string().contains("there is no group no-such-group (control.group)"), "{error}");
    }

    #[test]
    fn a_member_is_known_by_the_process_or_by_the_database() {
        let group = |gid| Group { name: "g".to_owned(), gid: Gid::from_raw(gid), rights: GroupRights::Read };
        let nobody = Uid::from_raw(4_000_000_000);
        assert!(group(4711).has(nobody, Gid::from_raw(4711)));
        assert!(!group(4711).has(nobody, Gid::from_raw(4712)));
        // root's primary group is 0 everywhere.
        assert!(group(0).has(Uid::from_raw(0), Gid::from_raw(4712)));
    }

    #[test]
    fn the_rights_are_read_or_all() {
        assert_eq!("read".parse(), Ok(GroupRights::Read));
        assert_eq!(" all ".parse(), Ok(GroupRights::All));
        assert!("write".parse::<GroupRights>().is_err() && "".parse::<GroupRights>().is_err());
    }
}
