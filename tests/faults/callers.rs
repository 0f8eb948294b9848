//! Callers of another user, by every way in, and the keys that stand for them; what of one side reaches the other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::geteuid;
use proxy_tests::binaries::{Live, programs};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};

use crate::bench::{Bench, Setup, body};
use crate::case::{NotRun, Shown, until};
use crate::wire;

/// Nobody's number on any machine, and one that a user namespace with a range of ids holds.
const STRANGER: &str = "3999999999";
const MAPPED: &str = "1234";

/// How a command is run as another user: by root, or in a user namespace with ids of its own.
fn as_another() -> Result<Vec<&'static str>> {
    let setpriv = |id: &'static str| match id {
        STRANGER => ["setpriv", "--reuid=3999999999", "--regid=3999999999", "--clear-groups"],
        _ => ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"],
    };
    let ways = [
        setpriv(STRANGER).to_vec(),
        [&["unshare", "--user", "--map-auto", "--map-root-user"][..], &setpriv(MAPPED)].concat(),
    ];
    let works = |way: &Vec<&str>| {
        let Some((program, arguments)) = way.split_first() else { return false };
        let mut command = std::process::Command::new(program);
        command.args(arguments).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let way = ways.into_iter().find(works);
    way.ok_or_else(|| NotRun("it needs root, or unshare with a range of user ids".to_owned()).into())
}

/// A program where another user may run it.
fn open_copy(bench: &Bench, program: &Path, name: &str) -> Result<PathBuf> {
    let copy = bench.machine.home().join(name);
    fs::copy(program, &copy)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    Ok(copy)
}

/// `--call`: what this program does where it is run as another user. It says the answer's status, or what went wrong.
pub(crate) async fn call(way: &str, place: &str) -> Result<String> {
    let body = body("/v1/messages", false).to_string();
    let host = if way == "unix" { "localhost" } else { place };
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = if way == "unix" {
        let mut stream = UnixStream::connect(place).await?;
        let _refused_early = stream.write_all(request.as_bytes()).await;
        wire::reply(&mut stream).await?
    } else {
        let mut stream = TcpStream::connect(place).await?;
        let _refused_early = stream.write_all(request.as_bytes()).await;
        wire::reply(&mut stream).await?
    };
    Ok(format!("status {}", reply.status))
}

/// What a call by another user comes to.
async fn called(bench: &Bench, way: &str, place: &str) -> Result<String> {
    fs::set_permissions(bench.machine.home(), Permissions::from_mode(0o755))?;
    let caller = open_copy(bench, &std::env::current_exe()?, "caller")?;
    let another = as_another()?;
    let (program, arguments) = another.split_first().context("a program")?;
    let mut command = bench.machine.command(program);
    command.args(arguments).arg(caller).args(["--call", way, place]).current_dir("/");
    let done = Live::start(command).finish().await;
    Ok(done.stdout.trim().to_owned() + done.stderr.trim())
}

pub(crate) async fn another_user_by_tcp() -> Shown {
    as_another()?;
    let bench = Setup::new().await?.start().await;
    let said = called(&bench, "tcp", bench.address()).await?;
    ensure!(said == "status 403" || said == "status 401", "another user by TCP: {said}");
    ensure!(bench.fake.count("/v1/messages") == 0, "it went upstream");
    // The same program as this user, so that it is the user who is refused.
    let own = call("tcp", bench.address()).await?;
    ensure!(own == "status 200", "the own user by TCP: {own}");
    bench.stop().await?;
    // A person may let that user in; the namespace's number for it is not the kernel's.
    if geteuid().is_root() {
        let bench = Setup::new().await?.set("http.users", STRANGER).start().await;
        let said = called(&bench, "tcp", bench.address()).await?;
        ensure!(said == "status 200", "a user in http.users: {said}");
        bench.stop().await?;
    }
    Ok(said)
}

