//! What the daemon and a service manager tell each other, and sockets that are handed over: what connects while the daemon is
//! restarted waits for the next one.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::process::Stdio;

use proxy_tests::binaries::{Daemon, Live, Machine, browser, programs};
use proxy_tests::daemon::message;
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::needs;
use proxy_tests::wait::within;
use proxyd::tasks::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixDatagram, UnixStream};

/// A service manager's socket.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message but those of the watchdog.
    async fn told(&self) -> String {
        let mut buffer = [0; 512];
        loop {
            let length = within("a message", self.0.recv(&mut buffer)).await.unwrap();
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if !message.starts_with("WATCHDOG=1") {
                return message;
            }
        }
    }
}

/// `proxyd` with a socket in the place where systemd puts the first one.
fn handed(machine: &Machine, socket: impl Into<OwnedFd>, name: &str) -> Live {
    let mut command = machine.command("sh");
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\""]);
    command.arg(&programs().proxyd).env("LISTEN_FDNAMES", name).stdin(Stdio::from(socket.into()));
    Live::start(command)
}

#[tokio::test]
async fn the_manager_hears_of_the_start_of_each_change_of_the_accounts_and_of_the_end() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let path = machine.home().join("notify.sock");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    let machine = machine.with("NOTIFY_SOCKET", &path);
    let daemon = machine.start().await;
    assert_eq!(manager.told().await, "READY=1\nSTATUS=0 accounts usable\n");
    machine.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    assert_eq!(manager.told().await, "STATUS=1 account usable\n");
    let disabled = machine.proxyctl(&["accounts", "disable", "person@example.com"]).await;
    assert_eq!(disabled.code, Some(0), "{}", disabled.stderr);
    assert_eq!(manager.told().await, "STATUS=0 accounts usable\n");
    assert_eq!(daemon.stop().await.code, Some(0));
    assert_eq!(manager.told().await, "STOPPING=1\nSTATUS=finishing what is open\n");
}

#[tokio::test]
async fn an_abstract_socket_of_the_manager_is_told_from_inside_the_sandbox_too() {
    use std::os::linux::net::SocketAddrExt as _;
    let fake = FakeClaude::start().await;
    let name = format!("proxyd-manager-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = StdDatagram::bind_addr(&address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let manager = Manager(UnixDatagram::from_std(socket).unwrap());
    let machine = Machine::new(&fake).with("NOTIFY_SOCKET", format!("@{name}"));
    let daemon = machine.start().await;
    assert_eq!(manager.told().await, "READY=1\nSTATUS=0 accounts usable\n");
    assert_eq!(daemon.stop().await.code, Some(0));
    assert!(manager.told().await.starts_with("STOPPING=1\n"));
}

#[tokio::test]
async fn nobody_is_refused_while_the_daemon_is_restarted_under_a_socket_that_stays() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    machine.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // Each request by a connection of its own, one after the other, before, during and after each restart.
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let stopped = stopped.clone();
            Tasks::new().spawn(async move {
                let mut answers = Vec::new();
                while !*stopped.borrow() {
                    let asked = browser().post(format!("http://{address}/v1/messages"));
                    let sent = asked.header("connection", "close").json(&message("hi")).send();
                    answers.push(within("an answer", sent).await.map(|answer| answer.status().as_u16()));
                }
                answers
            })
        })
        .collect();
    for _ in 0..3 {
        let daemon = Daemon::ready(handed(&machine, socket.try_clone().unwrap(), "http")).await;
        assert_eq!(daemon.address(), address.to_string());
        let seen = fake.requests().len();
        within("it is asked", async {
            while fake.requests().len() < seen + 8 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(daemon.stop().await.code, Some(0));
    }
    // One more, so that whoever waits is answered.
    let daemon = Daemon::ready(handed(&machine, socket.try_clone().unwrap(), "http")).await;
    stop.send(true).unwrap();
    for asking in asking {
        for answer in asking.await.unwrap() {
            assert_eq!(answer.unwrap(), 200);
        }
    }
    let status = machine.proxyctl(&["status", "--json"]).await.json();
    assert_eq!(status["http_listen"], serde_json::json!([address.to_string()]));
    assert!(daemon.log().contains("in place of http.listen"));
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_socket_that_cannot_be_served_stops_the_start_and_is_named() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    for (socket, name, code, words) in [
        (OwnedFd::from(udp), "http", 78, "file descriptor 3, a UDP socket named \"http\""),
        (tcp().into(), "control", 78, "named \"control\", and it must be a unix stream socket that listens"),
        (tcp().into(), "metrics", 78, "named \"metrics\": it must be named \"http\" or \"control\""),
        (open.into(), "http", 1, "can be reached from other machines, and there is no client key"),
    ] {
        let done = handed(&machine, socket, name).finish().await;
        assert_eq!(done.code, Some(code), "{}", done.stderr);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
}

#[tokio::test]
async fn both_planes_are_served_on_sockets_of_systemd_whose_files_stay() {
    if !needs::available("systemd", &["systemd-socket-activate"]) {
        return;
    }
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    machine.put("claude-a.json", &fake.issue_account("person@example.com").auth_file());
    let (http, control) = (machine.home().join("http.sock"), machine.home().join("control.sock"));
    let mut command = machine.command("systemd-socket-activate");
    command.arg("-l").arg(&http).arg("-l").arg(&control).arg("--fdname=http:control");
    for (name, value) in machine.environment() {
        let mut setting = name.clone();
        setting.push("=");
        setting.push(value);
        command.arg("-E").arg(setting);
    }
    command.arg(&programs().proxyd);
    let mut live = Live::start(command);
    live.stderr_line("Listening on").await;
    within("both sockets", async {
        while !control.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Whoever comes first starts it.
    let mut client = UnixStream::connect(&http).await.unwrap();
    live.stderr_line("proxyd is ready").await;
    let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let status = machine.proxyctl(&["--socket", control.to_str().unwrap(), "status", "--json"]).await;
    let status = status.json();
    assert_eq!(status["http_listen"], serde_json::json!([format!("unix:{}", http.display())]));
    assert_eq!(status["control_socket"], serde_json::json!(control));
    live.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(live.finish().await.code, Some(0));
    assert!(http.exists() && control.exists(), "systemd made them");
}
