//! Many connections that ask for little, and few descriptors for many.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use nix::sys::resource::{Resource, getrlimit};
use proxy_tests::daemon::expired;
use proxy_tests::fake_claude::{Gate, Script, TOKEN_PATH};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bench::{self, Bench, Setup};
use crate::case::{NotRun, Shown, until};
use crate::wire;

const SECOND: &str = "canary-person-2@faults.example";
/// Connections that are opened at once.
const AT_ONCE: usize = 200;

/// Opens so many connections and says this on each, if anything.
async fn crowd(address: &str, count: usize, said: &[u8]) -> Result<Vec<TcpStream>> {
    let mut crowd = Vec::with_capacity(count);
    while crowd.len() < count {
        let next = (count - crowd.len()).min(AT_ONCE);
        let opening = (0..next).map(|_| async {
            let mut stream = TcpStream::connect(address).await.context("a connection")?;
            if !said.is_empty() {
                stream.write_all(said).await.context("its first words")?;
            }
            anyhow::Ok(stream)
        });
        crowd.extend(try_join_all(opening).await?);
    }
    Ok(crowd)
}

/// This process, and the daemon, may open so many files.
fn needs_files(count: u64) -> Result<()> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < count {
        return Err(NotRun(format!(
            "it needs a limit of {count} open files, and this machine allows {soft}"
        ))
        .into());
    }
    Ok(())
}

/// The time that 99 of a hundred small requests take at most, half of them on connections of their own.
async fn p99(bench: &Bench) -> Result<Duration> {
    let client = bench::client()?;
    let mut took = Vec::new();
    for n in 0..300 {
        let client = if n % 2 == 0 { client.clone() } else { bench::client()? };
        let request = client.post(bench.daemon.url("/v1/messages")).json(&bench::body("/v1/messages", false));
        let since = Instant::now();
        let answer = bench::send(request).await?;
        took.push(since.elapsed());
        ensure!(answer.status == 200, "normal traffic got {}: {}", answer.status, answer.text);
    }
    took.sort();
    took.get(took.len() * 99 / 100).copied().context("some requests")
}

pub(crate) async fn slow_connections() -> Shown {
    needs_files(4_000)?;
    // Half a request holds up the drain.
    let bench = Setup::new().await?.quiet().set("http.drain", "1s").start().await;
    bench.serves().await?;
    let address = bench.address();
    let half = format!("POST /v1/messages HTTP/1.1\r\nhost: {address}\r\nx-half: ");
    let stalled = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"model\":"
    );
    let _silent = crowd(address, 1_000, b"").await?;
    let _half_header = crowd(address, 1_000, half.as_bytes()).await?;
    let _stalled_body = crowd(address, 500, stalled.as_bytes()).await?;
    let p99 = p99(&bench).await?;
    ensure!(p99 < Duration::from_millis(250), "p99 is {} ms", p99.as_millis());
    bench.stop().await?;
    Ok(format!("p99 {} ms", p99.as_millis()))
}

pub(crate) async fn slow_connections_end() -> Shown {
    let limits = ["http.first_byte_timeout", "http.header_timeout", "http.body_timeout", "http.idle_timeout"];
    let setup = limits.iter().fold(Setup::new().await?, |setup, limit| setup.set(limit, "1s"));
    let bench = setup.start().await;
    let address = bench.address();
    let half = format!("POST /v1/messages HTTP/1.1\r\nhost: {address}\r\nx-half: ");
    let stalled = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"model\":"
    );
    let whole = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut longest = Duration::ZERO;
    for (what, said, is_answered) in [
        ("silent", "", false),
        ("half a head", &half, false),
        ("half a body", &stalled, false),
        ("idle", &whole, true),
    ] {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(said.as_bytes()).await?;
        if is_answered {
            ensure!(wire::reply(&mut stream).await?.status == 200, "healthz");
        }
        let since = Instant::now();
        // A refusal may be said first.
        let mut rest = Vec::new();
        let ending = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
        ensure!(
            tokio::time::timeout(Duration::from_secs(5), ending).await.is_ok(),
            "{what}: still open after 5 s"
        );
        longest = longest.max(since.elapsed());
    }
    bench.stop().await?;
    Ok(format!("closed within {} ms of a limit of 1 s", longest.as_millis()))
}

