//! Where the control socket is when nobody says otherwise. Both programs must agree, so the rule lives here,
//! once.

use std::path::PathBuf;

use directories::ProjectDirs;

/// The system daemon's socket.
pub const SYSTEM: &str = "/run/proxyd/control.sock";

/// The one that systemd makes for the system's daemon (`proxyd-control.socket`): it outlives the daemon, which a socket in the
/// daemon's runtime directory would not.
pub const SYSTEM_GIVEN: &str = "/run/proxyd-control.sock";

/// The socket of this user's own daemon: `$XDG_RUNTIME_DIR/proxyd/control.sock`, or where there is no runtime
/// directory, `run/control.sock` in the private state directory. `None` when the user has no home either.
pub fn user() -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "proxyd")?;
    let dir = match dirs.runtime_dir() {
        Some(runtime) => runtime.to_owned(),
        None => dirs.state_dir()?.join("run"),
    };
    Some(dir.join("control.sock"))
}
