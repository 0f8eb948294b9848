//! A closed loop: each connection asks again as soon as it was answered.

use std::time::Duration;

use anyhow::Result;
use proxyd::tasks::Tasks;
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, words};
use super::{Outcome, Spec};
use crate::process::cpu;

pub(super) async fn run(spec: &Spec) -> Result<Outcome> {
    let tasks = Tasks::new();
    let mut connections = Vec::with_capacity(spec.connections);
    for index in 0..spec.connections {
        connections.push(Connection::open(spec, index).await?);
    }
    let begin = Instant::now() + Duration::from_millis(spec.warm);
    let end = begin + Duration::from_millis(spec.run);
    let words = words(spec.asked);
    let asking: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            tasks.spawn(async move {
                let mut times = Vec::with_capacity(1 << 16);
                let done = ask(connection, words, begin, end, &mut times).await;
                (times, done)
            })
        })
        .collect();
    sleep_until(begin).await;
    let (before, since) = (cpu(spec.pid)?, Instant::now());
    sleep_until(end).await;
    let (used, seconds) = (cpu(spec.pid)?.saturating_sub(before), since.elapsed().as_secs_f64());
    let mut outcome = Outcome { seconds, cpu_seconds: used.as_secs_f64(), ..Outcome::default() };
    let mut all = Vec::new();
    for task in asking {
        let (times, done) = task.await?;
        all.extend(times);
        if let Err(error) = done {
            outcome.fail(&error);
        }
    }
    outcome.answers = u64::try_from(all.len())?;
    outcome.words = outcome.answers * u64::try_from(words)?;
    Ok(outcome.with_times(all))
}

/// Asks until the end; the first failure is the last request.
async fn ask(
    mut connection: Connection,
    words: usize,
    begin: Instant,
    end: Instant,
    times: &mut Vec<u64>,
) -> Result<()> {
    loop {
        let asked = Instant::now();
        connection.exchange(words).await?;
        let answered = Instant::now();
        if answered >= end {
            return Ok(());
        }
        if answered >= begin {
            times.push(u64::try_from((answered - asked).as_nanos())?);
        }
    }
}