pub(crate) async fn idle_connections() -> Shown {
    needs_files(11_000)?;
    let setup = Setup::new().await?.quiet();
    // With the largest number of requests at once there would be descriptors for fewer connections.
    let bench = setup.set("http.max_requests", "1000").set("http.idle_timeout", "10m").start().await;
    let hello = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", bench.address());
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut some = crowd(bench.address(), AT_ONCE, hello.as_bytes()).await?;
        for stream in &mut some {
            ensure!(wire::reply(stream).await?.status == 200, "a connection was not served");
        }
        idle.append(&mut some);
    }
    let open = bench.descriptors()?;
    ensure!(open >= idle.len(), "only {open} descriptors are open for {} connections", idle.len());
    let (_, most) = bench.memory()?;
    ensure!(most < 256, "{most} MiB of memory");
    bench.serves().await?;
    bench.stop().await?;
    Ok(format!("{} connections, {most} MiB", idle.len()))
}

pub(crate) async fn few_descriptors() -> Shown {
    let setup = Setup::new().await?;
    let expired = expired(&setup.issued);
    let second = setup.fake.issue_account(SECOND);
    setup.machine.put("claude-b.json", &second.auth_file());
    let gate = Gate::new();
    setup.fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let bench = setup.account(&expired).start_limited(128).await;
    tokio::time::timeout(Duration::from_secs(10), gate.reached_by(1))
        .await
        .context("the token is rotated")?;
    let hello = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", bench.address());
    let crowd = crowd(bench.address(), 500, hello.as_bytes()).await?;
    ensure!(!bench.holds_newest(), "saved before it was answered");
    gate.open();
    let saved = until("the new token is saved", || bench.holds_newest()).await?;
    // Another account's, from its call on, with everybody there: by the control socket, whose connection needs a descriptor, too.
    for args in [["accounts", "list"].as_slice(), &["accounts", "refresh", SECOND]] {
        let done = bench.machine.proxyctl(args).await;
        ensure!(done.code == Some(0), "proxyctl {}: {}", args.join(" "), done.stderr);
    }
    let newest = bench.fake.current_refresh_token(second.account).context("a login that lives")?;
    ensure!(
        bench.machine.read("claude-b.json").get("refresh_token").is_some_and(|token| *token == newest),
        "the second refresh is not saved"
    );
    ensure!(bench.fake.token_calls() == 2, "{} token calls", bench.fake.token_calls());
    drop(crowd);
    // Those that wait to be accepted, closed as they are, still take each other's places for a moment.
    let since = Instant::now();
    let small =
        bench::client()?.post(bench.daemon.url("/v1/messages")).json(&bench::body("/v1/messages", false));
    loop {
        let again = small.try_clone().context("a body that can be sent again")?;
        if bench::send(again).await.is_ok_and(|answered| answered.status == 200) {
            break;
        }
        ensure!(since.elapsed() < Duration::from_secs(10), "it does not serve after the crowd");
    }
    bench.stop().await?;
    Ok(format!("saved after {} ms", saved.as_millis()))
}

pub(crate) async fn control_connections() -> Shown {
    let bench = Setup::new().await?.start().await;
    let before = bench.descriptors()?;
    let socket = bench.machine.control_socket();
    let mut crowd = Vec::new();
    for _ in 0..150 {
        // The socket's queue is full once all places are taken.
        let connecting = tokio::net::UnixStream::connect(&socket);
        match tokio::time::timeout(Duration::from_millis(200), connecting).await {
            Ok(Ok(stream)) => crowd.push(stream),
            _ => break,
        }
    }
    until("the places are taken", || bench.descriptors().is_ok_and(|open| open >= before + 64)).await?;
    let open = bench.descriptors()? - before;
    // And a few for what is read meanwhile.
    ensure!(open <= 72, "{open} descriptors for {} connections", crowd.len());
    bench.serves().await?;
    drop(crowd);
    let done = bench.machine.proxyctl(&["status"]).await;
    ensure!(done.code == Some(0), "proxyctl status: {}", done.stderr);
    bench.stop().await?;
    Ok(format!("{open} taken at once"))
}
