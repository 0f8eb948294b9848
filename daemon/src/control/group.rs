//! The group whose members may use the control socket beside root and the daemon's own user
//! (`control.group`).

use std::str::FromStr;

use crate::users::{self, LookupError};

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

/// A group that exists, and its rights.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) group: users::Group,
    pub(super) rights: GroupRights,
}

impl Group {
    /// Blocks while the system looks.
    pub fn find(config: GroupConfig) -> Result<Self, LookupError> {
        let GroupConfig { name, rights } = config;
        Ok(Self { group: users::Group::find(&name, "control.group")?, rights })
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
    fn the_rights_are_read_or_all() {
        assert_eq!("read".parse(), Ok(GroupRights::Read));
        assert_eq!(" all ".parse(), Ok(GroupRights::All));
        assert!("write".parse::<GroupRights>().is_err() && "".parse::<GroupRights>().is_err());
    }
}
