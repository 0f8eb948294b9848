//! Streams that are opened and kept open. Few are opened at a time, so that the time to the first text is not that of a queue.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use proxyd::tasks::Tasks;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connection::Connection;
use super::{Outcome, Spec, tell};

/// Streams that are being opened at once.
const OPENING: usize = 8;

pub(super) async fn run(spec: &Spec) -> Result<()> {
    let (tasks, turns) = (Tasks::new(), Arc::new(Semaphore::new(OPENING)));
    let since = Instant::now();
    let opening: Vec<_> = (0..spec.connections)
        .map(|index| {
            let (spec, turns) = (spec.clone(), Arc::clone(&turns));
            tasks.spawn(async move {
                let _turn = turns.acquire().await;
                open(&spec, index).await
            })
        })
        .collect();
    let (mut outcome, mut times, mut held) = (Outcome::default(), Vec::new(), Vec::new());
    for task in opening {
        match task.await? {
            Ok((connection, took)) => {
                held.push(connection);
                times.push(took);
            }
            Err(error) => outcome.fail(&error),
        }
    }
    outcome.seconds = since.elapsed().as_secs_f64();
    outcome.answers = u64::try_from(held.len())?;
    tell(&outcome.with_times(times))?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    // Whether they were open shows only after a look at the sockets.
    tokio::task::yield_now().await;
    let open = held.iter().filter(|connection| connection.is_open()).count();
    crate::say(&open.to_string())
}

async fn open(spec: &Spec, index: usize) -> Result<(Connection, u64)> {
    let mut connection = Connection::open(spec, index).await?;
    let since = Instant::now();
    connection.ask().await?;
    while connection.words() == 0 {
        let is_whole = connection.read().await?;
        anyhow::ensure!(!is_whole, "the stream is over");
    }
    let took = u64::try_from(since.elapsed().as_nanos()).context("a time")?;
    Ok((connection, took))
}
