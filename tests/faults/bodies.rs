//! Bodies that are larger than what is taken, and many that are not.

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bench::{DIALECTS, Setup, body, client, send};
use crate::case::Shown;
use crate::wire;

const MIB: usize = 1024 * 1024;

pub(crate) async fn large_bodies() -> Shown {
    let bench = Setup::new().await?.quiet().start().await;
    let address = bench.address();
    for route in DIALECTS {
        let head = |framing: &str| {
            format!(
                "POST {route} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
            )
        };
        // One that says so is refused before it is sent.
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head(&format!("content-length: {}", 33 * MIB)).as_bytes()).await?;
        let reply = wire::reply(&mut stream).await?;
        ensure!(reply.status == 413, "{route}: {} for 33 MiB", reply.status);
        // One that does not is refused when it is seen.
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head("transfer-encoding: chunked").as_bytes()).await?;
        let chunk = format!("{MIB:x}\r\n{}\r\n", " ".repeat(MIB));
        for _ in 0..40 {
            if stream.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
        let _refused_early = stream.write_all(b"0\r\n\r\n").await;
        let reply = wire::reply(&mut stream).await?;
        ensure!(reply.status == 413, "{route}: {} for 40 MiB in chunks", reply.status);
    }
    ensure!(bench.fake.requests().is_empty(), "a body that is too large went upstream");
    // One that is not too large goes up, byte for byte.
    let mut large = body("/v1/messages", false);
    large.as_object_mut().context("an object")?.insert("system".to_owned(), " ".repeat(20 * MIB).into());
    let request = client()?.post(bench.daemon.url("/v1/messages")).json(&large);
    let answered = send(request).await?;
    ensure!(answered.status == 200, "20 MiB: {} {}", answered.status, answered.text);
    let seen = bench.fake.requests_to("/v1/messages");
    ensure!(
        seen.first().is_some_and(|seen| seen.body.len() == large.to_string().len()),
        "it was changed on its way"
    );
    bench.fake.forget_requests();
    // Many at once that come to nothing hold no memory for what they announce.
    let announced = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{{",
        32 * MIB
    );
    let opening = (0..200).map(|_| async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(announced.as_bytes()).await?;
        anyhow::Ok(stream)
    });
    let crowd = try_join_all(opening).await?;
    bench.serves().await?;
    let (now, _) = bench.memory()?;
    ensure!(now < 256, "{now} MiB of memory while 200 bodies are announced");
    drop(crowd);
    bench.stop().await?;
    Ok(format!("33 MiB refused, 20 MiB served, {now} MiB with 200 announced"))
}
