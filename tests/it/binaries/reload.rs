//! SIGHUP and `proxyctl reload`, from inside the sandbox: what a person, a unit and a service manager see of a reload.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use proxy_tests::binaries::{Machine, browser, programs};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::terminal;
use proxy_tests::wait::within;
use tokio::net::UnixDatagram;

/// Replaces the file, as editors do.
fn configure(machine: &Machine, text: &str) -> String {
    let dir = machine.home().join(".config/proxyd");
    fs::create_dir_all(&dir).unwrap();
    let (new, file) = (dir.join(".new"), dir.join("config.toml"));
    #[expect(clippy::disallowed_methods, reason = "renamed into place")]
    fs::write(&new, text).unwrap();
    fs::rename(new, &file).unwrap();
    file.display().to_string()
}

/// The next message but those of the watchdog.
async fn told(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = within("a message", manager.recv(&mut buffer)).await.unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_hangup_reads_the_configuration_anew_and_the_manager_hears_of_it_whatever_comes_of_it() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let path = machine.home().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    let machine = machine.with("NOTIFY_SOCKET", &path);
    let file = configure(&machine, "");
    let mut daemon = machine.start().await;
    assert_eq!(told(&manager).await, "READY=1\nSTATUS=0 accounts usable\n");
    for (text, lines) in [
        ("", vec!["the configuration was read anew: nothing changed".to_owned()]),
        (
            "[log]\nlevel = \"debug\"\n[auth]\n",
            vec![format!(
                "the configuration changed key=\"log.level\" before=\"\\\"info\\\"\" after=\"\\\"debug\\\"\" origin=\"{file}:2:1\""
            )],
        ),
        (
            "[sandbox]\nlandlock = \"off\"\n",
            vec![
                "the configuration changed key=\"log.level\" before=\"\\\"debug\\\"\"".to_owned(),
                "a change of the configuration needs a restart key=\"sandbox.landlock\"".to_owned(),
            ],
        ),
        (
            "[http]\nlisten = []\nx = 1\n",
            vec![
                format!("the configuration has a mistake mistake=\"{file}:3:1: there is no key http.x"),
                "the configuration is not valid: the one in use stays mistakes=1".to_owned(),
            ],
        ),
    ] {
        configure(&machine, text);
        daemon.signal(Signal::SIGHUP);
        let reloading = told(&manager).await;
        let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!(usec.parse::<u64>().is_ok_and(|usec| usec > 0), "{reloading}");
        assert_eq!(told(&manager).await, "READY=1\nSTATUS=0 accounts usable\n");
        for line in lines {
            daemon.log_line(&line).await;
        }
    }
    let shown = machine.proxyctl(&["config", "--json"]).await.json();
    let landlock = shown["keys"].as_array().unwrap().iter().find(|key| key["key"] == "sandbox.landlock");
    assert_eq!(landlock.unwrap()["value"], "\"required\"");
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn the_log_says_as_much_as_the_newest_level_lets_it() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    configure(&machine, "");
    let mut daemon = machine.start().await;
    let page =
        async || browser().get(daemon.url("/healthz")).header("origin", "http://x.example").send().await;
    assert_eq!(page().await.unwrap().status(), 403);
    daemon.log_line("request refused").await;
    configure(&machine, "log.level = \"error\"\n");
    assert_eq!(machine.proxyctl(&["reload"]).await.code, Some(0));
    let before = daemon.log().matches("request refused").count();
    let page =
        async || browser().get(daemon.url("/healthz")).header("origin", "http://x.example").send().await;
    assert_eq!(page().await.unwrap().status(), 403);
    configure(&machine, "log.level = \"trace\"\n");
    assert_eq!(machine.proxyctl(&["reload"]).await.code, Some(0));
    let page =
        async || browser().get(daemon.url("/healthz")).header("origin", "http://x.example").send().await;
    assert_eq!(page().await.unwrap().status(), 403);
    daemon.log_line(" DEBUG ").await;
    let log = daemon.stop().await.stderr;
    assert_eq!((before, log.matches("request refused").count()), (1, 2), "{log}");
}

#[tokio::test]
async fn a_person_sees_what_changed_what_waits_and_what_is_wrong() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let file = configure(&machine, "");
    // It would be outside of what the daemon opened at its start.
    let socket = machine.home().join("elsewhere/http.sock");
    let mut command = machine.command(&programs().proxyd);
    command.env("PROXYD_HTTP__DRAIN", "1s");
    let daemon = proxy_tests::binaries::Daemon::ready(proxy_tests::binaries::Live::start({
        configure(&machine, "http.listen = [\"127.0.0.1:0\"]\n");
        command
    }))
    .await;
    configure(
        &machine,
        &format!(
            "http.listen = [\"127.0.0.1:0\", \"unix:{}\"]\nhttp.drain = \"9s\"\n\n[pool]\nqueue = 7\n",
            socket.display()
        ),
    );
    let done = machine.proxyctl(&["reload"]).await;
    let unix = format!("unix:{}", socket.display());
    let expected = format!(
        "needs a restart  http.listen = [\"127.0.0.1:0\", \"{unix}\"], before [\"127.0.0.1:0\"]  # {file}:1:6\n"
    );
    assert!(done.stdout.starts_with(&expected), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("the daemon closed itself at its start"), "{}", done.stdout);
    // A variable of the start beats the file still.
    assert!(
        done.stdout.ends_with(&format!("applied          pool.queue = 7, before 100  # {file}:5:1\n")),
        "{}",
        done.stdout
    );
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (Some(0), "What needs a restart takes effect with the daemon's next start.\n")
    );
    configure(&machine, "[pool]\nqueue = \"many\"\n[http]\nauth = \"all\"\n");
    let done = machine.proxyctl(&["reload"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(78), ""));
    let mistakes: Vec<_> = done.stderr.lines().take(2).collect();
    assert_eq!(
        mistakes,
        [
            format!("{file}:2:1: pool.queue must be a whole number, not a string"),
            format!("{file}:4:1: http.auth: \"all\" must be peer-or-key, key or none-i-know"),
        ]
    );
    let shown = machine.proxyctl(&["config"]).await.stdout;
    assert!(shown.contains(&format!("pool.queue = 7  # {file}:5:1\n")), "{shown}");
    assert!(shown.contains("http.drain = \"1s\"  # environment PROXYD_HTTP__DRAIN\n"), "{shown}");
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_terminal_that_hangs_up_leaves_the_daemon_serving() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    configure(&machine, "");
    let (master, slave) = terminal::open();
    let end = || Stdio::from(slave.try_clone().unwrap());
    let mut command = machine.command("setsid");
    command.arg("--ctty").arg(&programs().proxyd).args(["--listen", "127.0.0.1:0"]);
    command.stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().unwrap();
    drop((command, slave));
    let shown = async |args: &[&str]| machine.proxyctl(args).await;
    within("it serves", async {
        while shown(&["status"]).await.code == Some(3) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    configure(&machine, "pool.queue = 7\n");
    // The other end goes: whoever leads the session hears SIGHUP, and nobody reads what is logged any more.
    drop(master);
    within("it has read its configuration", async {
        while !shown(&["config"]).await.stdout.contains("pool.queue = 7 ") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(shown(&["reload"]).await.stdout, "nothing changed\n");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert!(within("it ends", child.wait()).await.unwrap().success());
}
