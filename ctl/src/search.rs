//! The search path of programs.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where a shell looks if nobody says where to.
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin";

/// The first program of this name.
pub(crate) fn program(name: &OsStr) -> Option<PathBuf> {
    directories().into_iter().map(|directory| directory.join(name)).find(|path| is_program(path))
}

pub(crate) fn directories() -> Vec<PathBuf> {
    let path = variable().unwrap_or_else(|| USUAL.into());
    std::env::split_paths(&path).collect()
}

/// A file that somebody may execute.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

#[expect(clippy::disallowed_methods, reason = "the search path is said by the environment and nowhere else")]
fn variable() -> Option<OsString> {
    std::env::var_os("PATH")
}
