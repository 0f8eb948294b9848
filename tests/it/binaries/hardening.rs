//! What the process as a whole does not do: leak keys of its TLS sessions, open what is not its own, take a proxy that
//! nobody asked for, or live on half dead.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use proxy_tests::binaries::{Done, Live, Machine, programs};
use proxy_tests::daemon::{expired, private_dir, put};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::proxy_server::{Carried, Manners, ProxyServer};
use proxy_tests::tls_front::TlsFront;
use proxy_tests::wait::within;

/// A machine whose upstream is reached over TLS, with one account that must be refreshed before it serves.
fn over_tls(fake: &FakeClaude, front: &TlsFront) -> Machine {
    let machine = Machine::new(fake)
        .with("PROXYD_CLAUDE__API_BASE_URL", front.url())
        .with("PROXYD_CLAUDE__OAUTH__TOKEN_URL", format!("{}/v1/oauth/token", front.url()));
    let roots = machine.home().join("front.pem");
    put_text(&roots, front.certificate());
    machine.put("claude-a.json", &expired(&fake.issue_account("person@example.com")));
    machine.with("PROXYD_UPSTREAM__CA_FILE", roots)
}

fn put_text(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What an entry of proc(5) says of the daemon.
fn proc(daemon: nix::unistd::Pid, file: &str) -> String {
    fs::read_to_string(format!("/proc/{daemon}/{file}")).unwrap()
}

#[tokio::test]
async fn no_keys_of_tls_sessions_are_written_whatever_the_environment_says() {
    let fake = FakeClaude::start().await;
    let front = TlsFront::start(fake.address()).await;
    let machine = over_tls(&fake, &front);
    // Where the sandbox lets it write, and where it does not.
    let (inside, outside) = (machine.auth_dir().join("keys.log"), machine.home().join("keys.log"));
    for (file, landlock) in [(&inside, "required"), (&outside, "off")] {
        let machine_with = over_tls(&fake, &front)
            .with("SSLKEYLOGFILE", file)
            .with("PROXYD_AUTH__DIR", machine.auth_dir())
            .with("PROXYD_SANDBOX__LANDLOCK", landlock);
        let daemon = machine_with.start().await;
        assert_eq!(daemon.ask("hello").await.status(), 200);
        assert_eq!(daemon.stop().await.code, Some(0));
        assert!(!file.exists());
    }
    assert!(fake.token_calls() > 0, "the token endpoint was reached over TLS, too");
}

#[tokio::test]
async fn the_environments_proxy_is_taken_where_it_is_asked_for_and_nowhere_else() {
    let fake = FakeClaude::start().await;
    let front = TlsFront::start(fake.address()).await;
    let to = front.url().replace("https://", "");
    for (asked, exceptions, ways) in [("false", "", 0), ("true", "example.com", 2), ("true", "127.0.0.1", 0)]
    {
        let proxy = ProxyServer::start(Manners::Open).await;
        let machine = over_tls(&fake, &front)
            .with("https_proxy", proxy.url("http"))
            .with("NO_PROXY", exceptions)
            .with("PROXYD_UPSTREAM__PROXY_FROM_ENVIRONMENT", asked);
        let daemon = machine.start().await;
        assert_eq!(daemon.ask("hello").await.status(), 200);
        // The refresh and the request.
        let carried = vec![Carried { how: "connect", to: to.clone() }; ways];
        assert_eq!(proxy.carried(), carried, "asked for: {asked}, not for: {exceptions}");
        assert_eq!(daemon.stop().await.code, Some(0));
    }
}

#[tokio::test]
async fn nobody_looks_into_it_it_leaves_no_core_and_it_may_have_all_descriptors_there_are() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let mut command = machine.command("sh");
    command.args([
        "-c",
        "ulimit -Sn 256; ulimit -Hn 4321; ulimit -Sc unlimited; exec \"$0\" --listen 127.0.0.1:0",
    ]);
    command.arg(&programs().proxyd);
    let mut live = Live::start(command);
    live.stderr_line("proxyd is ready").await;
    let limits = proc(live.pid(), "limits");
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max core file size"), "0 0");
    assert_eq!(limit("Max open files"), "4321 4321");
    // A process that is not dumpable belongs to root in proc(5), whoever runs it; as root this says nothing.
    let status = proc(live.pid(), "status");
    assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
    live.signal(Signal::SIGTERM);
    assert_eq!(live.finish().await.code, Some(0));
}

/// `proxyctl accounts import` and `export` at a daemon that is closed to their places.
async fn transferred(machine: &Machine, fake: &FakeClaude) -> (Done, Done) {
    let source = private_dir(machine.home().join("elsewhere"));
    put(&source, "claude-b.json", &fake.issue_account("second@example.com").auth_file());
    let imported =
        machine.proxyctl(&["accounts", "import", source.to_str().unwrap(), "--move", "--yes"]).await;
    let target = machine.home().join("exported.json");
    let exported = machine
        .proxyctl(&["accounts", "export", "second@example.com", target.to_str().unwrap(), "--yes"])
        .await;
    (imported, exported)
}

#[tokio::test]
async fn import_and_export_open_what_a_person_names_and_nothing_else_of_the_daemon_does() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    let (imported, exported) = transferred(&machine, &fake).await;
    assert_eq!((imported.code, exported.code), (Some(0), Some(0)), "{}{}", imported.stderr, exported.stderr);
    assert!(
        machine.home().join("exported.json").exists()
            && !machine.home().join("elsewhere/claude-b.json").exists()
    );
    assert_eq!(daemon.ask("hello").await.status(), 200);
    // All threads but that one are restricted, which shows in what the kernel says of each.
    let mut free = Vec::new();
    for task in fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap() {
        let task = task.unwrap().path();
        let read = |file: &str| fs::read_to_string(task.join(file)).unwrap();
        if read("status").lines().any(|line| line == "NoNewPrivs:\t0") {
            free.push(read("comm").trim().to_owned());
        }
    }
    assert_eq!(free, ["outside"]);
    assert_eq!(daemon.stop().await.code, Some(0));
    assert!(!machine.control_socket().exists());
}

#[tokio::test]
async fn an_auth_directory_that_is_put_back_from_a_copy_is_used_as_the_one_before() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    fs::rename(machine.auth_dir(), machine.home().join("away")).unwrap();
    machine.put("claude-a.json", &expired(&fake.issue_account("person@example.com")));
    within("the account is found", async { while daemon.get("/readyz").await.status() != 200 {} }).await;
    // The refresh is saved there, too.
    assert_eq!(daemon.ask("hello").await.status(), 200);
    assert_eq!(fake.token_calls(), 1);
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn the_watchdog_is_fed_as_long_as_it_runs() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let path = machine.home().join("notify.sock");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let machine = machine.with("NOTIFY_SOCKET", &path).with("WATCHDOG_USEC", "100000");
    let daemon = machine.start().await;
    let mut seen = Vec::new();
    let mut buffer = [0; 512];
    while seen.iter().filter(|message: &&String| message.contains("WATCHDOG=1")).count() < 3 {
        let length = within("a message", socket.recv(&mut buffer)).await.unwrap();
        seen.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    assert!(seen[0].starts_with("READY=1"), "{seen:?}");
    // One that is stopped says nothing; what it had said before is read first.
    daemon.signal(Signal::SIGSTOP);
    while tokio::time::timeout(Duration::from_millis(300), socket.recv(&mut buffer)).await.is_ok() {}
    daemon.signal(Signal::SIGCONT);
    within("it goes on", socket.recv(&mut buffer)).await.unwrap();
    assert_eq!(daemon.stop().await.code, Some(0));
}
