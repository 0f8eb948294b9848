//! An upstream that hangs, breaks off, leads astray or sends too much: each ends as an error that the caller's dialect
//! knows, in time and within bounds.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use proxy_tests::daemon::expired;
use proxy_tests::fake_claude::{Gate, Script, Step, text_events};

use crate::bench::{Answered, Bench, DIALECTS, Setup, ask, body, client};
use crate::case::Shown;
use crate::odd::{Full, Odd, head};

const SSE: &str = "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";

/// An error as the route's clients read one, of the request where nothing had been said.
fn is_refused(answered: &Answered, route: &str, statuses: &[u16]) -> Result<()> {
    ensure!(
        statuses.contains(&answered.status) && answered.is_error_of(route),
        "{route}: {} {}",
        answered.status,
        start(&answered.text)
    );
    Ok(())
}

/// An error at the end of a stream that had begun.
fn is_cut_short(answered: &Answered, route: &str) -> Result<()> {
    ensure!(
        answered.status == 200 && answered.is_error_of(route),
        "{route}: {}, whole: {}, {}",
        answered.status,
        answered.is_whole,
        start(&answered.text)
    );
    Ok(())
}

fn start(text: &str) -> String {
    text.chars().take(300).collect()
}

pub(crate) async fn hangs_at_connect() -> Shown {
    let full = Full::new()?;
    let setup = Setup::new().await?.upstream(&format!("http://{}", full.address));
    let bench = setup.set("upstream.connect_timeout", "1s").start().await;
    let mut longest = Duration::ZERO;
    for route in DIALECTS {
        let since = Instant::now();
        is_refused(&ask(&bench.daemon, route, true).await?, route, &[502, 504])?;
        longest = longest.max(since.elapsed());
    }
    // The retries of a connection that was not made are bounded, too.
    ensure!(longest < Duration::from_secs(8), "refused after {} ms", longest.as_millis());
    bench.stop().await?;
    Ok(format!("{} ms with a limit of 1 s", longest.as_millis()))
}

pub(crate) async fn hangs_at_headers() -> Shown {
    let bench = Setup::new().await?.set("upstream.head_timeout", "1s").start().await;
    let mut longest = Duration::ZERO;
    for route in DIALECTS {
        let gate = Gate::new();
        bench.fake.on("/v1/messages").always(Script::real().hold(&gate));
        let since = Instant::now();
        is_refused(&ask(&bench.daemon, route, true).await?, route, &[502, 504])?;
        longest = longest.max(since.elapsed());
        tokio::time::timeout(Duration::from_secs(5), gate.left_by(1)).await.context("upstream is let go")?;
        bench.fake.clear_scripts();
    }
    ensure!(longest < Duration::from_secs(8), "refused after {} ms", longest.as_millis());
    bench.stop().await?;
    Ok(format!("{} ms with a limit of 1 s", longest.as_millis()))
}

pub(crate) async fn hangs_in_the_stream() -> Shown {
    let setup = Setup::new().await?.set("upstream.silence_timeout", "1s").set("http.keep_alive", "300ms");
    let bench = setup.start().await;
    let mut longest = Duration::ZERO;
    for route in DIALECTS {
        let gate = Gate::new();
        let mut steps = text_events("claude-sonnet-4-5", &["one ", "two"]);
        steps.insert(3, Step::gate(&gate));
        bench.fake.on("/v1/messages").once(Script::stream(steps));
        let since = Instant::now();
        is_cut_short(&ask(&bench.daemon, route, true).await?, route)?;
        longest = longest.max(since.elapsed());
        tokio::time::timeout(Duration::from_secs(5), gate.left_by(1)).await.context("upstream is let go")?;
    }
    ensure!(longest < Duration::from_secs(5), "cut after {} ms", longest.as_millis());
    bench.stop().await?;
    Ok(format!("{} ms with a limit of 1 s", longest.as_millis()))
}

pub(crate) async fn silence_is_filled() -> Shown {
    let bench = Setup::new().await?.set("http.keep_alive", "200ms").start().await;
    for route in DIALECTS {
        for at in [0, 3] {
            let gate = Gate::new();
            let mut steps = text_events("claude-sonnet-4-5", &["one ", "two"]);
            steps.insert(at, Step::gate(&gate));
            bench.fake.on("/v1/messages").once(Script::stream(steps));
            let mut answer = client()?.post(bench.daemon.url(route)).json(&body(route, true)).send().await?;
            let mut seen = String::new();
            // Two signs of life while upstream says nothing, then the rest.
            while signs(&seen) < 2 {
                let chunk = tokio::time::timeout(Duration::from_secs(10), answer.chunk()).await;
                let chunk = chunk.with_context(|| format!("{route}: silence at {at}: {seen}"))??;
                seen.push_str(&String::from_utf8_lossy(&chunk.context("the stream goes on")?));
            }
            gate.open();
            while let Some(chunk) = answer.chunk().await? {
                seen.push_str(&String::from_utf8_lossy(&chunk));
            }
            let ends = ["message_stop", "[DONE]", "response.completed"];
            ensure!(ends.iter().any(|end| seen.contains(end)), "{route}: no end: {}", start(&seen));
            ensure!(seen.contains("one ") && seen.contains("two"), "{route}: {}", start(&seen));
        }
    }
    bench.stop().await?;
    Ok("before the first event and between two, in three dialects".to_owned())
}

