//! What the process needs of the machine: landlock in full, and certificates that are renewed while it runs.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy_tests::binaries::{Live, programs};
use proxy_tests::daemon::private_dir;
use proxy_tests::needs;

use crate::bench::{self, Setup};
use crate::case::{NotRun, Shown, eventually};
use crate::evidence;

pub(crate) async fn no_landlock() -> Shown {
    if !needs::runs("strace", "strace", &["-o", "/dev/null", "true"]) {
        return Err(NotRun("it needs strace, which does not work here".to_owned()).into());
    }
    let setup = Setup::new().await?;
    let without = |error: &str, landlock: &str| {
        let mut command = setup.machine.command("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset", "-e"]);
        command.arg(format!("inject=landlock_create_ruleset:error={error}"));
        // A tracer that is killed would leave it running.
        command
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(&programs().proxyd)
            .args(["--listen", "127.0.0.1:0"]);
        command.env("PROXYD_SANDBOX__LANDLOCK", landlock);
        Live::start(command)
    };
    // Not built, switched off at boot, forbidden by a filter of system calls.
    for error in ["ENOSYS", "EOPNOTSUPP", "EPERM"] {
        let done = without(error, "required").finish().await;
        evidence::log(&done.stderr);
        ensure!(done.code == Some(1), "{error}: {:?} {}", done.code, done.stderr);
        let told = ["landlock", "sandbox.landlock = \"off\""].iter().all(|word| done.stderr.contains(word));
        ensure!(told && !done.stderr.contains("ready"), "{error}: {}", done.stderr);
    }
    let mut live = without("ENOSYS", "off");
    live.stderr_line("proxyd is ready").await;
    live.stderr_line("sandbox.landlock is off").await;
    // The tracer keeps signals to itself, and ends with what it traces.
    let tracer = live.pid();
    let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children"))?;
    let daemon = children.split_whitespace().next().context("the daemon's id")?.parse()?;
    kill(Pid::from_raw(daemon), Signal::SIGTERM)?;
    evidence::log(&live.finish().await.stderr);
    Ok("refused with the reason and the switch, which works".to_owned())
}

/// A certificate for loopback and its key, put in the place of those before as a whole.
fn renew(dir: &Path) -> Result<reqwest::Client> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    for (name, text) in [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())] {
        let new = dir.join(format!("{name}.new"));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(new, dir.join(name))?;
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes())?;
    // Each call shakes hands anew.
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]).pool_max_idle_per_host(0);
    Ok(builder.timeout(Duration::from_secs(10)).build()?)
}

pub(crate) async fn certificate_is_renewed() -> Shown {
    let setup = Setup::new().await?;
    let dir = private_dir(setup.machine.home().join("tls"));
    let before = renew(&dir)?;
    let mut command = setup.machine.command(&programs().proxyd);
    command.args(["--listen", "127.0.0.1:0", "--log-level", "trace"]);
    command
        .env("PROXYD_HTTP__TLS_CERT", dir.join("cert.pem"))
        .env("PROXYD_HTTP__TLS_KEY", dir.join("key.pem"));
    let mut live = Live::start(command);
    let line = live.stderr_line("proxyd is ready").await;
    let address = line.split("https://").nth(1).context("an address")?;
    let address: String =
        address.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
    let url = format!("https://{address}/v1/messages");
    let ask = |client: &reqwest::Client| client.post(&url).json(&bench::body("/v1/messages", false));
    let answered = bench::send(ask(&before)).await?;
    ensure!(answered.status == 200, "by TLS: {} {}", answered.status, answered.text);
    let plain = bench::client()?.get(format!("http://{address}/healthz")).send().await;
    ensure!(!plain.is_ok_and(|answer| answer.status() == 200), "it serves without TLS");

    let after = renew(&dir)?;
    let served = || async { Ok(bench::send(ask(&after)).await.is_ok_and(|answered| answered.status == 200)) };
    let took = eventually("the new certificate is served", served).await?;
    ensure!(ask(&before).send().await.is_err(), "the old certificate is still served");
    live.signal(Signal::SIGTERM);
    bench::ended(&setup.machine, &live.finish().await)?;
    Ok(format!("{} ms after its files", took.as_millis()))
}
