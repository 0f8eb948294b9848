//! The state file: what was learned about the accounts beside their files, so that a restart does not forget it. Losing it
//! costs a few requests that find out again; so it appears whole, and nobody waits for the disk.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::read;

/// Beside the accounts' files, and none of them: it is private as they are, and its owner is whoever holds their lock.
const NAME: &str = ".pool-state";
const TEMP: &str = ".pool-state.new";
/// Thousands of accounts, each with as many windows and cooldowns as are remembered, need no more.
const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// What the last run left, if it left anything that can be read.
pub(super) fn load(dir: &Path) -> Option<Vec<u8>> {
    read::read_private_up_to(MAX_SIZE, &dir.join(NAME)).ok()
}

pub(super) fn save(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = dir.join(TEMP);
    match fs::remove_file(&temp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(&temp)?;
        file.write_all(bytes)?;
        fs::rename(&temp, dir.join(NAME))
    };
    write().inspect_err(|_| {
        // It takes space that a token may need.
        let _gone = fs::remove_file(&temp);
    })
}
