//! Users and groups of this machine, by name, and who belongs to whom. What is asked of the system's user database may
//! block.

use nix::unistd::{Gid, Group as GroupEntry, Uid, User, getgrouplist};

/// Why a name of the configuration means nobody.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error("there is no group {name} ({key}): create it with `groupadd --system {name}`, or name another")]
    NoGroup { name: String, key: &'static str },
    #[error("there is no user {name} ({key}): name another, or give its number")]
    NoUser { name: String, key: &'static str },
    #[error("cannot look {name} up ({key})")]
    Failed { name: String, key: &'static str, source: std::io::Error },
}

/// A group that exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub name: String,
    pub gid: Gid,
}

impl Group {
    /// The group of this name; `key` is where it was named.
    pub fn find(name: &str, key: &'static str) -> Result<Self, LookupError> {
        match GroupEntry::from_name(name) {
            Ok(Some(entry)) => Ok(Self { name: name.to_owned(), gid: entry.gid }),
            Ok(None) => Err(LookupError::NoGroup { name: name.to_owned(), key }),
            Err(errno) => Err(LookupError::Failed { name: name.to_owned(), key, source: errno.into() }),
        }
    }

    /// Whether this user belongs to it, by the primary group of the calling process, if that is known, or by the user
    /// database. A user the system does not know has no group but the process's own.
    pub fn has(&self, uid: Uid, gid: Option<Gid>) -> bool {
        gid == Some(self.gid) || groups(uid).contains(&self.gid)
    }
}

/// The user of this name or number; `key` is where it was named.
pub fn user(name: &str, key: &'static str) -> Result<Uid, LookupError> {
    if let Ok(number) = name.parse() {
        return Ok(Uid::from_raw(number));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid),
        Ok(None) => Err(LookupError::NoUser { name: name.to_owned(), key }),
        Err(errno) => Err(LookupError::Failed { name: name.to_owned(), key, source: errno.into() }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_means_nobody_is_told_with_its_key() {
        let error = Group::find("no-such-group", "control.group").unwrap_err();
        assert!(error.to_string().contains("there is no group no-such-group (control.group)"), "{error}");
        let error = user("no-such-user", "http.users").unwrap_err();
        assert!(error.to_string().contains("there is no user no-such-user (http.users)"), "{error}");
    }

    #[test]
    fn users_are_named_or_numbered() {
        assert_eq!(user("root", "http.users").unwrap(), Uid::from_raw(0));
        assert_eq!(user("4711", "http.users").unwrap(), Uid::from_raw(4711));
    }

    #[test]
    fn a_member_is_known_by_the_process_or_by_the_database() {
        let group = |gid| Group { name: "g".to_owned(), gid: Gid::from_raw(gid) };
        let nobody = Uid::from_raw(4_000_000_000);
        assert!(group(4711).has(nobody, Some(Gid::from_raw(4711))));
        assert!(!group(4711).has(nobody, Some(Gid::from_raw(4712))));
        assert!(!group(4711).has(nobody, None));
        // root's primary group is 0 everywhere.
        assert!(group(0).has(Uid::from_raw(0), None));
    }
}