pub(crate) async fn another_user_by_unix_socket() -> Shown {
    as_another()?;
    let setup = Setup::new().await?;
    let socket = setup.machine.home().join("shared/http.sock");
    // The name of the home is random, so it is set last.
    let listen = format!("127.0.0.1:0,unix:{}", socket.display());
    let bench = setup.start_listening(&listen).await;
    until("the socket is there", || socket.exists()).await?;
    let place = socket.display().to_string();
    let own = call("unix", &place).await?;
    ensure!(own == "status 200", "the own user by the socket: {own}");
    bench.fake.forget_requests();
    fs::set_permissions(socket.parent().context("a directory")?, Permissions::from_mode(0o755))?;
    let closed = called(&bench, "unix", &place).await?;
    ensure!(closed.contains("denied"), "another user connects: {closed}");
    // However far a person opens the socket, it is the kernel that says who calls.
    fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
    let said = called(&bench, "unix", &place).await?;
    ensure!(said == "status 403" || said == "status 401", "another user by the opened socket: {said}");
    ensure!(bench.fake.count("/v1/messages") == 0, "it went upstream");
    bench.stop().await?;
    ensure!(!socket.exists(), "the socket is left behind");
    Ok(format!("no connection; {said} where it is open to all"))
}

pub(crate) async fn another_user_by_control_socket() -> Shown {
    as_another()?;
    let bench = Setup::new().await?.start().await;
    let socket = bench.machine.control_socket();
    fs::set_permissions(bench.machine.home(), Permissions::from_mode(0o755))?;
    let proxyctl = open_copy(&bench, &programs().proxyctl, "proxyctl")?;
    for dir in socket.ancestors().skip(1).take_while(|dir| *dir != bench.machine.home()) {
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    let another = as_another()?;
    let (program, arguments) = another.split_first().context("a program")?;
    for mode in [0o600, 0o666] {
        fs::set_permissions(&socket, Permissions::from_mode(mode))?;
        let mut command = bench.machine.command(program);
        command.args(arguments).arg(&proxyctl).arg("--socket").arg(&socket).args(["accounts", "list"]);
        command.env("HOME", "/nonexistent").current_dir("/");
        let done = Live::start(command).finish().await;
        ensure!(done.code == Some(6), "mode {mode:o}: {:?} {}", done.code, done.stderr);
        ensure!(!done.stdout.contains("faults.example"), "it was told of an account");
    }
    bench.stop().await?;
    Ok(format!("no rights{}", if geteuid().is_root() { "" } else { ", in a user namespace" }))
}

/// What must not pass from one side to the other.
pub(crate) async fn nothing_crosses() -> Shown {
    let bench = Setup::new().await?.start().await;
    let own = [
        ("cookie", "session=CLIENTS-OWN"),
        ("forwarded", "for=192.0.2.1;by=CLIENTS-OWN"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "CLIENTS-OWN.example"),
        ("x-real-ip", "192.0.2.1"),
        ("proxy-authorization", "Basic CLIENTS-OWN"),
        ("authorization", "Bearer CLIENTS-OWN"),
        ("x-api-key", "CLIENTS-OWN"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("connection", "x-hop"),
        ("x-hop", "CLIENTS-OWN"),
    ];
    let script = proxy_tests::fake_claude::Script::real();
    let script = script.header("set-cookie", "upstream=THEIRS").header("keep-alive", "timeout=9");
    bench.fake.on("/v1/messages").always(script.header("proxy-authenticate", "Basic"));
    for route in crate::bench::DIALECTS {
        bench.fake.forget_requests();
        let request = crate::bench::client()?.post(bench.daemon.url(route)).json(&body(route, false));
        let request = own.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answered = crate::bench::send(request).await?;
        ensure!(answered.status == 200, "{route}: {} {}", answered.status, answered.text);
        let seen = bench.fake.requests_to("/v1/messages");
        let seen = seen.first().context("a request upstream")?;
        for (name, value) in &seen.headers {
            let leaked = ["CLIENTS-OWN", "192.0.2.1"]
                .iter()
                .any(|word| value.as_bytes().windows(word.len()).any(|part| part == word.as_bytes()));
            ensure!(!leaked, "{route}: {name} went upstream with what is the client's own");
        }
        for name in
            ["cookie", "forwarded", "x-forwarded-for", "x-real-ip", "keep-alive", "te", "proxy-authorization"]
        {
            ensure!(!seen.headers.contains_key(name), "{route}: {name} went upstream");
        }
        for name in ["set-cookie", "keep-alive", "proxy-authenticate"] {
            ensure!(!answered.headers.contains_key(name), "{route}: {name} came down");
        }
    }
    bench.stop().await?;
    Ok(format!("{} headers up, 3 down, in three dialects", own.len()))
}
