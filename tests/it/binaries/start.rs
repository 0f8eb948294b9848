//! Starting: with nothing at all, and every way in which it cannot.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proxy_tests::binaries::{Live, Machine, programs};
use proxy_tests::daemon::private_dir;
use proxy_tests::fake_claude::FakeClaude;
use serde_json::json;

/// What the issue promises for a start that fails.
const PROMISED: Duration = Duration::from_secs(1);
const EX_CONFIG: i32 = 78;

/// Everything below, with its mode; links are not followed.
fn tree(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            found.extend(tree(&path));
        }
        found.push((path, meta.mode() & 0o7777));
    }
    found
}

#[tokio::test]
async fn it_starts_with_nothing_but_a_home_and_everything_it_makes_is_private() {
    let fake = FakeClaude::start().await;
    for has_runtime_dir in [true, false] {
        let mut machine = Machine::new(&fake);
        let mut socket = machine.control_socket();
        if !has_runtime_dir {
            fs::remove_dir(machine.home().join("runtime")).unwrap();
            machine = machine.without("XDG_RUNTIME_DIR");
            socket = machine.home().join(".local/state/proxyd/run/control.sock");
        }
        let before = tree(machine.home()).len();
        // The most open umask there is.
        let mut command = machine.command("sh");
        command.args(["-c", "umask 0; exec \"$0\" --listen 127.0.0.1:0"]).arg(&programs().proxyd);
        let mut live = Live::start(command);
        live.stderr_line("proxyd is ready").await;
        let status = machine.proxyctl(&["status", "--json"]).await;
        assert_eq!(status.code, Some(4), "no account is usable: {}", status.stderr);
        let status = status.json();
        assert_eq!(status["auth_dir"], json!(machine.auth_dir().canonicalize().unwrap()));
        assert_eq!(status["control_socket"], json!(socket));
        assert_eq!((&status["ready"], &status["accounts"]["total"]), (&json!(false), &json!(0)));
        let made = tree(machine.home());
        assert!(made.len() > before && made.iter().any(|(path, _)| *path == socket));
        for (path, mode) in made {
            // Umask 0 is the starting shell's; what stands above the daemon's own is as any program makes it.
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
        live.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(live.finish().await.code, Some(0));
    }
}

#[tokio::test]
async fn it_says_that_it_lives_and_that_it_cannot_serve_yet() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    assert_eq!(daemon.get("/readyz").await.status(), 503);
    let refused = daemon.ask("hello").await;
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("proxyctl login claude"));
    machine.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    proxy_tests::wait::within("the account is found", async {
        while daemon.get("/readyz").await.status() != 200 {}
    })
    .await;
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn what_is_in_use_is_named_and_the_start_fails_at_once() {
    let fake = FakeClaude::start().await;
    let (machine, other) = (Machine::new(&fake), Machine::new(&fake));
    let running = machine.start().await;
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().to_string();
    let (auth, socket) = (machine.auth_dir(), machine.control_socket());
    let (auth, socket) = (auth.to_str().unwrap(), socket.to_str().unwrap());
    let cases: [(&[&str], [&str; 2]); 3] = [
        (&["--listen", &port], [&port, "in use"]),
        (&["--listen", "127.0.0.1:0", "--control-socket", socket], [socket, "another program"]),
        (&["--listen", "127.0.0.1:0", "--auth-dir", auth], [auth, "in use by another proxyd"]),
    ];
    for (args, words) in cases {
        fails(&other, args, 1, &words).await;
    }
    // And the one that runs is unharmed.
    assert_eq!(machine.proxyctl(&["status"]).await.code, Some(4));
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test]
async fn an_auth_directory_that_cannot_be_used_is_named_with_the_reason() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let file = machine.home().join("file");
    fs::File::create(&file).unwrap();
    let file = file.to_str().unwrap();
    let below = format!("{file}/auth");
    let nowhere = "/proc/proxyd-auth";
    let dir = private_dir(machine.home().join("not-a-socket"));
    let (dir, in_the_way) = (dir.to_str().unwrap(), machine.home().join("socket-file"));
    fs::File::create(&in_the_way).unwrap();
    let in_the_way = in_the_way.to_str().unwrap();
    let cases: [(&[&str], [&str; 2]); 5] = [
        (&["--auth-dir", file], [file, "auth directory"]),
        (&["--auth-dir", &below], [&below, "auth directory"]),
        (&["--auth-dir", nowhere], [nowhere, "auth directory"]),
        (&["--auth-dir", dir, "--control-socket", in_the_way], [in_the_way, "no socket"]),
        (&["--auth-dir", dir, "--control-socket", &below], [&below, "control socket"]),
    ];
    for (args, words) in cases {
        let args: Vec<&str> = ["--listen", "127.0.0.1:0"].iter().chain(args).copied().collect();
        fails(&machine, &args, 1, &words).await;
    }
    assert_eq!(fs::read(file).unwrap(), b"");
}