/// Pings and comments.
fn signs(seen: &str) -> usize {
    seen.lines().filter(|line| line.starts_with(':') || *line == "event: ping").count()
}

pub(crate) async fn resets() -> Shown {
    let bench = Setup::new().await?.start().await;
    for route in DIALECTS {
        bench.fake.on("/v1/messages").always(Script::reset());
        is_refused(&ask(&bench.daemon, route, true).await?, route, &[502])?;
        bench.fake.clear_scripts();
        for end in [Step::Reset, Step::Cut] {
            let mut steps = text_events("claude-sonnet-4-5", &["one ", "two"]);
            steps.truncate(3);
            steps.push(end);
            bench.fake.on("/v1/messages").once(Script::stream(steps));
            is_cut_short(&ask(&bench.daemon, route, true).await?, route)?;
        }
    }
    bench.serves().await?;
    bench.stop().await?;
    Ok("before the head and in the stream, by RST and FIN".to_owned())
}

pub(crate) async fn redirects_to_a_thief() -> Shown {
    let thief =
        Odd::start(vec![head("200 OK", "content-length: 2\r\n"), (Bytes::from_static(b"{}"), 1)]).await?;
    let mut tried = 0;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let lines =
            format!("location: {}/v1/messages\r\ncontent-length: 0\r\nconnection: close\r\n", thief.url());
        let upstream = Odd::start(vec![head(status, &lines)]).await?;
        let setup = Setup::new().await?.upstream(&upstream.url());
        let setup = setup.set("claude.oauth.token_url", &format!("{}/token", upstream.url()));
        let expired = expired(&setup.issued);
        let bench = setup.start().await;
        for route in DIALECTS {
            let answered = ask(&bench.daemon, route, false).await?;
            is_refused(&answered, route, &[502])?;
            ensure!(!answered.headers.contains_key("location"), "{status}: the caller is led there");
        }
        // And with the token that must be refreshed first.
        bench.machine.put(crate::bench::FILE, &expired);
        let before = upstream.calls();
        crate::case::until("a refresh is tried", || upstream.calls() > before).await?;
        tried += DIALECTS.len() + 1;
        // Upstream was no fake here.
        bench.stop().await?;
    }
    ensure!(thief.calls() == 0, "the thief was called {} times", thief.calls());
    Ok(format!("{tried} redirects, the thief saw none"))
}

/// Asks on every route, streaming and not, at an upstream that says this; whatever comes of it comes in time, within bounds of
/// memory, and the daemon goes on.
async fn bounded(said: crate::odd::Said, may_pass: bool) -> Result<String> {
    let upstream = Odd::start(said).await?;
    let bench = Setup::new().await?.upstream(&upstream.url()).start().await;
    for route in DIALECTS {
        for stream in [true, false] {
            let since = Instant::now();
            let answered = ask(&bench.daemon, route, stream).await?;
            ensure!(
                since.elapsed() < Duration::from_secs(30),
                "{route}: took {} s",
                since.elapsed().as_secs()
            );
            let passed = may_pass && route == "/v1/messages";
            ensure!(
                passed || answered.is_error_of(route) || !answered.is_whole,
                "{route}: {} {}",
                answered.status,
                start(&answered.text)
            );
        }
    }
    let (_, most) = memory_after(&bench)?;
    ensure!(bench.daemon.get("/healthz").await.status() == 200, "it does not go on");
    bench.stop().await?;
    Ok(format!("{most} MiB"))
}

fn memory_after(bench: &Bench) -> Result<(u64, u64)> {
    let (now, most) = bench.memory()?;
    ensure!(most < 256, "{most} MiB of memory");
    Ok((now, most))
}

pub(crate) async fn long_line() -> Shown {
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    let begin = Bytes::from_static(b"6\r\ndata: \r\n");
    // 50 MB without an end of line.
    bounded(
        vec![
            head("200 OK", SSE),
            (begin, 1),
            (Bytes::from(chunk), 800),
            (Bytes::from_static(b"0\r\n\r\n"), 1),
        ],
        true,
    )
    .await
}

pub(crate) async fn gzip_bomb() -> Shown {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b'0'; 1024 * 1024];
    for _ in 0..400 {
        encoder.write_all(&zeros)?;
    }
    let bomb = encoder.finish()?;
    let lines = |kind: &str| {
        format!(
            "content-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n",
            bomb.len()
        )
    };
    let mut shown = Vec::new();
    for (status, kind) in
        [("200 OK", "application/json"), ("200 OK", "text/event-stream"), ("400 Bad", "application/json")]
    {
        // To a client of the same dialect it goes as it came: small, and the client's to open.
        shown.push(bounded(vec![head(status, &lines(kind)), (Bytes::from(bomb.clone()), 1)], true).await?);
    }
    Ok(format!("400 MiB in {} KiB: {}", bomb.len() / 1024, shown.join(", ")))
}

pub(crate) async fn huge_headers() -> Shown {
    let line = format!("x-filler: {}\r\n", "x".repeat(1000));
    let many = line.repeat(1050) + "content-length: 2\r\n";
    let one = format!("x-filler: {}\r\ncontent-length: 2\r\n", "x".repeat(1024 * 1024));
    let mut shown = Vec::new();
    for lines in [many, one] {
        shown.push(bounded(vec![head("200 OK", &lines), (Bytes::from_static(b"{}"), 1)], false).await?);
    }
    Ok(shown.join(", "))
}
