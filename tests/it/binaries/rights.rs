//! Who may use the control socket of the real daemon, tried as other users. Only root can become another user:
//! elsewhere the tests say so and pass.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, geteuid};
use proxy_tests::binaries::{Daemon, Done, Live, Machine, programs};
use proxy_tests::fake_claude::FakeClaude;

/// Nobody's number on any machine.
const STRANGER: u32 = 3_999_999_999;

/// A group that every machine has, and nobody in these tests but those made its members.
fn group() -> Group {
    let known = ["nogroup", "users", "games"].into_iter().find_map(|name| Group::from_name(name).unwrap());
    known.expect("a group to test with")
}

fn is_root() -> bool {
    if !geteuid().is_root() {
        eprintln!("not tested: only root can call as another user");
    }
    geteuid().is_root()
}

struct Place {
    machine: Machine,
    daemon: Daemon,
    socket: PathBuf,
    proxyctl: PathBuf,
}

impl Place {
    async fn start(fake: &FakeClaude, rights: Option<&str>) -> Self {
        let machine = Machine::new(fake);
        // Others must be able to pass to the socket and to run the program.
        fs::set_permissions(machine.home(), Permissions::from_mode(0o755)).unwrap();
        let proxyctl = machine.home().join("proxyctl");
        fs::copy(&programs().proxyctl, &proxyctl).unwrap();
        let machine = match rights {
            Some(rights) => machine
                .with("PROXYD_CONTROL__GROUP", group().name)
                .with("PROXYD_CONTROL__GROUP_RIGHTS", rights),
            None => machine,
        };
        let socket = machine.home().join("shared/control.sock");
        let daemon = machine.start_with(&["--control-socket", socket.to_str().unwrap()]).await;
        Self { machine, daemon, socket, proxyctl }
    }

    /// `proxyctl` as this user, with this group and no other.
    async fn as_user(&self, gid: Gid, args: &[&str]) -> Done {
        let mut command = self.machine.command("setpriv");
        command.args([format!("--reuid={STRANGER}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        command.arg(&self.proxyctl).arg("--socket").arg(&self.socket).args(args);
        command.env("HOME", "/nonexistent").current_dir("/");
        Live::start(command).finish().await
    }
}

fn mode(path: &Path) -> (u32, u32) {
    let meta = fs::metadata(path).unwrap();
    (meta.mode() & 0o777, meta.gid())
}

#[tokio::test]
async fn a_member_of_the_group_may_look_and_change_nothing() {
    if !is_root() {
        return;
    }
    let fake = FakeClaude::start().await;
    let place = Place::start(&fake, Some("read")).await;
    let gid = group().gid;
    assert_eq!(mode(&place.socket), (0o660, gid.as_raw()));
    assert_eq!(mode(place.socket.parent().unwrap()), (0o710, gid.as_raw()));
    let done = place.as_user(gid, &["accounts", "list"]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // No account is there, so the answer to one who may is another.
    let done = place.as_user(gid, &["accounts", "disable", "x"]).await;
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains("only root and the user that proxyd runs as may change it"));
    let done = place.as_user(gid, &["keys", "list"]).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let done = place.as_user(gid, &["keys", "create", "x"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(6), ""), "a key is access: {}", done.stderr);
    let log = place.daemon.stop().await.stderr;
    assert!(log.contains("control call refused") && log.contains(&STRANGER.to_string()), "{log}");
}

#[tokio::test]
async fn a_member_may_change_accounts_where_the_group_has_all() {
    if !is_root() {
        return;
    }
    let fake = FakeClaude::start().await;
    let place = Place::start(&fake, Some("all")).await;
    let done = place.as_user(group().gid, &["accounts", "disable", "x"]).await;
    assert_eq!(done.code, Some(5), "it was looked for: {}", done.stderr);
}

#[tokio::test]
async fn nobody_else_may_anything_although_the_socket_is_open_to_all() {
    if !is_root() {
        return;
    }
    let fake = FakeClaude::start().await;
    for rights in [None, Some("all")] {
        let place = Place::start(&fake, rights).await;
        fs::set_permissions(place.socket.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
        let outsider = Gid::from_raw(STRANGER);
        fs::set_permissions(&place.socket, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(place.as_user(outsider, &["accounts", "list"]).await.code, Some(6));
        fs::set_permissions(&place.socket, Permissions::from_mode(0o666)).unwrap();
        let done = place.as_user(outsider, &["accounts", "list"]).await;
        assert_eq!(done.code, Some(6));
        assert!(done.stderr.contains("only root"), "{}", done.stderr);
    }
}

#[tokio::test]
async fn a_socket_that_a_stranger_serves_is_told_nothing() {
    if !is_root() {
        return;
    }
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let dir = machine.home().join("theirs");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(machine.home(), Permissions::from_mode(0o755)).unwrap();
    chown(&dir, Some(STRANGER), Some(STRANGER)).unwrap();
    let (socket, auth, program) = (dir.join("control.sock"), dir.join("auth"), machine.home().join("proxyd"));
    fs::copy(&programs().proxyd, &program).unwrap();
    // A daemon of theirs, which would keep what it is told.
    let mut thief = machine.command("setpriv");
    thief.args([format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()]);
    thief.arg(&program).args(["--listen", "127.0.0.1:0", "--control-socket"]).arg(&socket);
    thief.arg("--auth-dir").arg(&auth).env("HOME", &dir).current_dir("/");
    let mut thief = Live::start(thief);
    thief.stderr_line("ready").await;
    let key = machine.home().join("key");
    fs::File::create(&key).unwrap().write_all(b"sk-ant-api03-FAKE-stolen\n").unwrap();
    let add = ["accounts", "add", "claude", "--key-file", key.to_str().unwrap()];
    let done = machine.proxyctl(&[&["--socket", socket.to_str().unwrap()], &add[..]].concat()).await;
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("is served by the user {STRANGER}")), "{}", done.stderr);
    thief.signal(Signal::SIGTERM);
    thief.finish().await;
    let kept = fs::read_dir(&auth).unwrap().map(|entry| entry.unwrap().file_name());
    let kept: Vec<_> = kept.filter(|name| !name.to_string_lossy().starts_with('.')).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_a_mistake_at_the_start() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake).with("PROXYD_CONTROL__GROUP", "no-such-group");
    let done = machine.proxyd(&["--listen", "127.0.0.1:0"]).await;
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("there is no group no-such-group (control.group)"), "{}", done.stderr);
}
