//! How the auth directory is: whether it is private, can be written, and has room.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::atomic::Reservation;
use crate::chain::ErrorChain;

/// What a look at the directory showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// Its permission bits.
    pub mode: u32,
    /// Bytes that this user may still write.
    pub free: u64,
    /// Why a file like a token's cannot be written; `None` where one was, and is gone again.
    pub refusal: Option<String>,
}

pub(super) fn survey(dir: &Path) -> io::Result<Survey> {
    let mode = dir.metadata()?.mode() & 0o7777;
    let room = statvfs(dir)?;
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    let trial = Reservation::update(dir, "trial.json");
    Ok(Survey { mode, free, refusal: trial.err().map(|error| ErrorChain(&error).to_string()) })
}