#[tokio::test]
async fn a_directory_in_which_nothing_can_be_written_is_no_auth_directory() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    // A limit on the size of files holds for every user; the rights of a directory do not hold for root.
    let mut command = machine.command("sh");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" --listen 127.0.0.1:0";
    command.args(["-c", script]).arg(&programs().proxyd);
    let done = Live::start(command).finish().await;
    assert_eq!(done.code, Some(1));
    let dir = machine.auth_dir().canonicalize().unwrap();
    assert!(
        done.stderr.contains("cannot be written") && done.stderr.contains(dir.to_str().unwrap()),
        "{}",
        done.stderr
    );
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&dir, Some(65534), None).unwrap();
        fails(&machine, &["--listen", "127.0.0.1:0"], 1, &["belongs to uid 65534", dir.to_str().unwrap()])
            .await;
    } else {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
        fails(&machine, &["--listen", "127.0.0.1:0"], 1, &["auth directory", dir.to_str().unwrap()]).await;
    }
}

#[tokio::test]
async fn every_mistake_in_the_configuration_is_named_with_its_place() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let dir = private_dir(machine.home().join(".config/proxyd"));
    let file = dir.join("config.toml");
    put_text(&file, "[http]\nlisten = [\"127.0.0.1:0\"]\n  lisen = 1\n[log]\nlevel = \"loud\"\n");
    let name = file.to_str().unwrap();
    let words = [&format!("{name}:3:3"), "http.lisen", &format!("{name}:5:1"), "loud"];
    for args in [&[][..], &["check-config"], &["print-config"]] {
        fails(&machine, args, EX_CONFIG, &words).await;
    }
    put_text(&file, "[http]\nlisten = [\"127.0.0.1:0\"]\n");
    let done = machine.proxyd(&["check-config"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "the configuration is valid\n"));
    let done = machine.proxyd(&["print-config", "--log-level", "debug"]).await;
    assert_eq!(done.code, Some(0));
    let auth = machine.auth_dir();
    for line in [
        &format!("http.listen = [\"127.0.0.1:0\"]  # {name}:2:1"),
        "log.level = \"debug\"  # flag --log-level",
        "http.drain = \"30s\"  # default",
        &format!("claude.api_base_url = \"{}\"  # environment PROXYD_CLAUDE__API_BASE_URL", fake.url()),
        &format!("auth.dir = \"{}\"  # default", auth.display()),
    ] {
        assert!(done.stdout.lines().any(|printed| printed == line), "{line} is not in\n{}", done.stdout);
    }
    assert!(!auth.exists(), "looking at the configuration makes nothing");
    let elsewhere = machine.home().join("missing.toml");
    let elsewhere = elsewhere.to_str().unwrap();
    fails(&machine, &["--config", elsewhere], EX_CONFIG, &[elsewhere]).await;
    let wrong = machine.with("PROXYD_HTTP__DRAIN", "soon");
    fails(&wrong, &[], EX_CONFIG, &["PROXYD_HTTP__DRAIN", "soon"]).await;
}

#[tokio::test]
async fn a_wrong_command_line_is_wrong_usage() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    assert_eq!(machine.proxyd(&["--no-such-flag"]).await.code, Some(2));
    assert_eq!(machine.proxyctl(&["--no-such-flag"]).await.code, Some(2));
    assert_eq!(machine.proxyd(&["--version"]).await.code, Some(0));
    assert!(tree(machine.home()).len() == 1, "only the runtime directory");
}

/// It ends with this code soon, says all of these words on standard error and nothing on standard output.
async fn fails(machine: &Machine, args: &[&str], code: i32, words: &[&str]) {
    programs();
    let started = Instant::now();
    let done = machine.proxyd(args).await;
    let took = started.elapsed();
    assert_eq!(done.code, Some(code), "{args:?}: {}", done.stderr);
    assert!(words.iter().all(|word| done.stderr.contains(word)), "{words:?} in {}", done.stderr);
    assert_eq!(done.stdout, "");
    assert!(took < PROMISED, "{args:?} took {took:?}");
}

fn put_text(path: &Path, text: &str) {
    use std::io::Write as _;
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}
