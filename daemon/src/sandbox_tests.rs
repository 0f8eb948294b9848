//! Each restriction on a thread of its own, since there is no way back.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::process::Command;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::*;

fn config(landlock: Landlock) -> Config {
    Config { landlock, state_dir: None, certificates: Vec::new(), notify_socket: None }
}

/// A directory with what is allowed and what is not.
fn home() -> (tempfile::TempDir, Places) {
    let home = tempfile::tempdir().unwrap();
    for dir in ["auth", "run", "other"] {
        fs::create_dir(home.path().join(dir)).unwrap();
    }
    for file in ["auth/a.json", "other/secret", "ca.pem"] {
        File::create(home.path().join(file)).unwrap();
    }
    let at = |name: &str| vec![home.path().join(name)];
    let places = Places { state: at("auth"), sockets: at("run"), read: at("ca.pem") };
    (home, places)
}

fn restricted(test: impl FnOnce(&Path) + Send + 'static) {
    let (home, places) = home();
    let thread = std::thread::spawn(move || {
        assert_eq!(restrict(&config(Landlock::Required), &places).unwrap(), Restricted::Fully);
        test(home.path());
    });
    thread.join().unwrap();
}

fn is_denied<T>(result: std::io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn what_the_daemon_uses_goes_on_as_before() {
    restricted(|home| {
        let (new, old) = (home.join("auth/b.json"), home.join("auth/a.json"));
        fs::create_dir(home.join("auth/.responses")).unwrap();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).open(&new).unwrap().sync_all().unwrap();
        renameat2(AT_FDCWD, &new, AT_FDCWD, &old, RenameFlags::RENAME_EXCHANGE).unwrap();
        fs::rename(&new, home.join("auth/c.json")).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&old).unwrap().set_len(0).unwrap();
        fs::remove_file(&old).unwrap();
        File::open(home.join("auth")).unwrap().sync_all().unwrap();
        drop(UnixListener::bind(home.join("run/control.sock")).unwrap());
        fs::remove_file(home.join("run/control.sock")).unwrap();
        File::open(home.join("ca.pem")).unwrap();
        for path in ["/etc/hosts", "/etc/nsswitch.conf", "/proc/net/tcp", "/proc/self/status", "/dev/urandom"]
        {
            File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        OpenOptions::new().write(true).open("/dev/null").unwrap();
    });
}

#[test]
fn everything_else_is_closed_to_it_and_to_the_threads_it_starts() {
    restricted(|home| {
        let home = home.to_owned();
        let closed = move || {
            assert!(is_denied(File::open(home.join("other/secret"))));
            assert!(is_denied(fs::read_dir(home.join("other"))));
            assert!(is_denied(fs::read_dir("/")));
            assert!(is_denied(File::create(home.join("new"))));
            assert!(is_denied(File::create(home.join("run/new"))));
            assert!(is_denied(fs::remove_file(home.join("other/secret"))));
            assert!(is_denied(OpenOptions::new().write(true).open(home.join("ca.pem"))));
            assert!(is_denied(OpenOptions::new().append(true).open("/etc/hosts")));
            assert!(is_denied(Command::new("/bin/true").status()));
            // Out of the directory, whichever of the two ways.
            assert!(fs::rename(home.join("auth/a.json"), home.join("other/a.json")).is_err());
            assert!(fs::hard_link(home.join("other/secret"), home.join("auth/secret")).is_err());
        };
        closed();
        std::thread::spawn(closed).join().unwrap();
    });
}

#[test]
fn a_thread_that_was_there_before_is_not_restricted() {
    let (home, places) = home();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let secret = home.path().join("other/secret");
    let before = std::thread::spawn(move || {
        gone.recv().unwrap();
        File::open(secret).is_ok()
    });
    std::thread::spawn(move || restrict(&config(Landlock::Required), &places).unwrap()).join().unwrap();
    go.send(()).unwrap();
    assert!(before.join().unwrap());
}

#[test]
fn switched_off_it_restricts_nothing() {
    let (home, places) = home();
    let thread = std::thread::spawn(move || {
        assert_eq!(restrict(&config(Landlock::Off), &places).unwrap(), Restricted::Not);
        File::open(home.path().join("other/secret")).unwrap();
    });
    thread.join().unwrap();
}

#[test]
fn certificates_that_the_environment_names_can_be_read() {
    let (home, places) = home();
    let certificates = vec![home.path().join("other"), home.path().join("not there")];
    let config = Config { certificates, ..config(Landlock::Required) };
    let thread = std::thread::spawn(move || {
        restrict(&config, &places).unwrap();
        File::open(home.path().join("other/secret")).unwrap();
    });
    thread.join().unwrap();
}

#[test]
fn a_place_that_is_not_there_is_named() {
    let (home, mut places) = home();
    places.state.push(home.path().join("gone"));
    let restricted =
        std::thread::spawn(move || restrict(&config(Landlock::Required), &places)).join().unwrap();
    assert!(restricted.unwrap_err().to_string().ends_with("/gone"));
}

/// How the kernel answers, as the crate hands it on: its type cannot be made here.
fn judged(like: impl FnOnce(&mut RestrictionStatus) + Send + 'static) -> Result<(), Lack> {
    let status = std::thread::spawn(|| {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).unwrap();
        let mut status = ruleset.create().unwrap().restrict_self().unwrap();
        like(&mut status);
        status
    });
    judge(&status.join().unwrap())
}

#[test]
fn anything_but_the_whole_is_refused_with_what_is_missing_and_the_switch() {
    assert_eq!(judged(|_| {}), Ok(()));
    let lacks = [
        (judged(|status| status.ruleset = RulesetStatus::PartiallyEnforced), "only a part"),
        (judged(|status| status.no_new_privs = false), "only a part"),
        (
            judged(|status| {
                status.ruleset = RulesetStatus::NotEnforced;
                status.landlock = LandlockStatus::NotImplemented;
            }),
            "no landlock, or its calls are forbidden",
        ),
        (
            judged(|status| {
                status.ruleset = RulesetStatus::NotEnforced;
                status.landlock = LandlockStatus::NotEnabled;
            }),
            "landlock is switched off",
        ),
    ];
    for (lack, words) in lacks {
        let said = SandboxError::Unavailable { lack: lack.unwrap_err() }.to_string();
        assert!(said.contains(words) && said.contains("sandbox.landlock = \"off\""), "{said}");
    }
}

#[test]
fn resolver_files_bring_their_directory_unless_that_is_half_the_machine() {
    for (file, dir) in [
        ("/run/systemd/resolve/stub-resolv.conf", Some("/run/systemd/resolve")),
        ("/mnt/wsl/resolv.conf", Some("/mnt/wsl")),
        ("/etc/resolv.conf", None),
        ("/resolv.conf", None),
    ] {
        assert_eq!(directory_of(Path::new(file)), dir.map(PathBuf::from), "{file}");
    }
}
