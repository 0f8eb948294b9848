//! What this machine says: the socket's rights, the limits of inotify, whether a user's daemon outlives the session, the journal,
//! and who holds the port where no daemon runs.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::{Uid, User};
use proxy_proto::socket;

use crate::clients::shell::quoted;
use crate::holder;
use crate::json::{Finding, Severity};
use crate::place;

/// Where a daemon without a configuration listens.
const USUAL_PORT: u16 = 8080;
/// Fewer are soon used up by editors, and then a directory is read from time to time instead.
const FEW_WATCHES: u64 = 8192;
const FEW_INSTANCES: u64 = 128;

/// What lies where the control socket should.
pub(super) fn socket(path: &Path) -> Vec<Finding> {
    let shown = path.display();
    let Ok(meta) = fs::symlink_metadata(path) else {
        // That nobody listens is said by whoever connects.
        return Vec::new();
    };
    let owner = User::from_uid(Uid::from_raw(meta.uid())).ok().flatten();
    let owner = owner.map_or_else(|| meta.uid().to_string(), |user| user.name);
    let mode = meta.mode() & 0o777;
    if !meta.file_type().is_socket() {
        return vec![
            Finding::new("control socket", Severity::Problem, format!("{shown} is not a socket"))
                .mended_by(format!("ls -l {}", quoted(&path.to_string_lossy()))),
        ];
    }
    // To connect is to write.
    if mode & 0o002 != 0 {
        let found =
            format!("{shown} may be opened by everybody (mode {mode:04o}); the daemon still asks who it is");
        return vec![
            Finding::new("control socket", Severity::Warning, found)
                .mended_by(format!("chmod o= {}", quoted(&path.to_string_lossy()))),
        ];
    }
    vec![Finding::new(
        "control socket",
        Severity::Ok,
        format!("{shown} belongs to {owner} (mode {mode:04o})"),
    )]
}

/// Who holds the port that the daemon would listen on.
pub(super) fn port_holder() -> Vec<Finding> {
    let Some(holder) = holder::of(USUAL_PORT) else { return Vec::new() };
    let found = format!("{holder} holds port {USUAL_PORT}, where proxyd listens unless told otherwise");
    vec![
        Finding::new("port", Severity::Problem, found)
            .mended_by("proxyd --listen 127.0.0.1:8081 # or end the other program"),
    ]
}

/// What the daemon of this machine stands on; `socket` tells whose daemon it is.
pub(super) fn machine(socket: &Path) -> Vec<Finding> {
    let limit =
        |name: &str| fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok();
    let mut findings = Vec::new();
    findings.extend(inotify(limit("max_user_watches"), limit("max_user_instances")));
    findings.extend(journal(
        Path::new("/run/systemd/system").exists(),
        Path::new("/run/systemd/journal/socket").exists(),
    ));
    let user = place::user();
    let is_users = socket::user().as_deref() == Some(socket);
    let has_manager = Path::new("/run/systemd/users").join(nix::unistd::getuid().to_string()).exists();
    let lingers = Path::new("/var/lib/systemd/linger").join(&user).exists();
    if is_users && has_manager {
        findings.push(linger(&user, lingers));
    }
    findings
}

fn inotify(watches: Option<u64>, instances: Option<u64>) -> Option<Finding> {
    let (watches, instances) = (watches?, instances?);
    if watches >= FEW_WATCHES && instances >= FEW_INSTANCES {
        return None;
    }
    let found = format!("{watches} watches and {instances} instances a user are few: editors use them up");
    Some(
        Finding::new("inotify", Severity::Note, found)
            .mended_by("sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"),
    )
}

fn journal(is_systemd: bool, is_there: bool) -> Option<Finding> {
    match (is_systemd, is_there) {
        (false, _) => None,
        (true, true) => Some(Finding::new("journal", Severity::Ok, "journald takes the log")),
        (true, false) => Some(
            Finding::new(
                "journal",
                Severity::Warning,
                "journald is not there: a daemon of systemd's logs nothing",
            )
            .mended_by("systemctl restart systemd-journald"),
        ),
    }
}

fn linger(user: &str, lingers: bool) -> Finding {
    if lingers {
        return Finding::new("linger", Severity::Ok, format!("services of {user} go on after the session"));
    }
    let found = format!("services of {user} end with the last session, this daemon with them");
    Finding::new("linger", Severity::Note, found).mended_by(format!("loginctl enable-linger {user}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_socket_is_judged_by_what_it_is_and_who_may_open_it() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("control.sock");
        assert_eq!(socket(&path), []);
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        for (mode, severity) in [(0o600, Severity::Ok), (0o660, Severity::Ok), (0o666, Severity::Warning)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(socket(&path)[0].severity, severity, "{mode:o}");
        }
        let file = directory.path().join("file");
        fs::File::create_new(&file).unwrap();
        assert_eq!(socket(&file)[0].severity, Severity::Problem);
    }

    #[test]
    fn few_watches_a_lost_journal_and_a_short_life_are_told() {
        assert_eq!(inotify(Some(524_288), Some(512)), None);
        assert_eq!(inotify(None, Some(1)), None);
        assert_eq!(inotify(Some(100), Some(512)).unwrap().severity, Severity::Note);
        assert_eq!(journal(false, false), None);
        assert_eq!(journal(true, true).unwrap().severity, Severity::Ok);
        assert_eq!(journal(true, false).unwrap().severity, Severity::Warning);
        assert_eq!(linger("ada", true).severity, Severity::Ok);
        assert_eq!(linger("ada", false).command.as_deref(), Some("loginctl enable-linger ada"));
    }
}
