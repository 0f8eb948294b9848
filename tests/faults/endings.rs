//! How it stops, and what is seen when it cannot go on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use proxy_tests::fake_claude::{Gate, Script, Step, text_events};
use tokio::net::{TcpStream, UnixDatagram};

use crate::bench::{self, Bench, DIALECTS, Setup, ask};
use crate::case::{NotRun, Shown};

/// A stream that waits at the gate in its middle.
fn held(gate: &Gate) -> Script {
    let mut steps = text_events("claude-sonnet-4-5", &["one ", "two"]);
    steps.insert(3, Step::gate(gate));
    Script::stream(steps)
}

/// How each of the routes says that a stream is complete.
fn is_complete(route: &str, text: &str) -> bool {
    text.contains(match route {
        "/v1/messages" => "event: message_stop",
        "/v1/chat/completions" => "data: [DONE]",
        _ => "event: response.completed",
    })
}

pub(crate) async fn sigterm_in_streams() -> Shown {
    let bench = Setup::new().await?.quiet().set("http.drain", "2s").start().await;
    let (goes_on, hangs) = (Gate::new(), Gate::new());
    bench.fake.on("/v1/messages").times(50, &held(&goes_on));
    bench.fake.on("/v1/messages").times(50, &held(&hangs));
    let Bench { fake, machine, daemon, .. } = bench;
    let address = daemon.address().to_owned();
    let routes: Vec<_> = DIALECTS.iter().copied().cycle().take(100).collect();
    let asking = join_all(routes.iter().map(|route| ask(&daemon, route, true)));
    let stopping = async {
        let all = async { tokio::join!(goes_on.reached_by(50), hangs.reached_by(50)) };
        tokio::time::timeout(Duration::from_secs(30), all).await.context("100 streams")?;
        daemon.signal(Signal::SIGTERM);
        let since = Instant::now();
        // It accepts nobody any more, while the streams go on.
        while TcpStream::connect(&address).await.is_ok() {
            ensure!(since.elapsed() < Duration::from_secs(1), "it still accepts connections");
        }
        goes_on.open();
        anyhow::Ok(since)
    };
    let (answers, since) = tokio::join!(asking, stopping);
    let done = daemon.end().await;
    let took = since?.elapsed();
    bench::ended(&machine, &done)?;
    let (mut complete, mut told) = (0, 0);
    for (route, answer) in routes.iter().zip(answers) {
        let answer = answer?;
        match (is_complete(route, &answer.text), answer.is_error_of(route)) {
            (true, false) if answer.is_whole => complete += 1,
            (false, true) => told += 1,
            ends => anyhow::bail!(
                "{route}: complete, error: {ends:?}, whole: {}: {}",
                answer.is_whole,
                answer.text
            ),
        }
    }
    ensure!((complete, told) == (50, 50), "{complete} complete, {told} with an error event");
    ensure!(took < Duration::from_secs(8), "it took {} ms", took.as_millis());
    drop(fake);
    Ok(format!("{complete} complete, {told} with an error event, {} ms", took.as_millis()))
}

pub(crate) async fn second_signal() -> Shown {
    let bench = Setup::new().await?.start().await;
    let gate = Gate::new();
    bench.fake.on("/v1/messages").once(held(&gate));
    let Bench { fake, machine, mut daemon, .. } = bench;
    let request = bench::client()?.post(daemon.url("/v1/messages")).json(&bench::body("/v1/messages", true));
    let _streaming = request.send().await?;
    daemon.signal(Signal::SIGTERM);
    daemon.log_line("proxyd is stopping").await;
    let since = Instant::now();
    daemon.signal(Signal::SIGTERM);
    let done = daemon.end().await;
    let took = since.elapsed();
    bench::ended(&machine, &done)?;
    ensure!(took < Duration::from_secs(2), "it took {} ms", took.as_millis());
    drop(fake);
    Ok(format!("{} ms", took.as_millis()))
}

pub(crate) async fn stuck_runtime() -> Shown {
    if !proxy_tests::needs::runs("strace", "strace", &["-o", "/dev/null", "true"]) {
        return Err(NotRun("it needs strace, which does not work here".to_owned()).into());
    }
    let mut setup = Setup::new().await?;
    let path = setup.machine.home().join("notify.sock");
    let socket = UnixDatagram::bind(&path)?;
    setup.machine = setup.machine.with("NOTIFY_SOCKET", &path).with("WATCHDOG_USEC", "200000");
    let bench = setup.start().await;
    let mut buffer = [0; 512];
    // Fed while it runs.
    for _ in 0..5 {
        tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer))
            .await
            .context("it is fed")??;
    }
    // Each of the runtime's threads hangs in its next system call; the one that started it and those that wait for files do not.
    let mut tracing = bench.machine.command("strace");
    tracing.args(["-q", "-o", "/dev/null", "-e", "trace=epoll_wait,futex", "-e"]);
    tracing.arg("inject=epoll_wait,futex:delay_enter=60s");
    for task in std::fs::read_dir(format!("/proc/{}/task", bench.daemon.pid()))?.flatten() {
        let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if comm.starts_with("tokio-rt-worker") || comm.starts_with("tokio-") {
            tracing.arg("-p").arg(task.file_name());
        }
    }
    let mut tracer = tracing.spawn()?;
    // What had been said before is read; then nothing comes for many times its pause.
    let since = Instant::now();
    let silent = loop {
        let next = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await;
        match next {
            Err(_) => break true,
            Ok(_) if since.elapsed() > Duration::from_secs(10) => break false,
            Ok(_) => {}
        }
    };
    tracer.kill().await?;
    ensure!(silent, "a runtime whose threads are all stuck still feeds the watchdog");
    tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.context("it goes on")??;
    bench.serves().await?;
    bench.stop().await?;
    Ok("not fed while stuck, fed again after".to_owned())
}
