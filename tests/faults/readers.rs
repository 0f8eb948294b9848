//! Clients that do not read, and clients that leave.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proxy_tests::fake_claude::Step;
use proxy_tests::fake_claude::{Gate, Progress, Script, text_events};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::{Bench, DIALECTS, Setup, body};
use crate::case::{Shown, until};
use crate::wire;

/// A stream of about so many MiB, in events of 16 KiB.
pub(crate) fn large(mib: usize) -> Vec<Step> {
    let mut events = text_events("claude-sonnet-4-5", &["x"]).into_iter();
    let mut steps: Vec<Step> = Vec::new();
    // Up to the first piece of text, which is sent again and again in large.
    for event in events.by_ref().take(3) {
        steps.push(event);
    }
    let piece = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "y".repeat(16 * 1024)}});
    let piece = Step::event("content_block_delta", &piece);
    steps.extend(std::iter::repeat_n(piece, mib * 64));
    steps.extend(events);
    steps
}

/// Asks for a stream on a connection that takes little, and reads nothing.
async fn ask_and_stall(bench: &Bench, route: &str) -> Result<TcpStream> {
    let mut stream = wire::connect_small(bench.address()).await?;
    let body = body(route, true).to_string();
    let head = format!(
        "POST {route} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        bench.address(),
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(stream)
}

pub(crate) async fn stalled_readers() -> Shown {
    let bench = Setup::new().await?.quiet().start().await;
    bench.fake.on("/v1/messages").times(200, &Script::stream(large(16)));
    let mut stalled = Vec::new();
    for n in 0..200 {
        let route = DIALECTS.get(n % DIALECTS.len()).context("a route")?;
        stalled.push(ask_and_stall(&bench, route).await?);
    }
    until("all of them are upstream", || bench.fake.count("/v1/messages") >= 200).await?;
    // What is buffered grows until it does not: looked at until it stands still.
    let mut last = 0;
    let mut still = 0;
    until("the memory stands still", || {
        let now = bench.memory().map_or(0, |(now, _)| now);
        still = if now <= last { still + 1 } else { 0 };
        last = now.max(last);
        still > 100
    })
    .await?;
    let (_, most) = bench.memory()?;
    ensure!(most < 256, "{most} MiB of memory");
    bench.serves().await?;
    drop(stalled);
    until("upstream is let go", || {
        bench.fake.requests().iter().all(|request| request.progress != Progress::Running)
    })
    .await?;
    bench.stop().await?;
    Ok(format!("{most} MiB"))
}

pub(crate) async fn stalled_reader_is_cut() -> Shown {
    let bench = Setup::new().await?.set("http.send_timeout", "1s").start().await;
    let mut longest = Duration::ZERO;
    for route in DIALECTS {
        bench.fake.on("/v1/messages").once(Script::stream(large(16)));
        bench.fake.forget_requests();
        let mut stream = ask_and_stall(&bench, route).await?;
        until("it is upstream", || bench.fake.count("/v1/messages") == 1).await?;
        let since = Instant::now();
        until("upstream is let go", || {
            bench.fake.requests().iter().any(|request| request.progress == Progress::Abandoned)
        })
        .await?;
        longest = longest.max(since.elapsed());
        // What had been sent before can still be read; then it ends, and not as a whole answer would.
        let mut rest = Vec::new();
        let _reset_or_end = stream.read_to_end(&mut rest).await;
        ensure!(!rest.ends_with(b"0\r\n\r\n"), "{route}: the cut stream looks whole");
    }
    ensure!(longest < Duration::from_secs(10), "cut only after {} ms", longest.as_millis());
    bench.stop().await?;
    Ok(format!("cut after {} ms with a limit of 1 s", longest.as_millis()))
}

pub(crate) async fn leaving_client() -> Shown {
    let bench = Setup::new().await?.start().await;
    let mut longest = Duration::ZERO;
    for route in DIALECTS {
        for is_streaming in [false, true] {
            // Before the head, and in the middle of the stream.
            let gate = Gate::new();
            let held = Script::real().hold(&gate);
            let mut steps = text_events("claude-sonnet-4-5", &["one ", "two"]);
            steps.insert(3, Step::gate(&gate));
            bench.fake.on("/v1/messages").once(if is_streaming { Script::stream(steps) } else { held });
            let stream = ask_and_stall(&bench, route).await?;
            tokio::time::timeout(Duration::from_secs(10), gate.reached_by(1))
                .await
                .context("it is upstream")?;
            let since = Instant::now();
            drop(stream);
            tokio::time::timeout(Duration::from_secs(10), gate.left_by(1))
                .await
                .context("upstream is let go")?;
            longest = longest.max(since.elapsed());
        }
    }
    ensure!(longest < Duration::from_secs(1), "upstream was let go after {} ms", longest.as_millis());
    bench.stop().await?;
    Ok(format!("{} ms at most", longest.as_millis()))
}
