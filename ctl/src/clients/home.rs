//! Where the person's programs keep their files.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::Error;

/// The directories that a program's own paths begin with.
#[derive(Debug)]
pub(crate) struct Home {
    directory: PathBuf,
    variable: fn(&str) -> Option<OsString>,
    exists: fn(&PathBuf) -> bool,
}

impl Home {
    pub(crate) fn look() -> Result<Self, Error> {
        let named = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let user = || nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
        let directory = named.or_else(user).ok_or_else(|| Error::Usage {
            what: "your home directory is not known".to_owned(),
            hint: "set HOME to it".to_owned(),
        })?;
        Ok(Self { directory, variable, exists: |path| path.exists() })
    }

    /// A path below the home directory.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.join(below)
    }

    /// The directory that a variable names, or the one below the home directory that stands for it.
    pub(crate) fn directory(&self, variable: &str, below: &str) -> PathBuf {
        let named = (self.variable)(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        named.unwrap_or_else(|| self.path(below))
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory("XDG_CONFIG_HOME", ".config")
    }

    /// What proxyctl itself keeps, over restarts of everything.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory("XDG_STATE_HOME", ".local/state").join("proxyctl")
    }

    /// The file if it is there, else the other one.
    pub(crate) fn there_or(&self, file: PathBuf, other: PathBuf) -> PathBuf {
        if (self.exists)(&file) { file } else { other }
    }
}

#[expect(clippy::disallowed_methods, reason = "where programs keep their files is said by the environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
